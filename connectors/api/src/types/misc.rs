//! Small types kept as text: `money`, `bit`, `varbit`, `timetz`, `pg_lsn`, `tid`, geometric types, `tsvector`.

use std::fmt::Write;

use bytes::{BufMut, BytesMut};

use super::input::{bad_binary, hex_value, invalid_syntax, out_of_range, trim};
use super::text::{write_float8, write_offset, write_time};
use crate::{ConnectorError, Result};

/// `cash_in` under `lc_monetary = C`: an amount in hundredths.
pub(crate) fn money(text: &str) -> Result<i64> {
    let bad = || invalid_syntax("money", text);
    let mut rest = trim(text);
    let mut negative = false;
    if let Some(inner) = rest.strip_prefix('(') {
        negative = true;
        rest = inner.strip_suffix(')').ok_or_else(bad)?;
    }
    for _ in 0..2 {
        rest = trim(rest);
        if let Some(inner) = rest.strip_prefix('-') {
            negative = true;
            rest = inner;
        } else if let Some(inner) = rest.strip_prefix(['$', '+']) {
            rest = inner;
        }
    }
    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    if !whole.bytes().all(|byte| byte.is_ascii_digit() || byte == b',')
        || !fraction.bytes().all(|byte| byte.is_ascii_digit())
        || !rest.bytes().any(|byte| byte.is_ascii_digit())
    {
        return Err(bad());
    }
    let mut amount: i128 = 0;
    let digits = whole.bytes().filter(u8::is_ascii_digit).chain(fraction.bytes().chain(*b"00").take(2));
    for digit in digits {
        amount = amount.saturating_mul(10).saturating_add(i128::from(digit - b'0')).min(i128::MAX / 100);
    }
    if fraction.as_bytes().get(2).is_some_and(|digit| *digit >= b'5') {
        amount += 1;
    }
    i64::try_from(if negative { -amount } else { amount }).map_err(|_| out_of_range("money", text))
}

/// Appends an amount in hundredths: `-$1,234.56`.
pub(crate) fn write_money(cents: i64, out: &mut String) {
    let magnitude = cents.unsigned_abs();
    if cents < 0 {
        out.push('-');
    }
    out.push('$');
    let whole = (magnitude / 100).to_string();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    // Writing to a String cannot fail.
    let _ = write!(out, ".{:02}", magnitude % 100);
}

/// `bit_in`, `varbit_in`: zeros and ones, or `x` and hexadecimal digits. `length` is the modifier.
pub(crate) fn bits(text: &str, varying: bool, length: Option<usize>) -> Result<String> {
    let digits = match text.split_at_checked(1) {
        Some(("b" | "B", digits)) => digits.to_owned(),
        Some(("x" | "X", digits)) => {
            let mut bits = String::with_capacity(digits.len() * 4);
            for digit in digits.bytes() {
                let value = hex_value(digit).ok_or_else(|| {
                    let shown = char::from(digit).escape_default();
                    ConnectorError::value("22P02", format!("\"{shown}\" is not a valid hexadecimal digit"))
                })?;
                let _ = write!(bits, "{value:04b}");
            }
            bits
        }
        _ => text.to_owned(),
    };
    if let Some(bad) = digits.chars().find(|digit| !matches!(digit, '0' | '1')) {
        return Err(ConnectorError::value("22P02", format!("\"{bad}\" is not a valid binary digit")));
    }
    match length {
        Some(length) if varying && digits.len() > length => {
            Err(ConnectorError::value("22001", format!("bit string too long for type bit varying({length})")))
        }
        Some(length) if !varying && digits.len() != length => Err(ConnectorError::value(
            "22026",
            format!("bit string length {} does not match type bit({length})", digits.len()),
        )),
        _ => Ok(digits),
    }
}

/// Appends the binary form of zeros and ones.
pub(crate) fn write_bits_binary(text: &str, out: &mut BytesMut) -> Result<()> {
    let length = i32::try_from(text.len()).map_err(|_| bad_binary("bit"))?;
    out.put_i32(length);
    for chunk in text.as_bytes().chunks(8) {
        let byte = chunk
            .iter()
            .enumerate()
            .fold(0_u8, |byte, (index, digit)| if *digit == b'1' { byte | (0x80 >> index) } else { byte });
        out.put_u8(byte);
    }
    Ok(())
}

/// Appends the zeros and ones of a binary bit string.
pub(crate) fn read_bits_binary(bytes: &[u8], out: &mut String) -> Result<()> {
    let bad = || bad_binary("bit");
    let (length, data) = bytes.split_first_chunk::<4>().ok_or_else(bad)?;
    let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| bad())?;
    if data.len() != length.div_ceil(8) {
        return Err(bad());
    }
    for index in 0..length {
        let byte = data.get(index / 8).copied().unwrap_or(0);
        out.push(if byte & (0x80 >> (index % 8)) != 0 { '1' } else { '0' });
    }
    Ok(())
}

