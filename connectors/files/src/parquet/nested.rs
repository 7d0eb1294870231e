//! Nested values as JSON text.

use arrow::array::{Array, ArrayRef, AsArray, MapArray, StructArray};
use arrow::datatypes::DataType;
use atoll_connector_api::types::PgType;
use atoll_connector_api::types::text::{OutputStyle, write_text};
use atoll_connector_api::{ConnectorError, Result};

/// Appends one value, NULL or not, as JSON. The depth is that of the file's schema, which its footer's check bounds.
///
/// # Errors
/// A type that has no text.
pub(crate) fn write_json(array: &dyn Array, row: usize, out: &mut String) -> Result<()> {
    if array.is_null(row) {
        out.push_str("null");
        return Ok(());
    }
    match array.data_type() {
        DataType::Null => out.push_str("null"),
        DataType::Struct(_) => write_struct(array.as_struct(), row, out)?,
        DataType::Map(_, _) => write_map(array.as_map(), row, out)?,
        DataType::List(_) => write_list(&array.as_list::<i32>().value(row), out)?,
        DataType::LargeList(_) => write_list(&array.as_list::<i64>().value(row), out)?,
        DataType::FixedSizeList(_, _) => write_list(&array.as_fixed_size_list().value(row), out)?,
        DataType::ListView(_) => write_list(&array.as_list_view::<i32>().value(row), out)?,
        DataType::LargeListView(_) => write_list(&array.as_list_view::<i64>().value(row), out)?,
        DataType::Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
        other => {
            let mut text = String::new();
            write_text(array, row, &PgType::of_arrow(other), &OutputStyle::default(), &mut text)?;
            // NaN and the infinities are no JSON numbers.
            if other.is_numeric() && text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) {
                out.push_str(&text);
            } else {
                write_string(&text, out)?;
            }
        }
    }
    Ok(())
}

fn write_string(text: &str, out: &mut String) -> Result<()> {
    let quoted = serde_json::to_string(text)
        .map_err(|error| ConnectorError::Internal { message: format!("text has no JSON form: {error}") })?;
    out.push_str(&quoted);
    Ok(())
}

fn write_struct(array: &StructArray, row: usize, out: &mut String) -> Result<()> {
    out.push('{');
    for (index, (name, column)) in array.column_names().into_iter().zip(array.columns()).enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write_string(name, out)?;
        out.push_str(": ");
        write_json(column.as_ref(), row, out)?;
    }
    out.push('}');
    Ok(())
}

fn write_map(array: &MapArray, row: usize, out: &mut String) -> Result<()> {
    let entries = array.value(row);
    let (keys, values) = (entries.column(0), entries.column(1));
    out.push('{');
    for entry in 0..entries.len() {
        if entry > 0 {
            out.push_str(", ");
        }
        let mut key = String::new();
        if !keys.is_null(entry) {
            write_text(keys.as_ref(), entry, &PgType::of_arrow(keys.data_type()), &OutputStyle::default(), &mut key)?;
        }
        write_string(&key, out)?;
        out.push_str(": ");
        write_json(values.as_ref(), entry, out)?;
    }
    out.push('}');
    Ok(())
}

fn write_list(values: &ArrayRef, out: &mut String) -> Result<()> {
    out.push('[');
    for index in 0..values.len() {
        if index > 0 {
            out.push_str(", ");
        }
        write_json(values.as_ref(), index, out)?;
    }
    out.push(']');
    Ok(())
}
