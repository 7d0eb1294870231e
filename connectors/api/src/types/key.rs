//! How values of a type compare: as their storage does, or by a key of bytes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryBuilder};

use super::PgType;
use super::array::ArrayText;
use super::calendar::USECS_PER_DAY;
use super::codec::{Codec, Kind};
use super::interval::Interval;
use super::network::Inet;
use super::numeric::Numeric;
use super::range::{self, RangeText};
use super::text::{OutputStyle, TextWriter};
use super::{datetime, input, interval, json, misc};
use crate::{ConnectorError, Result};

/// How values of a type compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// As Arrow compares [`PgType::storage`].
    Storage,
    /// As the bytes of [`keys`] compare.
    Key,
    /// By `=` and `<>` on the storage; the order is not known here.
    EqualityOnly,
    /// Not at all: PostgreSQL has no `=` for it.
    None,
    /// Perhaps, by rules that are not known here: a composite type, an extension's type.
    Unknown,
}

/// How values of a type compare.
pub fn comparison(data_type: &PgType) -> Comparison {
    comparison_of(&Codec::of(data_type))
}

fn comparison_of(codec: &Codec) -> Comparison {
    match codec.kind {
        Kind::Numeric if matches!(codec.data_type.storage(), arrow::datatypes::DataType::Utf8View) => Comparison::Key,
        Kind::Interval | Kind::TimeTz | Kind::Inet | Kind::Cidr | Kind::Money | Kind::Lsn | Kind::Jsonb => {
            Comparison::Key
        }
        Kind::Enum if !codec.data_type.labels().is_empty() => Comparison::Key,
        // With a length it is stored without the blanks at its end.
        Kind::BpChar if codec.length.is_none() => Comparison::Key,
        Kind::Array => match codec.element.as_deref().map(comparison_of) {
            Some(Comparison::Storage | Comparison::Key) => Comparison::Key,
            Some(other) => other,
            None => Comparison::None,
        },
        Kind::Range | Kind::MultiRange => Comparison::Key,
        Kind::Opaque | Kind::Text if codec.data_type.user.is_some() => Comparison::Unknown,
        Kind::Opaque | Kind::Enum | Kind::TsVector | Kind::Tid => Comparison::EqualityOnly,
        // What is named is ordered by its OID, which only its server knows.
        Kind::Reg if codec.data_type.oid != super::oids::REGPROC => Comparison::Unknown,
        Kind::Json | Kind::JsonPath | Kind::Shape(_) => Comparison::None,
        Kind::Text if codec.data_type.oid == super::oids::XML => Comparison::None,
        _ => Comparison::Storage,
    }
}

/// Keys in the order of the values, as a `Binary` array; equal values have equal keys. Every array that may hold values
/// of the type is taken, whatever its storage.
///
/// # Errors
/// Stored text that is not of the type.
pub fn keys(array: &dyn Array, data_type: &PgType) -> Result<ArrayRef> {
    let codec = Codec::of(data_type);
    let style = OutputStyle::default();
    let writer = TextWriter::new(array, data_type, &style)?;
    let mut builder = BinaryBuilder::with_capacity(array.len(), array.len() * 16);
    let (mut text, mut key) = (String::new(), Vec::new());
    for row in 0..array.len() {
        if array.is_null(row) {
            builder.append_null();
            continue;
        }
        text.clear();
        key.clear();
        writer.write(row, &mut text)?;
        write_key(&codec, &text, &mut key)?;
        builder.append_value(&key);
    }
    Ok(Arc::new(builder.finish()))
}

