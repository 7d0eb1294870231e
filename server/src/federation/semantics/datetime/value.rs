//! One value of a date and time function: out of an Arrow array, into a column.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    Date32Type, Float32Type, Float64Type, Int32Type, Int64Type, IntervalMonthDayNanoType, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use atoll_connector_api::types::temporal::{self, Interval};
use atoll_connector_api::types::text::OutputStyle;
use atoll_connector_api::types::{ColumnBuilder, PgType, cast, oids};
use datafusion::common::exec_err;
use datafusion::error::Result;

use crate::federation::semantics::external;

/// A value. Days count from 1970-01-01, microseconds from its midnight; the extremes are the infinities.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// A numeric's digits.
    Numeric(String),
    Text(String),
    Date(i32),
    Time(i64),
    /// Microseconds of the day, and seconds east of Greenwich.
    TimeTz(i64, i64),
    Timestamp(i64),
    TimestampTz(i64),
    Interval(Interval),
}

impl Value {
    /// Whether it is one of the infinities of dates and timestamps.
    pub(super) const fn is_infinite(&self) -> bool {
        matches!(
            self,
            Self::Date(i32::MAX | i32::MIN)
                | Self::Timestamp(i64::MAX | i64::MIN)
                | Self::TimestampTz(i64::MAX | i64::MIN)
        )
    }
}

/// The values of a column of one type.
pub(super) struct Reader {
    array: ArrayRef,
    oid: u32,
}

impl Reader {
    /// A reader of values of `data_type` in any storage.
    pub(super) fn new(array: ArrayRef, data_type: &PgType) -> Result<Self> {
        let bare = PgType { modifier: -1, ..data_type.clone() };
        let array = if array.data_type() == &bare.storage() {
            array
        } else {
            cast::cast(array.as_ref(), data_type, &bare, &OutputStyle::default()).map_err(external)?
        };
        Ok(Self { array, oid: bare.oid })
    }

    /// The value of a row.
    pub(super) fn get(&self, row: usize) -> Result<Value> {
        if self.array.is_null(row) {
            return Ok(Value::Null);
        }
        let text = || self.array.as_string_view().value(row);
        Ok(match self.oid {
            oids::BOOL => Value::Bool(self.array.as_boolean().value(row)),
            oids::INT4 => Value::Int(i64::from(self.array.as_primitive::<Int32Type>().value(row))),
            oids::INT8 => Value::Int(self.array.as_primitive::<Int64Type>().value(row)),
            oids::FLOAT4 => Value::Float(f64::from(self.array.as_primitive::<Float32Type>().value(row))),
            oids::FLOAT8 => Value::Float(self.array.as_primitive::<Float64Type>().value(row)),
            oids::NUMERIC => Value::Numeric(text().to_owned()),
            oids::TEXT => Value::Text(text().to_owned()),
            oids::DATE => Value::Date(self.array.as_primitive::<Date32Type>().value(row)),
            oids::TIME => Value::Time(self.array.as_primitive::<Time64MicrosecondType>().value(row)),
            oids::TIMETZ => {
                let (usecs, offset) = temporal::timetz(text(), &OutputStyle::default(), None).map_err(external)?;
                Value::TimeTz(usecs, offset)
            }
            oids::TIMESTAMP => Value::Timestamp(self.array.as_primitive::<TimestampMicrosecondType>().value(row)),
            oids::TIMESTAMPTZ => Value::TimestampTz(self.array.as_primitive::<TimestampMicrosecondType>().value(row)),
            oids::INTERVAL => {
                let value = self.array.as_primitive::<IntervalMonthDayNanoType>().value(row);
                Value::Interval(Interval {
                    months: value.months,
                    days: value.days,
                    usecs: value.nanoseconds.div_euclid(1000),
                })
            }
            oid => return exec_err!("no date and time function takes type {oid}"),
        })
    }
}

/// Appends a value to a column of its type.
pub(super) fn append(builder: &mut ColumnBuilder, value: &Value) -> Result<()> {
    match value {
        Value::Null => {
            builder.append_null();
            Ok(())
        }
        Value::Bool(value) => builder.append_bool(*value),
        Value::Int(value) => builder.append_i64(*value),
        Value::Float(value) => builder.append_f64(*value),
        Value::Numeric(text) | Value::Text(text) => builder.append_text(text),
        Value::Date(days) => builder.append_date(*days),
        Value::Time(usecs) => builder.append_time(*usecs),
        Value::TimeTz(usecs, offset) => {
            let mut text = String::new();
            temporal::write_time(*usecs, &mut text);
            temporal::write_offset(*offset, &mut text);
            builder.append_text(&text)
        }
        Value::Timestamp(usecs) | Value::TimestampTz(usecs) => builder.append_timestamp(*usecs),
        Value::Interval(interval) => builder.append_interval(interval.months, interval.days, interval.usecs),
    }
    .map_err(external)
}
