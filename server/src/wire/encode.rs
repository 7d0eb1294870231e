//! Rows to DataRow messages, parameters to values.

use arrow::array::{Array, ArrayRef};
use arrow::buffer::NullBuffer;
use arrow::record_batch::RecordBatch;
use atoll_connector_api::types::text::OutputStyle;
use atoll_connector_api::types::{BinaryWriter, ColumnBuilder, DERIVED_OID_MIN, PgType, TextWriter};
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
        Ok(Self { columns, style })
    }

    /// Writers for the rows of a batch.
    ///
    /// # Errors
    /// `XX000` the plan and its description disagree; `0A000` a type without the format that was asked for.
    pub(super) fn batch<'a>(&'a self, batch: &'a RecordBatch) -> SqlResult<BatchWriter<'a>> {
        if batch.num_columns() != self.columns.len() {
            let message =
                format!("result has {} columns where {} were described", batch.num_columns(), self.columns.len());
            return Err(SqlError::internal(message));
        }
        let writer = |(array, (data_type, format)): (&'a ArrayRef, &'a (PgType, Format))| {
            let writer = match format {
                Format::Text => TextWriter::new(array, data_type, &self.style).map(Writer::Text),
                Format::Binary => BinaryWriter::new(array, data_type).map(Writer::Binary),
            };
            // Dictionaries and all-NULL arrays know their NULLs only logically.
            Ok((array.logical_nulls(), writer.map_err(|error| value_error(&error))?))
        };
        let columns = batch.columns().iter().zip(&self.columns).map(writer).collect::<SqlResult<_>>()?;
        Ok(BatchWriter { columns, text: String::new() })
    }
}

enum Writer<'a> {
    Text(TextWriter<'a>),
    Binary(BinaryWriter<'a>),
}

/// Writes the rows of one batch.
pub(super) struct BatchWriter<'a> {
    columns: Vec<(Option<NullBuffer>, Writer<'a>)>,
    text: String,
}

impl BatchWriter<'_> {
    /// How many columns a row has.
    pub(super) fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Appends the DataRow of one row, or nothing where it fails.
    ///
    /// # Errors
    /// A value that has no such form; a row that is too long for a message.
    pub(super) fn append_data_row(&mut self, row: usize, out: &mut BytesMut) -> SqlResult<()> {
        append_message(out, b'D', |out| self.append_fields(row, out))
    }

    /// Appends the number of columns, then length and bytes of each: the body of DataRow and of a row of binary COPY.
    pub(super) fn append_fields(&mut self, row: usize, out: &mut BytesMut) -> SqlResult<()> {
        out.put_u16(u16::try_from(self.columns.len()).unwrap_or(u16::MAX));
        for (nulls, writer) in &self.columns {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                out.put_i32(-1);
                continue;
            }
            let at = out.len();
            out.put_u32(0);
            match writer {
                Writer::Text(writer) => {
                    self.text.clear();
                    writer.write(row, &mut self.text).map_err(|error| value_error(&error))?;
                    out.put_slice(self.text.as_bytes());
                }
                Writer::Binary(writer) => writer.write(row, out).map_err(|error| value_error(&error))?,
            }
            patch_length(out, at, at + 4)?;
        }
        Ok(())
    }

    /// The text of one value, for COPY; `None`: NULL.
    pub(super) fn text_of(&mut self, row: usize, column: usize) -> SqlResult<Option<&str>> {
        match self.columns.get(column) {
            Some((nulls, _)) if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) => Ok(None),
            Some((_, Writer::Text(writer))) => {
                self.text.clear();
                writer.write(row, &mut self.text).map_err(|error| value_error(&error))?;
                Ok(Some(&self.text))
            }
            Some((_, Writer::Binary(_))) | None => Err(SqlError::internal("a value was asked for in the wrong format")),
        }
    }
}

/// Appends a message around what `body` writes, or nothing where that fails.
pub(super) fn append_message(
    out: &mut BytesMut,
    tag: u8,
    body: impl FnOnce(&mut BytesMut) -> SqlResult<()>,
) -> SqlResult<()> {
    let start = out.len();
    out.put_u8(tag);
    out.put_u32(0);
    let result = body(out).and_then(|()| patch_length(out, start + 1, start + 1));
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Writes at `at` how many bytes there are from `from` on.
fn patch_length(out: &mut BytesMut, at: usize, from: usize) -> SqlResult<()> {
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
    style: &OutputStyle,
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
        decode_parameter(data_type, formats.of(index), value.as_deref(), style)
    };
    types.iter().zip(values).enumerate().map(decode).collect()
}

