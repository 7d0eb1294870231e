//! Functions and operators of bit strings, and those of `bytea` that look at single bits and bytes.

use atoll_connector_api::types::oids;

use super::{BOOL, BYTEA, Call, Datum, Function, INT4, INT8, Kind, TEXT, invalid, strict, strings, text};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::interrupt::Pace;

/// What takes `bit` and `bit varying`.
const BITS: Kind = Kind::Of(oids::VARBIT);
/// `bit` of any length, which is what the operators return.
const BIT: Kind = Kind::Of(oids::BIT);

pub(super) const FUNCTIONS: &[Function] = &[
    strict("bits_and", &[BITS, BITS], BIT, |call| paired(call, "AND", |one, other| one && other)),
    strict("bits_or", &[BITS, BITS], BIT, |call| paired(call, "OR", |one, other| one || other)),
    strict("bits_xor", &[BITS, BITS], BIT, |call| paired(call, "XOR", |one, other| one != other)),
    strict("bits_not", &[BITS], BIT, |call| text(call.text(0).chars().map(inverted).collect::<String>())),
    strict("bits_left", &[BITS, INT4], BIT, |call| text(shifted(call.text(0), call.int(1)))),
    strict("bits_right", &[BITS, INT4], BIT, |call| text(shifted(call.text(0), -call.int(1)))),
    strict("length", &[BITS], INT4, |call| count(call.text(0).len())),
    strict("bit_length", &[BITS], INT4, |call| count(call.text(0).len())),
    strict("octet_length", &[BITS], INT4, |call| count(call.text(0).len().div_ceil(8))),
    strict("bit_count", &[BITS], INT8, |call| count(call.text(0).matches('1').count())),
    strict("bit_count", &[BYTEA], INT8, |call| {
        Ok(Datum::Int(call.bytes(0).iter().map(|byte| i64::from(byte.count_ones())).sum()))
    }),
    strict("get_bit", &[BITS, INT4], INT4, |call| {
        let index = bit_index(call)?;
        Ok(Datum::Int(i64::from(call.text(0).as_bytes().get(index) == Some(&b'1'))))
    }),
    strict("set_bit", &[BITS, INT4, INT4], BIT, |call| {
        let index = bit_index(call)?;
        let new = new_bit(call)?;
        let changed = |(at, c)| if at == index { new } else { c };
        text(call.text(0).chars().enumerate().map(changed).collect::<String>())
    }),
    strict("substring", &[BITS, INT4], BIT, |call| between(call, None)),
    strict("substring", &[BITS, INT4, INT4], BIT, |call| between(call, Some(call.int(2)))),
    strict("position", &[BITS, BITS], INT4, |call| {
        if call.text(0).is_empty() && !call.text(1).is_empty() {
            return Ok(Datum::Int(0));
        }
        count(call.text(0).find(call.text(1)).map_or(0, |at| at + 1))
    }),
    strict("get_byte", &[BYTEA, INT4], INT4, |call| {
        let byte = call.bytes(0).get(byte_index_in(call)?);
        Ok(byte.map_or(Datum::Null, |byte| Datum::Int(i64::from(*byte))))
    }),
    strict("get_bit", &[BYTEA, INT8], INT4, |call| {
        let index = bit_index_in(call)?;
        let byte = call.bytes(0).get(index / 8);
        Ok(byte.map_or(Datum::Null, |byte| Datum::Int(i64::from((byte >> (index % 8)) & 1))))
    }),
    strict("bytea_like", &[BYTEA, BYTEA], BOOL, |call| Ok(Datum::Bool(like(call.bytes(0), call.bytes(1), false)?))),
    strict("text_like", &[TEXT, TEXT], BOOL, |call| {
        Ok(Datum::Bool(like(call.text(0).as_bytes(), call.text(1).as_bytes(), true)?))
    }),
    strict("notlike", &[TEXT, TEXT], BOOL, |call| {
        Ok(Datum::Bool(!like(call.text(0).as_bytes(), call.text(1).as_bytes(), true)?))
    }),
    strict("notlike", &[BYTEA, BYTEA], BOOL, |call| Ok(Datum::Bool(!like(call.bytes(0), call.bytes(1), false)?))),
    strict("text_ilike", &[TEXT, TEXT], BOOL, |call| {
        let (value, pattern) = (strings::lower(call.text(0)), strings::lower(call.text(1)));
        Ok(Datum::Bool(like(value.as_bytes(), pattern.as_bytes(), true)?))
    }),
];

/// How many wildcards a pattern may have that is searched for as a regular expression.
pub(in crate::federation::semantics) const LIKE_WILDCARDS: usize = 100;

/// The second argument, a place among the bytes of the first.
pub(super) fn byte_index_in(call: &Call<'_>) -> SqlResult<usize> {
    let length = call.bytes(0).len();
    let index = usize::try_from(call.int(1)).ok().filter(|index| *index < length);
    index.ok_or_else(|| outside(&format!("index {}", call.int(1)), length))
}

/// The second argument, a place among the bits of the first.
pub(super) fn bit_index_in(call: &Call<'_>) -> SqlResult<usize> {
    let length = call.bytes(0).len().saturating_mul(8);
    let index = usize::try_from(call.int(1)).ok().filter(|index| *index < length);
    index.ok_or_else(|| outside(&format!("index {}", call.int(1)), length))
}