/// Appends the key of a value given as its text.
fn write_key(codec: &Codec, text: &str, out: &mut Vec<u8>) -> Result<()> {
    let style = OutputStyle::default();
    let signed = |value: i64, out: &mut Vec<u8>| out.extend((value.cast_unsigned() ^ (1 << 63)).to_be_bytes());
    match codec.kind {
        Kind::Numeric => Numeric::parse(text)?.write_key(out),
        Kind::Bool => out.push(u8::from(input::boolean(text)?)),
        Kind::Int2 | Kind::Int4 | Kind::Int8 => signed(input::integer(text, codec.name)?, out),
        Kind::Oid => signed(i64::from(input::oid(text, codec.name)?), out),
        Kind::Float4 | Kind::Float8 => write_float_key(input::float8(text)?, out),
        Kind::Date => signed(i64::from(datetime::date(text, &style)?), out),
        Kind::Time => signed(datetime::time(text, &style, None)?, out),
        Kind::Timestamp => signed(datetime::timestamp(text, &style, None)?, out),
        Kind::TimestampTz => signed(datetime::timestamptz(text, &style, None)?, out),
        Kind::TimeTz => {
            let (usecs, offset) = datetime::timetz(text, &style, None)?;
            signed(usecs - offset * 1_000_000, out);
            // Of equal moments the one further east comes first: PostgreSQL compares its zones, which count westwards.
            signed(-offset, out);
        }
        Kind::Interval => {
            let span = total(&interval::interval(text, &style, -1)?);
            out.extend((span.cast_unsigned() ^ (1 << 127)).to_be_bytes());
        }
        Kind::Money => signed(misc::money(text)?, out),
        Kind::Lsn => out.extend(misc::lsn(text)?.to_be_bytes()),
        Kind::Inet | Kind::Cidr => Inet::parse(text, codec.kind == Kind::Cidr)?.write_key(out),
        Kind::Enum => {
            let label = codec.label(text)?;
            let rank = codec.data_type.labels().iter().position(|candidate| candidate == label).unwrap_or(0);
            out.extend(u32::try_from(rank).unwrap_or(u32::MAX).to_be_bytes());
        }
        Kind::Array => write_array_key(codec, text, out)?,
        Kind::BpChar => out.extend(text.trim_end_matches(' ').as_bytes()),
        Kind::Jsonb => json::write_key(text, out)?,
        Kind::Range => write_range_key(codec, &range::parse(text, codec)?, out)?,
        Kind::MultiRange => {
            for range in range::parse_multirange(text)? {
                out.push(1);
                write_range_key(codec.inner()?, &range, out)?;
            }
            out.push(0);
        }
        Kind::Json | Kind::Shape(_) => {
            return Err(ConnectorError::unsupported(format!(
                "ordering values of type {} is not supported",
                codec.data_type.sql_name()
            )));
        }
        _ => out.extend(text.as_bytes()),
    }
    Ok(())
}

/// An interval as one number, a month being 30 days: what PostgreSQL compares.
fn total(interval: &Interval) -> i128 {
    (i128::from(interval.months) * 30 + i128::from(interval.days)) * i128::from(USECS_PER_DAY)
        + i128::from(interval.usecs)
}

/// Bits of a float in the order of the numbers: NaN last, both zeros equal.
fn write_float_key(value: f64, out: &mut Vec<u8>) {
    let bits = if value.is_nan() {
        u64::MAX
    } else {
        let bits = (value + 0.0).to_bits();
        if bits >> 63 == 1 { !bits } else { bits | (1 << 63) }
    };
    out.extend(bits.to_be_bytes());
}

/// Appends a key inside of another: a zero in it is escaped, so that its end comes before everything that goes on.
fn write_delimited(key: &[u8], out: &mut Vec<u8>) {
    for byte in key {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xff);
        }
    }
    out.extend([0, 0]);
}

/// The lower bound, then the upper one; nothing comes before an empty range.
fn write_range_key(codec: &Codec, range: &RangeText, out: &mut Vec<u8>) -> Result<()> {
    if range.empty {
        out.push(0);
        return Ok(());
    }
    out.push(1);
    let element = codec.inner()?;
    let mut bound = |value: Option<&String>, infinite: u8, after: bool| -> Result<()> {
        let Some(value) = value else {
            out.push(infinite);
            return Ok(());
        };
        let mut key = Vec::new();
        write_key(element, value, &mut key)?;
        out.push(1);
        write_delimited(&key, out);
        out.push(u8::from(after));
        Ok(())
    };
    bound(range.lower.as_ref(), 0, !range.lower_inclusive)?;
    bound(range.upper.as_ref(), 2, range.upper_inclusive)
}

/// Elements in order (NULL after every other), then how many there are, then the dimensions.
fn write_array_key(codec: &Codec, text: &str, out: &mut Vec<u8>) -> Result<()> {
    let element = codec.inner()?;
    let array = ArrayText::parse(text, codec.element_delimiter())?;
    let mut key = Vec::new();
    for value in &array.elements {
        match value {
            None => out.push(2),
            Some(value) => {
                key.clear();
                write_key(element, value, &mut key)?;
                out.push(1);
                write_delimited(&key, out);
            }
        }
    }
    out.push(0);
    out.push(u8::try_from(array.dimensions.len()).unwrap_or(u8::MAX));
    for dimension in &array.dimensions {
        out.extend((dimension.length.cast_unsigned() ^ (1 << 31)).to_be_bytes());
        out.extend((dimension.lower.cast_unsigned() ^ (1 << 31)).to_be_bytes());
    }
    Ok(())
}
