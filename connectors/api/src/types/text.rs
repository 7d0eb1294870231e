//! PostgreSQL's text formats: values out of Arrow arrays.

mod datetime;
mod float;
mod json;

use arrow::array::{Array, ArrayRef};

use super::calendar::USECS_PER_DAY;
use super::codec::{Codec, Kind, utf8};
use super::interval::write_interval;
use super::numeric::write_unscaled;
use super::source::{Decimals, Source, Spans, moment};
use super::{DECIMAL128_NAN, DECIMAL256_NAN, PgType, array, misc, source};
use crate::{ConnectorError, Result};

pub(crate) use datetime::{write_date, write_fraction, write_timestamp, write_timestamptz};
pub use datetime::{write_offset, write_time};
pub(crate) use float::{Scratch, write_float4, write_float8};
use json::JsonNode;

/// The settings that change how values print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputStyle {
    /// The session's `TimeZone`.
    pub time_zone: chrono_tz::Tz,
    /// `DateStyle`'s format part: `ISO`, `SQL`, `Postgres` or `German`.
    pub date_style: DateStyle,
    /// `DateStyle`'s order part is day before month.
    pub day_first: bool,
    /// `IntervalStyle`.
    pub interval_style: IntervalStyle,
    /// `bytea_output` is `escape` rather than `hex`.
    pub bytea_escape: bool,
    /// `extra_float_digits`; above zero prints the shortest text that reads back as the same number.
    pub extra_float_digits: i32,
    /// What `now` and `today` are, in microseconds since 1970; `None`: what the clock says.
    pub now_usecs: Option<i64>,
}

/// `DateStyle`'s format part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are PostgreSQL's")]
pub enum DateStyle {
    Iso,
    Sql,
    Postgres,
    German,
}

/// `IntervalStyle`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are PostgreSQL's")]
pub enum IntervalStyle {
    Postgres,
    PostgresVerbose,
    SqlStandard,
    Iso8601,
}

impl Default for OutputStyle {
    fn default() -> Self {
        Self {
            time_zone: chrono_tz::UTC,
            date_style: DateStyle::Iso,
            day_first: false,
            interval_style: IntervalStyle::Postgres,
            bytea_escape: false,
            extra_float_digits: 1,
            now_usecs: None,
        }
    }
}

/// Appends the text of one value, which is not NULL, as PostgreSQL prints a value of `data_type`. `array` may have any
/// storage that Arrow offers for such a value, not only [`PgType::storage`]. For more than a few rows of one array use
/// [`TextWriter`].
///
/// # Errors
/// A storage that cannot hold the type.
pub fn write_text(
    array: &dyn Array,
    row: usize,
    data_type: &PgType,
    style: &OutputStyle,
    out: &mut String,
) -> Result<()> {
    TextWriter::new(array, data_type, style)?.write(row, out)
}

/// Prints the values of one array as PostgreSQL does.
pub struct TextWriter<'a> {
    pub(crate) source: Source<'a>,
    pub(crate) codec: Codec,
    style: &'a OutputStyle,
    /// A list's elements, or the root of what prints as JSON.
    child: Child<'a>,
}

impl std::fmt::Debug for TextWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextWriter").field("type", &self.codec.data_type).finish_non_exhaustive()
    }
}

enum Child<'a> {
    None,
    Elements(&'a dyn Array, Box<TextWriter<'a>>),
    Json(Box<JsonNode<'a>>),
}

impl<'a> TextWriter<'a> {
    /// A writer for an array that holds values of `data_type`.
    ///
    /// # Errors
    /// A storage that cannot be printed.
    pub fn new(array: &'a dyn Array, data_type: &PgType, style: &'a OutputStyle) -> Result<Self> {
        let codec = Codec::of(data_type);
        let source = Source::of(array)?;
        let child = match &source {
            _ if matches!(codec.kind, Kind::Json | Kind::Jsonb) && is_nested(&source) => {
                Child::Json(Box::new(JsonNode::of(array, style)?))
            }
            Source::Nested(array) => Child::Json(Box::new(JsonNode::of(*array, style)?)),
            Source::List(_, values) => {
                let values: &'a ArrayRef = values;
                let inner_list = matches!(Source::of(values.as_ref())?, Source::List(..));
                let element = match data_type.element() {
                    // The element of a list of lists is a list again, of the same array type.
                    Some(_) if inner_list => data_type.clone(),
                    Some(element) => element,
                    None => PgType::of_arrow(values.data_type()),
                };
                Child::Elements(values.as_ref(), Box::new(Self::new(values.as_ref(), &element, style)?))
            }
            _ => Child::None,
        };
        Ok(Self { source, codec, style, child })
    }

    /// Appends the text of a row that is not NULL.
    ///
    /// # Errors
    /// A value beyond the type, or stored text that is not of the type.
    pub fn write(&self, row: usize, out: &mut String) -> Result<()> {
        self.write_source(&self.source, row, out)
    }

