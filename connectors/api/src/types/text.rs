//! PostgreSQL's text formats: values out of Arrow arrays.

use arrow::array::Array;

use super::PgType;
use crate::Result;

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
        }
    }
}

/// Appends the text of one value, which is not NULL, as PostgreSQL prints a value of `data_type`. `array` may have any
/// storage that Arrow offers for such a value, not only [`PgType::storage`].
///
/// # Errors
/// A storage that cannot hold the type.
pub fn write_text(
    _array: &dyn Array,
    _row: usize,
    _data_type: &PgType,
    _style: &OutputStyle,
    _out: &mut String,
) -> Result<()> {
    Err(crate::ConnectorError::unsupported("text output is not built yet"))
}
