//! Functions of strings and bytes. Positions and lengths count characters.

use std::collections::HashMap;
use std::fmt::Write;

use atoll_connector_api::types::{PgType, oids};
use base64::Engine as _;
use md5::{Digest, Md5};

use super::arrays::Elements;
use super::{
    BYTEA, Call, Datum, Function, INT4, Kind, STRING_BYTES_MAX, TEXT, TEXTS, invalid, lenient, out_of_range, strict,
    text, too_large, variadic,
};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::federation::pg_catalog::{quote_ident, quote_literal};
use crate::interrupt::Pace;

pub(super) const FUNCTIONS: &[Function] = &[
    strict("length", &[TEXT], INT4, |call| count(call.text(0).chars().count())),
    strict("length", &[BYTEA], INT4, |call| count(call.bytes(0).len())),
    strict("char_length", &[TEXT], INT4, |call| count(call.text(0).chars().count())),
    strict("character_length", &[TEXT], INT4, |call| count(call.text(0).chars().count())),
    strict("octet_length", &[TEXT], INT4, |call| count(call.text(0).len())),
    strict("octet_length", &[Kind::Of(oids::BPCHAR)], INT4, |call| count(call.text(0).len())),
    strict("octet_length", &[BYTEA], INT4, |call| count(call.bytes(0).len())),
    strict("bit_length", &[TEXT], INT4, |call| count(call.text(0).len() * 8)),
    strict("initcap", &[TEXT], TEXT, |call| text(initcap(call.text(0)))),
    strict("upper", &[TEXT], TEXT, |call| {
        text(call.text(0).chars().map(|c| one_letter(c, c.to_uppercase())).collect::<String>())
    }),
    strict("lower", &[TEXT], TEXT, |call| text(lower(call.text(0)))),
    strict("substr", &[TEXT, INT4], TEXT, |call| text(substring(call.text(0), call.int(1), None)?)),
    strict("substr", &[TEXT, INT4, INT4], TEXT, |call| text(substring(call.text(0), call.int(1), Some(call.int(2)))?)),
    strict("substring", &[TEXT, INT4], TEXT, |call| text(substring(call.text(0), call.int(1), None)?)),
    strict("substring", &[TEXT, INT4, INT4], TEXT, |call| {
        text(substring(call.text(0), call.int(1), Some(call.int(2)))?)
    }),
    strict("substr", &[BYTEA, INT4], BYTEA, |call| bytes_between(call, None)),
    strict("substr", &[BYTEA, INT4, INT4], BYTEA, |call| bytes_between(call, Some(call.int(2)))),
    strict("substring", &[BYTEA, INT4], BYTEA, |call| bytes_between(call, None)),
    strict("substring", &[BYTEA, INT4, INT4], BYTEA, |call| bytes_between(call, Some(call.int(2)))),
    strict("left", &[TEXT, INT4], TEXT, |call| {
        let length = call.text(0).chars().count();
        text(call.text(0).chars().take(ends(length, call.int(1))).collect::<String>())
    }),
    strict("right", &[TEXT, INT4], TEXT, |call| {
        let length = call.text(0).chars().count();
        text(call.text(0).chars().skip(length - ends(length, call.int(1))).collect::<String>())
    }),
    strict("lpad", &[TEXT, INT4], TEXT, |call| pad(call, " ", true)),
    strict("lpad", &[TEXT, INT4, TEXT], TEXT, |call| pad(call, call.text(2), true)),
    strict("rpad", &[TEXT, INT4], TEXT, |call| pad(call, " ", false)),
    strict("rpad", &[TEXT, INT4, TEXT], TEXT, |call| pad(call, call.text(2), false)),
    strict("btrim", &[TEXT], TEXT, |call| text(call.text(0).trim_matches(' '))),
    strict("btrim", &[TEXT, TEXT], TEXT, |call| text(call.text(0).trim_matches(|c| call.text(1).contains(c)))),
    strict("ltrim", &[TEXT], TEXT, |call| text(call.text(0).trim_start_matches(' '))),
    strict("ltrim", &[TEXT, TEXT], TEXT, |call| text(call.text(0).trim_start_matches(|c| call.text(1).contains(c)))),
    strict("rtrim", &[TEXT], TEXT, |call| text(call.text(0).trim_end_matches(' '))),
    strict("rtrim", &[TEXT, TEXT], TEXT, |call| text(call.text(0).trim_end_matches(|c| call.text(1).contains(c)))),
    strict("repeat", &[TEXT, INT4], TEXT, |call| {
        let times = usize::try_from(call.int(1)).unwrap_or(0);
        if call.text(0).len().checked_mul(times).is_none_or(|bytes| bytes > STRING_BYTES_MAX) {
            return Err(too_large());
        }
        call.reserve(call.text(0).len() * times)?;
        text(call.text(0).repeat(times))
    }),
    strict("reverse", &[TEXT], TEXT, |call| text(call.text(0).chars().rev().collect::<String>())),
    strict("replace", &[TEXT, TEXT, TEXT], TEXT, |call| {
        if call.text(1).is_empty() {
            text(call.text(0))
        } else {
            let found = call.text(0).matches(call.text(1)).count();
            call.reserve(call.text(0).len().saturating_add(found.saturating_mul(call.text(2).len())))?;
            text(call.text(0).replace(call.text(1), call.text(2)))
        }
    }),
    strict("translate", &[TEXT, TEXT, TEXT], TEXT, translate),
    strict("strpos", &[TEXT, TEXT], INT4, |call| position(call.text(0), call.text(1))),
    strict("position", &[TEXT, TEXT], INT4, |call| position(call.text(0), call.text(1))),
    strict("starts_with", &[TEXT, TEXT], super::BOOL, |call| Ok(Datum::Bool(call.text(0).starts_with(call.text(1))))),
    strict("split_part", &[TEXT, TEXT, INT4], TEXT, split_part),
    strict("overlay", &[TEXT, TEXT, INT4], TEXT, |call| {
        overlay(call, i64::try_from(call.text(1).chars().count()).unwrap_or(0))
    }),
    strict("overlay", &[TEXT, TEXT, INT4, INT4], TEXT, |call| overlay(call, call.int(3))),
    strict("ascii", &[TEXT], INT4, |call| {
        Ok(Datum::Int(call.text(0).chars().next().map_or(0, |c| i64::from(u32::from(c)))))
    }),
    strict("chr", &[INT4], TEXT, chr),
    variadic("num_nulls", &[Kind::Any, Kind::Any], INT4, |call| {
        count((0..call.args.len()).filter(|index| call.is_null(*index)).count())
    }),
    variadic("num_nonnulls", &[Kind::Any, Kind::Any], INT4, |call| {
        count((0..call.args.len()).filter(|index| !call.is_null(*index)).count())
    }),
    // One argument at least: the last parameter may be left out.
    variadic("concat", &[Kind::Any, Kind::Any], TEXT, |call| text(concatenated(call, 0, "")?)),
    variadic("concat_ws", &[TEXT, Kind::Any, Kind::Any], TEXT, |call| {
        if call.is_null(0) { Ok(Datum::Null) } else { text(concatenated(call, 1, call.text(0))?) }
    }),
    variadic("format", &[TEXT, Kind::Any], TEXT, format),
    strict("quote_ident", &[TEXT], TEXT, |call| text(quote_ident(call.text(0)))),
    strict("quote_literal", &[Kind::Any], TEXT, |call| text(quote_literal(&shown(call, 0)?))),
    lenient("quote_nullable", &[Kind::Any], TEXT, |call| {
        if call.is_null(0) { text("NULL") } else { text(quote_literal(&shown(call, 0)?)) }
    }),
    strict(super::PADDED, &[Kind::Any], TEXT, |call| text(call.text(0))),
    strict("like_escape", &[TEXT, TEXT], TEXT, |call| text(like_escape(call.text(0), call.text(1))?)),
    strict("encode", &[BYTEA, TEXT], TEXT, encode),
    strict("decode", &[TEXT, TEXT], BYTEA, decode),
    strict("md5", &[TEXT], TEXT, |call| md5(call.text(0).as_bytes())),
    strict("md5", &[BYTEA], TEXT, |call| md5(call.bytes(0))),
    strict("sha256", &[BYTEA], BYTEA, |call| digest(&ring::digest::SHA256, call.bytes(0))),
    strict("sha512", &[BYTEA], BYTEA, |call| digest(&ring::digest::SHA512, call.bytes(0))),
    lenient("string_to_array", &[TEXT, TEXT], TEXTS, |call| string_to_array(call, None)),
    lenient("string_to_array", &[TEXT, TEXT, TEXT], TEXTS, |call| {
        string_to_array(call, if call.is_null(2) { None } else { Some(call.text(2)) })
    }),
    lenient("pg_typeof", &[Kind::Any], Kind::Of(atoll_connector_api::types::oids::REGTYPE), |call| {
        let name = |own: &PgType| PgType { modifier: -1, ..own.clone() }.sql_name().replace("bpchar", "character");
        text(call.types.first().map_or_else(String::new, name))
    }),
];

