//! JSON text: validation for `json`, PostgreSQL's normal form for `jsonb`.

use std::fmt::Write;

use super::diagnosis;
use super::input::{hex_value, invalid_syntax};
use super::numeric::Numeric;
use crate::interrupt::{Pace, reserve};
use crate::{ConnectorError, Notes, Result};

/// Levels of nesting beyond which text is refused, as PostgreSQL's stack would.
const DEPTH_MAX: usize = 400;
/// Levels that are only stepped over, which needs no stack.
const DEPTH_SKIPPED_MAX: usize = 6000;

/// Checks that text is JSON.
pub(crate) fn validate(text: &str, type_name: &str) -> Result<()> {
    let mut parser = Parser::new(text);
    parser.spaces();
    let valid = parser.skip_value().is_some() && {
        parser.spaces();
        parser.at == text.len()
    };
    if valid { Ok(()) } else { Err(explained(parser.error(type_name), || diagnosis::json(text))) }
}

/// Appends `jsonb`'s normal form: keys by length and bytes, the last of equal keys, one space after `:` and `,`.
///
/// # Errors
/// `22P02`, `22P05` for `\u0000`, `54001` for too deep nesting.
pub(crate) fn normalize(text: &str, out: &mut String) -> Result<()> {
    let mut parser = Parser::new(text);
    parser.spaces();
    let value = parser.value();
    parser.spaces();
    match value {
        Ok(Some(value)) if parser.at == text.len() => value.write(out, &mut Pace::default()),
        Err(error) => Err(explained(error, || diagnosis::jsonb(text))),
        _ => Err(explained(parser.error("json"), || diagnosis::jsonb(text))),
    }
}

/// An error about a text with what is wrong with the text.
fn explained(error: ConnectorError, notes: impl FnOnce() -> Notes) -> ConnectorError {
    match error {
        ConnectorError::Value { sqlstate: "22P02" | "22P05", .. } => error.with_notes(notes()),
        other => other,
    }
}

/// Appends the key of a `jsonb` value: the order of its bytes is PostgreSQL's order of the values, and equal values, such
/// as `1.1` and `1.10`, have equal keys.
///
/// # Errors
/// `22P02`, `54001`.
pub(crate) fn write_key(text: &str, out: &mut Vec<u8>) -> Result<()> {
    let mut parser = Parser::new(text);
    parser.spaces();
    let value = parser.value()?;
    let Some(value) = value else { return Err(parser.error("json")) };
    match &value {
        // An empty array of its own comes before everything else, for reasons of history.
        Value::Array(values) if values.is_empty() => out.push(RANK_EMPTY_ARRAY),
        value => value.write_key(out)?,
    }
    Ok(())
}

const RANK_EMPTY_ARRAY: u8 = 0;
const RANK_NULL: u8 = 1;
const RANK_STRING: u8 = 2;
const RANK_NUMBER: u8 = 3;
const RANK_BOOLEAN: u8 = 4;
const RANK_ARRAY: u8 = 5;
const RANK_OBJECT: u8 = 6;

/// Bytes with an end that comes before everything that goes on.
fn write_escaped(key: &[u8], out: &mut Vec<u8>) {
    for byte in key {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xff);
        }
    }
    out.extend([0, 0]);
}

fn write_count(count: usize, out: &mut Vec<u8>) {
    out.extend(u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
}

/// Appends a string with its quotes, escaped as PostgreSQL does.
pub(crate) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut plain = 0;
    for (index, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            0x08 => "\\b",
            0x0c => "\\f",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..=0x1f => "",
            _ => continue,
        };
        out.push_str(text.get(plain..index).unwrap_or_default());
        out.push_str(escape);
        if escape.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{byte:04x}");
        }
        plain = index + 1;
    }
    out.push_str(text.get(plain..).unwrap_or_default());
    out.push('"');
}

enum Value {
    /// A number, true, false or null, already in its normal form.
    Plain(String),
    String(String),
    Array(Vec<Value>),
    Object(Vec<(String, Value)>),
}

