//! The binary `COPY` format, decoded straight into Arrow builders.
//!
//! Format: a signature, flags and an extension, then tuples (a field count, then each field's length and bytes, length
//! -1 for NULL), then the field count -1. PostgreSQL, "COPY", "Binary Format".

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;

use atoll_connector_api::types::{ColumnBuilder, PgType};
use atoll_connector_api::{ConnectorError, Result};

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags, length of the extension.
const HEADER_BYTES: usize = SIGNATURE.len() + 4 + 4;
/// Flag bits 16 to 31 must be understood by the reader; PostgreSQL sets none since OIDs are gone.
const CRITICAL_FLAGS: u32 = 0xffff_0000;
/// A row beyond this size is refused; PostgreSQL itself ends at 1 GB.
const ROW_BYTES_MAX: usize = 256 << 20;
/// A batch stops growing after this many bytes of values.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// What one field of the remote's answer becomes.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    /// The column's name, for messages.
    pub(crate) name: String,
    /// The declared type, which the builder has.
    pub(crate) data_type: PgType,
    /// The remote sends the type's text rather than its binary form.
    pub(crate) text: bool,
    /// The foreign table does not declare NOT NULL.
    pub(crate) nullable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Tuples,
    Done,
}

/// Decodes one `COPY` stream.
#[derive(Debug)]
pub(crate) struct Decoder {
    server: String,
    table: String,
    fields: Vec<Field>,
    builders: Vec<ColumnBuilder>,
    state: State,
    /// The beginning of a tuple whose end has not arrived.
    partial: Vec<u8>,
    rows: usize,
    bytes: usize,
    rows_max: usize,
}

impl Decoder {
    /// A decoder for rows of `fields`; batches hold about `rows_max` rows.
    pub(crate) fn new(server: &str, table: &str, fields: Vec<Field>, rows_max: usize) -> Self {
        Self {
            server: server.to_owned(),
            table: table.to_owned(),
            // Room for a whole batch is not taken in advance: most scans are small.
            builders: fields.iter().map(|field| ColumnBuilder::new(&field.data_type, 0)).collect(),
            fields,
            state: State::Header,
            partial: Vec::new(),
            rows: 0,
            bytes: 0,
            rows_max,
        }
    }

    /// Rows decoded since the last batch.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether it is time for a batch.
    pub(crate) fn is_full(&self) -> bool {
        self.rows >= self.rows_max || self.bytes >= BATCH_BYTES_MAX
    }

