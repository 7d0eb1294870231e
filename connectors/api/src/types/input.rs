//! PostgreSQL's input functions of the plain types: booleans, integers, floats, `bytea`, `uuid`, strings.

use std::borrow::Cow;
use std::num::IntErrorKind;

use crate::{ConnectorError, Result};

/// `22P02`: the text is not a value of the type.
pub(crate) fn invalid_syntax(type_name: &str, text: &str) -> ConnectorError {
    ConnectorError::value("22P02", format!("invalid input syntax for type {type_name}: \"{text}\""))
}

/// `22003`: the text is a number beyond the type.
pub(crate) fn out_of_range(type_name: &str, text: &str) -> ConnectorError {
    ConnectorError::value("22003", format!("value \"{text}\" is out of range for type {type_name}"))
}

/// `22P03`: the bytes are not a value of the type.
pub(crate) fn bad_binary(type_name: &str) -> ConnectorError {
    ConnectorError::value("22P03", format!("incorrect binary data format for type {type_name}"))
}

/// What PostgreSQL's `isspace` accepts.
pub(crate) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Text without the white space around it that input functions skip.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| u8::try_from(c).is_ok_and(is_space))
}

/// `boolin`: any unambiguous beginning of true, false, yes, no, on, off; 1 and 0.
pub(crate) fn boolean(text: &str) -> Result<bool> {
    let trimmed = trim(text);
    let is_beginning_of = |word: &str| {
        !trimmed.is_empty()
            && word.get(..trimmed.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(trimmed))
    };
    if trimmed == "1" || is_beginning_of("true") || is_beginning_of("yes") || trimmed.eq_ignore_ascii_case("on") {
        Ok(true)
    } else if trimmed == "0"
        || is_beginning_of("false")
        || is_beginning_of("no")
        || (trimmed.len() >= 2 && is_beginning_of("off"))
    {
        Ok(false)
    } else {
        Err(invalid_syntax("boolean", text))
    }
}

/// `int2in`, `int4in`, `int8in`.
pub(crate) fn integer<T>(text: &str, type_name: &str) -> Result<T>
where
    T: std::str::FromStr<Err = std::num::ParseIntError>,
{
    trim(text).parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => out_of_range(type_name, text),
        _ => invalid_syntax(type_name, text),
    })
}

/// `oidin` and its like: unsigned, or negative as two's complement.
pub(crate) fn oid(text: &str, type_name: &str) -> Result<u32> {
    let number: i64 = integer(text, type_name)?;
    if let Ok(number) = u32::try_from(number) {
        return Ok(number);
    }
    i32::try_from(number).map(i32::cast_unsigned).map_err(|_| out_of_range(type_name, text))
}

/// `float8in`.
pub(crate) fn float8(text: &str) -> Result<f64> {
    let trimmed = trim(text);
    let value: f64 = trimmed.parse().map_err(|_| invalid_syntax("double precision", text))?;
    if overflowed(trimmed, value.is_infinite(), value == 0.0) {
        return Err(ConnectorError::value("22003", format!("\"{text}\" is out of range for type double precision")));
    }
    Ok(value)
}

/// `float4in`.
pub(crate) fn float4(text: &str) -> Result<f32> {
    let trimmed = trim(text);
    let value: f32 = trimmed.parse().map_err(|_| invalid_syntax("real", text))?;
    if overflowed(trimmed, value.is_infinite(), value == 0.0) {
        return Err(ConnectorError::value("22003", format!("\"{text}\" is out of range for type real")));
    }
    Ok(value)
}

/// Whether text spells a finite number other than zero although it reads as infinity or zero.
fn overflowed(text: &str, infinite: bool, zero: bool) -> bool {
    if infinite {
        return text.bytes().any(|byte| byte.is_ascii_digit());
    }
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    zero && mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'))
}