    fn write_source(&self, source: &Source<'_>, row: usize, out: &mut String) -> Result<()> {
        match source {
            Source::Null => {}
            Source::Bool(array) => out.push(if array.value(row) { 't' } else { 'f' }),
            Source::Int(values) => self.write_int(values.get(row), out),
            Source::UInt64(values) => write_unsigned(values.get(row).copied().unwrap_or(0), out),
            Source::Float16(array) => write_float4(array.value(row).to_f32(), self.style.extra_float_digits, out),
            Source::Float32(values) => self.write_float(values.get(row).copied().unwrap_or(0.0), out),
            Source::Float64(values) => self.write_double(values.get(row).copied().unwrap_or(0.0), out),
            Source::Decimal(values, scale) => write_decimal(values, *scale, row, out),
            Source::Text(values) => self.write_string(values.get(row), out)?,
            Source::Bytes(values) => self.write_bytes(values.get(row), out)?,
            Source::Days(values) => self.write_day(values.get(row).copied().unwrap_or(0), out),
            Source::DayMillis(values) => {
                let millis = values.get(row).copied().unwrap_or(0);
                let days = i32::try_from(millis.div_euclid(86_400_000))
                    .map_err(|_| ConnectorError::value("22008", "date out of range"))?;
                self.write_day(days, out);
            }
            Source::Clock(values, unit) => {
                let usecs = source::microseconds(values.get(row), *unit)
                    .ok_or_else(|| ConnectorError::value("22008", "time out of range"))?;
                write_time(usecs, out);
                if self.codec.kind == Kind::TimeTz {
                    write_offset(0, out);
                }
            }
            Source::Moment(values, unit, zoned) => {
                self.write_moment(moment(values.get(row).copied().unwrap_or(0), *unit)?, *zoned, out);
            }
            Source::Interval(values) => write_interval(&values.get(row)?, self.style.interval_style, out),
            Source::Dictionary(values, keys) => {
                self.write_source(values, keys.get(row).copied().unwrap_or(0), out)?;
            }
            Source::List(spans, _) => match &self.child {
                Child::Json(root) => root.write(row, out)?,
                _ => self.write_list(spans, row, out)?,
            },
            Source::Nested(_) => {
                if let Child::Json(root) = &self.child {
                    root.write(row, out)?;
                }
            }
        }
        Ok(())
    }

    fn write_int(&self, value: i64, out: &mut String) {
        match self.codec.kind {
            Kind::Bool => out.push(if value == 0 { 'f' } else { 't' }),
            Kind::Money => misc::write_money(value, out),
            _ => write_integer(value, out),
        }
    }

    fn write_float(&self, value: f32, out: &mut String) {
        match self.codec.kind {
            Kind::Numeric => write_plain(f64::from(value), value, out),
            Kind::Float8 => write_float8(f64::from(value), self.style.extra_float_digits, out),
            _ => write_float4(value, self.style.extra_float_digits, out),
        }
    }

    fn write_double(&self, value: f64, out: &mut String) {
        match self.codec.kind {
            Kind::Numeric => write_plain(value, value, out),
            Kind::Float4 => write_float4(narrow(value), self.style.extra_float_digits, out),
            _ => write_float8(value, self.style.extra_float_digits, out),
        }
    }

    fn write_string(&self, value: &str, out: &mut String) -> Result<()> {
        match self.codec.kind {
            Kind::BpChar => self.codec.write_padded(value, out),
            Kind::Array | Kind::Range | Kind::MultiRange | Kind::Shape(_) if self.is_restyled() => {
                self.codec.canonical(value, &OutputStyle::default(), self.style, out)?;
            }
            // Text that holds a value of a type with a storage of its own: a source that had only text.
            Kind::Date | Kind::Timestamp | Kind::TimestampTz | Kind::Interval | Kind::Bytea if self.is_restyled() => {
                self.codec.canonical(value, &OutputStyle::default(), self.style, out)?;
            }
            _ => out.push_str(value),
        }
        Ok(())
    }

    /// Whether stored text, which is in the default style, prints otherwise in this one.
    fn is_restyled(&self) -> bool {
        self.codec.is_styled() && *self.style != OutputStyle::default()
    }

    fn write_bytes(&self, value: &[u8], out: &mut String) -> Result<()> {
        match self.codec.kind {
            Kind::Uuid => match value.try_into() {
                Ok(uuid) => write_uuid(&uuid, out),
                Err(_) => return Err(super::input::bad_binary("uuid")),
            },
            Kind::Text | Kind::VarChar | Kind::Name | Kind::Json | Kind::Jsonb | Kind::Enum => {
                out.push_str(utf8(value)?);
            }
            Kind::BpChar => self.codec.write_padded(utf8(value)?, out),
            _ => write_bytea(value, self.style.bytea_escape, out),
        }
        Ok(())
    }

