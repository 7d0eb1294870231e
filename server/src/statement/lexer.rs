//! PostgreSQL's lexical rules (src/backend/parser/scan.l): text to tokens with exact positions.
//!
//! sqlparser's tokenizer is not used for whole texts because it knows neither where PostgreSQL says that an unterminated
//! token begins, nor string continuation over lines, nor `U&"…"`; the tokens found here are handed to its parser instead.

use crate::error::{Notice, NoticeSeverity, SqlError, SqlResult, SqlState};

/// The longest text that is looked at, in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The most tokens that one text may have: what bounds the memory that parsing takes.
pub(super) const TOKENS_MAX: usize = 1_000_000;
/// PostgreSQL's NAMEDATALEN less the end mark.
pub(super) const IDENTIFIER_BYTES_MAX: usize = 63;

/// What a token is. Values of strings and identifiers are decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// An identifier or keyword without quotes: folded to lower case, truncated.
    Word(Box<str>),
    /// `"…"` or `U&"…"`, truncated.
    Quoted(Box<str>),
    /// `'…'`, `E'…'`, `U&'…'`, `$$…$$`, `N'…'`.
    String(Box<str>),
    /// `B'…'`.
    Bits(Box<str>),
    /// `X'…'`.
    Hex(Box<str>),
    /// Digits only.
    Integer,
    /// A number with a point or an exponent.
    Decimal,
    /// `$1`.
    Parameter,
    /// `( ) [ ] , ; : .`, and any other character that begins no token.
    Symbol(char),
    /// `::`.
    Typecast,
    /// `:=`, `=>` and `..`.
    Arrow,
    /// A run of operator characters.
    Operator,
}

/// A token and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// What it is.
    pub(super) kind: TokenKind,
    /// First byte.
    pub(super) start: u32,
    /// Past the last byte.
    pub(super) end: u32,
    /// Characters before it.
    pub(super) chars: u32,
}

/// A text and its tokens.
#[derive(Debug)]
pub(super) struct Lexed<'a> {
    /// What was read.
    pub(super) text: &'a str,
    /// In order; comments and white space are left out.
    pub(super) tokens: Vec<Token>,
    /// The text's length in characters.
    pub(super) chars: usize,
}

impl Lexed<'_> {
    /// The token's text as written.
    pub(super) fn raw(&self, token: &Token) -> &str {
        self.text.get(token.start as usize..token.end as usize).unwrap_or("")
    }

    /// The notice about a name that was cut. One that is written in Unicode escapes goes without.
    pub(super) fn truncated(&self, token: &Token) -> Option<Notice> {
        if (token.end.saturating_sub(token.start)) as usize <= IDENTIFIER_BYTES_MAX {
            return None;
        }
        let raw = self.raw(token);
        let (written, kept) = match &token.kind {
            TokenKind::Word(kept) => (raw.to_ascii_lowercase(), kept),
            TokenKind::Quoted(kept) => (raw.strip_prefix('"')?.strip_suffix('"')?.replace("\"\"", "\""), kept),
            _ => return None,
        };
        (written.len() > IDENTIFIER_BYTES_MAX).then(|| {
            let message = format!("identifier \"{written}\" will be truncated to \"{kept}\"");
            Notice { severity: NoticeSeverity::Notice, message: SqlError::new(SqlState::NAME_TOO_LONG, message) }
        })
    }

    /// `syntax error at or near`, or at the end of the text where there is no such token.
    pub(super) fn syntax_error(&self, index: usize) -> SqlError {
        match self.tokens.get(index) {
            Some(token) => SqlError::syntax(format!("syntax error at or near \"{}\"", self.raw(token)))
                .at(token.chars as usize + 1),
            None => SqlError::syntax("syntax error at end of input").at(self.chars + 1),
        }
    }
}

/// `54001`, for what is nested too deeply or has too many parts.
pub(super) fn too_complex(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, message)
}

/// Cuts a name to what PostgreSQL keeps of it.
pub(super) fn truncate_identifier(name: &mut String) {
    if name.len() > IDENTIFIER_BYTES_MAX {
        let mut end = IDENTIFIER_BYTES_MAX;
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
    }
}

