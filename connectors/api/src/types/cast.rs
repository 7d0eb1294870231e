//! PostgreSQL's casts between the types of the table.

use arrow::array::{Array, ArrayRef, StringViewBuilder, new_null_array};
use arrow::datatypes::DataType;

use super::array::ArrayText;
use super::codec::{Codec, Kind};
use super::network::Inet;
use super::numeric::Numeric;
use super::source::Source;
use super::text::{DateStyle, OutputStyle, TextWriter};
use super::{ColumnBuilder, PgType, input, json, misc};
use crate::{ConnectorError, Result};

pub use super::name::{BITS_MAX, CHARACTERS_MAX};

/// Whether PostgreSQL has an explicit cast from one type to another.
pub fn castable(from: &PgType, to: &PgType) -> bool {
    way(&Codec::of(from), &Codec::of(to)).is_some()
}

/// How a cast is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Printed, and read again by the target's input function.
    Text,
    /// As an integer.
    Integer,
    /// As a float.
    Float,
    /// As a numeric.
    Numeric,
    Boolean,
    /// To a string of limited length, which is cut off.
    Clip,
    JsonbToValue,
    MoneyToNumeric,
    NumericToMoney,
    Bits,
    IntegerToBits,
    BitsToInteger,
    IntervalToTime,
    TimeToInterval,
    /// The same 32 bits with a sign.
    OidToInteger,
    /// An address becomes the network that it is in.
    Network,
    Elements,
}

fn is_number(kind: Kind) -> bool {
    is_integer(kind) || matches!(kind, Kind::Float4 | Kind::Float8 | Kind::Numeric)
}

fn is_integer(kind: Kind) -> bool {
    matches!(kind, Kind::Int2 | Kind::Int4 | Kind::Int8)
}

fn is_string(kind: Kind) -> bool {
    matches!(kind, Kind::Text | Kind::VarChar | Kind::BpChar | Kind::Name)
}

fn way(from: &Codec, to: &Codec) -> Option<Way> {
    use Kind::{
        Array, Bit, Bool, Char, Cidr, Date, Inet, Int4, Int8, Interval, Json, Jsonb, MacAddr, MacAddr8, Money, Oid,
        Reg, Time, TimeTz, Timestamp, TimestampTz, VarBit,
    };
    let way = match (from.kind, to.kind) {
        (from, _) if is_string(from) && !is_string(to.kind) => Way::Text,
        (_, to) if is_string(to) => Way::Clip,
        (from, Kind::Float4 | Kind::Float8) if is_number(from) => Way::Float,
        (from, Kind::Numeric) if is_number(from) => Way::Numeric,
        (Kind::Float4 | Kind::Float8, to) if is_number(to) => Way::Float,
        (Kind::Numeric, to) if is_number(to) => Way::Numeric,
        (from, to) if is_integer(from) && is_integer(to) => Way::Integer,
        (Bool, Int4) | (Int4, Bool) => Way::Boolean,
        (from, Oid | Reg) if is_integer(from) => Way::Integer,
        (Oid | Reg, Int4) => Way::OidToInteger,
        (Oid | Reg, Int8 | Oid | Reg) => Way::Text,
        (Money, Kind::Numeric) => Way::MoneyToNumeric,
        (Kind::Numeric | Int4 | Int8, Money) => Way::NumericToMoney,
        (Date, Timestamp | TimestampTz)
        | (Timestamp, Date | Time | TimestampTz)
        | (TimestampTz, Date | Time | TimeTz | Timestamp)
        | (Time, TimeTz)
        | (TimeTz, Time) => Way::Text,
        (Time, Interval) => Way::TimeToInterval,
        (Interval, Time) => Way::IntervalToTime,
        (Json, Jsonb) | (Jsonb, Json) | (Cidr, Inet) | (MacAddr, MacAddr8) => Way::Text,
        (Inet, Cidr) => Way::Network,
        (Jsonb, to) if to == Bool || is_number(to) => Way::JsonbToValue,
        (Bit | VarBit, Bit | VarBit) => Way::Bits,
        (Int4 | Int8, Bit) => Way::IntegerToBits,
        (Bit, Int4 | Int8) => Way::BitsToInteger,
        (Int4, Char) | (Char, Int4) => return None,
        (Array, Array) => {
            let (from, to) = (from.element.as_deref()?, to.element.as_deref()?);
            if from.data_type != to.data_type {
                way(from, to)?;
            }
            Way::Elements
        }
        // The same type, perhaps with another modifier.
        _ if from.data_type.oid == to.data_type.oid => Way::Text,
        _ => return None,
    };
    Some(way)
}

