//! Rows to DataRow messages, parameters to values.

use std::sync::Arc;

use arrow::array::Array;
use arrow::record_batch::RecordBatch;
use atoll_connector_api::types::binary::write_binary;
use atoll_connector_api::types::text::{OutputStyle, write_text};
use atoll_connector_api::types::{ColumnBuilder, PgType};
use bytes::{BufMut, Bytes, BytesMut};
use datafusion::common::ScalarValue;

use super::frontend::not_utf8;
use super::sqlstate;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::session::ResultColumn;

/// `MaxTupleAttributeNumber`: more columns than this no PostgreSQL client expects, and the protocol counts them in 16 bits.
pub(super) const COLUMNS_MAX: usize = 1664;

/// A format code of Bind, RowDescription and COPY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Binary,
}

impl Format {
    /// The code on the wire.
    pub(super) fn code(self) -> i16 {
        match self {
            Self::Text => 0,
            Self::Binary => 1,
        }
    }

    /// # Errors
    /// `22023`: no such format.
    pub(super) fn from_code(code: i16) -> SqlResult<Self> {
        match code {
            0 => Ok(Self::Text),
            1 => Ok(Self::Binary),
            other => Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("unsupported format code: {other}"))),
        }
    }
}

/// Formats as Bind gives them: none, one for all, or one each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Formats {
    All(Format),
    Each(Vec<Format>),
}

impl Formats {
    /// # Errors
    /// `22023`: an unknown format.
    pub(super) fn from_codes(codes: &[i16]) -> SqlResult<Self> {
        match codes {
            [] => Ok(Self::All(Format::Text)),
            [code] => Ok(Self::All(Format::from_code(*code)?)),
            codes => Ok(Self::Each(codes.iter().map(|code| Format::from_code(*code)).collect::<SqlResult<_>>()?)),
        }
    }

    /// How many were given, where that has to be the number of columns.
    pub(super) fn exact_count(&self) -> Option<usize> {
        match self {
            Self::All(_) => None,
            Self::Each(formats) => Some(formats.len()),
        }
    }

    /// The format of a column.
    pub(super) fn of(&self, column: usize) -> Format {
        match self {
            Self::All(format) => *format,
            Self::Each(formats) => formats.get(column).copied().unwrap_or(Format::Text),
        }
    }
}

/// Turns the rows of one result into bytes.
#[derive(Debug)]
pub(super) struct RowEncoder {
    columns: Vec<(PgType, Format)>,
    style: OutputStyle,
    text: String,
}

impl RowEncoder {
    /// For a result whose values print in `style` from its first to its last row.
    ///
    /// # Errors
    /// `54011`: more columns than the protocol can count.
    pub(super) fn new(columns: &[ResultColumn], formats: &Formats, style: OutputStyle) -> SqlResult<Self> {
        if columns.len() > COLUMNS_MAX {
            let message = format!("target lists can have at most {COLUMNS_MAX} entries");
            return Err(SqlError::new(SqlState::TOO_MANY_COLUMNS, message));
        }
        let typed = |(index, column): (usize, &ResultColumn)| (column.data_type.clone(), formats.of(index));
        let columns = columns.iter().enumerate().map(typed).collect();
        Ok(Self { columns, style, text: String::new() })
    }

    /// How many columns a row has.
    pub(super) fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Checks that a batch has the columns that were announced.
    ///
    /// # Errors
    /// `XX000`: the plan and its description disagree.
    pub(super) fn check(&self, batch: &RecordBatch) -> SqlResult<()> {
        if batch.num_columns() == self.columns.len() {
            return Ok(());
        }
        let message = format!("result has {} columns where {} were described", batch.num_columns(), self.columns.len());
        Err(SqlError::internal(message))
    }

