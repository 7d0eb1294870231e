//! Text that is no JSON: the DETAIL and CONTEXT of PostgreSQL's `json_lex` and `pg_parse_json`.

use crate::Notes;

/// Characters of a line that a CONTEXT shows.
const CONTEXT_BYTES: usize = 50;

/// What is wrong with a text that should be `json`.
pub(crate) fn json(text: &str) -> Notes {
    diagnose(text, false)
}

/// What is wrong with a text that should be `jsonb`, whose escapes have to be characters.
pub(crate) fn jsonb(text: &str) -> Notes {
    diagnose(text, true)
}

fn diagnose(text: &str, escapes: bool) -> Notes {
    let mut lexer = Lexer {
        text,
        bytes: text.as_bytes(),
        escapes,
        start: None,
        end: 0,
        kind: Token::Invalid,
        line: 1,
        line_start: 0,
    };
    match lexer.document() {
        Ok(()) => Notes::default(),
        Err(detail) => Notes { detail: Some(detail), hint: None, context: Some(lexer.context()) },
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Invalid,
    Symbol(u8),
    String,
    /// A number or a word.
    Plain,
    End,
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    escapes: bool,
    /// Where the token begins; `None` past the last.
    start: Option<usize>,
    end: usize,
    kind: Token,
    line: usize,
    line_start: usize,
}

const MORE: &str = "The input string ended unexpectedly.";

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

impl Lexer<'_> {
    fn at(&self, index: usize) -> Option<u8> {
        self.bytes.get(index).copied()
    }

    /// The token's text.
    fn token(&self) -> String {
        let bytes = self.bytes.get(self.start.unwrap_or(self.end)..self.end).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    }

    fn invalid(&mut self, end: usize) -> Result<(), String> {
        self.end = end;
        Err(format!("Token \"{}\" is invalid.", self.token()))
    }

    fn next(&mut self) -> Result<(), String> {
        let mut at = if self.start.is_none() && self.kind == Token::Invalid { 0 } else { self.end };
        while let Some(byte @ (b' ' | b'\t' | b'\n' | b'\r')) = self.at(at) {
            at += 1;
            if byte == b'\n' {
                self.line += 1;
                self.line_start = at;
            }
        }
        let Some(first) = self.at(at) else {
            (self.start, self.end, self.kind) = (None, at, Token::End);
            return Ok(());
        };
        self.start = Some(at);
        match first {
            b'{' | b'}' | b'[' | b']' | b',' | b':' => (self.end, self.kind) = (at + 1, Token::Symbol(first)),
            b'"' => return self.string(at),
            b'-' => return self.number(at + 1),
            b'0'..=b'9' => return self.number(at),
            _ => {
                let length = self.bytes.iter().skip(at).take_while(|byte| is_word(**byte)).count();
                if length == 0 {
                    return self.invalid(at + 1);
                }
                self.end = at + length;
                if !matches!(self.token().as_str(), "true" | "false" | "null") {
                    return self.invalid(at + length);
                }
                self.kind = Token::Plain;
            }
        }
        Ok(())
    }

    fn digits(&self, mut at: usize) -> Option<usize> {
        let start = at;
        while self.at(at).is_some_and(|byte| byte.is_ascii_digit()) {
            at += 1;
        }
        (at > start).then_some(at)
    }

    fn number(&mut self, mut at: usize) -> Result<(), String> {
        let mut wrong = false;
        match self.at(at) {
            Some(b'0') => at += 1,
            _ => match self.digits(at) {
                Some(end) => at = end,
                None => wrong = true,
            },
        }
        if self.at(at) == Some(b'.') {
            let end = self.digits(at + 1);
            wrong |= end.is_none();
            at = end.unwrap_or(at + 1);
        }
        if let Some(b'e' | b'E') = self.at(at) {
            at += 1;
            at += usize::from(matches!(self.at(at), Some(b'+' | b'-')));
            let end = self.digits(at);
            wrong |= end.is_none();
            at = end.unwrap_or(at);
        }
        while self.at(at).is_some_and(is_word) {
            (at, wrong) = (at + 1, true);
        }
        if wrong {
            return self.invalid(at);
        }
        (self.end, self.kind) = (at, Token::Plain);
        Ok(())
    }

    /// Past the character that begins at a byte.
    fn past(&self, at: usize) -> usize {
        let length = self.text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
        (at + length).min(self.bytes.len())
    }

    fn string(&mut self, mut at: usize) -> Result<(), String> {
        const LOW: &str = "Unicode low surrogate must follow a high surrogate.";
        let mut high = false;
        loop {
            at += 1;
            match self.at(at) {
                None => return self.invalid(at),
                Some(b'"') => break,
                Some(byte @ 0..=31) => {
                    self.end = at;
                    return Err(format!("Character with value 0x{byte:02x} must be escaped."));
                }
                Some(b'\\') => {
                    at += 1;
                    match self.at(at) {
                        None => return self.invalid(at),
                        Some(b'u') => {
                            let mut code = 0;
                            for _ in 0..4 {
                                at += 1;
                                let Some(byte) = self.at(at) else { return self.invalid(at) };
                                let Some(digit) = char::from(byte).to_digit(16) else {
                                    self.end = self.past(at);
                                    return Err("\"\\u\" must be followed by four hexadecimal digits.".to_owned());
                                };
                                code = code * 16 + digit;
                            }
                            if self.escapes {
                                high = surrogates(high, code)?;
                            }
                        }
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') if high => {
                            return Err(LOW.to_owned());
                        }
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {}
                        Some(_) if high => return Err(LOW.to_owned()),
                        Some(_) => {
                            self.start = Some(at);
                            self.end = self.past(at);
                            return Err(format!("Escape sequence \"\\{}\" is invalid.", self.token()));
                        }
                    }
                }
                Some(_) if high => return Err(LOW.to_owned()),
                Some(_) => {}
            }
        }
        if high {
            return Err(LOW.to_owned());
        }
        (self.end, self.kind) = (at + 1, Token::String);
        Ok(())
    }

    /// One document, its levels on a stack of our own.
    fn document(&mut self) -> Result<(), String> {
        let mut levels: Vec<u8> = Vec::new();
        self.next()?;
        loop {
            // A value begins here.
            match self.kind {
                Token::Symbol(b'{') => {
                    self.next()?;
                    if self.kind == Token::String {
                        self.label()?;
                        levels.push(b'{');
                        continue;
                    }
                    if self.kind != Token::Symbol(b'}') {
                        return Err(self.expected("string or \"}\""));
                    }
                }
                Token::Symbol(b'[') => {
                    self.next()?;
                    if self.kind != Token::Symbol(b']') {
                        levels.push(b'[');
                        continue;
                    }
                }
                Token::String | Token::Plain => {}
                _ => return Err(self.expected("JSON value")),
            }
            // It ends here, and with it perhaps what it is in.
            loop {
                self.next()?;
                match (levels.last(), self.kind) {
                    (None, Token::End) => return Ok(()),
                    (None, _) => return Err(self.expected("end of input")),
                    (Some(b'{'), Token::Symbol(b'}')) | (Some(b'['), Token::Symbol(b']')) => {
                        levels.pop();
                    }
                    (Some(b'{'), Token::Symbol(b',')) => {
                        self.next()?;
                        if self.kind != Token::String {
                            return Err(self.expected("string"));
                        }
                        self.label()?;
                        break;
                    }
                    (Some(_), Token::Symbol(b',')) => {
                        self.next()?;
                        break;
                    }
                    (Some(b'{'), _) => return Err(self.expected("\",\" or \"}\"")),
                    (Some(_), _) => return Err(self.expected("\",\" or \"]\"")),
                }
            }
        }
    }

    /// The colon behind a field's name, and what follows it.
    fn label(&mut self) -> Result<(), String> {
        self.next()?;
        if self.kind != Token::Symbol(b':') {
            return Err(self.expected("\":\""));
        }
        self.next()
    }

    fn expected(&self, what: &str) -> String {
        match self.kind {
            Token::End => MORE.to_owned(),
            _ => format!("Expected {what}, but found \"{}\".", self.token()),
        }
    }

    /// `JSON data, line 1: …`: the line up to where the trouble is.
    fn context(&self) -> String {
        let mut start = self.line_start;
        while self.end.saturating_sub(start) >= CONTEXT_BYTES {
            start = self.past(start);
        }
        if start - self.line_start <= 3 {
            start = self.line_start;
        }
        let shown = String::from_utf8_lossy(self.bytes.get(start..self.end).unwrap_or_default());
        let before = if start > self.line_start { "..." } else { "" };
        let more = self.kind != Token::End && !matches!(self.at(self.end), None | Some(b'\n' | b'\r'));
        let after = if more { "..." } else { "" };
        format!("JSON data, line {}: {before}{shown}{after}", self.line)
    }
}

