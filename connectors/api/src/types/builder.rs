//! Arrow builders fed with PostgreSQL's text and binary formats.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryViewBuilder, BooleanBuilder, Decimal128Builder, Decimal256Builder, FixedSizeBinaryBuilder,
    PrimitiveBuilder, StringViewBuilder,
};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
};
use datafusion::common::ScalarValue;

use super::codec::{self, Codec, Kind, utf8};
use super::interval::Interval;
use super::numeric::{self, Numeric};
use super::short_numeric::ShortNumeric;
use super::text::{self, OutputStyle};
use super::{PgType, calendar, datetime, input, interval};
use crate::{ConnectorError, Result};

/// Builds one column of [`PgType::storage`] from values in PostgreSQL's formats.
#[derive(Debug)]
pub struct ColumnBuilder {
    codec: Codec,
    /// How text is read: the zone of times without one, the order of day and month.
    style: OutputStyle,
    /// How tagged text is stored.
    plain: OutputStyle,
    values: Values,
    rows: usize,
    bytes: usize,
    scratch: String,
}

#[derive(Debug)]
enum Values {
    Bool(BooleanBuilder),
    Int16(PrimitiveBuilder<Int16Type>),
    Int32(PrimitiveBuilder<Int32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    Float32(PrimitiveBuilder<Float32Type>),
    Float64(PrimitiveBuilder<Float64Type>),
    Decimal128(Decimal128Builder, u16, i16),
    Decimal256(Decimal256Builder, u16, i16),
    Bytes(BinaryViewBuilder),
    Date(PrimitiveBuilder<Date32Type>),
    Time(PrimitiveBuilder<Time64MicrosecondType>),
    Timestamp(PrimitiveBuilder<TimestampMicrosecondType>),
    Interval(PrimitiveBuilder<IntervalMonthDayNanoType>),
    Uuid(FixedSizeBinaryBuilder),
    Text(StringViewBuilder),
}

impl Values {
    fn new(data_type: &PgType, capacity: usize) -> Self {
        match data_type.storage() {
            DataType::Boolean => Self::Bool(BooleanBuilder::with_capacity(capacity)),
            DataType::Int16 => Self::Int16(primitive(capacity)),
            DataType::Int32 => Self::Int32(primitive(capacity)),
            DataType::Int64 => Self::Int64(primitive(capacity)),
            DataType::Float32 => Self::Float32(primitive(capacity)),
            DataType::Float64 => Self::Float64(primitive(capacity)),
            storage @ DataType::Decimal128(precision, scale) => Self::Decimal128(
                Decimal128Builder::with_capacity(capacity).with_data_type(storage),
                u16::from(precision),
                i16::from(scale),
            ),
            storage @ DataType::Decimal256(precision, scale) => Self::Decimal256(
                Decimal256Builder::with_capacity(capacity).with_data_type(storage),
                u16::from(precision),
                i16::from(scale),
            ),
            DataType::BinaryView => Self::Bytes(BinaryViewBuilder::with_capacity(capacity)),
            DataType::Date32 => Self::Date(primitive(capacity)),
            DataType::Time64(_) => Self::Time(primitive(capacity)),
            storage @ DataType::Timestamp(_, _) => {
                Self::Timestamp(primitive::<TimestampMicrosecondType>(capacity).with_data_type(storage))
            }
            DataType::Interval(_) => Self::Interval(primitive(capacity)),
            DataType::FixedSizeBinary(width) => Self::Uuid(FixedSizeBinaryBuilder::with_capacity(capacity, width)),
            _ => Self::Text(StringViewBuilder::with_capacity(capacity)),
        }
    }
}

fn primitive<T: ArrowPrimitiveType>(capacity: usize) -> PrimitiveBuilder<T> {
    PrimitiveBuilder::with_capacity(capacity)
}

impl ColumnBuilder {
    /// A builder for `data_type` with room for `capacity` rows.
    pub fn new(data_type: &PgType, capacity: usize) -> Self {
        Self::with_style(data_type, capacity, &OutputStyle::default())
    }

