//! Malformed range literals.

use crate::types::input::is_space;

/// Why a range's text is malformed.
pub(crate) fn range(text: &str) -> Option<&'static str> {
    let mut walk = Walk { bytes: text.as_bytes(), at: 0 };
    walk.range().err()
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Walk<'_> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        byte
    }

    fn end(&mut self, junk: &'static str) -> Result<(), &'static str> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.iter().all(|byte| is_space(*byte)) { Ok(()) } else { Err(junk) }
    }

    fn range(&mut self) -> Result<(), &'static str> {
        while self.bytes.get(self.at).copied().is_some_and(is_space) {
            self.at += 1;
        }
        if self.bytes.get(self.at..self.at + 5).is_some_and(|word| word.eq_ignore_ascii_case(b"empty")) {
            self.at += 5;
            return self.end("Junk after \"empty\" key word.");
        }
        if !matches!(self.next(), Some(b'[' | b'(')) {
            return Err("Missing left parenthesis or bracket.");
        }
        self.bound()?;
        if self.next() != Some(b',') {
            return Err("Missing comma after lower bound.");
        }
        self.bound()?;
        if self.next() == Some(b',') {
            return Err("Too many commas.");
        }
        self.end("Junk after right parenthesis or bracket.")
    }

    /// Up to the comma or bracket that ends a bound.
    fn bound(&mut self) -> Result<(), &'static str> {
        const ENDED: &str = "Unexpected end of input.";
        let mut quoted = false;
        while quoted || !matches!(self.bytes.get(self.at), Some(b',' | b')' | b']')) {
            match self.next().ok_or(ENDED)? {
                b'\\' => {
                    self.next().ok_or(ENDED)?;
                }
                // A doubled quote within quotes ends them and begins them again.
                b'"' => quoted = !quoted,
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::range;

    /// What PostgreSQL 15 says.
    #[test]
    fn says_what_postgresql_says_of_ranges() {
        for (text, detail) in [
            ("[1,2]", None),
            (" empty ", None),
            ("emptyx", Some("Junk after \"empty\" key word.")),
            ("1,2", Some("Missing left parenthesis or bracket.")),
            ("", Some("Missing left parenthesis or bracket.")),
            ("[1]", Some("Missing comma after lower bound.")),
            ("[1,2,3]", Some("Too many commas.")),
            ("[1,2", Some("Unexpected end of input.")),
            ("[\"1,2]", Some("Unexpected end of input.")),
            ("[1,2\\", Some("Unexpected end of input.")),
            ("[1,2]x", Some("Junk after right parenthesis or bracket.")),
        ] {
            assert_eq!(range(text), detail, "{text}");
        }
    }
}