/// Whether a high surrogate is open after one more escape.
fn surrogates(high: bool, code: u32) -> Result<bool, String> {
    match code {
        0xD800..0xDC00 if high => Err("Unicode high surrogate must not follow a high surrogate.".to_owned()),
        0xD800..0xDC00 => Ok(true),
        0xDC00..0xE000 if high => Ok(false),
        _ if high || (0xDC00..0xE000).contains(&code) => {
            Err("Unicode low surrogate must follow a high surrogate.".to_owned())
        }
        0 => Err("\\u0000 cannot be converted to text.".to_owned()),
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::{json, jsonb};

    /// What PostgreSQL 15 says.
    #[test]
    fn says_what_postgresql_says_of_json() {
        for (text, detail, context) in [
            ("{\"a\":1,}", "Expected string, but found \"}\".", "{\"a\":1,}"),
            ("{a}", "Token \"a\" is invalid.", "{a..."),
            ("[1,2", "The input string ended unexpectedly.", "[1,2"),
            ("\"abc", "Token \"\"abc\" is invalid.", "\"abc"),
            ("", "The input string ended unexpectedly.", ""),
            ("{\"a\" 1}", "Expected \":\", but found \"1\".", "{\"a\" 1..."),
            ("nul", "Token \"nul\" is invalid.", "nul"),
            ("[1 2]", "Expected \",\" or \"]\", but found \"2\".", "[1 2..."),
            ("{\"a\":\"\\u00zz\"}", "\"\\u\" must be followed by four hexadecimal digits.", "{\"a\":\"\\u00z..."),
            ("{\"a\":\"\\x\"}", "Escape sequence \"\\x\" is invalid.", "{\"a\":\"\\x..."),
            ("01", "Token \"01\" is invalid.", "01"),
            ("[1] 2", "Expected end of input, but found \"2\".", "[1] 2"),
        ] {
            let notes = json(text);
            assert_eq!(notes.detail.as_deref(), Some(detail), "{text}");
            assert_eq!(notes.context, Some(format!("JSON data, line 1: {context}")), "{text}");
        }
        assert_eq!(json("[1, {\"a\": [true, null, \"\\u0000\"]}]").detail, None);
        let low = jsonb("\"\\udc00\"").detail;
        assert_eq!(low.as_deref(), Some("Unicode low surrogate must follow a high surrogate."));
    }
}