    /// Whether the stream's own end mark was seen: without it rows are missing.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done && self.partial.is_empty()
    }

    /// Takes a piece of the stream and says how much of it: less than all where the batch is full. Rows may begin and end
    /// anywhere in it.
    ///
    /// # Errors
    /// `22P04` where it is not binary `COPY`; `22003`, `22008`, `22P03` … where a value does not fit its column;
    /// `23502` for NULL in a column that is declared NOT NULL. The decoder is of no use afterwards.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<usize> {
        if self.partial.is_empty() {
            let used = self.decode(piece)?;
            if self.is_full() {
                return Ok(used);
            }
            self.partial.extend_from_slice(&piece[used..]);
        } else {
            let mut partial = std::mem::take(&mut self.partial);
            partial.extend_from_slice(piece);
            let decoded = self.decode(&partial)?;
            partial.drain(..decoded);
            self.partial = partial;
        }
        if self.partial.len() > ROW_BYTES_MAX.saturating_add(piece.len()) {
            return Err(ConnectorError::Limit {
                message: format!("a row of foreign table \"{}\" is larger than {ROW_BYTES_MAX} bytes", self.table),
                hint: None,
            });
        }
        Ok(piece.len())
    }

    /// The rows so far as a batch of `schema`.
    ///
    /// # Errors
    /// [`ConnectorError::Internal`] where they are not of that schema.
    pub(crate) fn take_batch(&mut self, schema: &SchemaRef) -> Result<RecordBatch> {
        let arrays: Vec<ArrayRef> = self.builders.iter_mut().map(ColumnBuilder::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        (self.rows, self.bytes) = (0, 0);
        RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options).map_err(|error| {
            ConnectorError::Internal { message: format!("scan of \"{}\" made a wrong batch: {error}", self.table) }
        })
    }

    /// Decodes whole tuples at the beginning of `data` and says how many bytes they took.
    fn decode(&mut self, data: &[u8]) -> Result<usize> {
        let mut used = 0;
        if self.state == State::Header {
            let Some(length) = self.header(data)? else { return Ok(0) };
            used = length;
        }
        while self.state == State::Tuples && !self.is_full() {
            let Some(length) = self.tuple(&data[used..])? else { break };
            used += length;
        }
        if self.state == State::Done && used < data.len() {
            return Err(self.malformed("data follow its end"));
        }
        Ok(used)
    }

    fn header(&mut self, data: &[u8]) -> Result<Option<usize>> {
        let known = data.len().min(SIGNATURE.len());
        if data[..known] != SIGNATURE[..known] {
            return Err(self.malformed("its signature is missing"));
        }
        let mut reader = Reader(data.get(SIGNATURE.len()..).unwrap_or_default());
        let (Some(flags), Some(extension)) = (reader.number(), reader.number()) else { return Ok(None) };
        if flags & CRITICAL_FLAGS != 0 {
            return Err(self.malformed("it uses an unknown feature"));
        }
        let extension = usize::try_from(extension).unwrap_or(usize::MAX);
        if extension > ROW_BYTES_MAX {
            return Err(self.malformed("its header is too long"));
        }
        if data.len() < HEADER_BYTES + extension {
            return Ok(None);
        }
        self.state = State::Tuples;
        Ok(Some(HEADER_BYTES + extension))
    }

    /// Decodes one tuple, or nothing where its end is not in `data`: a tuple is never appended in part.
    fn tuple(&mut self, data: &[u8]) -> Result<Option<usize>> {
        let Some(length) = self.tuple_length(data)? else { return Ok(None) };
        let Some((_, mut rest)) = data[..length].split_at_checked(2) else { return Ok(None) };
        if self.state == State::Done {
            return Ok(Some(length));
        }
        for index in 0..self.fields.len() {
            let mut reader = Reader(rest);
            let size = reader.number().and_then(|size| usize::try_from(i32::from_be_bytes(size.to_be_bytes())).ok());
            let value = size.and_then(|size| reader.0.get(..size));
            rest = reader.0.get(value.map_or(0, <[u8]>::len)..).unwrap_or_default();
            self.append(index, value)?;
        }
        self.rows += 1;
        self.bytes += length;
        Ok(Some(length))
    }

    fn tuple_length(&mut self, data: &[u8]) -> Result<Option<usize>> {
        let Some(&[high, low]) = data.get(..2) else { return Ok(None) };
        let count = i16::from_be_bytes([high, low]);
        if count == -1 {
            self.state = State::Done;
            return Ok(Some(2));
        }
        if usize::try_from(count) != Ok(self.fields.len()) {
            return Err(self.malformed(&format!("a row has {count} fields instead of {}", self.fields.len())));
        }
        let mut length = 2;
        for _ in 0..self.fields.len() {
            let Some(size) = Reader(&data[length..]).number() else { return Ok(None) };
            length += 4;
            match usize::try_from(i32::from_be_bytes(size.to_be_bytes())) {
                Ok(size) if size <= ROW_BYTES_MAX => length += size,
                Ok(_) => return Err(self.malformed("a value is too long")),
                Err(_) if size == u32::MAX => {}
                Err(_) => return Err(self.malformed("a value has a negative length")),
            }
            if length > data.len() {
                return Ok(None);
            }
        }
        Ok(Some(length))
    }

    fn append(&mut self, index: usize, value: Option<&[u8]>) -> Result<()> {
        let (Some(field), Some(builder)) = (self.fields.get(index), self.builders.get_mut(index)) else {
            return Err(ConnectorError::Internal { message: "a row has more fields than builders".into() });
        };
        let appended = match value {
            Some(value) if field.text => append_text(builder, value),
            Some(value) => builder.append_binary(value),
            None if field.nullable => {
                builder.append_null();
                Ok(())
            }
            None => Err(ConnectorError::value("23502", "null value in a column that is declared NOT NULL")),
        };
        appended.map_err(|error| located(error, field, &self.table, &self.server))
    }

    fn malformed(&self, problem: &str) -> ConnectorError {
        ConnectorError::value("22P04", format!("invalid COPY data from server \"{}\": {problem}", self.server))
    }
}