/// Reads a text.
///
/// # Errors
/// `42601` for what is unterminated or malformed, `54001` beyond the bounds, `22021` where an escape yields no UTF-8.
pub(super) fn lex(text: &str) -> SqlResult<Lexed<'_>> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(too_complex(format!("statement text is longer than {} MB", TEXT_BYTES_MAX / (1024 * 1024))));
    }
    let mut scanner = Scanner { text, position: 0, counted_bytes: 0, counted_chars: 0 };
    let mut tokens = Vec::new();
    while let Some(token) = scanner.next_token()? {
        // An empty statement is nothing, and no error is at its end: a flood of them takes no memory.
        if is_semicolon(&token) && tokens.last().is_none_or(is_semicolon) {
            continue;
        }
        if tokens.len() == TOKENS_MAX {
            return Err(too_complex(format!("statement text has more than {TOKENS_MAX} words and symbols")));
        }
        tokens.push(token);
    }
    let chars = scanner.chars_at(text.len());
    Ok(Lexed { text, tokens, chars })
}

fn is_semicolon(token: &Token) -> bool {
    token.kind == TokenKind::Symbol(';')
}

fn is_identifier_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

fn is_identifier_part(c: char) -> bool {
    is_identifier_start(c) || c.is_ascii_digit() || c == '$'
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}')
}

fn is_operator_char(c: char) -> bool {
    matches!(c, '~' | '!' | '@' | '#' | '^' | '&' | '|' | '`' | '?' | '+' | '-' | '*' | '/' | '%' | '<' | '>' | '=')
}