    fn write_day(&self, days: i32, out: &mut String) {
        let moment = || match days {
            i32::MAX => i64::MAX,
            i32::MIN => i64::MIN,
            days => i64::from(days).saturating_mul(USECS_PER_DAY),
        };
        match self.codec.kind {
            Kind::Timestamp => write_timestamp(moment(), self.style, out),
            Kind::TimestampTz => write_timestamptz(moment(), self.style, out),
            _ => write_date(days, self.style, out),
        }
    }

    fn write_moment(&self, usecs: i64, zoned: bool, out: &mut String) {
        match self.codec.kind {
            Kind::Timestamp => write_timestamp(usecs, self.style, out),
            Kind::TimestampTz => write_timestamptz(usecs, self.style, out),
            Kind::Date => match usecs {
                i64::MAX => write_date(i32::MAX, self.style, out),
                i64::MIN => write_date(i32::MIN, self.style, out),
                usecs => {
                    write_date(i32::try_from(usecs.div_euclid(USECS_PER_DAY)).unwrap_or(i32::MAX), self.style, out);
                }
            },
            _ if zoned => write_timestamptz(usecs, self.style, out),
            _ => write_timestamp(usecs, self.style, out),
        }
    }

    fn write_list(&self, spans: &Spans<'_>, row: usize, out: &mut String) -> Result<()> {
        let Child::Elements(values, element) = &self.child else { return Ok(()) };
        let delimiter = self.codec.element_delimiter();
        let mut scratch = String::new();
        out.push('{');
        for (index, row) in spans.get(row).enumerate() {
            if index > 0 {
                out.push(char::from(delimiter));
            }
            if values.is_null(row) {
                out.push_str("NULL");
            } else if let Source::List(..) = element.source {
                element.write(row, out)?;
            } else {
                scratch.clear();
                element.write(row, &mut scratch)?;
                array::write_element(Some(&scratch), delimiter, out);
            }
        }
        out.push('}');
        Ok(())
    }
}

fn is_nested(source: &Source<'_>) -> bool {
    matches!(source, Source::List(..) | Source::Nested(_))
}

/// A float as a `numeric`: all digits, no exponent. `shown` prints the shortest ones.
fn write_plain(value: f64, shown: impl std::fmt::Display, out: &mut String) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    } else {
        out.push_str(&shown.to_string());
    }
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to the declared width is meant")]
fn narrow(value: f64) -> f32 {
    value as f32
}

fn write_decimal(values: &Decimals<'_>, scale: i8, row: usize, out: &mut String) {
    use std::fmt::Write;
    let mut scratch = Scratch::default();
    // A 128-bit number has at most 40 characters, which fit.
    let _ = match values {
        Decimals::D32(values) => write!(scratch, "{}", values.get(row).copied().unwrap_or(0)),
        Decimals::D64(values) => write!(scratch, "{}", values.get(row).copied().unwrap_or(0)),
        Decimals::D128(values) => match values.get(row).copied().unwrap_or(0) {
            DECIMAL128_NAN => return out.push_str("NaN"),
            value => match i64::try_from(value) {
                Ok(value) => write!(scratch, "{value}"),
                Err(_) => write!(scratch, "{value}"),
            },
        },
        Decimals::D256(values) => match values.get(row).copied().unwrap_or_default() {
            DECIMAL256_NAN => return out.push_str("NaN"),
            value => return write_unscaled(&value.to_string(), scale, out),
        },
    };
    write_unscaled(scratch.text(), scale, out);
}

/// Appends a whole number.
pub(crate) fn write_integer(value: i64, out: &mut String) {
    if value < 0 {
        out.push('-');
    }
    write_unsigned(value.unsigned_abs(), out);
}

fn write_unsigned(mut value: u64, out: &mut String) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    for slot in digits.iter_mut().rev() {
        // A remainder below ten.
        *slot = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        start -= 1;
        if value == 0 {
            break;
        }
    }
    out.push_str(digits.get(start..).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default());
}

const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];

fn push_hex(byte: u8, out: &mut String) {
    for nibble in [byte >> 4, byte & 15] {
        out.push(HEX.get(usize::from(nibble)).copied().unwrap_or('0'));
    }
}

/// Appends a `uuid`.
pub(crate) fn write_uuid(uuid: &[u8; 16], out: &mut String) {
    for (index, byte) in uuid.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        push_hex(*byte, out);
    }
}

/// Appends a `bytea` in one of its two formats.
pub(crate) fn write_bytea(bytes: &[u8], escape: bool, out: &mut String) {
    use std::fmt::Write;
    if !escape {
        out.reserve(bytes.len() * 2 + 2);
        out.push_str("\\x");
        bytes.iter().for_each(|byte| push_hex(*byte, out));
        return;
    }
    for byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            0x20..=0x7e => out.push(char::from(*byte)),
            // Writing to a String cannot fail.
            byte => {
                let _ = write!(out, "\\{byte:03o}");
            }
        }
    }
}
