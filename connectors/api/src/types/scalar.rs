//! Single values in PostgreSQL's formats.

use datafusion::common::ScalarValue;

use super::text::{OutputStyle, write_text};
use super::{ColumnBuilder, PgType};
use crate::{ConnectorError, Result};

/// Reads text with the type's input function into a scalar of [`PgType::storage`].
///
/// # Errors
/// As [`ColumnBuilder::append_text`].
pub fn parse_scalar(text: &str, data_type: &PgType) -> Result<ScalarValue> {
    let mut builder = ColumnBuilder::new(data_type, 1);
    builder.append_text(text)?;
    finish(builder)
}

/// The same under a session's settings: times without a zone are in the style's zone.
///
/// # Errors
/// As [`ColumnBuilder::append_text`].
pub fn parse_scalar_with(text: &str, data_type: &PgType, style: &OutputStyle) -> Result<ScalarValue> {
    let mut builder = ColumnBuilder::with_style(data_type, 1, style);
    builder.append_text(text)?;
    finish(builder)
}

/// Reads PostgreSQL's binary format into a scalar of [`PgType::storage`].
///
/// # Errors
/// As [`ColumnBuilder::append_binary`].
pub fn scalar_from_binary(bytes: &[u8], data_type: &PgType) -> Result<ScalarValue> {
    let mut builder = ColumnBuilder::new(data_type, 1);
    builder.append_binary(bytes)?;
    finish(builder)
}

/// The text of a scalar as PostgreSQL prints a value of `data_type`; `None` for NULL.
///
/// # Errors
/// A storage that cannot hold the type.
pub fn format_scalar(value: &ScalarValue, data_type: &PgType, style: &OutputStyle) -> Result<Option<String>> {
    if value.is_null() {
        return Ok(None);
    }
    let array = value.to_array_of_size(1).map_err(|error| internal(&error))?;
    let mut text = String::new();
    write_text(array.as_ref(), 0, data_type, style, &mut text)?;
    Ok(Some(text))
}

fn finish(mut builder: ColumnBuilder) -> Result<ScalarValue> {
    ScalarValue::try_from_array(&builder.finish(), 0).map_err(|error| internal(&error))
}

fn internal(error: &dyn std::fmt::Display) -> ConnectorError {
    ConnectorError::Internal { message: format!("a scalar could not be made: {error}") }
}