/// `byteain`: `\x` and hexadecimal digits, or text with `\\` and `\ooo`.
pub(crate) fn bytea(text: &str) -> Result<Cow<'_, [u8]>> {
    let Some(hex) = text.strip_prefix("\\x") else { return bytea_escape(text) };
    let mut bytes = Vec::with_capacity(hex.len() / 2);
    let mut digits = hex.bytes();
    while let Some(high) = digits.next() {
        if is_space(high) {
            continue;
        }
        let high = hex_digit(high)?;
        let Some(low) = digits.next() else {
            return Err(ConnectorError::value("22023", "invalid hexadecimal data: odd number of digits"));
        };
        bytes.push((high << 4) | hex_digit(low)?);
    }
    Ok(Cow::Owned(bytes))
}

fn bytea_escape(text: &str) -> Result<Cow<'_, [u8]>> {
    if !text.contains('\\') {
        return Ok(Cow::Borrowed(text.as_bytes()));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = match (first, tail) {
            (b'\\', [b'\\', after @ ..]) => {
                bytes.push(b'\\');
                after
            }
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                bytes.push(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'));
                after
            }
            (b'\\', _) => return Err(ConnectorError::value("22P02", "invalid input syntax for type bytea")),
            (byte, after) => {
                bytes.push(byte);
                after
            }
        };
    }
    Ok(Cow::Owned(bytes))
}

fn hex_digit(byte: u8) -> Result<u8> {
    hex_value(byte).ok_or_else(|| {
        ConnectorError::value("22023", format!("invalid hexadecimal digit: \"{}\"", char::from(byte).escape_default()))
    })
}

/// The value of a hexadecimal digit.
pub(crate) const fn hex_value(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// `uuid_in`: 32 digits, a hyphen allowed after every fourth, braces allowed around.
pub(crate) fn uuid(text: &str) -> Result<[u8; 16]> {
    let bytes = text.as_bytes();
    let inner = match bytes {
        [b'{', inner @ .., b'}'] => inner,
        _ => bytes,
    };
    read_uuid(inner).ok_or_else(|| invalid_syntax("uuid", text))
}

fn read_uuid(mut rest: &[u8]) -> Option<[u8; 16]> {
    let mut uuid = [0; 16];
    for (index, byte) in uuid.iter_mut().enumerate() {
        if index > 0
            && index % 2 == 0
            && let [b'-', after @ ..] = rest
        {
            rest = after;
        }
        let [high, low, after @ ..] = rest else { return None };
        *byte = (hex_value(*high)? << 4) | hex_value(*low)?;
        rest = after;
    }
    rest.is_empty().then_some(uuid)
}

/// `varchar(n)`: longer text is refused unless all that is too much is spaces.
pub(crate) fn varchar(text: &str, length: Option<usize>) -> Result<&str> {
    let Some(length) = length else { return Ok(text) };
    // A text of so many bytes cannot have more characters.
    if text.len() <= length {
        return Ok(text);
    }
    let Some((cut, _)) = text.char_indices().nth(length) else { return Ok(text) };
    let (kept, rest) = text.split_at(cut);
    if rest.bytes().all(|byte| byte == b' ') {
        return Ok(kept);
    }
    Err(ConnectorError::value("22001", format!("value too long for type character varying({length})")))
}

/// What is stored of a value of `char(n)`: no spaces at its end, since the length says how many there are. `bpchar`, which
/// has no length, keeps its own.
pub(crate) fn bpchar_value(text: &str, length: Option<usize>) -> &str {
    if length.is_some() { text.trim_end_matches(' ') } else { text }
}

/// `char(n)`, as it is stored.
pub(crate) fn bpchar(text: &str, length: Option<usize>) -> Result<&str> {
    let trimmed = bpchar_value(text, length);
    if let Some(length) = length
        && trimmed.len() > length
        && trimmed.chars().count() > length
    {
        return Err(ConnectorError::value("22001", format!("value too long for type character({length})")));
    }
    Ok(trimmed)
}

/// The longest beginning of `text` with at most `bytes` bytes that ends between characters.
pub(crate) fn clip(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}