impl Value {
    fn write_key(&self, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Plain(text) => match text.as_str() {
                "null" => out.push(RANK_NULL),
                "false" => out.extend([RANK_BOOLEAN, 0]),
                "true" => out.extend([RANK_BOOLEAN, 1]),
                number => {
                    let mut key = Vec::new();
                    Numeric::parse(number)?.write_key(&mut key);
                    out.push(RANK_NUMBER);
                    write_escaped(&key, out);
                }
            },
            Self::String(text) => {
                out.push(RANK_STRING);
                write_escaped(text.as_bytes(), out);
            }
            Self::Array(values) => {
                out.push(RANK_ARRAY);
                write_count(values.len(), out);
                for value in values {
                    value.write_key(out)?;
                }
            }
            Self::Object(members) => {
                out.push(RANK_OBJECT);
                write_count(members.len(), out);
                for (key, value) in members {
                    write_escaped(key.as_bytes(), out);
                    value.write_key(out)?;
                }
            }
        }
        Ok(())
    }

    fn write(&self, out: &mut String, pace: &mut Pace) -> Result<()> {
        match self {
            Self::Plain(text) => {
                pace.step(text.len())?;
                out.push_str(text);
            }
            Self::String(text) => {
                pace.step(text.len())?;
                reserve(out.len() + text.len())?;
                write_string(text, out);
            }
            Self::Array(values) => {
                out.push('[');
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    value.write(out, pace)?;
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    write_string(key, out);
                    out.push_str(": ");
                    value.write(out, pace)?;
                }
                out.push('}');
            }
        }
        Ok(())
    }
}

/// Sorts members as `jsonb` does and keeps the last of equal keys.
pub(crate) fn sort_members<T>(members: &mut Vec<(String, T)>) {
    let order = |left: &str, right: &str| left.len().cmp(&right.len()).then_with(|| left.cmp(right));
    members.sort_by(|(left, _), (right, _)| order(left, right));
    let mut kept: Vec<(String, T)> = Vec::with_capacity(members.len());
    for member in members.drain(..) {
        match kept.last_mut() {
            // The sort is stable: of equal keys the last comes last.
            Some(last) if last.0 == member.0 => *last = member,
            _ => kept.push(member),
        }
    }
    *members = kept;
}

struct Parser<'a> {
    bytes: &'a [u8],
    text: &'a str,
    at: usize,
    depth: usize,
    /// Bytes that the values take.
    held: usize,
    pace: Pace,
    /// Why it went no further, where that is not the text's fault.
    stopped: Option<ConnectorError>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), text, at: 0, depth: 0, held: 0, pace: Pace::default(), stopped: None }
    }
}

