//! What is wrong with a regular expression that does not compile, in PostgreSQL's words (src/include/regex/regerrs.h).

/// Repetitions that PostgreSQL counts.
const COUNT_MAX: u32 = 255;
const CLASSES: [&str; 13] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
    "xdigit",
];

const PARENTHESES: &str = "parentheses () not balanced";
const BRACKETS: &str = "brackets [] not balanced";
const BRACES: &str = "braces {} not balanced";
const OPERAND: &str = "quantifier operand invalid";
const COUNTS: &str = "invalid repetition count(s)";
const RANGE: &str = "invalid character range";
const CLASS: &str = "invalid character class";
const ESCAPE: &str = "invalid escape \\ sequence";

/// The first fault of an advanced regular expression; `None` where none is found here.
pub(super) fn fault(pattern: &str) -> Option<&'static str> {
    let chars: Vec<char> = pattern.chars().collect();
    Walk { chars: &chars, at: 0 }.expression().err()
}

struct Walk<'a> {
    chars: &'a [char],
    at: usize,
}

impl Walk<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += 1;
        Some(char)
    }

    fn expression(&mut self) -> Result<(), &'static str> {
        let mut open = 0_usize;
        // Whether there is something that a quantifier may stand behind.
        let mut operand = false;
        while let Some(char) = self.next() {
            match char {
                '(' => {
                    open += 1;
                    operand = false;
                    if self.peek() == Some('?') {
                        // What kind of group it is.
                        while self.peek().is_some_and(|char| matches!(char, '?' | ':' | '=' | '!' | '<')) {
                            self.at += 1;
                        }
                    }
                }
                ')' => {
                    open = open.checked_sub(1).ok_or(PARENTHESES)?;
                    operand = true;
                }
                '|' => operand = false,
                '^' => operand = false,
                '[' => {
                    self.bracket()?;
                    operand = true;
                }
                '*' | '+' | '?' => {
                    self.quantified(operand)?;
                    operand = false;
                }
                '{' if self.peek().is_some_and(|char| char.is_ascii_digit()) => {
                    self.bound()?;
                    self.quantified(operand)?;
                    operand = false;
                }
                '\\' => match self.next() {
                    None => return Err(ESCAPE),
                    Some('A' | 'm' | 'M' | 'y' | 'Y' | 'Z') => operand = false,
                    Some(char) if char.is_ascii_alphabetic() && !"abBcdDefnrstuUvwWxS".contains(char) => {
                        return Err(ESCAPE);
                    }
                    Some(_) => operand = true,
                },
                _ => operand = true,
            }
        }
        if open > 0 { Err(PARENTHESES) } else { Ok(()) }
    }

    /// A quantifier has been read: it needs an operand, and may be the one that takes little.
    fn quantified(&mut self, operand: bool) -> Result<(), &'static str> {
        if !operand {
            return Err(OPERAND);
        }
        if self.peek() == Some('?') {
            self.at += 1;
        }
        Ok(())
    }

    /// `{2,3}` behind its brace.
    fn bound(&mut self) -> Result<(), &'static str> {
        let least = self.count()?;
        let mut most = Some(least);
        if self.peek() == Some(',') {
            self.at += 1;
            most = if self.peek().is_some_and(|char| char.is_ascii_digit()) { Some(self.count()?) } else { None };
        }
        match self.next() {
            None => Err(BRACES),
            Some('}') if most.is_none_or(|most| least <= most) => Ok(()),
            Some(_) => Err(COUNTS),
        }
    }

    fn count(&mut self) -> Result<u32, &'static str> {
        let mut count = 0_u32;
        while let Some(digit) = self.peek().and_then(|char| char.to_digit(10)) {
            count = count.saturating_mul(10).saturating_add(digit);
            self.at += 1;
        }
        if count > COUNT_MAX { Err(COUNTS) } else { Ok(count) }
    }

    /// `[…]` behind its bracket.
    fn bracket(&mut self) -> Result<(), &'static str> {
        if self.peek() == Some('^') {
            self.at += 1;
        }
        let start = self.at;
        let mut before: Option<char> = None;
        loop {
            match self.next().ok_or(BRACKETS)? {
                ']' if self.at > start + 1 => return Ok(()),
                '[' if matches!(self.peek(), Some(':' | '.' | '=')) => {
                    self.named()?;
                    before = None;
                }
                '-' if before.is_some() && !matches!(self.peek(), Some(']') | None) => {
                    let last = match self.next().ok_or(BRACKETS)? {
                        '\\' => self.next().map(|_| char::MAX),
                        '[' if matches!(self.peek(), Some('.' | '=')) => {
                            self.named()?;
                            Some(char::MAX)
                        }
                        last => Some(last),
                    };
                    if before > last {
                        return Err(RANGE);
                    }
                    before = None;
                }
                '\\' => {
                    self.next().ok_or(ESCAPE)?;
                    before = None;
                }
                char => before = Some(char),
            }
        }
    }

    /// `[:alpha:]` behind its first bracket.
    fn named(&mut self) -> Result<(), &'static str> {
        let kind = self.next().ok_or(BRACKETS)?;
        let start = self.at;
        while self.peek() != Some(kind) || self.chars.get(self.at + 1) != Some(&']') {
            self.next().ok_or(BRACKETS)?;
        }
        let name: String = self.chars.get(start..self.at).unwrap_or_default().iter().collect();
        self.at += 2;
        if kind == ':' && !CLASSES.contains(&name.as_str()) { Err(CLASS) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::fault;

    /// What PostgreSQL 15 says.
    #[test]
    fn names_the_first_fault() {
        for (pattern, expected) in [
            ("a(b)c", None),
            ("[]a]", None),
            ("a{2,3}?", None),
            ("a{x", None),
            ("(", Some("parentheses () not balanced")),
            (")", Some("parentheses () not balanced")),
            ("[a", Some("brackets [] not balanced")),
            ("[]", Some("brackets [] not balanced")),
            ("*", Some("quantifier operand invalid")),
            ("a|*", Some("quantifier operand invalid")),
            ("a**", Some("quantifier operand invalid")),
            ("a{1", Some("braces {} not balanced")),
            ("a{3,2}", Some("invalid repetition count(s)")),
            ("a{300}", Some("invalid repetition count(s)")),
            ("[b-a]", Some("invalid character range")),
            ("[[:foo:]]", Some("invalid character class")),
            ("a\\", Some("invalid escape \\ sequence")),
            ("\\q", Some("invalid escape \\ sequence")),
        ] {
            assert_eq!(fault(pattern), expected, "{pattern}");
        }
    }
}