struct Scanner<'a> {
    text: &'a str,
    position: usize,
    counted_bytes: usize,
    counted_chars: usize,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn peek_second(&self) -> Option<char> {
        self.rest().chars().nth(1)
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.position += c.len_utf8();
        Some(c)
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&wanted) {
            self.bump();
        }
    }

    /// Characters before a byte. Calls must not go back by much: what was counted is kept.
    fn chars_at(&mut self, byte: usize) -> usize {
        if byte < self.counted_bytes {
            self.counted_bytes = 0;
            self.counted_chars = 0;
        }
        self.counted_chars += self.text.get(self.counted_bytes..byte).map_or(0, |part| part.chars().count());
        self.counted_bytes = byte;
        self.counted_chars
    }

    fn error(&mut self, message: &str, start: usize, end: usize) -> SqlError {
        let near = self.text.get(start..end).unwrap_or("");
        let message = format!("{message} at or near \"{near}\"");
        let position = self.chars_at(start) + 1;
        SqlError::syntax(message).at(position)
    }

    fn unterminated(&mut self, what: &str, start: usize) -> SqlError {
        self.error(&format!("unterminated {what}"), start, self.text.len())
    }

    fn next_token(&mut self) -> SqlResult<Option<Token>> {
        self.skip_blank()?;
        let start = self.position;
        let Some(c) = self.peek() else { return Ok(None) };
        let kind = self.scan(c)?;
        let chars = self.chars_at(start);
        // The text is at most 64 MiB long.
        let as_u32 = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Ok(Some(Token { kind, start: as_u32(start), end: as_u32(self.position), chars: as_u32(chars) }))
    }

    /// White space and comments.
    fn skip_blank(&mut self) -> SqlResult<()> {
        loop {
            self.skip_while(is_space);
            if self.rest().starts_with("--") {
                self.skip_while(|c| c != '\n' && c != '\r');
            } else if self.rest().starts_with("/*") {
                self.skip_comment()?;
            } else {
                return Ok(());
            }
        }
    }

    /// `/* … */`, which nests.
    fn skip_comment(&mut self) -> SqlResult<()> {
        let start = self.position;
        let mut depth = 0_usize;
        loop {
            let rest = self.rest();
            if rest.starts_with("/*") {
                depth += 1;
                self.position += 2;
            } else if rest.starts_with("*/") {
                depth -= 1;
                self.position += 2;
                if depth == 0 {
                    return Ok(());
                }
            } else if self.bump().is_none() {
                return Err(self.unterminated("/* comment", start));
            }
        }
    }

    fn scan(&mut self, c: char) -> SqlResult<TokenKind> {
        let second = self.peek_second();
        match (c, second) {
            ('e' | 'E', Some('\'')) => {
                let start = self.position;
                self.bump();
                self.escaped_string(start).map(|value| TokenKind::String(value.into()))
            }
            ('b' | 'B', Some('\'')) => {
                let start = self.position;
                self.bump();
                self.plain_string(start, "bit string literal").map(|value| TokenKind::Bits(value.into()))
            }
            ('x' | 'X', Some('\'')) => {
                let start = self.position;
                self.bump();
                self.plain_string(start, "hexadecimal string literal").map(|value| TokenKind::Hex(value.into()))
            }
            ('n' | 'N', Some('\'')) => {
                let start = self.position;
                self.bump();
                self.plain_string(start, "quoted string").map(|value| TokenKind::String(value.into()))
            }
            ('u' | 'U', Some('&')) if matches!(self.rest().chars().nth(2), Some('\'' | '"')) => self.unicode(),
            ('\'', _) => self.plain_string(self.position, "quoted string").map(|value| TokenKind::String(value.into())),
            ('"', _) => self.quoted_identifier(self.position).map(|mut name| {
                truncate_identifier(&mut name);
                TokenKind::Quoted(name.into())
            }),
            ('$', _) => self.dollar(),
            ('.', Some('.')) => {
                self.position += 2;
                Ok(TokenKind::Arrow)
            }
            ('.', Some(digit)) if digit.is_ascii_digit() => self.number(),
            (':', Some(':')) => {
                self.position += 2;
                Ok(TokenKind::Typecast)
            }
            (':', Some('=')) => {
                self.position += 2;
                Ok(TokenKind::Arrow)
            }
            ('(' | ')' | '[' | ']' | ',' | ';' | ':' | '.', _) => {
                self.bump();
                Ok(TokenKind::Symbol(c))
            }
            _ if c.is_ascii_digit() => self.number(),
            _ if is_identifier_start(c) => {
                let start = self.position;
                self.skip_while(is_identifier_part);
                let mut name = self.text.get(start..self.position).unwrap_or("").to_ascii_lowercase();
                truncate_identifier(&mut name);
                Ok(TokenKind::Word(name.into()))
            }
            _ if is_operator_char(c) => Ok(self.operator()),
            _ => {
                self.bump();
                Ok(TokenKind::Symbol(c))
            }
        }
    }

    /// `'…'` with doubled quotes; stands on the opening quote.
    fn plain_string(&mut self, start: usize, what: &str) -> SqlResult<String> {
        let mut value = String::new();
        self.bump();
        loop {
            let rest = self.rest();
            let Some(quote) = rest.find('\'') else { return Err(self.unterminated(what, start)) };
            value.push_str(rest.get(..quote).unwrap_or(""));
            self.position += quote + 1;
            if self.peek() == Some('\'') {
                value.push('\'');
                self.bump();
            } else if !self.continues() {
                return Ok(value);
            }
        }
    }

    /// Whether another literal follows on a later line; if so, stands behind its opening quote.
    fn continues(&mut self) -> bool {
        let end = self.position;
        let mut newline = false;
        loop {
            let blank = self.position;
            self.skip_while(is_space);
            newline |= self.text.get(blank..self.position).is_some_and(|part| part.contains(['\n', '\r']));
            if newline && self.rest().starts_with("--") {
                self.skip_while(|c| c != '\n' && c != '\r');
            } else {
                break;
            }
        }
        if newline && self.peek() == Some('\'') {
            self.bump();
            return true;
        }
        self.position = end;
        false
    }

    /// `'…'` with backslashes; stands on the opening quote.
    fn escaped_string(&mut self, start: usize) -> SqlResult<String> {
        let mut value = Vec::new();
        self.bump();
        loop {
            let Some(c) = self.bump() else { return Err(self.unterminated("quoted string", start)) };
            match c {
                '\'' if self.peek() == Some('\'') => {
                    self.bump();
                    value.push(b'\'');
                }
                '\'' => {
                    if !self.continues() {
                        break;
                    }
                }
                '\\' => self.escape(start, &mut value)?,
                _ => value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        match String::from_utf8(value) {
            Ok(value) if !value.contains('\0') => Ok(value),
            Ok(_) => Err(invalid_encoding(&[0])),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                Err(invalid_encoding(error.as_bytes().get(at..at + 1).unwrap_or(&[])))
            }
        }
    }

    /// What follows a backslash in `E'…'`.
    fn escape(&mut self, start: usize, value: &mut Vec<u8>) -> SqlResult<()> {
        let backslash = self.position - 1;
        let Some(c) = self.bump() else { return Err(self.unterminated("quoted string", start)) };
        match c {
            'b' => value.push(8),
            'f' => value.push(12),
            'n' => value.push(b'\n'),
            'r' => value.push(b'\r'),
            't' => value.push(b'\t'),
            '0'..='7' => {
                self.position -= 1;
                let digits = self.take_digits(8, 3);
                value.push(u8::try_from(digits & 0xff).unwrap_or(0));
            }
            'x' if self.peek().is_some_and(|c| c.is_ascii_hexdigit()) => {
                let digits = self.take_digits(16, 2);
                value.push(u8::try_from(digits).unwrap_or(0));
            }
            'u' | 'U' => {
                let length = if c == 'u' { 4 } else { 8 };
                let first = self.hex_escape(length, backslash)?;
                let code = if (0xd800..0xdc00).contains(&first) {
                    let low = self.second_surrogate(backslash)?;
                    0x10000 + ((first & 0x3ff) << 10) + (low & 0x3ff)
                } else {
                    first
                };
                let Some(c) = char::from_u32(code) else {
                    return Err(self.error("invalid Unicode escape value", backslash, self.position));
                };
                value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        Ok(())
    }

    fn take_digits(&mut self, radix: u32, most: usize) -> u32 {
        let mut number = 0;
        for _ in 0..most {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(radix)) else { break };
            number = number * radix + digit;
            self.bump();
        }
        number
    }

    fn hex_escape(&mut self, length: usize, backslash: usize) -> SqlResult<u32> {
        let digits = self.rest().get(..length).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
            Some(code) => {
                self.position += length;
                Ok(code)
            }
            None => Err(SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid Unicode escape")
                .hint("Unicode escapes must be \\uXXXX or \\UXXXXXXXX.")
                .at(self.chars_at(backslash) + 1)),
        }
    }

    fn second_surrogate(&mut self, backslash: usize) -> SqlResult<u32> {
        let length = match self.rest().get(..2) {
            Some("\\u") => 4,
            Some("\\U") => 8,
            _ => return Err(self.error("invalid Unicode surrogate pair", backslash, self.position)),
        };
        self.position += 2;
        let low = self.hex_escape(length, backslash)?;
        if (0xdc00..0xe000).contains(&low) {
            Ok(low)
        } else {
            Err(self.error("invalid Unicode surrogate pair", backslash, self.position))
        }
    }

    /// `"…"` with doubled quotes; stands on the opening quote.
    fn quoted_identifier(&mut self, start: usize) -> SqlResult<String> {
        let mut value = String::new();
        self.bump();
        loop {
            let rest = self.rest();
            let Some(quote) = rest.find('"') else { return Err(self.unterminated("quoted identifier", start)) };
            value.push_str(rest.get(..quote).unwrap_or(""));
            self.position += quote + 1;
            if self.peek() != Some('"') {
                break;
            }
            value.push('"');
            self.bump();
        }
        if value.is_empty() {
            return Err(self.error("zero-length delimited identifier", start, self.position));
        }
        Ok(value)
    }

    /// `U&'…'` and `U&"…"`, with UESCAPE.
    fn unicode(&mut self) -> SqlResult<TokenKind> {
        let start = self.position;
        self.position += 2;
        let identifier = self.peek() == Some('"');
        let raw = if identifier { self.quoted_identifier(start)? } else { self.plain_string(start, "quoted string")? };
        let first = self.chars_at(start) + 4;
        let escape = self.uescape()?;
        let mut value = decode_unicode(&raw, escape).map_err(|wrong| {
            let (message, at) = match wrong {
                WrongEscape::Escape(at) => ("invalid Unicode escape", at),
                WrongEscape::Pair(at) => ("invalid Unicode surrogate pair", at),
                WrongEscape::Value(at) => ("invalid Unicode escape value", at),
            };
            let error = SqlError::syntax(message).at(first + raw.get(..at).map_or(0, |before| before.chars().count()));
            match wrong {
                WrongEscape::Escape(_) => error.hint("Unicode escapes must be \\XXXX or \\+XXXXXX."),
                _ => error,
            }
        })?;
        if identifier {
            truncate_identifier(&mut value);
            Ok(TokenKind::Quoted(value.into()))
        } else {
            Ok(TokenKind::String(value.into()))
        }
    }

    fn uescape(&mut self) -> SqlResult<char> {
        let end = self.position;
        self.skip_blank()?;
        let word = self.rest().get(..7).is_some_and(|word| word.eq_ignore_ascii_case("uescape"));
        if !word || self.rest().chars().nth(7).is_some_and(is_identifier_part) {
            self.position = end;
            return Ok('\\');
        }
        self.position += 7;
        self.skip_blank()?;
        let start = self.position;
        if self.peek() != Some('\'') {
            let mut end = start;
            self.skip_while(|c| !is_space(c));
            std::mem::swap(&mut end, &mut self.position);
            return Err(self.error("UESCAPE must be followed by a simple string literal", start, end));
        }
        let value = self.plain_string(start, "quoted string")?;
        let mut chars = value.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) if !c.is_ascii_hexdigit() && !is_space(c) && !matches!(c, '+' | '\'' | '"') => Ok(c),
            _ => Err(self.error("invalid Unicode escape character", start, self.position)),
        }
    }

    /// `$1`, `$tag$…$tag$`, or a lone `$`.
    fn dollar(&mut self) -> SqlResult<TokenKind> {
        let start = self.position;
        self.bump();
        if self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.skip_while(|c| c.is_ascii_digit());
            if self.peek().is_some_and(is_identifier_start) {
                self.skip_while(is_identifier_part);
                return Err(self.error("trailing junk after parameter", start, self.position));
            }
            // The protocol counts parameters in 16 bits.
            let number = self.text.get(start + 1..self.position).and_then(|digits| digits.parse::<u16>().ok());
            if number.is_none_or(|number| number == 0) {
                let name = self.text.get(start..self.position).unwrap_or_default();
                let message = format!("there is no parameter {name}");
                return Err(SqlError::new(SqlState::UNDEFINED_PARAMETER, message).at(self.chars_at(start) + 1));
            }
            return Ok(TokenKind::Parameter);
        }
        if self.peek().is_some_and(is_identifier_start) {
            self.skip_while(|c| is_identifier_part(c) && c != '$');
        }
        if self.peek() != Some('$') {
            self.position = start + 1;
            return Ok(TokenKind::Symbol('$'));
        }
        self.bump();
        let tag = self.text.get(start..self.position).unwrap_or("$$");
        let Some(length) = self.rest().find(tag) else {
            return Err(self.unterminated("dollar-quoted string", start));
        };
        let value = self.rest().get(..length).unwrap_or("");
        self.position += length + tag.len();
        Ok(TokenKind::String(value.into()))
    }

    fn number(&mut self) -> SqlResult<TokenKind> {
        let start = self.position;
        let digits = |c: char| c.is_ascii_digit();
        let mut kind = TokenKind::Integer;
        self.skip_while(digits);
        // `1..2` is an integer and a range.
        if self.peek() == Some('.') && self.peek_second() != Some('.') {
            kind = TokenKind::Decimal;
            self.bump();
            self.skip_while(digits);
        }
        if matches!(self.peek(), Some('e' | 'E')) {
            let mark = self.position;
            self.bump();
            if matches!(self.peek(), Some('+' | '-')) {
                self.bump();
            }
            if self.peek().is_some_and(digits) {
                kind = TokenKind::Decimal;
                self.skip_while(digits);
            } else {
                self.position = mark;
            }
        }
        if self.peek().is_some_and(is_identifier_start) {
            let signed = matches!(self.rest().as_bytes(), [b'e' | b'E', b'+' | b'-', ..]);
            if signed {
                self.position += 2;
            } else {
                self.skip_while(is_identifier_part);
            }
            return Err(self.error("trailing junk after numeric literal", start, self.position));
        }
        Ok(kind)
    }

    /// The longest run of operator characters, less what a comment takes, less a trailing sign where SQL's own operators
    /// could stand before it.
    fn operator(&mut self) -> TokenKind {
        let start = self.position;
        while self.peek().is_some_and(is_operator_char) {
            if self.position > start && (self.rest().starts_with("--") || self.rest().starts_with("/*")) {
                break;
            }
            self.bump();
        }
        let run = self.text.get(start..self.position).unwrap_or("");
        if !run.contains(['~', '!', '@', '#', '^', '&', '|', '`', '?', '%']) {
            let kept = run.trim_end_matches(['+', '-']);
            self.position = start + kept.len().max(1);
        }
        if self.text.get(start..self.position) == Some("=>") { TokenKind::Arrow } else { TokenKind::Operator }
    }
}

