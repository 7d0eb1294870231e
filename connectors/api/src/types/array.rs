//! PostgreSQL's arrays: text with any number of dimensions and lower bounds, and their binary format.

use std::fmt::Write;

use super::diagnosis;
use super::input::is_space;
use crate::interrupt::{Pace, reserve};
use crate::{ConnectorError, Result};

/// PostgreSQL's `MAXDIM`.
const DIMENSIONS_MAX: usize = 6;
/// PostgreSQL's `MaxArraySize` is of this order; it bounds what hostile dimensions may claim.
const ELEMENTS_MAX: usize = 134_217_727;

/// One dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dimension {
    /// The subscript of the first element.
    pub lower: i32,
    /// How many there are.
    pub length: i32,
}

/// An array taken apart: elements in storage order, `None` for NULL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ArrayText {
    /// None for an empty array.
    pub dimensions: Vec<Dimension>,
    /// As many as the dimensions hold.
    pub elements: Vec<Option<String>>,
}

fn malformed(text: &str, delimiter: u8) -> ConnectorError {
    let error = ConnectorError::value("22P02", format!("malformed array literal: \"{text}\""));
    match diagnosis::array(text, delimiter) {
        Some(detail) => error.with_detail(detail),
        None => error,
    }
}

/// Elements that dimensions hold; checked against overflow.
pub(crate) fn count(dimensions: &[Dimension]) -> Option<usize> {
    if dimensions.len() > DIMENSIONS_MAX {
        return None;
    }
    if dimensions.is_empty() {
        return Some(0);
    }
    dimensions
        .iter()
        .try_fold(1_usize, |total, dimension| total.checked_mul(usize::try_from(dimension.length).ok()?))
        .filter(|total| *total <= ELEMENTS_MAX)
}

impl ArrayText {
    /// Reads array text.
    ///
    /// # Errors
    /// `22P02`.
    pub fn parse(text: &str, delimiter: u8) -> Result<Self> {
        let mut parser = Parser {
            bytes: text.as_bytes(),
            at: 0,
            delimiter,
            lengths: Vec::new(),
            elements: Vec::new(),
            held: 0,
            pace: Pace::default(),
            stopped: None,
        };
        parser.spaces();
        let bounds = parser.bounds().ok_or_else(|| malformed(text, delimiter))?;
        parser.spaces();
        if parser.group(0).is_none() {
            return Err(parser.stopped.take().unwrap_or_else(|| malformed(text, delimiter)));
        }
        parser.spaces();
        if parser.at != parser.bytes.len() {
            return Err(malformed(text, delimiter));
        }
        if parser.elements.is_empty() {
            return Ok(Self::default());
        }
        let lengths: Vec<i32> = parser
            .lengths
            .iter()
            .map(|length| length.and_then(|length| i32::try_from(length).ok()).unwrap_or(0))
            .collect();
        let dimensions: Vec<Dimension> = match bounds {
            None => lengths.iter().map(|length| Dimension { lower: 1, length: *length }).collect(),
            Some(bounds) if bounds.iter().map(|bound| bound.length).eq(lengths.iter().copied()) => bounds,
            Some(_) => return Err(malformed(text, delimiter)),
        };
        if count(&dimensions) != Some(parser.elements.len()) {
            return Err(malformed(text, delimiter));
        }
        Ok(Self { dimensions, elements: parser.elements })
    }

    /// Appends it as PostgreSQL prints it, if the work is still wanted and has room for it.
    ///
    /// # Errors
    /// `57014`, `53200`.
    pub fn write_within(&self, delimiter: u8, out: &mut String) -> Result<()> {
        let least: usize = self.elements.iter().map(|element| 1 + element.as_ref().map_or(4, String::len)).sum();
        reserve(out.len().saturating_add(least))?;
        write_bounds(&self.dimensions, out);
        let mut elements = self.elements.iter();
        let (mut pace, mut result) = (Pace::default(), Ok(()));
        write_nested(&self.dimensions, char::from(delimiter), out, &mut |out| {
            let Some(element) = elements.next() else { return };
            if result.is_ok() {
                result = pace.step(1 + element.as_ref().map_or(0, String::len)).and_then(|()| reserve(out.len()));
            }
            if result.is_ok() {
                write_element(element.as_deref(), delimiter, out);
            }
        });
        result
    }

    /// Appends it as PostgreSQL prints it.
    pub fn write(&self, delimiter: u8, out: &mut String) {
        write_bounds(&self.dimensions, out);
        let mut elements = self.elements.iter();
        write_nested(&self.dimensions, char::from(delimiter), out, &mut |out| {
            if let Some(element) = elements.next() {
                write_element(element.as_deref(), delimiter, out);
            }
        });
    }
}

/// Appends `[2:4]=` where a lower bound is not 1.
pub(crate) fn write_bounds(dimensions: &[Dimension], out: &mut String) {
    if dimensions.iter().all(|dimension| dimension.lower == 1) {
        return;
    }
    for Dimension { lower, length } in dimensions {
        // Writing to a String cannot fail.
        let _ = write!(out, "[{lower}:{}]", i64::from(*lower) + i64::from(*length) - 1);
    }
    out.push('=');
}

/// Appends the braces of all dimensions, and through `element` what is in them.
pub(crate) fn write_nested(
    dimensions: &[Dimension],
    delimiter: char,
    out: &mut String,
    element: &mut dyn FnMut(&mut String),
) {
    let Some((first, rest)) = dimensions.split_first() else { return out.push_str("{}") };
    out.push('{');
    for index in 0..first.length {
        if index > 0 {
            out.push(delimiter);
        }
        if rest.is_empty() {
            element(out);
        } else {
            write_nested(rest, delimiter, out, element);
        }
    }
    out.push('}');
}