    /// A builder that reads text under a session's settings: times without a zone are in the style's zone, ambiguous
    /// dates in its order.
    pub fn with_style(data_type: &PgType, capacity: usize, style: &OutputStyle) -> Self {
        Self {
            codec: Codec::of(data_type),
            style: style.clone(),
            plain: OutputStyle::default(),
            values: Values::new(data_type, capacity),
            rows: 0,
            bytes: 0,
            scratch: String::new(),
        }
    }

    /// The type of the column.
    pub fn data_type(&self) -> &PgType {
        &self.codec.data_type
    }

    /// Rows appended so far.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether no row was appended.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Roughly the bytes that the rows take, to bound a batch by.
    pub fn bytes(&self) -> usize {
        let width = match &self.values {
            Values::Bool(_) => 1,
            Values::Int16(_) => 2,
            Values::Int32(_) | Values::Float32(_) | Values::Date(_) => 4,
            Values::Int64(_) | Values::Float64(_) | Values::Time(_) | Values::Timestamp(_) => 8,
            Values::Decimal256(..) => 32,
            _ => 16,
        };
        self.bytes + self.rows * width
    }

    /// Appends NULL.
    pub fn append_null(&mut self) {
        match &mut self.values {
            Values::Bool(builder) => builder.append_null(),
            Values::Int16(builder) => builder.append_null(),
            Values::Int32(builder) => builder.append_null(),
            Values::Int64(builder) => builder.append_null(),
            Values::Float32(builder) => builder.append_null(),
            Values::Float64(builder) => builder.append_null(),
            Values::Decimal128(builder, ..) => builder.append_null(),
            Values::Decimal256(builder, ..) => builder.append_null(),
            Values::Bytes(builder) => builder.append_null(),
            Values::Date(builder) => builder.append_null(),
            Values::Time(builder) => builder.append_null(),
            Values::Timestamp(builder) => builder.append_null(),
            Values::Interval(builder) => builder.append_null(),
            Values::Uuid(builder) => builder.append_null(),
            Values::Text(builder) => builder.append_null(),
        }
        self.rows += 1;
    }

    /// Appends a value as PostgreSQL's input function would read it (ISO dates, any `DateStyle` of PostgreSQL's own).
    /// Timestamps with time zone but no zone in the text are read in `UTC`, or the zone of [`Self::with_style`].
    ///
    /// # Errors
    /// `22P02`, `22007`, `22008`, `22003`, `22001`, with PostgreSQL's message.
    pub fn append_text(&mut self, value: &str) -> Result<()> {
        let codec = &self.codec;
        match &mut self.values {
            Values::Bool(builder) => builder.append_value(input::boolean(value)?),
            Values::Int16(builder) => builder.append_value(input::integer(value, codec.name)?),
            Values::Int32(builder) => builder.append_value(input::integer(value, codec.name)?),
            Values::Int64(builder) if codec.kind == Kind::Oid => {
                builder.append_value(i64::from(input::oid(value, codec.name)?));
            }
            Values::Int64(builder) => builder.append_value(input::integer(value, codec.name)?),
            Values::Float32(builder) => builder.append_value(input::float4(value)?),
            Values::Float64(builder) => builder.append_value(input::float8(value)?),
            Values::Decimal128(builder, precision, scale) => {
                builder.append_value(numeric::decimal128(value, *precision, *scale)?);
            }
            Values::Decimal256(builder, precision, scale) => {
                builder.append_value(numeric::to_decimal256(Numeric::parse(value)?, *precision, *scale)?);
            }
            Values::Bytes(builder) => {
                let bytes = input::bytea(value)?;
                check_length(bytes.len())?;
                self.bytes += bytes.len();
                builder.append_value(bytes);
            }
            Values::Date(builder) => builder.append_value(datetime::date(value, &self.style)?),
            Values::Time(builder) => builder.append_value(datetime::time(value, &self.style, codec.precision)?),
            Values::Timestamp(builder) if codec.kind == Kind::TimestampTz => {
                builder.append_value(datetime::timestamptz(value, &self.style, codec.precision)?);
            }
            Values::Timestamp(builder) => {
                builder.append_value(datetime::timestamp(value, &self.style, codec.precision)?);
            }
            Values::Interval(builder) => {
                let value = interval::interval(value, &self.style, codec.data_type.modifier)?;
                builder.append_value(arrow_interval(value)?);
            }
            Values::Uuid(builder) => append_uuid(builder, &input::uuid(value)?)?,
            Values::Text(_) => return self.append_tagged(value),
        }
        self.rows += 1;
        Ok(())
    }