fn count(length: usize) -> SqlResult<Datum> {
    i32::try_from(length).map(|length| Datum::Int(length.into())).map_err(|_| out_of_range("integer"))
}

/// Each letter in lower case.
pub(super) fn lower(value: &str) -> String {
    value.chars().map(|c| one_letter(c, c.to_lowercase())).collect()
}

fn initcap(value: &str) -> String {
    let mut inside = false;
    value
        .chars()
        .map(|c| {
            let shown = if inside { one_letter(c, c.to_lowercase()) } else { one_letter(c, c.to_uppercase()) };
            inside = c.is_alphanumeric();
            shown
        })
        .collect()
}

/// A letter in another case; one that becomes two is left alone, as towupper does.
fn one_letter(c: char, mut changed: impl Iterator<Item = char>) -> char {
    match (changed.next(), changed.next()) {
        (Some(letter), None) => letter,
        // The dotted I: its dot would be a letter of its own.
        _ if c == '\u{130}' => 'i',
        _ => c,
    }
}

/// First character and number of characters of a part that may begin before the string.
fn part(start: i64, length: Option<i64>) -> SqlResult<(usize, Option<usize>)> {
    let first = usize::try_from(start.max(1) - 1).unwrap_or(usize::MAX);
    let Some(length) = length else { return Ok((first, None)) };
    if length < 0 {
        return Err(SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
    }
    let end = start.saturating_add(length);
    Ok((first, Some(usize::try_from(end - start.max(1)).unwrap_or(0))))
}

fn substring(value: &str, start: i64, length: Option<i64>) -> SqlResult<String> {
    let (first, length) = part(start, length)?;
    Ok(value.chars().skip(first).take(length.unwrap_or(usize::MAX)).collect())
}

fn bytes_between(call: &Call<'_>, length: Option<i64>) -> SqlResult<Datum> {
    let (first, length) = part(call.int(1), length)?;
    Ok(Datum::Bytes(call.bytes(0).iter().skip(first).take(length.unwrap_or(usize::MAX)).copied().collect()))
}

/// How many characters `left` and `right` keep: a negative number leaves out so many at the other end.
fn ends(length: usize, wanted: i64) -> usize {
    match usize::try_from(wanted) {
        Ok(wanted) => wanted.min(length),
        Err(_) => length.saturating_sub(usize::try_from(wanted.unsigned_abs()).unwrap_or(usize::MAX)),
    }
}

fn pad(call: &Call<'_>, fill: &str, left: bool) -> SqlResult<Datum> {
    let wanted = usize::try_from(call.int(1)).unwrap_or(0);
    if wanted.saturating_mul(4) > STRING_BYTES_MAX {
        return Err(too_large());
    }
    call.reserve(wanted)?;
    let length = call.text(0).chars().count();
    if length >= wanted || fill.is_empty() {
        return text(call.text(0).chars().take(wanted).collect::<String>());
    }
    let count = fill.chars().count();
    let (whole, rest) = ((wanted - length) / count, (wanted - length) % count);
    let rest: String = fill.chars().take(rest).collect();
    call.reserve(call.text(0).len().saturating_add(fill.len().saturating_mul(whole)).saturating_add(rest.len()))?;
    let padding = [fill.repeat(whole), rest].concat();
    text(if left { [&padding, call.text(0)].concat() } else { [call.text(0), &padding].concat() })
}

/// Each character by the one in the same place of another list, or without those that have none there.
fn translate(call: &Call<'_>) -> SqlResult<Datum> {
    let mut pace = Pace::default();
    let mut to = call.text(2).chars();
    let mut by: HashMap<char, Option<char>> = HashMap::new();
    for from in call.text(1).chars() {
        pace.step(1)?;
        let own = to.next();
        // The first of equal ones counts.
        by.entry(from).or_insert(own);
    }
    let mut out = String::with_capacity(call.text(0).len());
    for c in call.text(0).chars() {
        pace.step(1)?;
        if let Some(c) = by.get(&c).copied().unwrap_or(Some(c)) {
            if out.len() == out.capacity() {
                call.reserve(out.len().saturating_mul(2))?;
            }
            out.push(c);
        }
    }
    text(out)
}

fn position(value: &str, part: &str) -> SqlResult<Datum> {
    let found = value.find(part).map_or(0, |at| value.get(..at).unwrap_or_default().chars().count() + 1);
    count(found)
}

fn split_part(call: &Call<'_>) -> SqlResult<Datum> {
    let (value, delimiter, field) = (call.text(0), call.text(1), call.int(2));
    if field == 0 {
        return Err(invalid("field position must not be zero"));
    }
    let index = usize::try_from(field.unsigned_abs()).unwrap_or(usize::MAX);
    if value.is_empty() || delimiter.is_empty() {
        return text(if index == 1 { value } else { "" });
    }
    let (mut pace, mut place) = (Pace::default(), index - 1);
    if field < 0 {
        let mut count = 0;
        for part in value.split(delimiter) {
            pace.step(1 + part.len())?;
            count += 1;
        }
        let Some(from_start) = usize::checked_sub(count, index) else { return text("") };
        place = from_start;
    }
    for (at, part) in value.split(delimiter).enumerate() {
        pace.step(1 + part.len())?;
        if at == place {
            return text(part);
        }
    }
    text("")
}

fn overlay(call: &Call<'_>, length: i64) -> SqlResult<Datum> {
    let start = call.int(2);
    if start <= 0 {
        return Err(SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
    }
    let before = substring(call.text(0), 1, Some(start - 1))?;
    let after = substring(call.text(0), start.saturating_add(length), None)?;
    call.reserve(before.len() + call.text(1).len() + after.len())?;
    text([before.as_str(), call.text(1), after.as_str()].concat())
}

fn chr(call: &Call<'_>) -> SqlResult<Datum> {
    let limit = |message: &str| SqlError::new(SqlState(*b"54000"), message);
    let code = u32::try_from(call.int(0))
        .map_err(|_| SqlError::new(SqlState(*b"22023"), "character number must be positive"))?;
    if code == 0 {
        return Err(limit("null character not permitted"));
    }
    let character = char::from_u32(code).ok_or_else(|| {
        let problem = if code > u32::from(char::MAX) { "too large" } else { "not valid" };
        limit(&format!("requested character {problem} for encoding: {code}"))
    })?;
    text(character)
}

/// `pg_base64_decode`: white space is skipped, and nothing may be missing.
fn decode_base64(value: &str, pace: &mut Pace) -> SqlResult<Vec<u8>> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::with_capacity(value.len() / 4 * 3);
    // Six bits of each sign, how many signs, and how many bytes a group with padding has.
    let (mut bits, mut signs, mut ends_after) = (0_u32, 0, None);
    for sign in value.chars().filter(|sign| !matches!(sign, ' ' | '\n' | '\t' | '\r')) {
        pace.step(1)?;
        let six = match sign {
            '=' => {
                ends_after = match (ends_after, signs) {
                    (None, 2) => Some(1),
                    (None, 3) => Some(2),
                    (None, _) => return Err(invalid("unexpected \"=\" while decoding base64 sequence")),
                    (ended, _) => ended,
                };
                0
            }
            sign => {
                let place = ALPHABET.iter().position(|own| char::from(*own) == sign);
                place
                    .and_then(|place| u32::try_from(place).ok())
                    .ok_or_else(|| invalid(format!("invalid symbol \"{sign}\" found while decoding base64 sequence")))?
            }
        };
        bits = (bits << 6) | six;
        signs += 1;
        if signs == 4 {
            let [_, group @ ..] = bits.to_be_bytes();
            out.extend(group.iter().take(ends_after.unwrap_or(3)));
            (bits, signs) = (0, 0);
        }
    }
    if signs != 0 {
        return Err(invalid("invalid base64 end sequence")
            .hint("Input data is missing padding, is truncated, or is otherwise corrupted."));
    }
    Ok(out)
}

/// An argument as text: a boolean is `t` or `f` here.
pub(super) fn shown(call: &Call<'_>, index: usize) -> SqlResult<String> {
    let (Some(value), Some(own)) = (call.args.get(index), call.types.get(index)) else { return Ok(String::new()) };
    datum_text(value, own, call)
}

fn datum_text(value: &Datum, own: &PgType, call: &Call<'_>) -> SqlResult<String> {
    use atoll_connector_api::types::{ColumnBuilder, TextWriter, oids};
    Ok(match value {
        Datum::Null => String::new(),
        Datum::Text(text) => text.clone(),
        Datum::Bool(value) => (if *value { "t" } else { "f" }).to_owned(),
        Datum::Int(value) => value.to_string(),
        Datum::Numeric(value) => {
            let mut out = String::new();
            value.write(&mut out);
            out
        }
        Datum::Float(_) | Datum::Bytes(_) => {
            let mut builder = ColumnBuilder::new(own, 1);
            match value {
                Datum::Float(value) => builder.append_f64(*value),
                Datum::Bytes(value) => builder.append_bytes(value),
                _ => builder.append_text(""),
            }
            .map_err(|error| super::of_type(&error))?;
            debug_assert!(own.oid != oids::UNKNOWN);
            let array = builder.finish();
            let mut out = String::new();
            TextWriter::new(array.as_ref(), own, call.style)
                .and_then(|writer| writer.write(0, &mut out))
                .map_err(|error| super::of_type(&error))?;
            out
        }
    })
}

fn concatenated(call: &Call<'_>, from: usize, separator: &str) -> SqlResult<String> {
    let mut out: Option<String> = None;
    for index in (from..call.args.len()).filter(|index| !call.is_null(*index)) {
        crate::interrupt::check()?;
        let part = shown(call, index)?;
        out = Some(match out {
            None => part,
            Some(mut before) => {
                call.reserve(before.len() + separator.len() + part.len())?;
                before.push_str(separator);
                before + &part
            }
        });
    }
    Ok(out.unwrap_or_default())
}

fn format(call: &Call<'_>) -> SqlResult<Datum> {
    if call.is_null(0) {
        return Ok(Datum::Null);
    }
    let bad = |message: &str| invalid(message.to_owned());
    let unterminated = || bad("unterminated format() type specifier").hint("For a single \"%\" use \"%%\".");
    let mut out = String::new();
    let mut chars = call.text(0).chars().peekable();
    let mut next = 1;
    let take = |index: usize| -> SqlResult<usize> {
        if index < call.args.len() { Ok(index) } else { Err(bad("too few arguments for format()")) }
    };
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if chars.peek() == Some(&'%') {
            chars.next();
            out.push('%');
            continue;
        }
        let digits = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| -> SqlResult<Option<usize>> {
            let mut number: Option<usize> = None;
            while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                chars.next();
                let digit = usize::try_from(digit).unwrap_or(0);
                number = Some(
                    number
                        .unwrap_or(0)
                        .checked_mul(10)
                        .and_then(|n| n.checked_add(digit))
                        .filter(|n| *n < 100_000_000)
                        .ok_or_else(|| out_of_range("number"))?,
                );
            }
            Ok(number)
        };
        let (mut at, mut width, mut left) = (None, None, false);
        let first = digits(&mut chars)?;
        if first.is_some() && chars.peek() == Some(&'$') {
            chars.next();
            if first == Some(0) {
                return Err(bad("format specifies argument 0, but arguments are numbered from 1"));
            }
            at = first;
        } else {
            width = first;
        }
        if width.is_none() {
            while chars.peek() == Some(&'-') {
                chars.next();
                left = true;
            }
            if chars.peek() == Some(&'*') {
                chars.next();
                let named = digits(&mut chars)?;
                let index = match named {
                    Some(number) if chars.peek() == Some(&'$') => {
                        chars.next();
                        number
                    }
                    Some(_) => return Err(bad("width argument position must be ended by \"$\"")),
                    None => {
                        next += 1;
                        next - 1
                    }
                };
                let wanted: i64 = shown(call, take(index)?)?.parse().unwrap_or(0);
                left |= wanted < 0;
                width = usize::try_from(wanted.unsigned_abs()).ok();
            } else {
                width = digits(&mut chars)?;
            }
        }
        let Some(specifier) = chars.next() else { return Err(unterminated()) };
        if !matches!(specifier, 's' | 'I' | 'L') {
            return Err(bad(&format!("unrecognized format() type specifier \"{specifier}\""))
                .hint("For a single \"%\" use \"%%\"."));
        }
        let index = match at {
            Some(index) => {
                next = index + 1;
                index
            }
            None => {
                next += 1;
                next - 1
            }
        };
        let index = take(index)?;
        let value = match (specifier, call.is_null(index)) {
            ('s', true) => String::new(),
            ('s', false) => shown(call, index)?,
            ('I', true) => {
                return Err(SqlError::new(SqlState(*b"22004"), "null values cannot be formatted as an SQL identifier"));
            }
            ('I', false) => quote_ident(&shown(call, index)?),
            (_, true) => "NULL".to_owned(),
            (_, false) => quote_literal(&shown(call, index)?),
        };
        let spaces = width.unwrap_or(0).saturating_sub(value.chars().count());
        if spaces > STRING_BYTES_MAX {
            return Err(out_of_range("number"));
        }
        crate::interrupt::check()?;
        call.reserve(out.len() + value.len() + spaces)?;
        if left {
            out.push_str(&value);
            out.push_str(&" ".repeat(spaces));
        } else {
            out.push_str(&" ".repeat(spaces));
            out.push_str(&value);
        }
    }
    text(out)
}

