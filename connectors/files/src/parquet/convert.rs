//! From the type in which a file holds a column to the declared one: only what loses nothing, or what PostgreSQL would
//! assign without a cast.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, StringViewBuilder, new_null_array};
use arrow::compute::{CastOptions, cast, cast_with_options, min};
use arrow::datatypes::{
    ArrowNativeTypeOp, ArrowPrimitiveType, DataType, Date32Type, Int64Type, Time64MicrosecondType, TimeUnit,
    TimestampMicrosecondType,
};
use atoll_connector_api::types::text::{OutputStyle, write_text};
use atoll_connector_api::types::{ColumnBuilder, PgType, oids};
use atoll_connector_api::{ConnectorError, Result};

use super::check::check_values;
use super::nested::write_json;

/// How DuckDB writes `-infinity`: as the negation of `infinity`. PostgreSQL stores the smallest number of all.
pub(super) const WRITTEN_INFINITY_DAY: i32 = -i32::MAX;
pub(super) const WRITTEN_INFINITY_MICROSECOND: i64 = -i64::MAX;

/// How a column's values become those of the declared type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conversion {
    /// They are already.
    Identity,
    /// Arrow's cast; what does not fit is an error.
    Cast,
    /// Nanoseconds, cut to microseconds.
    Nanoseconds,
    /// PostgreSQL's output text.
    Text,
    /// PostgreSQL's output text, read again by the declared type's input function.
    TextInput,
    /// JSON text, read by the declared type's input function.
    Json,
    /// Bytes that are UTF-8 text: older writers did not mark text as such.
    Utf8,
    /// Every value is NULL.
    Null,
}

impl Conversion {
    /// The conversion from a column of `from`, seen as `seen`, to `to`; `None` where there is none.
    pub(crate) fn find(from: &DataType, seen: &PgType, to: &PgType) -> Option<Self> {
        if let DataType::Dictionary(_, values) = from {
            return Self::find(values, seen, to).map(|conversion| match conversion {
                Self::Identity => Self::Cast,
                other => other,
            });
        }
        match from {
            DataType::Null => Some(Self::Null),
            _ if from.is_string() => from_text(from, seen, to),
            _ if from.is_nested() => from_nested(seen, to),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView
                if is_text(to) || matches!(to.oid, oids::JSON | oids::JSONB) =>
            {
                Some(Self::Utf8)
            }
            _ if is_text(to) => Some(if to.modifier < 0 { Self::Text } else { Self::TextInput }),
            _ => from_scalar(from, to),
        }
    }

    /// Whether an order of the file's values is the order of the converted ones, so that filters can be asked of the file.
    pub(crate) fn keeps_values(self) -> bool {
        matches!(self, Self::Identity | Self::Cast)
    }

    /// Converts a column.
    ///
    /// # Errors
    /// A value that the declared type cannot hold, with PostgreSQL's SQLSTATE.
    pub(crate) fn apply(self, column: &ArrayRef, seen: &PgType, to: &PgType) -> Result<ArrayRef> {
        let storage = to.storage();
        // What is printed here is looked at before it is: a negative time would lose its sign. In JSON text a zero byte
        // is an escape, and the declared type's input function judges it.
        if matches!(self, Self::Text | Self::TextInput | Self::Json) {
            check_values(column.as_ref(), self != Self::Json)?;
        }
        let converted = match self {
            Self::Identity => Arc::clone(column),
            Self::Null => new_null_array(&storage, column.len()),
            Self::Cast => checked_cast(column, &storage, to)?,
            Self::Nanoseconds => microseconds(column, &storage, to)?,
            Self::Text => as_text(column, seen)?,
            Self::TextInput => through_text(column, to, |row, out| {
                write_text(column.as_ref(), row, seen, &OutputStyle::default(), out)
            })?,
            Self::Utf8 => {
                let options = CastOptions { safe: false, ..CastOptions::default() };
                let text = cast_with_options(column, &DataType::Utf8View, &options)
                    .map_err(|_| ConnectorError::value("22021", "invalid byte sequence for encoding \"UTF8\""))?;
                let plain = from_text(text.data_type(), &PgType::new(oids::TEXT), to) == Some(Self::Identity);
                if plain { text } else { Self::TextInput.apply(&text, &PgType::new(oids::TEXT), to)? }
            }
            Self::Json => through_text(column, to, |row, out| write_json(column.as_ref(), row, out))?,
        };
        if matches!(self, Self::Text | Self::TextInput | Self::Json | Self::Null) {
            return Ok(converted);
        }
        let converted = with_infinity(converted);
        check_values(converted.as_ref(), true)?;
        Ok(converted)
    }
}

