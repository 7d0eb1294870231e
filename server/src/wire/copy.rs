//! COPY … TO STDOUT: rows in PostgreSQL's text, CSV and binary formats (`commands/copyto.c`).

use arrow::array::Array;
use arrow::record_batch::RecordBatch;
use bytes::{BufMut, BytesMut};

use super::encode::{Format, RowEncoder, patch_length};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::session::ResultColumn;
use crate::statement::ast::{CopyFormat, CopyTo};

/// PostgreSQL's signature of the binary format, no flags, no header extension.
const BINARY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// Writes the rows of one COPY as CopyData messages.
pub(super) struct CopyEncoder {
    options: Box<CopyTo>,
    force_quote: Vec<bool>,
    line: BytesMut,
}

impl CopyEncoder {
    /// # Errors
    /// `42703`: FORCE_QUOTE names a column that is not there.
    pub(super) fn new(options: Box<CopyTo>, columns: &[ResultColumn]) -> SqlResult<Self> {
        for name in &options.force_quote {
            if !columns.iter().any(|column| column.name == *name) {
                let message = format!("column \"{name}\" does not exist");
                return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message));
            }
        }
        let forced = |column: &ResultColumn| options.force_quote_all || options.force_quote.contains(&column.name);
        let force_quote = columns.iter().map(forced).collect();
        Ok(Self { options, force_quote, line: BytesMut::new() })
    }

    /// The format that CopyOutResponse announces and that values are encoded in.
    pub(super) fn format(&self) -> Format {
        match self.options.format {
            CopyFormat::Text | CopyFormat::Csv => Format::Text,
            CopyFormat::Binary => Format::Binary,
        }
    }

    /// What comes before the rows.
    pub(super) fn append_header(&mut self, columns: &[ResultColumn], out: &mut BytesMut) -> SqlResult<()> {
        match self.options.format {
            CopyFormat::Binary => copy_data(out, |out| {
                out.put_slice(BINARY_HEADER);
                Ok(())
            }),
            CopyFormat::Text | CopyFormat::Csv if self.options.header => {
                self.line.clear();
                for (index, column) in columns.iter().enumerate() {
                    self.separate(index);
                    match self.options.format {
                        CopyFormat::Csv => self.csv_value(&column.name, false, columns.len() == 1),
                        _ => self.text_value(&column.name),
                    }
                }
                self.end_line(out)
            }
            CopyFormat::Text | CopyFormat::Csv => Ok(()),
        }
    }

    /// What comes after the rows.
    pub(super) fn append_trailer(&mut self, out: &mut BytesMut) -> SqlResult<()> {
        match self.options.format {
            CopyFormat::Binary => copy_data(out, |out| {
                out.put_i16(-1);
                Ok(())
            }),
            CopyFormat::Text | CopyFormat::Csv => Ok(()),
        }
    }

    /// Appends the CopyData of one row, or nothing where it fails.
    pub(super) fn append_row(
        &mut self,
        encoder: &mut RowEncoder,
        batch: &RecordBatch,
        row: usize,
        out: &mut BytesMut,
    ) -> SqlResult<()> {
        if self.options.format == CopyFormat::Binary {
            return copy_data(out, |out| encoder.append_fields(batch, row, out));
        }
        self.line.clear();
        let single = batch.num_columns() == 1;
        for (index, array) in batch.columns().iter().enumerate() {
            self.separate(index);
            let force_quote = self.force_quote.get(index).copied().unwrap_or(false);
            let value = encoder.text_of(array.as_ref() as &dyn Array, row, index)?;
            match (value, self.options.format) {
                (None, _) => self.line.put_slice(self.options.null.as_bytes()),
                (Some(value), CopyFormat::Csv) => self.csv_value(value, force_quote, single),
                (Some(value), _) => self.text_value(value),
            }
        }
        self.end_line(out)
    }

    fn separate(&mut self, index: usize) {
        if index > 0 {
            put_char(&mut self.line, self.options.delimiter);
        }
    }

    fn end_line(&mut self, out: &mut BytesMut) -> SqlResult<()> {
        // The protocol's COPY ends every line with a newline alone, whatever the platform.
        self.line.put_u8(b'\n');
        let line = &self.line;
        copy_data(out, |out| {
            out.put_slice(line);
            Ok(())
        })
    }

    fn text_value(&mut self, value: &str) {
        for char in value.chars() {
            let escape = match char {
                '\\' => '\\',
                '\u{8}' => 'b',
                '\u{c}' => 'f',
                '\n' => 'n',
                '\r' => 'r',
                '\t' => 't',
                '\u{b}' => 'v',
                other if other == self.options.delimiter => other,
                other => {
                    put_char(&mut self.line, other);
                    continue;
                }
            };
            self.line.put_u8(b'\\');
            put_char(&mut self.line, escape);
        }
    }

    fn csv_value(&mut self, value: &str, force_quote: bool, single: bool) {
        let CopyTo { delimiter, quote, escape, null, .. } = self.options.as_ref();
        let special = |char: char| char == *delimiter || char == *quote || char == '\n' || char == '\r';
        // A lone `\.` would end the data when it is loaded again.
        let quoted = force_quote || value == null || (single && value == "\\.") || value.contains(special);
        if !quoted {
            self.line.put_slice(value.as_bytes());
            return;
        }
        put_char(&mut self.line, *quote);
        for char in value.chars() {
            if char == *quote || char == *escape {
                put_char(&mut self.line, *escape);
            }
            put_char(&mut self.line, char);
        }
        put_char(&mut self.line, *quote);
    }
}

fn put_char(line: &mut BytesMut, char: char) {
    line.put_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Appends a CopyData message around what `body` writes, or nothing where that fails.
fn copy_data(out: &mut BytesMut, body: impl FnOnce(&mut BytesMut) -> SqlResult<()>) -> SqlResult<()> {
    let start = out.len();
    out.put_u8(b'd');
    out.put_u32(0);
    let result = body(out).and_then(|()| patch_length(out, start + 1, start + 1));
    if result.is_err() {
        out.truncate(start);
    }
    result
}