/// Appends a `timetz`.
pub(crate) fn write_timetz(usecs: i64, offset: i64, out: &mut String) {
    write_time(usecs, out);
    write_offset(offset, out);
}

/// `pg_lsn_in`.
pub(crate) fn lsn(text: &str) -> Result<u64> {
    let part = |part: &str| {
        let valid = (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        if valid { u64::from_str_radix(part, 16).ok() } else { None }
    };
    text.split_once('/')
        .and_then(|(high, low)| Some((part(high)? << 32) | part(low)?))
        .ok_or_else(|| invalid_syntax("pg_lsn", text))
}

/// `tidin`: block and row.
pub(crate) fn tid(text: &str) -> Result<(u32, u16)> {
    trim(text)
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
        .and_then(|rest| rest.split_once(','))
        .and_then(|(block, row)| Some((block.parse().ok()?, row.parse().ok()?)))
        .ok_or_else(|| invalid_syntax("tid", text))
}

/// A geometric type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Point,
    Segment,
    Path,
    Box,
    Polygon,
    Line,
    Circle,
}

impl Shape {
    const fn name(self) -> &'static str {
        match self {
            Self::Point => "point",
            Self::Segment => "lseg",
            Self::Path => "path",
            Self::Box => "box",
            Self::Polygon => "polygon",
            Self::Line => "line",
            Self::Circle => "circle",
        }
    }

    /// How many numbers it has; `None`: any number of pairs.
    const fn numbers(self) -> Option<usize> {
        match self {
            Self::Point => Some(2),
            Self::Segment | Self::Box => Some(4),
            Self::Line | Self::Circle => Some(3),
            Self::Path | Self::Polygon => None,
        }
    }

    /// Reads text: the numbers, and whether a path is closed.
    pub(crate) fn parse(self, text: &str) -> Result<(Vec<f64>, bool)> {
        let bad = || invalid_syntax(self.name(), text);
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" \t\n\r()[]{}<>,.+-".contains(&byte)) {
            return Err(bad());
        }
        let mut numbers = Vec::new();
        for part in text.split(['(', ')', '[', ']', '{', '}', '<', '>', ',']).map(trim).filter(|part| !part.is_empty())
        {
            numbers.push(super::input::float8(part).map_err(|_| bad())?);
        }
        let fits = match self.numbers() {
            Some(count) => numbers.len() == count,
            None => !numbers.is_empty() && numbers.len().is_multiple_of(2),
        };
        if !fits {
            return Err(bad());
        }
        Ok((self.normal(numbers), !trim(text).starts_with('[')))
    }

    /// Reads the binary format.
    pub(crate) fn read_binary(self, bytes: &[u8]) -> Result<(Vec<f64>, bool)> {
        let bad = || bad_binary(self.name());
        let (closed, bytes) = match (self, bytes) {
            (Self::Path, [closed @ 0..=1, rest @ ..]) => (*closed == 1, rest),
            (Self::Path, _) => return Err(bad()),
            (_, bytes) => (true, bytes),
        };
        let (count, bytes) = if let Some(count) = self.numbers() {
            (count, bytes)
        } else {
            let (points, rest) = bytes.split_first_chunk::<4>().ok_or_else(bad)?;
            let points = usize::try_from(i32::from_be_bytes(*points)).map_err(|_| bad())?;
            (points.checked_mul(2).filter(|count| *count > 0).ok_or_else(bad)?, rest)
        };
        if bytes.len() != count.checked_mul(8).ok_or_else(bad)? {
            return Err(bad());
        }
        let numbers = bytes.chunks_exact(8).filter_map(|chunk| Some(f64::from_be_bytes(chunk.try_into().ok()?)));
        Ok((self.normal(numbers.collect()), closed))
    }

    /// A box has its upper right corner first.
    fn normal(self, mut numbers: Vec<f64>) -> Vec<f64> {
        if let (Self::Box, [x1, y1, x2, y2]) = (self, numbers.as_mut_slice()) {
            if *x1 < *x2 {
                std::mem::swap(x1, x2);
            }
            if *y1 < *y2 {
                std::mem::swap(y1, y2);
            }
        }
        numbers
    }

    /// Appends text.
    pub(crate) fn write(self, numbers: &[f64], closed: bool, extra_digits: i32, out: &mut String) {
        let (open, close) = match self {
            Self::Point | Self::Box => ("", ""),
            Self::Segment => ("[", "]"),
            Self::Path if !closed => ("[", "]"),
            Self::Path | Self::Polygon => ("(", ")"),
            Self::Line => ("{", "}"),
            Self::Circle => ("<", ">"),
        };
        out.push_str(open);
        for (index, number) in numbers.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            // Everything but a line and a circle's radius comes in pairs.
            let paired = self != Self::Line && !(self == Self::Circle && index == 2);
            if paired && index % 2 == 0 {
                out.push('(');
            }
            write_float8(*number, extra_digits, out);
            if paired && index % 2 == 1 {
                out.push(')');
            }
        }
        out.push_str(close);
    }

    /// Appends the binary format.
    pub(crate) fn write_binary(self, numbers: &[f64], closed: bool, out: &mut BytesMut) {
        if self == Self::Path {
            out.put_u8(u8::from(closed));
        }
        if self.numbers().is_none() {
            out.put_i32(i32::try_from(numbers.len() / 2).unwrap_or(i32::MAX));
        }
        numbers.iter().for_each(|number| out.put_f64(*number));
    }
}