/// Casts an array of values of `from`, in any storage, to [`PgType::storage`] of `to`, as an explicit cast does: strings
/// that are too long are cut off. `style` is the session's: its time zone is what zones of local times are read in.
///
/// # Errors
/// `42846` where PostgreSQL has no such cast, and what the target says of a value.
pub fn cast(array: &dyn Array, from: &PgType, to: &PgType, style: &OutputStyle) -> Result<ArrayRef> {
    if array.data_type() == &DataType::Null {
        return Ok(new_null_array(&to.storage(), array.len()));
    }
    let (from_codec, to_codec) = (Codec::of(from), Codec::of(to));
    let Some(way) = way(&from_codec, &to_codec) else {
        return Err(ConnectorError::value(
            "42846",
            format!("cannot cast type {} to {}", type_name(from), type_name(to)),
        ));
    };
    // Dates on their way between types are ISO, whatever the session's style; what becomes a string is in that style.
    let shown = if is_string(to_codec.kind) {
        style.clone()
    } else {
        OutputStyle { date_style: DateStyle::Iso, ..style.clone() }
    };
    let caster = Caster { way, from: &from_codec, to: &to_codec, style };
    let source = Source::of(array)?;
    let writer = TextWriter::new(array, from, &shown)?;
    let mut builder = ColumnBuilder::with_style(to, array.len(), style);
    let mut text = String::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            builder.append_null();
            continue;
        }
        if caster.append_directly(&source, row, &mut builder)? {
            continue;
        }
        text.clear();
        writer.write(row, &mut text)?;
        // No time of day is infinite: PostgreSQL makes it NULL.
        let clock = matches!(to_codec.kind, Kind::Time | Kind::TimeTz);
        let moment = matches!(from_codec.kind, Kind::Timestamp | Kind::TimestampTz);
        if clock && moment && text.ends_with("infinity") {
            builder.append_null();
            continue;
        }
        caster.append(&text, &mut builder)?;
    }
    Ok(builder.finish())
}

/// A type's name without its modifier, as messages have it.
fn type_name(data_type: &PgType) -> String {
    PgType { modifier: -1, ..data_type.clone() }.sql_name().replace("bpchar", "character")
}

struct Caster<'a> {
    way: Way,
    from: &'a Codec,
    to: &'a Codec,
    style: &'a OutputStyle,
}