/// Types whose every text is a value.
fn is_text(data_type: &PgType) -> bool {
    data_type.user.is_none() && matches!(data_type.oid, oids::TEXT | oids::VARCHAR | oids::BPCHAR)
}

fn from_text(from: &DataType, seen: &PgType, to: &PgType) -> Option<Conversion> {
    if is_text(to) && to.modifier < 0 && to.oid != oids::BPCHAR {
        return Some(if *from == DataType::Utf8View { Conversion::Identity } else { Conversion::Cast });
    }
    // What Parquet has no type for is kept as text there; numbers and dates it has, so text in their place is a mistake.
    let kept_as_text = to.storage() == DataType::Utf8View && to.oid != oids::NUMERIC || to.oid == oids::UUID;
    (kept_as_text || seen.oid == to.oid).then_some(Conversion::TextInput)
}

fn from_nested(seen: &PgType, to: &PgType) -> Option<Conversion> {
    if seen.oid == oids::JSONB {
        return (is_text(to) || matches!(to.oid, oids::JSON | oids::JSONB)).then_some(Conversion::Json);
    }
    match to.oid {
        _ if is_text(to) && to.modifier < 0 => Some(Conversion::Text),
        oid if oid == seen.oid => Some(Conversion::Text),
        oids::JSON | oids::JSONB => Some(Conversion::Json),
        // Another array type reads the text: integer[] as bigint[].
        _ if to.is_array() => Some(Conversion::TextInput),
        _ => None,
    }
}

fn from_scalar(from: &DataType, to: &PgType) -> Option<Conversion> {
    let storage = to.storage();
    let when = |fits: bool| fits.then_some(Conversion::Cast);
    if *from == storage && !(matches!(from, DataType::FixedSizeBinary(_)) && to.oid != oids::UUID) {
        return Some(Conversion::Identity);
    }
    match from {
        _ if from.is_integer() && to.oid == oids::NUMERIC && storage == DataType::Utf8View => Some(Conversion::Text),
        _ if from.is_integer() => when(storage.is_integer() || storage.is_floating() || is_decimal(&storage)),
        DataType::Float16 | DataType::Float32 => when(storage.is_floating()),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => match &storage {
            DataType::Utf8View if to.oid == oids::NUMERIC => Some(Conversion::Text),
            DataType::Decimal128(_, wider) | DataType::Decimal256(_, wider) => when(wider >= scale),
            DataType::Float64 => when(true),
            _ => when(storage.is_integer() && *scale == 0 && *precision <= 38),
        },
        DataType::Date32 | DataType::Date64 => {
            when(matches!(storage, DataType::Date32 | DataType::Timestamp(TimeUnit::Microsecond, None)))
        }
        DataType::Time64(TimeUnit::Nanosecond) => (to.oid == oids::TIME).then_some(Conversion::Nanoseconds),
        DataType::Time32(_) | DataType::Time64(_) => when(to.oid == oids::TIME),
        DataType::Timestamp(unit, zone) => {
            // Without a zone a moment is not known, and with one it is no local time: neither stands for the other.
            let same = to.oid == if zone.is_some() { oids::TIMESTAMPTZ } else { oids::TIMESTAMP };
            let nanoseconds = *unit == TimeUnit::Nanosecond;
            same.then_some(if nanoseconds { Conversion::Nanoseconds } else { Conversion::Cast })
        }
        DataType::Interval(_) | DataType::Duration(_) => when(to.oid == oids::INTERVAL),
        _ if from.is_binary() => when(to.oid == oids::BYTEA),
        DataType::FixedSizeBinary(_) => when(to.oid == oids::BYTEA),
        _ => None,
    }
}