fn count(value: usize) -> SqlResult<Datum> {
    Ok(Datum::Int(i64::try_from(value).unwrap_or(i64::MAX)))
}

const fn inverted(bit: char) -> char {
    if bit == '1' { '0' } else { '1' }
}

fn paired(call: &Call<'_>, name: &str, of: fn(bool, bool) -> bool) -> SqlResult<Datum> {
    let (one, other) = (call.text(0), call.text(1));
    if one.len() != other.len() {
        let message = format!("cannot {name} bit strings of different sizes");
        return Err(SqlError::new(SqlState(*b"22026"), message));
    }
    let bits = one.chars().zip(other.chars()).map(|(a, b)| if of(a == '1', b == '1') { '1' } else { '0' });
    text(bits.collect::<String>())
}

/// Shifted to the left; a negative number shifts to the right.
fn shifted(bits: &str, by: i64) -> String {
    let length = bits.len();
    let places = usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX).min(length);
    let zeros = "0".repeat(places);
    if by >= 0 {
        format!("{}{zeros}", bits.get(places..).unwrap_or_default())
    } else {
        format!("{zeros}{}", bits.get(..length - places).unwrap_or_default())
    }
}

fn outside(what: &str, length: usize) -> SqlError {
    let last = i64::try_from(length).unwrap_or(i64::MAX) - 1;
    SqlError::new(SqlState(*b"2202E"), format!("{what} out of valid range, 0..{last}"))
}

fn bit_index(call: &Call<'_>) -> SqlResult<usize> {
    let length = call.text(0).len();
    usize::try_from(call.int(1)).ok().filter(|index| *index < length).ok_or_else(|| {
        let last = i64::try_from(length).unwrap_or(i64::MAX) - 1;
        SqlError::new(SqlState(*b"2202E"), format!("bit index {} out of valid range (0..{last})", call.int(1)))
    })
}

fn new_bit(call: &Call<'_>) -> SqlResult<char> {
    match call.int(2) {
        0 => Ok('0'),
        1 => Ok('1'),
        _ => Err(invalid("new bit must be 0 or 1")),
    }
}

/// Bits from a place on, counted from 1; places before the first one count, too.
fn between(call: &Call<'_>, length: Option<i64>) -> SqlResult<Datum> {
    let bits = call.text(0);
    let start = call.int(1);
    let end = match length {
        Some(length) if length < 0 => {
            return Err(SqlError::new(SqlState(*b"22011"), "negative substring length not allowed"));
        }
        Some(length) => start.saturating_add(length),
        None => i64::MAX,
    };
    let place = |at: i64| usize::try_from(at.max(1) - 1).unwrap_or(usize::MAX).min(bits.len());
    let (from, to) = (place(start), place(end));
    text(bits.get(from..to.max(from)).unwrap_or_default())
}

/// How many bytes the character that begins with a byte has.
const fn width(first: u8) -> usize {
    match first {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    }
}

/// `LIKE` byte by byte, with a backslash as escape. Of text, `_` takes a character's bytes.
pub(super) fn like(value: &[u8], pattern: &[u8], is_text: bool) -> SqlResult<bool> {
    let mut pace = Pace::default();
    let (mut at, mut wanted) = (0, 0);
    // Where the last `%` stands, and how much it has taken.
    let mut retry: Option<(usize, usize)> = None;
    while at < value.len() {
        pace.step(1)?;
        let mut taken_here = 1;
        let step = match pattern.get(wanted) {
            Some(b'%') => {
                retry = Some((wanted + 1, at));
                wanted += 1;
                continue;
            }
            Some(b'_') => {
                taken_here = value.get(at).map_or(1, |first| if is_text { width(*first) } else { 1 });
                Some(1)
            }
            Some(b'\\') => match pattern.get(wanted + 1) {
                Some(byte) if value.get(at) == Some(byte) => Some(2),
                Some(_) => None,
                None => {
                    let message = "LIKE pattern must not end with escape character";
                    return Err(SqlError::new(SqlState(*b"22025"), message));
                }
            },
            Some(byte) if value.get(at) == Some(byte) => Some(1),
            _ => None,
        };
        match (step, retry) {
            (Some(step), _) => (at, wanted) = (at + taken_here, wanted + step),
            (None, Some((after, taken))) => {
                // A wildcard takes whole characters, so that what follows begins with one.
                let next = taken + value.get(taken).map_or(1, |first| if is_text { width(*first) } else { 1 });
                retry = Some((after, next));
                (at, wanted) = (next, after);
            }
            (None, None) => return Ok(false),
        }
    }
    Ok(pattern.get(wanted..).unwrap_or_default().iter().all(|byte| *byte == b'%'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_steps_over_whole_characters() {
        let matches = |value: &str, pattern: &str| like(value.as_bytes(), pattern.as_bytes(), true).ok();
        for (value, pattern, expected) in [
            ("äöü", "___", true),
            ("äöü", "__", false),
            ("äöü", "%_ü", true),
            ("aäbäc", "%ä_", true),
            ("aäbäc", "a%b%%c", true),
            ("50% off", "50\\%%", true),
            ("50 off", "50\\%%", false),
            ("", "%%", true),
            ("", "_", false),
        ] {
            assert_eq!(matches(value, pattern), Some(expected), "{value} LIKE {pattern}");
        }
        assert_eq!(matches(&"a".repeat(3000), &format!("{}b", "%a".repeat(300))), Some(false));
        assert_eq!(matches("a", "\\"), None);
    }
}