impl Caster<'_> {
    /// The short cuts that need no text; `false` where there is none.
    fn append_directly(&self, source: &Source<'_>, row: usize, builder: &mut ColumnBuilder) -> Result<bool> {
        match (self.way, source) {
            // `integer` and `oid` are the same 32 bits.
            (Way::Integer, Source::Int(values)) if self.to.kind == Kind::Oid && self.from.kind != Kind::Int8 => {
                let value = values.get(row);
                builder.append_i64(i32::try_from(value).map_or(value, |value| i64::from(value.cast_unsigned())))?;
            }
            (Way::Integer | Way::Boolean | Way::Float | Way::Numeric, Source::Int(values))
                if self.from.kind != Kind::Money =>
            {
                builder.append_i64(values.get(row))?;
            }
            (Way::Boolean, Source::Bool(values)) => builder.append_bool(values.value(row))?,
            (Way::Float, Source::Float64(values)) => builder.append_f64(values.get(row).copied().unwrap_or(0.0))?,
            (Way::Float, Source::Float32(values)) => {
                builder.append_f64(f64::from(values.get(row).copied().unwrap_or(0.0)))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn append(&self, text: &str, builder: &mut ColumnBuilder) -> Result<()> {
        match self.way {
            Way::Text if self.from.kind == Kind::Date && self.to.kind != Kind::Date => {
                builder.append_text(text).map_err(|error| match error {
                    ConnectorError::Value { sqlstate: "22008", .. } => {
                        ConnectorError::value("22008", "date out of range for timestamp")
                    }
                    error => error,
                })
            }
            Way::Text if self.from.kind == Kind::Reg && self.to.kind != Kind::Reg => {
                builder.append_i64(i64::from(self.oid_of(text)?))
            }
            Way::OidToInteger => builder.append_i64(i64::from(self.oid_of(text)?.cast_signed())),
            Way::Text => builder.append_text(text),
            Way::Integer => builder.append_i64(input::integer(text, self.from.name)?),
            Way::Boolean => builder.append_bool(input::boolean(text)?),
            Way::Float => builder.append_f64(input::float8(text)?),
            Way::Numeric => self.append_numeric(text, builder),
            Way::Clip => self.append_clipped(text, builder),
            Way::JsonbToValue => self.append_jsonb(text, builder),
            Way::MoneyToNumeric => {
                let cents = misc::money(text)?;
                builder.append_text(&format!(
                    "{}{}.{:02}",
                    if cents < 0 { "-" } else { "" },
                    cents.unsigned_abs() / 100,
                    cents.unsigned_abs() % 100
                ))
            }
            Way::NumericToMoney => builder.append_text(text),
            Way::Bits => {
                let mut bits = text.to_owned();
                if let Some(length) = self.to.length {
                    bits.truncate(length);
                    if self.to.kind == Kind::Bit {
                        (bits.len()..length).for_each(|_| bits.push('0'));
                    }
                }
                builder.append_text(&bits)
            }
            Way::IntegerToBits => {
                let value: i64 = input::integer(text, self.from.name)?;
                let length = self.to.length.unwrap_or(1);
                let bits: String =
                    (0..length).rev().map(|index| if value >> index.min(63) & 1 == 1 { '1' } else { '0' }).collect();
                builder.append_text(&bits)
            }
            Way::BitsToInteger => {
                let width = if self.to.kind == Kind::Int4 { 32 } else { 64 };
                let out_of_range = || ConnectorError::value("22003", format!("{} out of range", self.to.name));
                if text.len() > width {
                    return Err(out_of_range());
                }
                let bits =
                    if text.is_empty() { 0 } else { u64::from_str_radix(text, 2).map_err(|_| out_of_range())? };
                let value = if width == 32 {
                    i64::from(u32::try_from(bits).map_err(|_| out_of_range())?.cast_signed())
                } else {
                    bits.cast_signed()
                };
                builder.append_i64(value)
            }
            Way::TimeToInterval => builder.append_interval(0, 0, super::datetime::time(text, self.style, None)?),
            Way::IntervalToTime => {
                let interval = super::interval::interval(text, &OutputStyle::default(), -1);
                let interval = interval.or_else(|_| super::interval::interval(text, self.style, -1))?;
                builder.append_time(interval.usecs.rem_euclid(super::calendar::USECS_PER_DAY))
            }
            Way::Network => {
                let mut network = String::new();
                Inet::parse(text, false)?.network().write(true, &mut network);
                builder.append_text(&network)
            }
            Way::Elements => self.append_elements(text, builder),
        }
    }

    /// The OID that a value prints as; what has a name is known where it was printed.
    fn oid_of(&self, text: &str) -> Result<u32> {
        match (text, self.from.kind) {
            ("-", Kind::Reg) => Ok(0),
            (_, Kind::Reg) => input::oid(text, self.from.name).map_err(|_| {
                ConnectorError::unsupported(format!("the OID behind a name of type {} is not known", self.from.name))
            }),
            _ => input::oid(text, self.from.name),
        }
    }

    fn append_numeric(&self, text: &str, builder: &mut ColumnBuilder) -> Result<()> {
        match (self.from.kind, self.to.kind) {
            (Kind::Numeric, kind) if is_integer(kind) => {
                let value = Numeric::parse(text)?;
                match value.to_i64() {
                    Some(value) => builder.append_i64(value),
                    None if matches!(value, Numeric::NaN) => {
                        Err(ConnectorError::unsupported(format!("cannot convert NaN to {}", self.to.name)))
                    }
                    None if !matches!(value, Numeric::Finite(_)) => {
                        Err(ConnectorError::unsupported(format!("cannot convert infinity to {}", self.to.name)))
                    }
                    None => Err(ConnectorError::value("22003", format!("{} out of range", self.to.name))),
                }
            }
            // A float becomes a numeric by as many digits as it certainly has.
            (Kind::Float8, _) => {
                let mut short = String::new();
                super::text::write_float8(input::float8(text)?, 0, &mut short);
                builder.append_text(&short)
            }
            (Kind::Float4, _) => {
                let mut short = String::new();
                super::text::write_float4(input::float4(text)?, 0, &mut short);
                builder.append_text(&short)
            }
            _ => builder.append_text(text),
        }
    }

    fn append_clipped(&self, text: &str, builder: &mut ColumnBuilder) -> Result<()> {
        let mut masked = String::new();
        let text = match self.from.kind {
            // PostgreSQL has such a cast to every string but name.
            Kind::Bool if self.to.kind != Kind::Name => {
                if text == "t" {
                    "true"
                } else {
                    "false"
                }
            }
            Kind::BpChar if self.to.kind == Kind::BpChar && self.to.length.is_none() => {
                self.from.write_padded(text, &mut masked);
                &masked
            }
            // The padding of char(n) is not part of its value.
            Kind::BpChar => text.trim_end_matches(' '),
            // The cast shows the network's length even where the output function does not.
            Kind::Inet if !text.contains('/') => {
                masked = format!("{text}/{}", if text.contains(':') { 128 } else { 32 });
                &masked
            }
            _ => text,
        };
        match self.to.length.and_then(|length| text.char_indices().nth(length)) {
            Some((end, _)) => builder.append_text(text.get(..end).unwrap_or(text)),
            None => builder.append_text(text),
        }
    }

    fn append_jsonb(&self, text: &str, builder: &mut ColumnBuilder) -> Result<()> {
        let kind = match text.bytes().next() {
            Some(b'"') => "string",
            Some(b'{') => "object",
            Some(b'[') => "array",
            Some(b'n') => "null",
            Some(b't' | b'f') => "boolean",
            _ => "numeric",
        };
        if (kind == "boolean") != (self.to.kind == Kind::Bool) || !matches!(kind, "boolean" | "numeric") {
            return Err(ConnectorError::value("22023", format!("cannot cast jsonb {kind} to type {}", self.to.name)));
        }
        match self.to.kind {
            Kind::Bool | Kind::Numeric => builder.append_text(text),
            Kind::Float4 | Kind::Float8 => builder.append_f64(input::float8(text)?),
            _ => match Numeric::parse(text)?.to_i64() {
                Some(value) => builder.append_i64(value),
                None => Err(ConnectorError::value("22003", format!("{} out of range", self.to.name))),
            },
        }
    }

    fn append_elements(&self, text: &str, builder: &mut ColumnBuilder) -> Result<()> {
        let mut array = ArrayText::parse(text, self.from.element_delimiter())?;
        let (from, to) = (self.from.inner()?, self.to.inner()?);
        let mut elements = StringViewBuilder::with_capacity(array.elements.len());
        array.elements.iter().for_each(|element| elements.append_option(element.as_deref()));
        let elements = elements.finish();
        let cast = cast(&elements, &from.data_type, &to.data_type, self.style)?;
        let style = OutputStyle::default();
        let writer = TextWriter::new(cast.as_ref(), &to.data_type, &style)?;
        for (row, element) in array.elements.iter_mut().enumerate() {
            if let Some(element) = element {
                element.clear();
                writer.write(row, element)?;
            }
        }
        let mut out = String::new();
        array.write(self.to.element_delimiter(), &mut out);
        builder.append_text(&out)
    }
}

/// JSON text in `jsonb`'s normal form.
///
/// # Errors
/// `22P02`, `22P05`, `54001`.
pub fn jsonb(text: &str) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    json::normalize(text, &mut out)?;
    Ok(out)
}