fn hex(bytes: &[u8]) -> SqlResult<String> {
    let mut pace = Pace::default();
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        pace.step(1)?;
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    Ok(out)
}

/// In parts, so that a value of any size can be let go of.
fn md5(bytes: &[u8]) -> SqlResult<Datum> {
    let mut context = Md5::new();
    for part in bytes.chunks(1 << 16) {
        crate::interrupt::check()?;
        context.update(part);
    }
    text(context.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn digest(algorithm: &'static ring::digest::Algorithm, bytes: &[u8]) -> SqlResult<Datum> {
    let mut context = ring::digest::Context::new(algorithm);
    for part in bytes.chunks(1 << 16) {
        crate::interrupt::check()?;
        context.update(part);
    }
    Ok(Datum::Bytes(context.finish().as_ref().to_vec()))
}

fn unknown_encoding(name: &str) -> SqlError {
    invalid(format!("unrecognized encoding: \"{name}\""))
}

fn encode(call: &Call<'_>) -> SqlResult<Datum> {
    let bytes = call.bytes(0);
    let mut pace = Pace::default();
    text(match call.text(1).to_lowercase().as_str() {
        "hex" => {
            call.reserve(bytes.len() * 2)?;
            hex(bytes)?
        }
        "base64" => {
            call.reserve(bytes.len() / 3 * 4)?;
            let line = base64::engine::general_purpose::STANDARD.encode(bytes);
            // RFC 2045 breaks lines at 76 characters, and so does PostgreSQL.
            let lines: Vec<&str> =
                line.as_bytes().chunks(76).filter_map(|part| std::str::from_utf8(part).ok()).collect();
            lines.join("\n")
        }
        "escape" => {
            let length = |byte: &u8| match byte {
                0 | 0x80.. => 4,
                b'\\' => 2,
                _ => 1,
            };
            call.reserve(bytes.iter().map(length).sum())?;
            let mut out = String::new();
            for byte in bytes {
                pace.step(1)?;
                match byte {
                    0 | 0x80.. => {
                        let _ = write!(out, "\\{byte:03o}");
                    }
                    b'\\' => out.push_str("\\\\"),
                    byte => out.push(char::from(*byte)),
                }
            }
            out
        }
        _ => return Err(unknown_encoding(call.text(1))),
    })
}

fn decode(call: &Call<'_>) -> SqlResult<Datum> {
    let value = call.text(0);
    let mut pace = Pace::default();
    let bytes = match call.text(1).to_lowercase().as_str() {
        "hex" => {
            let mut out = Vec::with_capacity(value.len() / 2);
            let mut high: Option<u32> = None;
            for c in value.chars().filter(|c| !matches!(c, ' ' | '\n' | '\t' | '\r')) {
                pace.step(1)?;
                let digit = c.to_digit(16).ok_or_else(|| invalid(format!("invalid hexadecimal digit: \"{c}\"")))?;
                match high.take() {
                    None => high = Some(digit),
                    Some(first) => out.push(u8::try_from(first * 16 + digit).unwrap_or(0)),
                }
            }
            if high.is_some() {
                return Err(invalid("invalid hexadecimal data: odd number of digits"));
            }
            out
        }
        "base64" => decode_base64(value, &mut pace)?,
        "escape" => {
            let mut out = Vec::with_capacity(value.len());
            let bytes = value.as_bytes();
            let mut at = 0;
            let bad = || SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type bytea");
            while let Some(byte) = bytes.get(at) {
                pace.step(1)?;
                if *byte != b'\\' {
                    out.push(*byte);
                    at += 1;
                } else if bytes.get(at + 1) == Some(&b'\\') {
                    out.push(b'\\');
                    at += 2;
                } else {
                    let code = value.get(at + 1..at + 4).and_then(|octal| u8::from_str_radix(octal, 8).ok());
                    out.push(code.ok_or_else(bad)?);
                    at += 4;
                }
            }
            out
        }
        _ => return Err(unknown_encoding(call.text(1))),
    };
    Ok(Datum::Bytes(bytes))
}

pub(super) fn string_to_array(call: &Call<'_>, null: Option<&str>) -> SqlResult<Datum> {
    if call.is_null(0) {
        return Ok(Datum::Null);
    }
    let value = call.text(0);
    let mut parts = Elements::default();
    let mut push = |part: &str| parts.push((Some(part) != null).then(|| part.to_owned()));
    if value.is_empty() {
    } else if call.is_null(1) {
        let mut bytes = [0; 4];
        value.chars().try_for_each(|c| push(c.encode_utf8(&mut bytes)))?;
    } else if call.text(1).is_empty() {
        push(value)?;
    } else {
        value.split(call.text(1)).try_for_each(push)?;
    }
    parts.finish()
}

/// A pattern of `LIKE` with another escape character, as one with a backslash.
///
/// # Errors
/// `22025` for an escape of more than one character, and for a pattern that ends with it.
pub(in crate::federation::semantics) fn like_escape(pattern: &str, escape: &str) -> SqlResult<String> {
    let mut characters = escape.chars();
    let escape = characters.next();
    if characters.next().is_some() {
        return Err(SqlError::new(SqlState(*b"22025"), "invalid escape string")
            .hint("Escape string must be empty or one character."));
    }
    if escape == Some('\\') {
        return Ok(pattern.to_owned());
    }
    let mut out = String::with_capacity(pattern.len());
    let mut escaped = false;
    for character in pattern.chars() {
        if Some(character) == escape && !escaped {
            out.push('\\');
            escaped = true;
            continue;
        }
        if character == '\\' && !escaped {
            out.push('\\');
        }
        out.push(character);
        escaped = false;
    }
    Ok(out)
}