fn decode_parameter(
    data_type: &PgType,
    format: Format,
    value: Option<&[u8]>,
    style: &OutputStyle,
) -> SqlResult<ScalarValue> {
    let mut builder = ColumnBuilder::with_style(data_type, 1, style);
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
    let known = |oid: &u32| match *oid {
        0 | atoll_connector_api::types::oids::UNKNOWN => Ok(None),
        // Derived from the name of a source's type, which only planning knows.
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int32Array, NullArray, StringViewArray};
    use arrow::datatypes::{DataType, Field, Schema};
    use atoll_connector_api::types::oids;

    use super::*;

    fn columns() -> Vec<ResultColumn> {
        vec![
            ResultColumn::new("i", PgType::new(oids::INT4)),
            ResultColumn::new("s", PgType::new(oids::TEXT)),
            ResultColumn::new("n", PgType::new(oids::TEXT)),
        ]
    }

    fn batch() -> RecordBatch {
        let fields = [("i", DataType::Int32), ("s", DataType::Utf8View), ("n", DataType::Null)];
        let fields: Vec<Field> = fields.into_iter().map(|(name, kind)| Field::new(name, kind, true)).collect();
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from(vec![Some(-7), None])),
            Arc::new(StringViewArray::from(vec![Some("é"), Some("")])),
            Arc::new(NullArray::new(2)),
        ];
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
    }

    fn rows(codes: &[i16]) -> SqlResult<Vec<u8>> {
        let encoder = RowEncoder::new(&columns(), &Formats::from_codes(codes)?, OutputStyle::default())?;
        let (batch, mut out) = (batch(), BytesMut::new());
        let mut writer = encoder.batch(&batch)?;
        (0..2).try_for_each(|row| writer.append_data_row(row, &mut out))?;
        Ok(out.to_vec())
    }

    #[test]
    fn writes_text_and_binary_rows() {
        assert_eq!(
            rows(&[]).unwrap(),
            b"D\0\0\0\x16\0\x03\0\0\0\x02-7\0\0\0\x02\xc3\xa9\xff\xff\xff\xff\
              D\0\0\0\x12\0\x03\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff"
        );
        let binary = b"D\0\0\0\x18\0\x03\0\0\0\x04\xff\xff\xff\xf9\0\0\0\x02\xc3\xa9\xff\xff\xff\xff";
        assert_eq!(rows(&[1]).unwrap()[..binary.len()], binary[..]);
        assert_eq!(rows(&[1, 0, 0]).unwrap(), rows(&[1]).unwrap());
        assert_eq!(rows(&[2]).unwrap_err().message, "unsupported format code: 2");
    }

    #[test]
    fn a_row_that_cannot_be_written_leaves_nothing() {
        let mut out = BytesMut::from(&b"before"[..]);
        let failing = |out: &mut BytesMut| {
            out.put_slice(b"half");
            Err(SqlError::internal("no"))
        };
        assert!(append_message(&mut out, b'D', failing).is_err());
        assert_eq!(&out[..], b"before");
        let many = vec![ResultColumn::new("x", PgType::new(oids::INT4)); COLUMNS_MAX + 1];
        let error = RowEncoder::new(&many, &Formats::All(Format::Text), OutputStyle::default()).unwrap_err();
        assert_eq!(error.sqlstate, SqlState::TOO_MANY_COLUMNS);
        let encoder = RowEncoder::new(&columns()[..1], &Formats::All(Format::Text), OutputStyle::default()).unwrap();
        assert!(encoder.batch(&batch()).is_err());
    }

    fn parameters(codes: &[i16], values: &[Option<&'static [u8]>]) -> SqlResult<Vec<ScalarValue>> {
        let types = [PgType::new(oids::INT4), PgType::new(oids::TEXT)];
        let values: Vec<_> = values.iter().map(|value| value.map(Bytes::from_static)).collect();
        decode_parameters("s", &types, codes, &values, &OutputStyle::default())
    }

    #[test]
    fn reads_parameters_in_both_formats() {
        let expected = vec![ScalarValue::Int32(Some(5)), ScalarValue::Utf8View(Some("x".to_owned()))];
        assert_eq!(parameters(&[], &[Some(b"5"), Some(b"x")]).unwrap(), expected);
        assert_eq!(parameters(&[1, 0], &[Some(b"\0\0\0\x05"), Some(b"x")]).unwrap(), expected);
        let nulls = vec![ScalarValue::Int32(None), ScalarValue::Utf8View(None)];
        assert_eq!(parameters(&[1], &[None, None]).unwrap(), nulls);
    }

    #[test]
    fn refuses_parameters_as_postgresql_does() {
        for (codes, values, state, message) in [
            (
                &[][..],
                &[Some(&b"5"[..])][..],
                "08P01",
                "bind message supplies 1 parameters, but prepared statement \"s\" requires 2",
            ),
            (&[0, 0, 0], &[None, None], "08P01", "bind message has 3 parameter formats but 2 parameters"),
            (&[7], &[None, None], "22023", "unsupported format code: 7"),
            (&[], &[Some(b"x"), None], "22P02", "invalid input syntax for type integer: \"x\""),
            (&[], &[None, Some(b"a\0b")], "22021", "invalid byte sequence for encoding \"UTF8\": 0x00"),
            (&[], &[None, Some(b"a\xff")], "22021", "invalid byte sequence for encoding \"UTF8\": 0xff"),
        ] {
            let error = parameters(codes, values).unwrap_err();
            assert_eq!((error.sqlstate.as_str(), error.message.as_str()), (state, message));
        }
        assert_eq!(parameters(&[1], &[Some(b"\0"), None]).unwrap_err().sqlstate.as_str(), "22P03");
    }

    #[test]
    fn knows_which_parameter_types_exist() {
        let text = PgType::new(oids::TEXT);
        assert_eq!(
            parameter_types(&[0, oids::UNKNOWN, oids::TEXT, DERIVED_OID_MIN + 1]).unwrap(),
            [None, None, Some(text), None]
        );
        assert_eq!(parameter_types(&[99_999]).unwrap_err().message, "type with OID 99999 does not exist");
    }
}
