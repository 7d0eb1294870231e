//! JSON text taken apart, each value with the text that it stands in: `json` shows it as it was written, and `jsonb` is
//! already in its normal form.

use super::invalid;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::interrupt::{self, Pace};

/// Levels of nesting.
const DEPTH_MAX: usize = 400;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node<'a> {
    pub(super) raw: &'a str,
    pub(super) shape: Shape<'a>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape<'a> {
    Null,
    Bool(bool),
    Number,
    String(String),
    Array(Vec<Node<'a>>),
    Object(Vec<(String, Node<'a>)>),
}

fn malformed() -> SqlError {
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json")
}

impl<'a> Node<'a> {
    /// Reads JSON text.
    pub(super) fn parse(text: &'a str) -> SqlResult<Self> {
        let mut parser = Parser { text, at: 0, depth: 0, held: 0, pace: Pace::default() };
        let node = parser.value()?;
        parser.spaces();
        if parser.at == text.len() { Ok(node) } else { Err(malformed()) }
    }

    pub(super) const fn type_name(&self) -> &'static str {
        match &self.shape {
            Shape::Null => "null",
            Shape::Bool(_) => "boolean",
            Shape::Number => "number",
            Shape::String(_) => "string",
            Shape::Array(_) => "array",
            Shape::Object(_) => "object",
        }
    }

    /// `->`: of equal keys the last.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        match &self.shape {
            Shape::Object(members) => members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    pub(super) const fn is_scalar(&self) -> bool {
        !matches!(self.shape, Shape::Array(_) | Shape::Object(_))
    }

    /// `->` of an array; a negative number counts from the end.
    pub(super) fn element(&self, index: i64) -> Option<&Self> {
        let Shape::Array(values) = &self.shape else { return None };
        let at = if index < 0 { i64::try_from(values.len()).ok()?.checked_add(index)? } else { index };
        values.get(usize::try_from(at).ok()?)
    }

    /// `#>`'s step: a name, or an array's index.
    pub(super) fn step(&self, step: &str) -> Option<&Self> {
        match &self.shape {
            Shape::Array(_) => self.element(step.trim().parse().ok()?),
            _ => self.member(step),
        }
    }

    /// `->>`: a string without its quotes, and NULL for null.
    pub(super) fn as_text(&self) -> Option<String> {
        match &self.shape {
            Shape::Null => None,
            Shape::String(text) => Some(text.clone()),
            _ => Some(self.raw.to_owned()),
        }
    }

    /// Members, where it has such.
    pub(super) fn members(&self, function: &str) -> SqlResult<&[(String, Self)]> {
        match &self.shape {
            Shape::Object(members) => Ok(members),
            Shape::Array(_) if function.starts_with("json_each") => {
                Err(invalid("cannot deconstruct an array as an object".to_owned()))
            }
            _ if function.starts_with("json_each") => Err(invalid("cannot deconstruct a scalar".to_owned())),
            _ if function.starts_with("jsonb_each") => Err(invalid(format!("cannot call {function} on a non-object"))),
            Shape::Array(_) => Err(invalid(format!("cannot call {function} on an array"))),
            _ => Err(invalid(format!("cannot call {function} on a scalar"))),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// Bytes that the values take.
    held: usize,
    pace: Pace,
}

impl<'a> Parser<'a> {
    /// One more step, which keeps so many bytes.
    fn takes(&mut self, bytes: usize) -> SqlResult<()> {
        self.held = self.held.saturating_add(bytes);
        self.pace.step(bytes)?;
        interrupt::reserve(self.held)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> SqlResult<()> {
        self.spaces();
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(malformed())
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.spaces();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self) -> SqlResult<Node<'a>> {
        self.spaces();
        let start = self.at;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded"));
        }
        let shape = match self.peek() {
            Some(b'{') => {
                self.at += 1;
                let mut members = Vec::new();
                if !self.eat(b'}') {
                    loop {
                        self.spaces();
                        let key = self.string()?;
                        self.expect(b':')?;
                        self.takes(size_of::<(String, Node<'_>)>())?;
                        members.push((key, self.value()?));
                        if !self.eat(b',') {
                            break;
                        }
                    }
                    self.expect(b'}')?;
                }
                Shape::Object(members)
            }
            Some(b'[') => {
                self.at += 1;
                let mut values = Vec::new();
                if !self.eat(b']') {
                    loop {
                        self.takes(size_of::<Node<'_>>())?;
                        values.push(self.value()?);
                        if !self.eat(b',') {
                            break;
                        }
                    }
                    self.expect(b']')?;
                }
                Shape::Array(values)
            }
            Some(b'"') => Shape::String(self.string()?),
            _ => {
                let rest = self.text.get(self.at..).unwrap_or_default();
                let end = rest.find([',', ']', '}', ' ', '\t', '\n', '\r']).unwrap_or(rest.len());
                let word = rest.get(..end).unwrap_or_default();
                self.at += end;
                match word {
                    "null" => Shape::Null,
                    "true" => Shape::Bool(true),
                    "false" => Shape::Bool(false),
                    word if word.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => Shape::Number,
                    _ => return Err(malformed()),
                }
            }
        };
        self.depth -= 1;
        Ok(Node { raw: self.text.get(start..self.at).unwrap_or_default(), shape })
    }

    fn string(&mut self) -> SqlResult<String> {
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err(malformed());
        }
        self.at += 1;
        let mut escaped = false;
        loop {
            self.pace.step(1)?;
            match self.peek().ok_or_else(malformed)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 2;
                }
                _ => self.at += 1,
            }
        }
        self.at += 1;
        let raw = self.text.get(start..self.at).ok_or_else(malformed)?;
        self.takes(raw.len())?;
        if escaped {
            return serde_json::from_str(raw).map_err(|_| malformed());
        }
        Ok(raw.get(1..raw.len() - 1).unwrap_or_default().to_owned())
    }
}

/// Appends a string with its quotes, escaped as PostgreSQL does.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