fn append_text(builder: &mut ColumnBuilder, value: &[u8]) -> Result<()> {
    let text = std::str::from_utf8(value)
        .map_err(|_| ConnectorError::value("22021", "invalid byte sequence for encoding \"UTF8\""))?;
    builder.append_text(text)
}

/// Says where a value stood that could not be read.
fn located(error: ConnectorError, field: &Field, table: &str, server: &str) -> ConnectorError {
    let place = format!("column \"{}\" of foreign table \"{table}\" on server \"{server}\"", field.name);
    match error {
        ConnectorError::Value { sqlstate, message, .. } => {
            ConnectorError::value(sqlstate, format!("{message} in {place}"))
        }
        ConnectorError::Unsupported { message, hint } => {
            ConnectorError::Unsupported { message: format!("{message} in {place}"), hint }
        }
        other => other,
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]
mod tests {
    use super::*;
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Int32Type, Schema};
    use atoll_connector_api::types::oids;
    use proptest::prelude::*;

    fn field(name: &str, oid: u32, text: bool) -> Field {
        Field { name: name.into(), data_type: PgType::new(oid), text, nullable: true }
    }

    fn fields() -> Vec<Field> {
        vec![field("a", oids::INT4, false), field("b", oids::TEXT, false), field("c", oids::INET, true)]
    }

    fn schema(fields: &[Field]) -> SchemaRef {
        Arc::new(Schema::new(fields.iter().map(|f| f.data_type.field(&f.name, f.nullable)).collect::<Vec<_>>()))
    }

    type Row<'a> = (Option<i32>, Option<&'a str>, Option<&'a str>);

    fn stream(rows: &[Row<'_>]) -> Vec<u8> {
        let mut out = SIGNATURE.to_vec();
        out.extend([0; 8]);
        for (a, b, c) in rows {
            out.extend(3_i16.to_be_bytes());
            for value in [a.map(|a| a.to_be_bytes().to_vec()), b.map(Into::into), c.map(Into::into)] {
                match value {
                    Some(value) => {
                        out.extend(i32::try_from(value.len()).unwrap().to_be_bytes());
                        out.extend(value);
                    }
                    None => out.extend((-1_i32).to_be_bytes()),
                }
            }
        }
        out.extend((-1_i16).to_be_bytes());
        out
    }

    const ROWS: &[Row<'_>] =
        &[(Some(1), Some("eins"), Some("10.0.0.1")), (None, None, None), (Some(-7), Some(""), Some("::1"))];

    #[test]
    fn rows_are_decoded_however_the_messages_are_cut() {
        let bytes = stream(ROWS);
        for size in 1..=bytes.len() {
            let mut decoder = Decoder::new("s", "t", fields(), 100);
            for message in bytes.chunks(size) {
                decoder.push(message).unwrap();
            }
            assert!(decoder.is_done() && decoder.rows() == 3, "{size}");
            let batch = decoder.take_batch(&schema(&fields())).unwrap();
            let a = batch.column(0).as_primitive::<Int32Type>();
            assert_eq!((a.value(0), a.is_null(1), a.value(2)), (1, true, -7));
            let b = batch.column(1).as_string_view();
            assert_eq!((b.value(0), b.is_null(1), b.value(2)), ("eins", true, ""));
            assert_eq!(batch.column(2).as_string_view().value(2), "::1");
        }
    }

    #[test]
    fn a_batch_has_no_more_rows_than_it_may_have() {
        let bytes = stream(ROWS);
        for size in 1..=bytes.len() {
            let mut decoder = Decoder::new("s", "t", fields(), 2);
            let (mut rows, mut left) = (Vec::new(), &bytes[..]);
            while !decoder.is_done() {
                let (piece, _) = left.split_at(size.min(left.len()));
                let used = decoder.push(piece).unwrap();
                left = &left[used..];
                if decoder.is_full() {
                    rows.push(decoder.take_batch(&schema(&fields())).unwrap().num_rows());
                }
            }
            rows.push(decoder.rows());
            assert_eq!(rows, [2, 1], "{size}");
        }
    }

    #[test]
    fn rows_without_fields_are_counted() {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0; 8]);
        bytes.extend([0, 0, 0, 0, 0xff, 0xff]);
        let mut decoder = Decoder::new("s", "t", Vec::new(), 100);
        decoder.push(&bytes).unwrap();
        assert!(decoder.is_done());
        assert_eq!(decoder.take_batch(&Arc::new(Schema::empty())).unwrap().num_rows(), 2);
    }

    #[test]
    fn a_stream_that_ends_early_is_not_done() {
        let bytes = stream(ROWS);
        for end in 0..bytes.len() {
            let mut decoder = Decoder::new("s", "t", fields(), 100);
            decoder.push(&bytes[..end]).unwrap();
            assert!(!decoder.is_done(), "{end}");
        }
    }

    #[test]
    fn malformed_streams_are_refused() {
        let refused = |bytes: &[u8]| {
            let error = Decoder::new("s", "t", fields(), 100).push(bytes).unwrap_err();
            assert!(matches!(error, ConnectorError::Value { sqlstate: "22P04", .. }), "{error}");
        };
        refused(b"hello");
        let good = stream(ROWS);
        let mut flags = good.clone();
        flags[11] = 1;
        refused(&flags);
        let mut count = good.clone();
        count[20] = 4;
        refused(&count);
        let mut negative = good.clone();
        negative[21..25].copy_from_slice(&(-2_i32).to_be_bytes());
        refused(&negative);
        let mut long = good.clone();
        long[21..25].copy_from_slice(&i32::MAX.to_be_bytes());
        refused(&long);
        let mut tail = good;
        tail.push(0);
        refused(&tail);
    }

    #[test]
    fn null_in_a_column_declared_not_null_names_the_column() {
        let mut fields = fields();
        fields[0].nullable = false;
        let error = Decoder::new("s", "public.t", fields, 100).push(&stream(ROWS)).unwrap_err();
        let ConnectorError::Value { sqlstate, message, .. } = error else { panic!("{error}") };
        assert_eq!(sqlstate, "23502");
        assert!(message.contains("column \"a\" of foreign table \"public.t\""), "{message}");
    }

    proptest! {
        #[test]
        fn damaged_bytes_never_panic(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            cut in 1_usize..64,
        ) {
            let mut bytes = stream(ROWS);
            for (index, value) in changes {
                let at = index.index(bytes.len());
                bytes[at] = value;
            }
            let mut decoder = Decoder::new("s", "t", fields(), 100);
            let fed = bytes.chunks(cut).try_for_each(|message| decoder.push(message).map(drop));
            if fed.is_ok() && decoder.rows() > 0 {
                let rows = decoder.rows();
                prop_assert_eq!(decoder.take_batch(&schema(&fields())).unwrap().num_rows(), rows);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let mut whole = SIGNATURE.to_vec();
            whole.extend([0; 8]);
            whole.extend(bytes);
            let _ = Decoder::new("s", "t", fields(), 100).push(&whole);
        }
    }
}