impl Parser<'_> {
    /// One more step, which keeps so many bytes.
    fn takes(&mut self, bytes: usize) -> Option<()> {
        self.held = self.held.saturating_add(bytes);
        let result = self.pace.step(bytes.max(1)).and_then(|()| if bytes > 0 { reserve(self.held) } else { Ok(()) });
        result.map_err(|error| self.stopped = Some(error)).ok()
    }

    fn error(&mut self, type_name: &str) -> ConnectorError {
        if let Some(error) = self.stopped.take() {
            return error;
        }
        if self.depth > DEPTH_MAX {
            return ConnectorError::value("54001", "stack depth limit exceeded");
        }
        // PostgreSQL names the text's token in a DETAIL; the message itself has no text.
        let mut error = invalid_syntax(type_name, "");
        if let ConnectorError::Value { message, .. } = &mut error {
            *message = format!("invalid input syntax for type {type_name}");
        }
        error
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then(|| self.at += 1)
    }

    fn spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.bytes.get(self.at..)?.starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    /// Steps over one value of any depth without building it; no recursion.
    fn skip_value(&mut self) -> Option<()> {
        let mut closers: Vec<u8> = Vec::new();
        loop {
            self.takes(0)?;
            self.spaces();
            match self.peek()? {
                open @ (b'{' | b'[') => {
                    self.at += 1;
                    self.spaces();
                    let closer = if open == b'{' { b'}' } else { b']' };
                    if self.eat(closer).is_none() {
                        closers.push(closer);
                        if closers.len() > DEPTH_SKIPPED_MAX {
                            self.depth = DEPTH_MAX + 1;
                            return None;
                        }
                        if open == b'{' {
                            self.skip_key()?;
                        }
                        continue;
                    }
                }
                b'"' => self.skip_string()?,
                b't' => self.word("true")?,
                b'f' => self.word("false")?,
                b'n' => self.word("null")?,
                _ => {
                    self.number()?;
                }
            }
            loop {
                let Some(closer) = closers.last().copied() else { return Some(()) };
                self.spaces();
                if self.eat(b',').is_some() {
                    if closer == b'}' {
                        self.spaces();
                        self.skip_key()?;
                    }
                    break;
                }
                self.eat(closer)?;
                closers.pop();
            }
        }
    }

    fn skip_key(&mut self) -> Option<()> {
        self.skip_string()?;
        self.spaces();
        self.eat(b':')
    }

    fn skip_string(&mut self) -> Option<()> {
        self.eat(b'"')?;
        loop {
            self.takes(0)?;
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    self.at += 1;
                    match self.peek()? {
                        b'u' => {
                            self.hex(self.at + 1)?;
                            self.at += 4;
                        }
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        _ => return None,
                    }
                }
                0..=0x1f => return None,
                _ => {}
            }
            self.at += 1;
        }
        self.at += 1;
        Some(())
    }

    fn hex(&self, at: usize) -> Option<u32> {
        self.bytes.get(at..at + 4)?.iter().try_fold(0, |value, byte| Some(value * 16 + u32::from(hex_value(*byte)?)))
    }

    fn number(&mut self) -> Option<&str> {
        let start = self.at;
        let _ = self.eat(b'-');
        match self.peek()? {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits()?,
            _ => return None,
        }
        if self.eat(b'.').is_some() {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        // "1x" is no number.
        if self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        self.text.get(start..self.at)
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    /// One value; `None` where the text is not JSON.
    fn value(&mut self) -> Result<Option<Value>> {
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => Ok(self.string()?.map(Value::String)),
            Some(b't') => Ok(self.word("true").map(|()| Value::Plain("true".to_owned()))),
            Some(b'f') => Ok(self.word("false").map(|()| Value::Plain("false".to_owned()))),
            Some(b'n') => Ok(self.word("null").map(|()| Value::Plain("null".to_owned()))),
            _ => {
                let Some(digits) = self.number() else { return Ok(None) };
                let mut text = String::with_capacity(digits.len());
                Numeric::parse(digits)?.write(&mut text);
                if self.takes(text.len()).is_none() {
                    return Ok(None);
                }
                Ok(Some(Value::Plain(text)))
            }
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Option<Value>>) -> Result<Option<Value>> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error("json"));
        }
        self.at += 1;
        self.spaces();
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn array(&mut self) -> Result<Option<Value>> {
        let mut values = Vec::new();
        if self.eat(b']').is_some() {
            return Ok(Some(Value::Array(values)));
        }
        loop {
            self.spaces();
            let Some(value) = self.value()? else { return Ok(None) };
            if self.takes(size_of::<Value>()).is_none() {
                return Ok(None);
            }
            values.push(value);
            self.spaces();
            if self.eat(b',').is_none() {
                return Ok(self.eat(b']').map(|()| Value::Array(values)));
            }
        }
    }

    fn object(&mut self) -> Result<Option<Value>> {
        let mut members = Vec::new();
        if self.eat(b'}').is_some() {
            return Ok(Some(Value::Object(members)));
        }
        loop {
            self.spaces();
            let Some(key) = self.string()? else { return Ok(None) };
            self.spaces();
            if self.eat(b':').is_none() {
                return Ok(None);
            }
            self.spaces();
            let Some(value) = self.value()? else { return Ok(None) };
            if self.takes(size_of::<(String, Value)>()).is_none() {
                return Ok(None);
            }
            members.push((key, value));
            self.spaces();
            if self.eat(b',').is_none() {
                sort_members(&mut members);
                return Ok(self.eat(b'}').map(|()| Value::Object(members)));
            }
        }
    }

    fn string(&mut self) -> Result<Option<String>> {
        let start = self.at + 1;
        if self.skip_string().is_none() {
            return Ok(None);
        }
        if self.takes(self.at - start).is_none() {
            return Ok(None);
        }
        let raw = self.text.get(start..self.at - 1).unwrap_or_default();
        if raw.contains('\\') { unescape(raw).map(Some) } else { Ok(Some(raw.to_owned())) }
    }
}

/// The text of a valid string's inside.
fn unescape(raw: &str) -> Result<String> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut chars = escape.chars();
        match chars.next() {
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let (character, after) = unicode(chars.as_str())?;
                out.push(character);
                rest = after;
                continue;
            }
            Some(other) => out.push(other),
            None => break,
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    Ok(out)
}

/// The character of `XXXX` or of a surrogate pair `XXXX\uXXXX`, and the text after it.
fn unicode(text: &str) -> Result<(char, &str)> {
    let code = |text: &str| text.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let bad = || ConnectorError::value("22P02", "invalid input syntax for type json");
    let first = code(text).ok_or_else(bad)?;
    let after = text.get(4..).ok_or_else(bad)?;
    if first == 0 {
        return Err(ConnectorError::value("22P05", "unsupported Unicode escape sequence"));
    }
    if (0xD800..0xDC00).contains(&first) {
        let second = after.strip_prefix("\\u").and_then(code).ok_or_else(bad)?;
        if !(0xDC00..0xE000).contains(&second) {
            return Err(bad());
        }
        let combined = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return Ok((char::from_u32(combined).ok_or_else(bad)?, after.get(6..).ok_or_else(bad)?));
    }
    Ok((char::from_u32(first).ok_or_else(bad)?, after))
}
