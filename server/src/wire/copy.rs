//! COPY … TO STDOUT: rows in PostgreSQL's text, CSV and binary formats (`commands/copyto.c`).

use bytes::{BufMut, BytesMut};

use super::encode::{BatchWriter, Format, append_message};
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
    /// The binary header, which PostgreSQL sends in the first row's message, and clients look for there.
    header: &'static [u8],
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
        let header = if options.format == CopyFormat::Binary { BINARY_HEADER } else { &[] };
        Ok(Self { options, force_quote, line: BytesMut::new(), header })
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
            CopyFormat::Binary | CopyFormat::Text | CopyFormat::Csv => Ok(()),
        }
    }

    /// What comes after the rows.
    pub(super) fn append_trailer(&mut self, out: &mut BytesMut) -> SqlResult<()> {
        match self.options.format {
            CopyFormat::Binary => {
                let header = std::mem::take(&mut self.header);
                append_message(out, b'd', |out| {
                    out.put_slice(header);
                    out.put_i16(-1);
                    Ok(())
                })
            }
            CopyFormat::Text | CopyFormat::Csv => Ok(()),
        }
    }

    /// Appends the CopyData of one row, or nothing where it fails.
    pub(super) fn append_row(&mut self, writer: &mut BatchWriter<'_>, row: usize, out: &mut BytesMut) -> SqlResult<()> {
        if self.options.format == CopyFormat::Binary {
            append_message(out, b'd', |out| {
                out.put_slice(self.header);
                writer.append_fields(row, out)
            })?;
            self.header = &[];
            return Ok(());
        }
        self.line.clear();
        let single = writer.columns() == 1;
        for index in 0..writer.columns() {
            self.separate(index);
            let force_quote = self.force_quote.get(index).copied().unwrap_or(false);
            let value = writer.text_of(row, index)?;
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
        append_message(out, b'd', |out| {
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int32Array, StringViewArray};
    use arrow::record_batch::RecordBatch;
    use atoll_connector_api::types::text::OutputStyle;
    use atoll_connector_api::types::{PgType, oids};
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::super::encode::{Formats, RowEncoder};
    use super::*;

    fn options(format: CopyFormat) -> CopyTo {
        let query = Parser::new(&PostgreSqlDialect {}).try_with_sql("select 1").unwrap().parse_query().unwrap();
        let csv = format == CopyFormat::Csv;
        CopyTo {
            relation: None,
            query,
            format,
            delimiter: if csv { ',' } else { '\t' },
            null: if csv { String::new() } else { "\\N".to_owned() },
            header: false,
            quote: '"',
            escape: '"',
            force_quote: Vec::new(),
            force_quote_all: false,
        }
    }

    fn copied(options: CopyTo, values: &[Option<&str>]) -> Vec<u8> {
        let columns =
            [ResultColumn::new("n,o", PgType::new(oids::INT4)), ResultColumn::new("s", PgType::new(oids::TEXT))];
        let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values((1..).take(values.len())));
        let strings: ArrayRef = Arc::new(StringViewArray::from(values.to_vec()));
        let batch = RecordBatch::try_from_iter_with_nullable([("n,o", numbers, true), ("s", strings, true)]).unwrap();
        let mut copy = CopyEncoder::new(Box::new(options), &columns).unwrap();
        let encoder = RowEncoder::new(&columns, &Formats::All(copy.format()), OutputStyle::default()).unwrap();
        let mut writer = encoder.batch(&batch).unwrap();
        let mut out = BytesMut::new();
        copy.append_header(&columns, &mut out).unwrap();
        (0..values.len()).for_each(|row| copy.append_row(&mut writer, row, &mut out).unwrap());
        copy.append_trailer(&mut out).unwrap();
        contents(&out)
    }

    /// The data of CopyData messages, one after the other.
    fn contents(mut messages: &[u8]) -> Vec<u8> {
        let mut data = Vec::new();
        while let [b'd', rest @ ..] = messages {
            let (length, rest) = rest.split_first_chunk::<4>().unwrap();
            let (body, rest) = rest.split_at(usize::try_from(u32::from_be_bytes(*length)).unwrap() - 4);
            data.extend_from_slice(body);
            messages = rest;
        }
        assert!(messages.is_empty());
        data
    }

    fn text(options: CopyTo, values: &[Option<&str>]) -> String {
        String::from_utf8(copied(options, values)).unwrap()
    }

    #[test]
    fn text_escapes_what_would_be_read_otherwise() {
        let values = [Some("a\tb\\c\nd\re\u{8}\u{b}\u{c}é"), None, Some("\\N"), Some("")];
        assert_eq!(
            text(options(CopyFormat::Text), &values),
            "1\ta\\tb\\\\c\\nd\\re\\b\\v\\fé\n2\t\\N\n3\t\\\\N\n4\t\n"
        );
        let other = CopyTo { delimiter: '|', null: "NULL".to_owned(), header: true, ..options(CopyFormat::Text) };
        assert_eq!(text(other, &[Some("a|b\t"), None]), "n,o|s\n1|a\\|b\\t\n2|NULL\n");
    }

    #[test]
    fn csv_quotes_only_where_it_has_to() {
        let values = [Some("plain"), Some("a,b"), Some("say \"hi\""), Some("x\ny"), None, Some(""), Some("\\.")];
        assert_eq!(
            text(CopyTo { header: true, ..options(CopyFormat::Csv) }, &values),
            "\"n,o\",s\n1,plain\n2,\"a,b\"\n3,\"say \"\"hi\"\"\"\n4,\"x\ny\"\n5,\n6,\"\"\n7,\\.\n"
        );
        let forced = CopyTo { force_quote: vec!["s".to_owned()], ..options(CopyFormat::Csv) };
        assert_eq!(text(forced, &[Some("a"), None]), "1,\"a\"\n2,\n");
        let all = CopyTo { force_quote_all: true, null: "N".to_owned(), ..options(CopyFormat::Csv) };
        assert_eq!(text(all, &[Some("N"), None]), "\"1\",\"N\"\n\"2\",N\n");
        let other = CopyTo { quote: '\'', escape: '\\', delimiter: ';', ..options(CopyFormat::Csv) };
        assert_eq!(text(other, &[Some("it's\\"), Some("a\\b")]), "1;'it\\'s\\\\'\n2;a\\b\n");
    }

    #[test]
    fn binary_has_header_and_trailer() {
        let data = copied(options(CopyFormat::Binary), &[Some("ab"), None]);
        let expected = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\
            \0\x02\0\0\0\x04\0\0\0\x01\0\0\0\x02ab\
            \0\x02\0\0\0\x04\0\0\0\x02\xff\xff\xff\xff\
            \xff\xff";
        assert_eq!(data, expected);
    }

    #[test]
    fn force_quote_needs_a_column() {
        let wrong = CopyTo { force_quote: vec!["x".to_owned()], ..options(CopyFormat::Csv) };
        let error = CopyEncoder::new(Box::new(wrong), &[]).err().unwrap();
        assert_eq!(
            (error.sqlstate, error.message.as_str()),
            (SqlState::UNDEFINED_COLUMN, "column \"x\" does not exist")
        );
    }
}