    /// Appends a numeric of a few digits: the fast way into a column of numerics without precision.
    ///
    /// # Errors
    /// Those of [`Self::append_text`].
    pub fn append_short_numeric(&mut self, value: ShortNumeric) -> Result<()> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        value.write(&mut scratch);
        let plain = self.codec.kind == Kind::Numeric && self.codec.data_type.modifier == -1;
        let result = match &self.values {
            // It prints as it is stored.
            Values::Text(_) if plain => self.push_text(&scratch),
            _ => self.append_text(&scratch),
        };
        self.scratch = scratch;
        result
    }

    /// Text that is stored as text.
    fn append_tagged(&mut self, value: &str) -> Result<()> {
        if value.contains('\0') {
            return Err(ConnectorError::value("22021", "invalid byte sequence for encoding \"UTF8\": 0x00"));
        }
        let codec = &self.codec;
        match codec.kind {
            Kind::Text | Kind::Opaque => self.push_text(value),
            Kind::VarChar => self.push_text(input::varchar(value, codec.length)?),
            Kind::BpChar => self.push_text(input::bpchar(value, codec.length)?),
            _ => {
                let mut scratch = std::mem::take(&mut self.scratch);
                scratch.clear();
                let result = codec
                    .canonical(value, &self.style, &self.plain, &mut scratch)
                    .and_then(|()| self.push_text(&scratch));
                self.scratch = scratch;
                result
            }
        }
    }

    fn push_text(&mut self, value: &str) -> Result<()> {
        check_length(value.len())?;
        if let Values::Text(builder) = &mut self.values {
            builder.append_value(value);
            self.rows += 1;
            self.bytes += value.len();
        }
        Ok(())
    }

    /// Appends a value in PostgreSQL's binary send format; every length is checked.
    ///
    /// # Errors
    /// `22P03` where the bytes are not a value of the type; `22003`, `22008` where the storage cannot hold it.
    /// [`ConnectorError::Unsupported`] for a type whose binary format is not known.
    pub fn append_binary(&mut self, value: &[u8]) -> Result<()> {
        let codec = &self.codec;
        match &mut self.values {
            Values::Bool(builder) => builder.append_value(codec.fixed::<1>(value)? != [0]),
            Values::Int16(builder) => builder.append_value(i16::from_be_bytes(codec.fixed(value)?)),
            Values::Int32(builder) => builder.append_value(i32::from_be_bytes(codec.fixed(value)?)),
            Values::Int64(builder) if codec.kind == Kind::Oid => {
                builder.append_value(i64::from(u32::from_be_bytes(codec.fixed(value)?)));
            }
            Values::Int64(builder) => builder.append_value(i64::from_be_bytes(codec.fixed(value)?)),
            Values::Float32(builder) => builder.append_value(f32::from_be_bytes(codec.fixed(value)?)),
            Values::Float64(builder) => builder.append_value(f64::from_be_bytes(codec.fixed(value)?)),
            Values::Decimal128(builder, precision, scale) => {
                builder.append_value(numeric::decimal128_from_binary(value, *precision, *scale)?);
            }
            Values::Decimal256(builder, precision, scale) => {
                builder.append_value(numeric::to_decimal256(Numeric::from_binary(value)?, *precision, *scale)?);
            }
            Values::Bytes(builder) => {
                check_length(value.len())?;
                self.bytes += value.len();
                builder.append_value(value);
            }
            Values::Date(builder) => builder.append_value(codec::date_from_binary(codec.fixed(value)?)?),
            Values::Time(builder) => builder.append_value(codec::time_from_binary(codec.fixed(value)?)?),
            Values::Timestamp(builder) => builder.append_value(codec::timestamp_from_binary(codec.fixed(value)?)?),
            Values::Interval(builder) => {
                builder.append_value(arrow_interval(codec::interval_from_binary(value)?)?);
            }
            Values::Uuid(builder) => append_uuid(builder, &codec.fixed(value)?)?,
            Values::Text(_) => return self.append_tagged_binary(value),
        }
        self.rows += 1;
        Ok(())
    }