    /// Appends the DataRow of one row, or nothing where it fails.
    ///
    /// # Errors
    /// A value that has no such form; a row that is too long for a message.
    pub(super) fn append_data_row(&mut self, batch: &RecordBatch, row: usize, out: &mut BytesMut) -> SqlResult<()> {
        let start = out.len();
        out.put_u8(b'D');
        out.put_u32(0);
        let result = self.append_fields(batch, row, out).and_then(|()| patch_length(out, start + 1, start + 1));
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    /// Appends the number of columns, then length and bytes of each: the body of DataRow and of a row of binary COPY.
    pub(super) fn append_fields(&mut self, batch: &RecordBatch, row: usize, out: &mut BytesMut) -> SqlResult<()> {
        out.put_u16(u16::try_from(self.columns.len()).unwrap_or(u16::MAX));
        for (array, (data_type, format)) in batch.columns().iter().zip(&self.columns) {
            if array.is_null(row) {
                out.put_i32(-1);
                continue;
            }
            let at = out.len();
            out.put_u32(0);
            match format {
                Format::Text => {
                    self.text.clear();
                    write_text(array, row, data_type, &self.style, &mut self.text)
                        .map_err(|error| value_error(&error))?;
                    out.put_slice(self.text.as_bytes());
                }
                Format::Binary => {
                    write_binary(array, row, data_type, out).map_err(|error| value_error(&error))?;
                }
            }
            patch_length(out, at, at + 4)?;
        }
        Ok(())
    }

    /// The text of one value, for COPY; `None`: NULL.
    pub(super) fn text_of(&mut self, array: &dyn Array, row: usize, column: usize) -> SqlResult<Option<&str>> {
        if array.is_null(row) {
            return Ok(None);
        }
        let Some((data_type, _)) = self.columns.get(column) else { return Ok(None) };
        self.text.clear();
        write_text(array, row, data_type, &self.style, &mut self.text).map_err(|error| value_error(&error))?;
        Ok(Some(&self.text))
    }
}

/// Writes at `at` how many bytes there are from `from` on.
pub(super) fn patch_length(out: &mut BytesMut, at: usize, from: usize) -> SqlResult<()> {
    let length = i32::try_from(out.len() - from)
        .map_err(|_| SqlError::new(SqlState(*b"54000"), "row is too large for the protocol"))?;
    if let Some(bytes) = out.get_mut(at..at + 4) {
        bytes.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

fn value_error(error: &atoll_connector_api::ConnectorError) -> SqlError {
    sqlstate::connector_error(error)
}

/// Reads the values of a Bind.
///
/// # Errors
/// `08P01` the counts are wrong; class 22: a value is not one of its type.
pub(super) fn decode_parameters(
    statement: &str,
    types: &[PgType],
    format_codes: &[i16],
    values: &[Option<Bytes>],
) -> SqlResult<Vec<ScalarValue>> {
    let formats = Formats::from_codes(format_codes)?;
    if formats.exact_count().is_some_and(|count| count != values.len()) {
        let message =
            format!("bind message has {} parameter formats but {} parameters", format_codes.len(), values.len());
        return Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, message));
    }
    if values.len() != types.len() {
        let message = format!(
            "bind message supplies {} parameters, but prepared statement \"{statement}\" requires {}",
            values.len(),
            types.len()
        );
        return Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, message));
    }
    let decode = |(index, (data_type, value)): (usize, (&PgType, &Option<Bytes>))| {
        decode_parameter(data_type, formats.of(index), value.as_deref())
    };
    types.iter().zip(values).enumerate().map(decode).collect()
}

fn decode_parameter(data_type: &PgType, format: Format, value: Option<&[u8]>) -> SqlResult<ScalarValue> {
    let mut builder = ColumnBuilder::new(data_type, 1);
    match (value, format) {
        (None, _) => builder.append_null(),
        (Some(bytes), Format::Text) => {
            let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
            let text = text.ok_or_else(|| not_utf8(bytes))?;
            builder.append_text(text).map_err(|error| value_error(&error))?;
        }
        (Some(bytes), Format::Binary) => builder.append_binary(bytes).map_err(|error| value_error(&error))?,
    }
    let array = builder.finish();
    ScalarValue::try_from_array(&array, 0).map_err(|error| sqlstate::sql_error(&error))
}

/// The types that Parse gives by OID; `None`: to be inferred.
///
/// # Errors
/// `42704`: no such type.
pub(super) fn parameter_types(oids: &[u32]) -> SqlResult<Vec<Option<PgType>>> {
    /// OIDs from here on are derived from the names of a source's types, which only planning knows.
    const DERIVED_OID_MIN: u32 = 0xC000_0000;
    let known = |oid: &u32| match *oid {
        0 | atoll_connector_api::types::oids::UNKNOWN => Ok(None),
        derived if derived >= DERIVED_OID_MIN => Ok(None),
        oid => match atoll_connector_api::types::BuiltinType::by_oid(oid) {
            Some(_) => Ok(Some(PgType::new(oid))),
            None => {
                let message = format!("type with OID {oid} does not exist");
                Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message))
            }
        },
    };
    oids.iter().map(known).collect()
}

/// Whether rows still have the columns that were described when the statement was prepared.
pub(super) fn same_row_type(described: &[ResultColumn], actual: &Arc<[ResultColumn]>) -> bool {
    described.len() == actual.len()
        && described.iter().zip(actual.iter()).all(|(before, now)| before.data_type.oid == now.data_type.oid)
}