fn invalid_encoding(bytes: &[u8]) -> SqlError {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("0x{byte:02x}")).collect();
    SqlError::new(
        SqlState::CHARACTER_NOT_IN_REPERTOIRE,
        format!("invalid byte sequence for encoding \"UTF8\": {}", bytes.join(" ")),
    )
}

/// What is wrong with an escape, and where: bytes from the string's beginning.
#[derive(Debug, Clone, Copy)]
enum WrongEscape {
    Escape(usize),
    Pair(usize),
    Value(usize),
}

/// `\XXXX` and `\+XXXXXX`.
fn decode_unicode(raw: &str, escape: char) -> Result<String, WrongEscape> {
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw;
    let mut high: Option<u32> = None;
    while let Some(c) = rest.chars().next() {
        let at = raw.len() - rest.len();
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        if c != escape {
            if high.is_some() {
                return Err(WrongEscape::Pair(at));
            }
            value.push(c);
            rest = after;
            continue;
        }
        if let Some(after) = after.strip_prefix(escape) {
            if high.is_some() {
                return Err(WrongEscape::Pair(at));
            }
            rest = after;
            value.push(escape);
            continue;
        }
        let (digits, skip) = if after.starts_with('+') { (after.get(1..7), 7) } else { (after.get(..4), 4) };
        let code = digits
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or(WrongEscape::Escape(at))?;
        rest = after.get(skip..).unwrap_or_default();
        let code = match (high.take(), code) {
            (Some(first), 0xdc00..0xe000) => 0x10000 + ((first & 0x3ff) << 10) + (code & 0x3ff),
            (None, 0xd800..0xdc00) => {
                high = Some(code);
                continue;
            }
            (Some(_), _) | (None, 0xdc00..0xe000) => return Err(WrongEscape::Pair(at)),
            (None, 0) => return Err(WrongEscape::Value(at)),
            (None, code) => code,
        };
        value.push(char::from_u32(code).ok_or(WrongEscape::Value(at))?);
    }
    if high.is_some() { Err(WrongEscape::Pair(raw.len())) } else { Ok(value) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<String> {
        let lexed = lex(text).unwrap();
        lexed.tokens.iter().map(|token| lexed.raw(token).to_owned()).collect()
    }

    fn first(text: &str) -> TokenKind {
        lex(text).unwrap().tokens.remove(0).kind
    }

    fn error(text: &str) -> (String, usize) {
        let error = lex(text).unwrap_err();
        (error.message, error.position.unwrap())
    }

    #[test]
    fn folds_and_truncates_identifiers() {
        assert_eq!(first("FooÄ$1"), TokenKind::Word("fooÄ$1".into()));
        assert_eq!(first("\"Foo\"\"x\""), TokenKind::Quoted("Foo\"x".into()));
        assert_eq!(first(&"é".repeat(40)), TokenKind::Word("é".repeat(31).into()));
        assert_eq!(first("U&\"d\\0061t\\+000061\""), TokenKind::Quoted("data".into()));
        assert_eq!(first("u&\"d!0061ta\" UESCAPE '!'"), TokenKind::Quoted("data".into()));
    }

    #[test]
    fn decodes_strings() {
        assert_eq!(first("'it''s'"), TokenKind::String("it's".into()));
        assert_eq!(first("'a\\'"), TokenKind::String("a\\".into()));
        assert_eq!(first("E'a\\'\\n\\x41\\101\\u00e9\\U0001F600\\q'"), TokenKind::String("a'\nAAé😀q".into()));
        assert_eq!(first("E'\\ud83d\\ude00'"), TokenKind::String("😀".into()));
        assert_eq!(first("'a' \n -- c\n 'b'"), TokenKind::String("ab".into()));
        assert_eq!(kinds("'a' 'b'"), ["'a'", "'b'"]);
        assert_eq!(first("$$a'b$$"), TokenKind::String("a'b".into()));
        assert_eq!(first("$x$a$$b$x$"), TokenKind::String("a$$b".into()));
        assert_eq!(first("U&'\\0441\\043B'"), TokenKind::String("сл".into()));
        assert_eq!(lex("E'\\xff'").unwrap_err().sqlstate, SqlState::CHARACTER_NOT_IN_REPERTOIRE);
    }

    #[test]
    fn cuts_operators_as_postgresql_does() {
        assert_eq!(kinds("a=-1"), ["a", "=", "-", "1"]);
        assert_eq!(kinds("a@-1"), ["a", "@-", "1"]);
        assert_eq!(kinds("a<=b--c"), ["a", "<=", "b"]);
        assert_eq!(kinds("a*/*x*/b"), ["a", "*", "b"]);
        assert_eq!(kinds("a::b:c[1]"), ["a", "::", "b", ":", "c", "[", "1", "]"]);
        assert_eq!(kinds("1.5e3 .5 1. 1..2 $12"), ["1.5e3", ".5", "1.", "1", "..", "2", "$12"]);
    }

    #[test]
    fn takes_no_room_for_empty_statements() {
        assert_eq!(kinds(" ;; a ; /* b */ ;; c;;"), ["a", ";", "c", ";"]);
        assert_eq!(lex(&";".repeat(2 * TOKENS_MAX)).unwrap().tokens.len(), 0);
    }

    #[test]
    fn nests_comments() {
        assert_eq!(kinds("a /* /* x */ ' */ b -- '\n c"), ["a", "b", "c"]);
    }

    #[test]
    fn reports_the_unterminated_as_postgresql_does() {
        assert_eq!(error("é 'abc"), ("unterminated quoted string at or near \"'abc\"".into(), 3));
        assert_eq!(error("select \"abc"), ("unterminated quoted identifier at or near \"\"abc\"".into(), 8));
        assert_eq!(error("a /* b"), ("unterminated /* comment at or near \"/* b\"".into(), 3));
        assert_eq!(error("a $x$b"), ("unterminated dollar-quoted string at or near \"$x$b\"".into(), 3));
        assert_eq!(error("a \"\""), ("zero-length delimited identifier at or near \"\"\"\"".into(), 3));
        assert_eq!(error("select 1a"), ("trailing junk after numeric literal at or near \"1a\"".into(), 8));
    }

    #[test]
    fn counts_characters_not_bytes() {
        let lexed = lex("é 'ü' b").unwrap();
        assert_eq!(lexed.tokens.iter().map(|token| token.chars).collect::<Vec<_>>(), [0, 2, 6]);
        assert_eq!(lexed.chars, 7);
    }
}