/// Appends the text of a binary `tsvector`.
pub(crate) fn read_tsvector(bytes: &[u8], out: &mut String) -> Result<()> {
    let bad = || bad_binary("tsvector");
    let (count, mut rest) = bytes.split_first_chunk::<4>().ok_or_else(bad)?;
    for index in 0..u32::from_be_bytes(*count) {
        let end = rest.iter().position(|byte| *byte == 0).ok_or_else(bad)?;
        let (lexeme, after) = rest.split_at_checked(end).ok_or_else(bad)?;
        let lexeme = std::str::from_utf8(lexeme).map_err(|_| bad())?;
        let [_, n0, n1, after @ ..] = after else { return Err(bad()) };
        let positions = usize::from(u16::from_be_bytes([*n0, *n1]));
        let (places, after) = after.split_at_checked(positions * 2).ok_or_else(bad)?;
        if index > 0 {
            out.push(' ');
        }
        out.push('\'');
        out.push_str(&lexeme.replace('\\', "\\\\").replace('\'', "''"));
        out.push('\'');
        for (place, pair) in places.chunks_exact(2).enumerate() {
            let packed = pair.try_into().map_or(0, u16::from_be_bytes);
            out.push(if place == 0 { ':' } else { ',' });
            let weight = ["", "C", "B", "A"].get(usize::from(packed >> 14)).copied().unwrap_or_default();
            let _ = write!(out, "{}{weight}", packed & 0x3fff);
        }
        rest = after;
    }
    if rest.is_empty() { Ok(()) } else { Err(bad()) }
}

/// Appends the binary form of a `tsvector`, given as it is printed: each lexeme in quotes, which are doubled within.
pub(crate) fn write_tsvector(text: &str, out: &mut BytesMut) -> Result<()> {
    let bad = || ConnectorError::value("42601", "syntax error in tsvector");
    let mut lexemes: u32 = 0;
    let mut body = BytesMut::new();
    let mut rest = text.trim_start();
    while let Some(quoted) = rest.strip_prefix('\'') {
        let mut characters = quoted.char_indices();
        let end = loop {
            match characters.next().ok_or_else(bad)? {
                (_, '\\') => body.put_slice(characters.next().ok_or_else(bad)?.1.encode_utf8(&mut [0; 4]).as_bytes()),
                (at, '\'') if quoted.get(at + 1..).is_some_and(|after| after.starts_with('\'')) => {
                    characters.next();
                    body.put_u8(b'\'');
                }
                (at, '\'') => break at + 1,
                (_, other) => body.put_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        };
        body.put_u8(0);
        let after = quoted.get(end..).unwrap_or_default();
        let (places, next) = after.split_once(' ').unwrap_or((after, ""));
        let places: Vec<&str> = places.strip_prefix(':').map(|places| places.split(',').collect()).unwrap_or_default();
        body.put_u16(u16::try_from(places.len()).map_err(|_| bad())?);
        for place in places {
            let digits = place.trim_end_matches(['A', 'B', 'C', 'D']);
            let weight = match place.get(digits.len()..) {
                Some("A") => 3,
                Some("B") => 2,
                Some("C") => 1,
                _ => 0,
            };
            let position: u16 = digits.parse().map_err(|_| bad())?;
            body.put_u16((weight << 14) | (position & 0x3fff));
        }
        lexemes += 1;
        rest = next.trim_start();
    }
    if !rest.is_empty() {
        return Err(bad());
    }
    out.put_u32(lexemes);
    out.put_slice(&body);
    Ok(())
}