/// Appends an element, quoted where it must be.
pub(crate) fn write_element(element: Option<&str>, delimiter: u8, out: &mut String) {
    let Some(text) = element else { return out.push_str("NULL") };
    if !needs_quotes(text, delimiter) {
        return out.push_str(text);
    }
    out.push('"');
    for part in text.split_inclusive(['"', '\\']) {
        match part.as_bytes().last() {
            Some(last @ (b'"' | b'\\')) => {
                out.push_str(part.get(..part.len() - 1).unwrap_or_default());
                out.push('\\');
                out.push(char::from(*last));
            }
            _ => out.push_str(part),
        }
    }
    out.push('"');
}

fn needs_quotes(text: &str, delimiter: u8) -> bool {
    text.is_empty()
        || text.eq_ignore_ascii_case("null")
        || text.bytes().any(|byte| matches!(byte, b'"' | b'\\' | b'{' | b'}') || byte == delimiter || is_space(byte))
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    delimiter: u8,
    /// Members of a group at each depth, once the first such group has ended.
    lengths: Vec<Option<usize>>,
    elements: Vec<Option<String>>,
    /// Bytes that the elements take.
    held: usize,
    pace: Pace,
    /// Why it went no further, where that is not the text's fault.
    stopped: Option<ConnectorError>,
}

impl Parser<'_> {
    /// One more element, or a part of one.
    fn takes(&mut self, bytes: usize) -> Option<()> {
        self.held = self.held.saturating_add(bytes);
        let result = self.pace.step(bytes).and_then(|()| reserve(self.held));
        result.map_err(|error| self.stopped = Some(error)).ok()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then(|| self.at += 1)
    }

    fn spaces(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    /// `[1:3][0:1]=`; the outer `None` is a syntax error, the inner one stands for no bounds.
    fn bounds(&mut self) -> Option<Option<Vec<Dimension>>> {
        if self.peek() != Some(b'[') {
            return Some(None);
        }
        let mut dimensions = Vec::new();
        while self.eat(b'[').is_some() {
            let first = self.number()?;
            let (lower, upper) = if self.eat(b':').is_some() { (first, self.number()?) } else { (1, first) };
            self.eat(b']')?;
            if upper < lower || dimensions.len() == DIMENSIONS_MAX {
                return None;
            }
            let length = i32::try_from(i64::from(upper) - i64::from(lower) + 1).ok()?;
            dimensions.push(Dimension { lower, length });
            self.spaces();
        }
        self.eat(b'=')?;
        Some(Some(dimensions))
    }

    fn number(&mut self) -> Option<i32> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b'+') {
            self.at += 1;
        }
        std::str::from_utf8(self.bytes.get(start..self.at)?).ok()?.parse().ok()
    }

    /// `{…}` and all in it.
    fn group(&mut self, depth: usize) -> Option<()> {
        if depth == DIMENSIONS_MAX {
            return None;
        }
        if self.lengths.len() == depth {
            self.lengths.push(None);
        }
        self.eat(b'{')?;
        self.spaces();
        let mut members = 0;
        if self.peek() == Some(b'}') {
            // An empty array is empty in every dimension; inside others PostgreSQL 15 allows only more empty ones.
            self.at += 1;
            return self.elements.is_empty().then_some(());
        }
        loop {
            self.spaces();
            if self.peek() == Some(b'{') {
                if self.lengths.get(depth + 1).is_none() && members > 0 {
                    return None;
                }
                self.group(depth + 1)?;
            } else {
                if self.lengths.len() > depth + 1 {
                    return None;
                }
                let element = self.element()?;
                self.takes(size_of::<Option<String>>())?;
                self.elements.push(element);
            }
            members += 1;
            self.spaces();
            if self.eat(self.delimiter).is_some() {
                continue;
            }
            self.eat(b'}')?;
            break;
        }
        let length = self.lengths.get_mut(depth)?;
        match length {
            None => *length = Some(members),
            Some(length) if *length == members => {}
            Some(_) => return None,
        }
        Some(())
    }

    fn element(&mut self) -> Option<Option<String>> {
        let mut bytes = Vec::new();
        if self.eat(b'"').is_some() {
            loop {
                self.takes(1)?;
                match self.peek()? {
                    b'"' => break,
                    b'\\' => {
                        self.at += 1;
                        bytes.push(self.peek()?);
                    }
                    byte => bytes.push(byte),
                }
                self.at += 1;
            }
            self.at += 1;
            return String::from_utf8(bytes).ok().map(Some);
        }
        let mut escaped = false;
        // White space at the end does not count, unless it was escaped.
        let mut end = 0;
        loop {
            self.takes(1)?;
            match self.peek()? {
                b'"' | b'{' => return None,
                b'}' => break,
                byte if byte == self.delimiter => break,
                b'\\' => {
                    self.at += 1;
                    bytes.push(self.peek()?);
                    escaped = true;
                    end = bytes.len();
                }
                byte => {
                    bytes.push(byte);
                    if !is_space(byte) {
                        end = bytes.len();
                    }
                }
            }
            self.at += 1;
        }
        bytes.truncate(end);
        if bytes.is_empty() {
            return None;
        }
        if !escaped && bytes.eq_ignore_ascii_case(b"null") {
            return Some(None);
        }
        String::from_utf8(bytes).ok().map(Some)
    }
}
