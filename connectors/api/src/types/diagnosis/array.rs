//! Malformed array literals: PostgreSQL's `array_in` and `ArrayCount`.

use crate::types::input::is_space;

/// PostgreSQL's `MAXDIM`.
const DIMENSIONS_MAX: usize = 6;

/// Why an array's text is malformed; `None` where this finds nothing wrong with it.
pub(crate) fn array(text: &str, delimiter: u8) -> Option<String> {
    let mut walk = Walk { bytes: text.as_bytes(), at: 0, delimiter };
    walk.array().err()
}

/// What has been read last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    NoLevel,
    LevelStarted,
    ElementStarted,
    QuotedStarted,
    QuotedCompleted,
    ElementDelimited,
    LevelCompleted,
    LevelDelimited,
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    delimiter: u8,
}

fn unexpected(byte: u8) -> String {
    format!("Unexpected \"{}\" character.", char::from(byte))
}

const ENDED: &str = "Unexpected end of input.";
const ELEMENT: &str = "Unexpected array element.";

impl Walk<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn spaces(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    fn array(&mut self) -> Result<(), String> {
        let written = self.dimensions()?;
        let counted = self.contents()?;
        if let Some(written) = written
            && !counted.is_empty()
            && counted != written
        {
            return Err("Specified array dimensions do not match array contents.".to_owned());
        }
        Ok(())
    }

    /// `[1:2][3]=`: the lengths.
    fn dimensions(&mut self) -> Result<Option<Vec<i64>>, String> {
        let mut lengths = Vec::new();
        loop {
            self.spaces();
            if self.peek() != Some(b'[') {
                break;
            }
            self.at += 1;
            let mut upper = self.number().ok_or("\"[\" must introduce explicitly-specified array dimensions.")?;
            let mut lower = 1;
            if self.peek() == Some(b':') {
                self.at += 1;
                lower = upper;
                upper = self.number().ok_or("Missing array dimension value.")?;
            }
            if self.peek() != Some(b']') {
                return Err("Missing \"]\" after array dimensions.".to_owned());
            }
            self.at += 1;
            lengths.push(upper.saturating_sub(lower).saturating_add(1));
        }
        if lengths.is_empty() {
            if self.peek() != Some(b'{') {
                return Err("Array value must start with \"{\" or dimension information.".to_owned());
            }
            return Ok(None);
        }
        if self.peek() != Some(b'=') {
            return Err("Missing \"=\" after array dimensions.".to_owned());
        }
        self.at += 1;
        self.spaces();
        if self.peek() != Some(b'{') {
            return Err("Array contents must start with \"{\".".to_owned());
        }
        Ok(Some(lengths))
    }

    fn number(&mut self) -> Option<i64> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b'+') {
            self.at += 1;
        }
        let digits = self.bytes.get(start..self.at).filter(|digits| !digits.is_empty())?;
        // `atoi` reads as much as is a number.
        Some(std::str::from_utf8(digits).ok()?.parse().unwrap_or(0))
    }

    /// The braces and what is in them: the lengths of the dimensions, none for an empty array.
    fn contents(&mut self) -> Result<Vec<i64>, String> {
        use State::{
            ElementDelimited, ElementStarted, LevelCompleted, LevelDelimited, LevelStarted, NoLevel, QuotedCompleted,
            QuotedStarted,
        };
        let (mut state, mut quoted, mut level, mut dimensions, mut empty) = (NoLevel, false, 0_usize, 0_usize, true);
        let mut members = [1_i64; DIMENSIONS_MAX];
        let mut members_before = [0_i64; DIMENSIONS_MAX];
        loop {
            if matches!(state, ElementStarted | QuotedStarted) {
                empty = false;
            }
            let byte = self.peek().ok_or(ENDED)?;
            match byte {
                b'\\' => {
                    if !matches!(state, LevelStarted | ElementStarted | QuotedStarted | ElementDelimited) {
                        return Err(unexpected(byte));
                    }
                    if state != QuotedStarted {
                        state = ElementStarted;
                    }
                    self.at += 1;
                    self.peek().ok_or(ENDED)?;
                }
                b'"' => {
                    if !matches!(state, LevelStarted | QuotedStarted | ElementDelimited) {
                        return Err(ELEMENT.to_owned());
                    }
                    quoted = !quoted;
                    state = if quoted { QuotedStarted } else { QuotedCompleted };
                }
                _ if quoted => {}
                b'{' => {
                    if !matches!(state, NoLevel | LevelStarted | LevelDelimited) || level == DIMENSIONS_MAX {
                        return Err(unexpected(byte));
                    }
                    state = LevelStarted;
                    level += 1;
                    dimensions = dimensions.max(level);
                }
                b'}' => {
                    let ends = matches!(state, ElementStarted | QuotedCompleted | LevelCompleted)
                        || (level == 1 && state == LevelStarted);
                    if !ends {
                        return Err(unexpected(byte));
                    }
                    state = LevelCompleted;
                    level -= 1;
                    let (Some(now), Some(before)) = (members.get_mut(level), members_before.get_mut(level)) else {
                        return Err(unexpected(byte));
                    };
                    if *before != 0 && now != before {
                        return Err("Multidimensional arrays must have sub-arrays with matching dimensions.".to_owned());
                    }
                    *before = std::mem::replace(now, 1);
                    if level == 0 {
                        break;
                    }
                }
                _ if byte == self.delimiter => {
                    if !matches!(state, ElementStarted | QuotedCompleted | LevelCompleted) {
                        return Err(unexpected(byte));
                    }
                    state = if state == LevelCompleted { LevelDelimited } else { ElementDelimited };
                    if let Some(count) = level.checked_sub(1).and_then(|level| members.get_mut(level)) {
                        *count += 1;
                    }
                }
                _ if is_space(byte) => {}
                _ => {
                    if !matches!(state, LevelStarted | ElementStarted | ElementDelimited) {
                        return Err(ELEMENT.to_owned());
                    }
                    state = ElementStarted;
                }
            }
            self.at += 1;
        }
        self.at += 1;
        self.spaces();
        if self.at < self.bytes.len() {
            return Err("Junk after closing right brace.".to_owned());
        }
        Ok(if empty { Vec::new() } else { members_before.iter().take(dimensions).copied().collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::array;

    /// What PostgreSQL 15 says.
    #[test]
    fn says_what_postgresql_says_of_arrays() {
        for (text, detail) in [
            ("{1,2}", None),
            ("{}", None),
            ("[0:1]={1,2}", None),
            ("1,2", Some("Array value must start with \"{\" or dimension information.")),
            ("{1,2", Some("Unexpected end of input.")),
            ("{1,2}}", Some("Junk after closing right brace.")),
            ("{1,,2}", Some("Unexpected \",\" character.")),
            ("{1,}", Some("Unexpected \"}\" character.")),
            ("{{1},{2,3}}", Some("Multidimensional arrays must have sub-arrays with matching dimensions.")),
            ("{1,{2}}", Some("Unexpected \"{\" character.")),
            ("{\"a\"b}", Some("Unexpected array element.")),
            ("[1:2={1,2}", Some("Missing \"]\" after array dimensions.")),
            ("[1:2]{1,2}", Some("Missing \"=\" after array dimensions.")),
            ("[1:2]=1", Some("Array contents must start with \"{\".")),
            ("[a]={1}", Some("\"[\" must introduce explicitly-specified array dimensions.")),
            ("[1:]={1}", Some("Missing array dimension value.")),
            ("[1:3]={1,2}", Some("Specified array dimensions do not match array contents.")),
        ] {
            assert_eq!(array(text, b',').as_deref(), detail, "{text}");
        }
    }
}
