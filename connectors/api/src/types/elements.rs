//! The elements of arrays, whatever the arrays are stored as.

use std::ops::Range;

use arrow::array::{Array, ArrayRef};

use super::array::ArrayText;
use super::codec::Codec;
use super::text::{OutputStyle, TextWriter};
use super::{ColumnBuilder, PgType};
use crate::interrupt::Pace;
use crate::{ConnectorError, Result};

/// Takes arrays apart: all their elements in the element type's storage, and where each row's lie among them; `None` for
/// an array that is NULL. Several dimensions become one.
///
/// # Errors
/// Stored text that is no array; a type that is none.
pub fn elements(array: &dyn Array, data_type: &PgType) -> Result<(ArrayRef, Vec<Option<Range<usize>>>)> {
    let Some(element) = data_type.element() else {
        return Err(ConnectorError::Internal { message: format!("{} is no array type", data_type.sql_name()) });
    };
    let delimiter = Codec::of(data_type).element_delimiter();
    let style = OutputStyle::default();
    let writer = TextWriter::new(array, data_type, &style)?;
    let mut builder = ColumnBuilder::new(&element, array.len());
    let mut rows = Vec::with_capacity(array.len());
    let mut text = String::new();
    let mut pace = Pace::default();
    for row in 0..array.len() {
        if array.is_null(row) {
            rows.push(None);
            continue;
        }
        text.clear();
        writer.write(row, &mut text)?;
        let start = builder.len();
        for value in ArrayText::parse(&text, delimiter)?.elements {
            pace.step(1 + value.as_ref().map_or(0, String::len))?;
            match value {
                Some(value) => builder.append_text(&value)?,
                None => builder.append_null(),
            }
        }
        rows.push(Some(start..builder.len()));
    }
    Ok((builder.finish(), rows))
}