    fn append_tagged_binary(&mut self, value: &[u8]) -> Result<()> {
        let codec = &self.codec;
        match codec.kind {
            Kind::Text | Kind::VarChar | Kind::Name | Kind::Json | Kind::Enum => self.push_text(utf8(value)?),
            Kind::BpChar => self.push_text(input::bpchar_value(utf8(value)?, codec.length)),
            _ => {
                let mut scratch = std::mem::take(&mut self.scratch);
                scratch.clear();
                let result =
                    codec.binary_to_text(value, &self.plain, &mut scratch).and_then(|()| self.push_text(&scratch));
                self.scratch = scratch;
                result
            }
        }
    }

    /// Appends a whole number, checked against the column's type.
    ///
    /// # Errors
    /// `22003`, or what [`Self::append_text`] says of a column that holds no numbers.
    pub fn append_i64(&mut self, value: i64) -> Result<()> {
        let range = |name: &str| ConnectorError::value("22003", format!("{name} out of range"));
        let name = self.codec.name;
        match &mut self.values {
            Values::Bool(builder) => builder.append_value(value != 0),
            Values::Int16(builder) => builder.append_value(i16::try_from(value).map_err(|_| range(name))?),
            Values::Int32(builder) => builder.append_value(i32::try_from(value).map_err(|_| range(name))?),
            Values::Int64(builder) => {
                if self.codec.kind == Kind::Oid && u32::try_from(value).is_err() {
                    return Err(ConnectorError::value("22003", "OID out of range"));
                }
                builder.append_value(value);
            }
            Values::Float32(builder) => builder.append_value(narrow(float(value))?),
            Values::Float64(builder) => builder.append_value(float(value)),
            _ => {
                let mut digits = String::new();
                text::write_integer(value, &mut digits);
                return self.append_text(&digits);
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// Appends a whole number without sign, checked against the column's type.
    ///
    /// # Errors
    /// As [`Self::append_i64`].
    pub fn append_u64(&mut self, value: u64) -> Result<()> {
        match i64::try_from(value) {
            Ok(value) => self.append_i64(value),
            Err(_) if matches!(self.values, Values::Int16(_) | Values::Int32(_) | Values::Int64(_)) => {
                Err(ConnectorError::value("22003", format!("{} out of range", self.codec.name)))
            }
            Err(_) => self.append_text(&value.to_string()),
        }
    }

    /// Appends a float: whole numbers are rounded as PostgreSQL's cast does, decimals take its shortest text.
    ///
    /// # Errors
    /// As [`Self::append_i64`].
    pub fn append_f64(&mut self, value: f64) -> Result<()> {
        match &mut self.values {
            Values::Float32(builder) => builder.append_value(narrow(value)?),
            Values::Float64(builder) => builder.append_value(value),
            Values::Int16(_) | Values::Int32(_) | Values::Int64(_) => {
                let rounded = value.round_ties_even();
                // -2^63 and 2^63 as floats; the upper end itself is beyond.
                if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&rounded) {
                    return Err(ConnectorError::value("22003", format!("{} out of range", self.codec.name)));
                }
                return self.append_i64(datetime::rounded(rounded));
            }
            _ if matches!(self.codec.kind, Kind::Numeric) && value.is_finite() => {
                return self.append_text(&value.to_string());
            }
            _ => {
                let mut digits = String::new();
                text::write_float8(value, 1, &mut digits);
                return self.append_text(&digits);
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// Appends a boolean; 0 or 1 in a column of numbers.
    ///
    /// # Errors
    /// As [`Self::append_i64`].
    pub fn append_bool(&mut self, value: bool) -> Result<()> {
        match &self.values {
            Values::Text(_) if self.codec.kind != Kind::Numeric => {
                self.append_text(if value { "true" } else { "false" })
            }
            _ => self.append_i64(i64::from(value)),
        }
    }

    /// Appends bytes: as they are to `bytea`, 16 of them to `uuid`, else as UTF-8 text of the type.
    ///
    /// # Errors
    /// `22021` where they are not UTF-8, and what [`Self::append_text`] says.
    pub fn append_bytes(&mut self, value: &[u8]) -> Result<()> {
        match &mut self.values {
            Values::Bytes(_) => self.append_binary(value),
            Values::Uuid(_) if value.len() == 16 => self.append_binary(value),
            _ => self.append_text(utf8(value)?),
        }
    }

    /// Appends a day, in days since 1970.
    ///
    /// # Errors
    /// What [`Self::append_text`] says of a column of another type.
    pub fn append_date(&mut self, days: i32) -> Result<()> {
        match &mut self.values {
            Values::Date(builder) => builder.append_value(days),
            // Midnight in the session's zone, or an infinity: the input function knows.
            _ => return self.append_printed(|style, out| text::write_date(days, style, out)),
        }
        self.rows += 1;
        Ok(())
    }

    /// Appends a time of day in microseconds.
    ///
    /// # Errors
    /// `22008` beyond a day; what [`Self::append_text`] says of a column of another type.
    pub fn append_time(&mut self, usecs: i64) -> Result<()> {
        if !(0..=calendar::USECS_PER_DAY).contains(&usecs) {
            return Err(ConnectorError::value("22008", "time out of range"));
        }
        match &mut self.values {
            Values::Time(builder) => builder.append_value(datetime::round_time(usecs, self.codec.precision)),
            _ => return self.append_printed(|_, out| text::write_time(usecs, out)),
        }
        self.rows += 1;
        Ok(())
    }

    /// Appends a moment in microseconds since 1970: UTC for `timestamptz`.
    ///
    /// # Errors
    /// What [`Self::append_text`] says of a column of another type.
    pub fn append_timestamp(&mut self, usecs: i64) -> Result<()> {
        match &mut self.values {
            Values::Timestamp(builder) => {
                builder.append_value(datetime::round_timestamp(usecs, self.codec.precision));
            }
            Values::Date(builder) => {
                let days = i32::try_from(usecs.div_euclid(calendar::USECS_PER_DAY));
                builder.append_value(days.map_err(|_| ConnectorError::value("22008", "date out of range"))?);
            }
            _ => return self.append_printed(|style, out| text::write_timestamp(usecs, style, out)),
        }
        self.rows += 1;
        Ok(())
    }

    /// Appends an interval.
    ///
    /// # Errors
    /// `22008` where the storage cannot hold it; what [`Self::append_text`] says of a column of another type.
    pub fn append_interval(&mut self, months: i32, days: i32, usecs: i64) -> Result<()> {
        let value = Interval { months, days, usecs };
        match &mut self.values {
            Values::Interval(builder) => builder.append_value(arrow_interval(value)?),
            _ => {
                return self.append_printed(|style, out| interval::write_interval(&value, style.interval_style, out));
            }
        }
        self.rows += 1;
        Ok(())
    }

    fn append_printed(&mut self, print: impl FnOnce(&OutputStyle, &mut String)) -> Result<()> {
        let mut printed = String::new();
        print(&self.plain, &mut printed);
        self.append_text(&printed)
    }

    /// Appends a value of any Arrow type, read as what PostgreSQL would print of it.
    ///
    /// # Errors
    /// As [`Self::append_text`].
    pub fn append_scalar(&mut self, value: &ScalarValue) -> Result<()> {
        match value {
            value if value.is_null() => self.append_null(),
            ScalarValue::Boolean(Some(value)) => return self.append_bool(*value),
            ScalarValue::Int8(Some(value)) => return self.append_i64(i64::from(*value)),
            ScalarValue::Int16(Some(value)) => return self.append_i64(i64::from(*value)),
            ScalarValue::Int32(Some(value)) => return self.append_i64(i64::from(*value)),
            ScalarValue::Int64(Some(value)) => return self.append_i64(*value),
            ScalarValue::UInt64(Some(value)) => return self.append_u64(*value),
            ScalarValue::Float64(Some(value)) => return self.append_f64(*value),
            ScalarValue::Utf8(Some(value))
            | ScalarValue::LargeUtf8(Some(value))
            | ScalarValue::Utf8View(Some(value)) => return self.append_text(value),
            ScalarValue::Binary(Some(value))
            | ScalarValue::LargeBinary(Some(value))
            | ScalarValue::BinaryView(Some(value)) => return self.append_bytes(value),
            ScalarValue::Date32(Some(value)) => return self.append_date(*value),
            value => {
                let printed = super::format_scalar(value, &PgType::of_arrow(&value.data_type()), &self.plain)?;
                return self.append_text(&printed.unwrap_or_default());
            }
        }
        Ok(())
    }

    /// The column; the builder is empty afterwards.
    pub fn finish(&mut self) -> ArrayRef {
        self.rows = 0;
        self.bytes = 0;
        match &mut self.values {
            Values::Bool(builder) => Arc::new(builder.finish()),
            Values::Int16(builder) => Arc::new(builder.finish()),
            Values::Int32(builder) => Arc::new(builder.finish()),
            Values::Int64(builder) => Arc::new(builder.finish()),
            Values::Float32(builder) => Arc::new(builder.finish()),
            Values::Float64(builder) => Arc::new(builder.finish()),
            Values::Decimal128(builder, ..) => Arc::new(builder.finish()),
            Values::Decimal256(builder, ..) => Arc::new(builder.finish()),
            Values::Bytes(builder) => Arc::new(builder.finish()),
            Values::Date(builder) => Arc::new(builder.finish()),
            Values::Time(builder) => Arc::new(builder.finish()),
            Values::Timestamp(builder) => Arc::new(builder.finish()),
            Values::Interval(builder) => Arc::new(builder.finish()),
            Values::Uuid(builder) => Arc::new(builder.finish()),
            Values::Text(builder) => Arc::new(builder.finish()),
        }
    }
}

/// The bound of PostgreSQL on one value, which keeps Arrow's 32-bit lengths from overflowing.
const VALUE_BYTES_MAX: usize = 0x3fff_ffff;

fn check_length(bytes: usize) -> Result<()> {
    if bytes > VALUE_BYTES_MAX {
        return Err(ConnectorError::value("54000", "value is longer than 1 GB"));
    }
    Ok(())
}

fn append_uuid(builder: &mut FixedSizeBinaryBuilder, value: &[u8; 16]) -> Result<()> {
    builder
        .append_value(value)
        .map_err(|error| ConnectorError::Internal { message: format!("a uuid did not fit its column: {error}") })
}

fn arrow_interval(value: Interval) -> Result<IntervalMonthDayNano> {
    let nanoseconds =
        value.usecs.checked_mul(1000).ok_or_else(|| ConnectorError::value("22008", "interval out of range"))?;
    Ok(IntervalMonthDayNano::new(value.months, value.days, nanoseconds))
}

#[expect(clippy::cast_precision_loss, reason = "PostgreSQL's own cast rounds, too")]
fn float(value: i64) -> f64 {
    value as f64
}

/// A `float8` as `float4`, overflow and underflow refused.
#[expect(clippy::cast_possible_truncation, reason = "what does not fit is refused below")]
fn narrow(value: f64) -> Result<f32> {
    let narrowed = value as f32;
    if narrowed.is_infinite() && value.is_finite() {
        return Err(ConnectorError::value("22003", "value out of range: overflow"));
    }
    if narrowed == 0.0 && value != 0.0 {
        return Err(ConnectorError::value("22003", "value out of range: underflow"));
    }
    Ok(narrowed)
}