fn is_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..))
}

fn checked_cast(column: &ArrayRef, storage: &DataType, to: &PgType) -> Result<ArrayRef> {
    // A dictionary's values first, so that the cast that matters is one between plain types.
    let plain;
    let column = match column.data_type() {
        DataType::Dictionary(_, values) => {
            plain = cast(column, values).map_err(|error| internal(&error))?;
            &plain
        }
        _ => column,
    };
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, storage, &options).map_err(|_| out_of_range(to))
}

fn internal(error: &arrow::error::ArrowError) -> ConnectorError {
    ConnectorError::Internal { message: format!("a column cannot be converted: {error}") }
}

fn out_of_range(to: &PgType) -> ConnectorError {
    let name = match to.oid {
        oids::NUMERIC => return ConnectorError::value("22003", "numeric field overflow"),
        oids::INT2 => "smallint",
        oids::INT4 => "integer",
        oids::INT8 => "bigint",
        oids::DATE => return ConnectorError::value("22008", "date out of range"),
        oids::TIMESTAMP | oids::TIMESTAMPTZ => return ConnectorError::value("22008", "timestamp out of range"),
        oids::INTERVAL => return ConnectorError::value("22008", "interval out of range"),
        _ => return ConnectorError::value("22003", format!("value out of range for type {}", to.sql_name())),
    };
    ConnectorError::value("22003", format!("{name} out of range"))
}

/// Nanoseconds as microseconds, rounded down: an order is kept, and filters on it stay right.
fn microseconds(column: &ArrayRef, storage: &DataType, to: &PgType) -> Result<ArrayRef> {
    let plain = cast(column, &DataType::Int64).map_err(|error| internal(&error))?;
    let values: PrimitiveArray<Int64Type> = plain.as_primitive::<Int64Type>().unary(|value| value.div_euclid(1000));
    let typed: ArrayRef = match storage {
        DataType::Time64(_) => Arc::new(values.reinterpret_cast::<Time64MicrosecondType>()),
        _ => Arc::new(values.reinterpret_cast::<TimestampMicrosecondType>()),
    };
    // Only the zone is new here.
    cast(&typed, storage).map_err(|_| out_of_range(to))
}

fn as_text(column: &ArrayRef, seen: &PgType) -> Result<ArrayRef> {
    let mut builder = StringViewBuilder::with_capacity(column.len());
    let mut text = String::new();
    for row in 0..column.len() {
        if column.is_null(row) {
            builder.append_null();
            continue;
        }
        text.clear();
        write_text(column.as_ref(), row, seen, &OutputStyle::default(), &mut text)?;
        builder.append_value(&text);
    }
    Ok(Arc::new(builder.finish()))
}

fn through_text(column: &ArrayRef, to: &PgType, write: impl Fn(usize, &mut String) -> Result<()>) -> Result<ArrayRef> {
    let mut builder = ColumnBuilder::new(to, column.len());
    let mut text = String::new();
    for row in 0..column.len() {
        if column.is_null(row) {
            builder.append_null();
            continue;
        }
        text.clear();
        write(row, &mut text)?;
        builder.append_text(&text)?;
    }
    Ok(builder.finish())
}

/// Dates and timestamps with PostgreSQL's `-infinity` in place of the one that files hold.
fn with_infinity(column: ArrayRef) -> ArrayRef {
    fn replaced<T: ArrowPrimitiveType>(column: ArrayRef, written: T::Native) -> ArrayRef {
        let values = column.as_primitive::<T>();
        if min(values).is_none_or(|least| least.is_gt(written)) {
            return column;
        }
        let own = |value: T::Native| if value.is_eq(written) { T::Native::MIN_TOTAL_ORDER } else { value };
        Arc::new(values.unary::<_, T>(own).with_data_type(column.data_type().clone()))
    }
    match column.data_type() {
        DataType::Date32 => replaced::<Date32Type>(column, WRITTEN_INFINITY_DAY),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            replaced::<TimestampMicrosecondType>(column, WRITTEN_INFINITY_MICROSECOND)
        }
        _ => column,
    }
}
