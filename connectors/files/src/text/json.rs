//! Reading JSON files: one object after another (lines or not), or one array of objects.
//!
//! Values are kept as ranges of the text until their column is known: a number's digits, a nested value's own spelling and
//! a column's type decide what becomes of them, and what no one asks for is only checked.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::ArrayRef;
use atoll_connector_api::types::{PgType, oids};
use atoll_connector_api::{ConnectorError, Result};

use super::input::Input;
use super::{BATCH_BYTES_MAX, BATCH_ROWS, COLUMNS_MAX, Columns, Place, ROW_BYTES_MAX, TextTable};

/// Objects and arrays within each other.
const DEPTH_MAX: usize = 128;
/// Bytes that a reader asks for at first.
const WINDOW_BYTES: usize = 256 << 10;

/// What a JSON value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Number,
    String,
    Nested,
}

/// A value's kind and where it stands, quotes included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) kind: Kind,
    pub(crate) range: Range<usize>,
}

/// Why no value was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// The data end within it.
    Incomplete,
    /// It is no JSON, from this offset on.
    Invalid(usize, &'static str),
    TooDeep,
}

/// A strict reader of RFC 8259's grammar.
#[derive(Debug)]
struct Parser<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    fn skip_space(&mut self) {
        while matches!(self.data.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> Result<u8, Stop> {
        self.skip_space();
        self.data.get(self.at).copied().ok_or(Stop::Incomplete)
    }

    fn invalid<T>(&self, expected: &'static str) -> Result<T, Stop> {
        Err(Stop::Invalid(self.at, expected))
    }

    /// Reads an object and shows its members: where the key stands, quotes included, and the value.
    fn object(&mut self, depth: usize, visit: &mut dyn FnMut(Range<usize>, Value)) -> Result<(), Stop> {
        if depth > DEPTH_MAX {
            return Err(Stop::TooDeep);
        }
        if self.peek()? != b'{' {
            return self.invalid("an object");
        }
        self.at += 1;
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek()? != b'"' {
                return self.invalid("a string as key");
            }
            let key = self.string()?;
            if self.peek()? != b':' {
                return self.invalid("\":\"");
            }
            self.at += 1;
            let value = self.value(depth)?;
            visit(key, value);
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.invalid("\",\" or \"}\""),
            }
        }
    }

    /// Reads an array and shows its elements.
    fn array(&mut self, depth: usize, visit: &mut dyn FnMut(Value)) -> Result<(), Stop> {
        if depth > DEPTH_MAX {
            return Err(Stop::TooDeep);
        }
        self.at += 1;
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            let value = self.value(depth)?;
            visit(value);
            match self.peek()? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.invalid("\",\" or \"]\""),
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Stop> {
        let first = self.peek()?;
        let start = self.at;
        let kind = match first {
            b'{' => self.object(depth + 1, &mut |_, _| {}).map(|()| Kind::Nested),
            b'[' => self.array(depth + 1, &mut |_| {}).map(|()| Kind::Nested),
            b'"' => self.string().map(|_| Kind::String),
            b't' => self.word(b"true").map(|()| Kind::Boolean),
            b'f' => self.word(b"false").map(|()| Kind::Boolean),
            b'n' => self.word(b"null").map(|()| Kind::Null),
            b'-' | b'0'..=b'9' => self.number().map(|()| Kind::Number),
            _ => self.invalid("a value"),
        }?;
        Ok(Value { kind, range: start..self.at })
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Stop> {
        let have = &self.data[self.at..];
        if have.starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        if word.starts_with(have) { Err(Stop::Incomplete) } else { self.invalid("a value") }
    }

    fn string(&mut self) -> Result<Range<usize>, Stop> {
        let start = self.at;
        self.at += 1;
        loop {
            let rest = &self.data[self.at..];
            let Some(distance) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) else {
                return Err(Stop::Incomplete);
            };
            self.at += distance;
            match rest[distance] {
                b'"' => {
                    self.at += 1;
                    return Ok(start..self.at);
                }
                b'\\' => self.escape()?,
                _ => return self.invalid("no control character in a string"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Stop> {
        match self.data.get(self.at + 1) {
            None => Err(Stop::Incomplete),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => {
                for offset in 2..6 {
                    match self.data.get(self.at + offset) {
                        None => return Err(Stop::Incomplete),
                        Some(byte) if byte.is_ascii_hexdigit() => {}
                        Some(_) => return self.invalid("four hexadecimal digits"),
                    }
                }
                self.at += 6;
                Ok(())
            }
            Some(_) => self.invalid("an escape sequence"),
        }
    }

    fn digits(&mut self) -> Result<(), Stop> {
        let start = self.at;
        while self.data.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        match self.data.get(self.at) {
            // Within an object something always follows a number.
            None => Err(Stop::Incomplete),
            Some(_) if self.at == start => self.invalid("a digit"),
            Some(_) => Ok(()),
        }
    }

    fn number(&mut self) -> Result<(), Stop> {
        if self.data[self.at] == b'-' {
            self.at += 1;
        }
        if self.data.get(self.at) == Some(&b'0') {
            self.at += 1;
            if self.data.get(self.at).is_some_and(u8::is_ascii_digit) {
                return self.invalid("no zero before a number");
            }
        } else {
            self.digits()?;
        }
        if self.data.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.data.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.data.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        if self.at == self.data.len() { Err(Stop::Incomplete) } else { Ok(()) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Unknown,
    /// One object after another.
    Sequence,
    /// Within one array.
    Array(Expected),
    /// Behind the array.
    Done,
}

/// What may stand at a place within the array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    ElementOrEnd,
    Element,
    CommaOrEnd,
}

/// The objects of one JSON file.
#[derive(Debug)]
pub(crate) struct Objects {
    input: Input,
    layout: Layout,
    lines: u64,
    current: usize,
}

/// What stands before the next object.
enum Before {
    Object,
    End,
    NeedMore,
    Bad(&'static str),
}

impl Objects {
    pub(crate) fn new(input: Input) -> Self {
        Self { input, layout: Layout::Unknown, lines: 0, current: 0 }
    }

    fn give_up(&mut self, bytes: usize) {
        let feeds = self.input.data()[..bytes].iter().filter(|byte| **byte == b'\n').count();
        self.lines += u64::try_from(feeds).unwrap_or(0);
        self.input.consume(bytes);
    }

    /// Moves to the next object and shows its members; `false` at the end of the file. What `visit` saw counts only
    /// where this answers `true`: `begin` is called before each attempt.
    ///
    /// # Errors
    /// Reading errors; text that is no JSON or not UTF-8; an object that is too long or too deep.
    pub(crate) async fn next(&mut self, members: &mut (dyn Members + Send)) -> Result<bool> {
        let current = std::mem::take(&mut self.current);
        self.give_up(current);
        loop {
            match self.before() {
                Before::Object => {}
                Before::End => return Ok(false),
                Before::NeedMore => {
                    self.more().await?;
                    continue;
                }
                Before::Bad(expected) => return Err(self.invalid(0, expected)),
            }
            members.begin();
            let mut parser = Parser::new(self.input.data());
            let data = self.input.data();
            let stop = parser.object(1, &mut |key, value| members.member(&data[key], value));
            let read = parser.at;
            match stop {
                Ok(()) if read > ROW_BYTES_MAX => return Err(self.too_long()),
                Ok(()) => {
                    self.current = read;
                    if let Layout::Array(expected) = &mut self.layout {
                        *expected = Expected::CommaOrEnd;
                    }
                    self.check_text()?;
                    return Ok(true);
                }
                Err(Stop::Incomplete) if self.input.ended() => {
                    return Err(self.invalid(self.input.data().len(), "the rest of the object"));
                }
                Err(Stop::Incomplete) => self.more().await?,
                Err(Stop::Invalid(at, expected)) => return Err(self.invalid(at, expected)),
                Err(Stop::TooDeep) => {
                    return Err(self.input.owner.limit(
                        &self.input.path,
                        format!("nests objects and arrays deeper than {DEPTH_MAX} (line {})", self.lines + 1),
                    ));
                }
            }
        }
    }

    /// Passes over what stands between objects.
    fn before(&mut self) -> Before {
        loop {
            let space = self.input.data().iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            self.give_up(space);
            let first = self.input.data().first().copied();
            match (self.layout, first) {
                (_, None) if !self.input.ended() => return Before::NeedMore,
                (Layout::Array(_), None) => return Before::Bad("the end of the array"),
                (_, None) => return Before::End,
                (Layout::Unknown, Some(b'[')) => {
                    self.give_up(1);
                    self.layout = Layout::Array(Expected::ElementOrEnd);
                }
                (Layout::Unknown | Layout::Sequence, Some(_)) => {
                    self.layout = Layout::Sequence;
                    return Before::Object;
                }
                (Layout::Array(Expected::ElementOrEnd | Expected::CommaOrEnd), Some(b']')) => {
                    self.give_up(1);
                    self.layout = Layout::Done;
                }
                (Layout::Array(Expected::CommaOrEnd), Some(b',')) => {
                    self.give_up(1);
                    self.layout = Layout::Array(Expected::Element);
                }
                (Layout::Array(Expected::CommaOrEnd), Some(_)) => return Before::Bad("\",\" or \"]\""),
                (Layout::Array(_), Some(_)) => return Before::Object,
                (Layout::Done, Some(_)) => return Before::Bad("the end of the file"),
            }
        }
    }

    async fn more(&mut self) -> Result<()> {
        let have = self.input.data().len();
        if have > ROW_BYTES_MAX {
            return Err(self.too_long());
        }
        self.input.fill((have * 2).max(WINDOW_BYTES)).await
    }

    fn too_long(&self) -> ConnectorError {
        let problem = format!("holds an object longer than {} MB (line {})", ROW_BYTES_MAX >> 20, self.lines + 1);
        self.input.owner.limit(&self.input.path, problem)
    }

    fn invalid(&self, at: usize, expected: &str) -> ConnectorError {
        let feeds = self.input.data().iter().take(at).filter(|byte| **byte == b'\n').count();
        let line = self.lines + 1 + u64::try_from(feeds).unwrap_or(0);
        let place = Place { owner: &self.input.owner, path: &self.input.path, line };
        place.value("22P02", &format!("invalid input syntax for type json: expected {expected}"), None)
    }

    fn check_text(&self) -> Result<()> {
        let text = &self.input.data()[..self.current];
        if std::str::from_utf8(text).is_err() {
            return Err(self.place().value("22021", "invalid byte sequence for encoding \"UTF8\"", None));
        }
        Ok(())
    }

    /// The current object's text.
    pub(crate) fn text(&self) -> &str {
        // The object was checked when it became the current one.
        self.input.data().get(..self.current).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// The line on which the current object begins.
    pub(crate) fn place(&self) -> Place<'_> {
        Place { owner: &self.input.owner, path: &self.input.path, line: self.lines + 1 }
    }

    pub(crate) fn bytes_in(&self) -> u64 {
        self.input.bytes_in()
    }
}

/// Sees the members of an object.
pub(crate) trait Members {
    /// A new attempt at an object: what was seen before does not count.
    fn begin(&mut self);
    /// One member; the key with its quotes.
    fn member(&mut self, key: &[u8], value: Value);
}

/// A key without its quotes and escapes; `None` where it is not UTF-8 or holds half a surrogate pair.
pub(crate) fn key_text(key: &[u8]) -> Option<Cow<'_, str>> {
    let inner = key.get(1..key.len().checked_sub(1)?)?;
    unescape(std::str::from_utf8(inner).ok()?).ok()
}

/// A string's text, its escapes resolved; the error is a SQLSTATE and PostgreSQL's message.
fn unescape(text: &str) -> Result<Cow<'_, str>, (&'static str, &'static str)> {
    if !text.contains('\\') {
        return Ok(Cow::Borrowed(text));
    }
    let broken = ("22P02", "invalid input syntax for type json: half of a surrogate pair");
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut chars = escaped.chars();
        let c = match chars.next() {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let unit = hex_unit(chars.as_str()).ok_or(broken)?;
                chars = chars.as_str().get(4..).unwrap_or_default().chars();
                let code = match unit {
                    0xD800..0xDC00 => {
                        let low = chars.as_str().strip_prefix("\\u").and_then(hex_unit).ok_or(broken)?;
                        chars = chars.as_str().get(6..).unwrap_or_default().chars();
                        let low = low.checked_sub(0xDC00).filter(|low| *low < 0x400).ok_or(broken)?;
                        0x1_0000 + ((unit - 0xD800) << 10) + low
                    }
                    other => other,
                };
                match char::from_u32(code) {
                    Some('\0') => return Err(("22P05", "unsupported Unicode escape sequence: \\u0000 cannot be text")),
                    Some(c) => c,
                    None => return Err(broken),
                }
            }
            Some(c) => c,
            None => return Err(broken),
        };
        out.push(c);
        rest = chars.as_str();
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

fn hex_unit(text: &str) -> Option<u32> {
    text.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok())
}

/// A value as the input text of a column's type; `None` is NULL.
fn input_text<'a>(
    value: &Value,
    object: &'a str,
    data_type: &PgType,
) -> Result<Option<Cow<'a, str>>, (&'static str, &'static str)> {
    let raw = object.get(value.range.clone()).unwrap_or_default();
    let is_json = matches!(data_type.oid, oids::JSON | oids::JSONB);
    match value.kind {
        Kind::Null => Ok(None),
        Kind::String if !is_json => unescape(raw.get(1..raw.len() - 1).unwrap_or_default()).map(Some),
        Kind::Nested if data_type.is_array() && raw.starts_with('[') => {
            let mut out = String::with_capacity(raw.len());
            array_text(raw, data_type.element().is_some_and(|e| matches!(e.oid, oids::JSON | oids::JSONB)), &mut out)?;
            Ok(Some(Cow::Owned(out)))
        }
        _ => Ok(Some(Cow::Borrowed(raw))),
    }
}

/// Writes a JSON array as PostgreSQL writes arrays; its depth was checked when it was read.
fn array_text(raw: &str, of_json: bool, out: &mut String) -> Result<(), (&'static str, &'static str)> {
    let mut elements = Vec::new();
    let broken = ("22P02", "invalid input syntax for type json");
    Parser::new(raw.as_bytes()).array(1, &mut |value| elements.push(value)).map_err(|_| broken)?;
    out.push('{');
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let text = raw.get(element.range.clone()).unwrap_or_default();
        match element.kind {
            Kind::Null => out.push_str("NULL"),
            Kind::Number | Kind::Boolean => out.push_str(text),
            Kind::Nested if text.starts_with('[') && !of_json => array_text(text, of_json, out)?,
            Kind::String if !of_json => quote(&unescape(text.get(1..text.len() - 1).unwrap_or_default())?, out),
            _ => quote(text, out),
        }
    }
    out.push('}');
    Ok(())
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// The last value of each wanted column within one object.
#[derive(Debug)]
struct Slots {
    /// Names in the file, in the order of the builders.
    names: Vec<String>,
    values: Vec<Option<Value>>,
    /// Where the next key is looked for first: objects of one file mostly have their keys in one order.
    hint: usize,
}

impl Slots {
    fn find(&mut self, key: &str) -> Option<usize> {
        let count = self.names.len();
        let exact = (0..count).map(|step| (self.hint + step) % count).find(|slot| self.names[*slot] == key);
        let slot = exact.or_else(|| self.names.iter().position(|name| name.eq_ignore_ascii_case(key)))?;
        self.hint = (slot + 1) % count;
        Some(slot)
    }
}

impl Members for Slots {
    fn begin(&mut self) {
        self.values.fill(None);
        self.hint = 0;
    }

    fn member(&mut self, key: &[u8], value: Value) {
        if self.names.is_empty() {
            return;
        }
        if let Some(slot) = key_text(key).and_then(|key| self.find(&key)) {
            self.values[slot] = Some(value);
        }
    }
}

/// The rows of one JSON file, as a table's columns.
#[derive(Debug)]
pub(crate) struct JsonFile {
    objects: Objects,
    columns: Columns,
    slots: Slots,
}

impl JsonFile {
    pub(crate) fn open(input: Input, table: &Arc<TextTable>, wanted: &[usize]) -> Self {
        let names: Vec<_> = wanted.iter().map(|index| table.columns[*index].remote.clone()).collect();
        let values = vec![None; names.len()];
        Self {
            objects: Objects::new(input),
            columns: Columns::new(table, wanted),
            slots: Slots { names, values, hint: 0 },
        }
    }

    /// Up to `rows_max` rows: the wanted columns and the number of rows; `None` at the end. A key that an object lacks
    /// is NULL.
    ///
    /// # Errors
    /// Reading errors; values that are not of their column's type.
    pub(crate) async fn next_batch(&mut self, rows_max: usize) -> Result<Option<(Vec<ArrayRef>, usize)>> {
        let (mut rows, mut bytes) = (0, 0);
        while rows < rows_max.min(BATCH_ROWS) && bytes < BATCH_BYTES_MAX {
            if !self.objects.next(&mut self.slots).await? {
                break;
            }
            bytes += self.objects.current;
            self.append()?;
            rows += 1;
        }
        Ok((rows > 0).then(|| (self.columns.finish(), rows)))
    }

    fn append(&mut self) -> Result<()> {
        let (text, place) = (self.objects.text(), self.objects.place());
        for (slot, value) in self.slots.values.iter().enumerate() {
            let column = self.columns.column(slot);
            let converted = match value {
                None => None,
                Some(value) => input_text(value, text, &column.data_type)
                    .map_err(|(sqlstate, message)| place.value(sqlstate, message, Some(&column.name)))?,
            };
            self.columns.append(slot, converted.as_deref(), place)?;
        }
        Ok(())
    }

    pub(crate) fn bytes_in(&self) -> u64 {
        self.objects.bytes_in()
    }
}

/// Reads a text as a sequence of objects, and each member's value as each of some types: for fuzzers.
pub(crate) fn read_all(text: &str, types: &[PgType]) {
    let mut parser = Parser::new(text.as_bytes());
    while parser.at < text.len() {
        let (start, mut found) = (parser.at, Vec::new());
        let read = parser.object(1, &mut |key, value| found.push((key, value)));
        for (key, value) in found {
            let _ = key_text(&text.as_bytes()[key]);
            for data_type in types {
                let _ = input_text(&value, text, data_type);
            }
        }
        if read.is_err() || parser.at <= start {
            return;
        }
        parser.skip_space();
    }
}

/// Whether an object has more keys than a table may have columns.
pub(crate) fn too_many_keys(keys: usize) -> bool {
    keys > COLUMNS_MAX
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn members(text: &str) -> Result<Vec<(String, Kind, String)>, Stop> {
        let mut found = Vec::new();
        Parser::new(text.as_bytes()).object(1, &mut |key, value| {
            let key = key_text(&text.as_bytes()[key]).unwrap_or_default().into_owned();
            found.push((key, value.kind, text[value.range].to_owned()));
        })?;
        Ok(found)
    }

    fn input(text: &str, data_type: &PgType) -> Result<Option<String>, &'static str> {
        let object = format!("{{\"a\":{text}}}");
        let mut found = None;
        Parser::new(object.as_bytes()).object(1, &mut |_, value| found = Some(value)).unwrap();
        input_text(&found.unwrap(), &object, data_type)
            .map(|text| text.map(Cow::into_owned))
            .map_err(|(sqlstate, _)| sqlstate)
    }

    #[test]
    fn shows_members_with_kinds() {
        let found =
            members(r#" {"a": 1, "b\u0041": "x", "c": {"d": [1, {}]}, "e": null, "f": true, "g": -0.5e+10} "#).unwrap();
        let kinds: Vec<_> = found.iter().map(|(key, kind, _)| (key.as_str(), *kind)).collect();
        assert_eq!(
            kinds,
            [
                ("a", Kind::Number),
                ("bA", Kind::String),
                ("c", Kind::Nested),
                ("e", Kind::Null),
                ("f", Kind::Boolean),
                ("g", Kind::Number)
            ]
        );
        assert_eq!(found[2].2, r#"{"d": [1, {}]}"#);
    }

    #[test]
    fn tells_broken_from_unfinished() {
        for text in
            ["{", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":tr", "{\"a\":[1,", "{\"a\":\"\\u00", "{\"a\":1."]
        {
            assert_eq!(members(text), Err(Stop::Incomplete), "{text}");
        }
        for text in [
            "[",
            "{a:1}",
            "{\"a\" 1}",
            "{\"a\":01}",
            "{\"a\":+1}",
            "{\"a\":1,}",
            "{\"a\":tru}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":.5}",
            "{\"a\":1. }",
        ] {
            assert!(matches!(members(text), Err(Stop::Invalid(..))), "{text}");
        }
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
        assert_eq!(members(&deep), Err(Stop::TooDeep));
        assert_eq!(members(&"[".repeat(1 << 20)), Err(Stop::Invalid(0, "an object")));
        assert_eq!(members(&format!("{{\"a\":{}", "[".repeat(1 << 20))), Err(Stop::TooDeep));
    }

    #[test]
    fn turns_values_into_the_input_of_their_column() {
        let text = PgType::new(oids::TEXT);
        assert_eq!(input(r#""a\n\"b\" \ud83d\ude00""#, &text).unwrap().unwrap(), "a\n\"b\" 😀");
        assert_eq!(input(r#"{"b": 1}"#, &text).unwrap().unwrap(), r#"{"b": 1}"#);
        assert_eq!(input("1.50", &text).unwrap().unwrap(), "1.50");
        assert_eq!(input("null", &text).unwrap(), None);
        assert_eq!(input(r#""x""#, &PgType::new(oids::JSONB)).unwrap().unwrap(), r#""x""#);
        assert_eq!(input(r#""\ud83d""#, &text), Err("22P02"));
        assert_eq!(input(r#""\u0000""#, &text), Err("22P05"));
    }

    #[test]
    fn writes_arrays_as_postgresql_does() {
        let array = PgType::new(oids::TEXT_ARRAY);
        assert_eq!(input(r#"["a", null, "b\"\\", 1, true]"#, &array).unwrap().unwrap(), r#"{"a",NULL,"b\"\\",1,true}"#);
        assert_eq!(input("[[1, 2], [3, 4]]", &PgType::new(oids::INT4_ARRAY)).unwrap().unwrap(), "{{1,2},{3,4}}");
        assert_eq!(input("[]", &array).unwrap().unwrap(), "{}");
        let jsonb_array = PgType::new(oids::JSONB).array().unwrap();
        assert_eq!(input(r#"[{"a": 1}, [2]]"#, &jsonb_array).unwrap().unwrap(), r#"{"{\"a\": 1}","[2]"}"#);
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json_on_what_is_an_object(text in r#"[{}\[\]",:0-9a-z\\ .\-]{0,30}"#) {
            let text = format!("{{{text}}}");
            let serde: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_str(&text);
            let mut parser = Parser::new(text.as_bytes());
            let own = parser.object(1, &mut |_, _| {}).is_ok() && parser.at == text.len();
            prop_assert_eq!(own, serde.is_ok(), "{}", text);
        }

        #[test]
        fn strings_come_back(value in "\\PC{0,20}|[\n\t\"\\\\]{0,10}") {
            let raw = serde_json::to_string(&value).unwrap();
            prop_assert_eq!(unescape(&raw[1..raw.len() - 1]).unwrap(), value);
        }
    }
}
