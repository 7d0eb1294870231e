//! Text files: CSV and JSON, read as a stream of records in pieces of bounded size.

pub(crate) mod csv;
pub(crate) mod describe;
pub(crate) mod infer;
pub(crate) mod input;
pub(crate) mod json;
pub(crate) mod scan;
pub(crate) mod tokenizer;

use std::sync::Arc;

use arrow::array::ArrayRef;
use atoll_connector_api::types::{ColumnBuilder, PgType};
use atoll_connector_api::{ConnectorError, Result};

use crate::error::Owner;
use crate::options::{Format, TableOptions};

/// Rows of one batch.
pub(crate) const BATCH_ROWS: usize = 8192;
/// Bytes of text after which a batch ends.
pub(crate) const BATCH_BYTES_MAX: usize = 8 << 20;
/// Bytes of one row.
pub(crate) const ROW_BYTES_MAX: usize = 64 << 20;
/// Columns of one file: PostgreSQL's bound for a table.
pub(crate) const COLUMNS_MAX: usize = 1600;

/// A column that is read from the file.
#[derive(Debug, Clone)]
pub(crate) struct FileColumn {
    /// Its name in SQL, for messages.
    pub(crate) name: String,
    /// Its name in the file.
    pub(crate) remote: String,
    pub(crate) data_type: PgType,
    /// A quoted NULL text is NULL too.
    pub(crate) force_null: bool,
    /// An unquoted NULL text is text.
    pub(crate) force_not_null: bool,
}

/// What all readers of one table share.
#[derive(Debug)]
pub(crate) struct TextTable {
    pub(crate) owner: Owner,
    /// The SQL name.
    pub(crate) name: String,
    pub(crate) format: Format,
    pub(crate) options: TableOptions,
    /// The declared columns that the files hold, in their order; partition columns are not among them.
    pub(crate) columns: Vec<FileColumn>,
}

/// Where in a file something was found, for messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) owner: &'a Owner,
    pub(crate) path: &'a str,
    /// From one.
    pub(crate) line: u64,
}

impl Place<'_> {
    /// A value error of class 22 at this place.
    pub(crate) fn value(&self, sqlstate: &'static str, problem: &str, column: Option<&str>) -> ConnectorError {
        let column = column.map_or(String::new(), |column| format!(", column \"{column}\""));
        ConnectorError::value(
            sqlstate,
            format!("{problem} ({}, file \"{}\", line {}{column})", self.owner.object, self.path, self.line),
        )
    }

    /// An error of a value, told where it stands.
    pub(crate) fn locate(&self, error: ConnectorError, column: &str) -> ConnectorError {
        match error {
            ConnectorError::Value { sqlstate, message, .. } => self.value(sqlstate, &message, Some(column)),
            other => other,
        }
    }
}

/// Builders of the columns that a scan wants.
#[derive(Debug)]
pub(crate) struct Columns {
    table: Arc<TextTable>,
    /// Indices into the table's columns.
    wanted: Vec<usize>,
    builders: Vec<ColumnBuilder>,
}

impl Columns {
    pub(crate) fn new(table: &Arc<TextTable>, wanted: &[usize]) -> Self {
        let builders =
            wanted.iter().map(|index| ColumnBuilder::new(&table.columns[*index].data_type, BATCH_ROWS)).collect();
        Self { table: Arc::clone(table), wanted: wanted.to_vec(), builders }
    }

    /// What the column of a builder is.
    pub(crate) fn column(&self, slot: usize) -> &FileColumn {
        &self.table.columns[self.wanted[slot]]
    }

    /// The number of wanted columns.
    pub(crate) fn len(&self) -> usize {
        self.wanted.len()
    }

    /// Appends one value, `None` for NULL.
    ///
    /// # Errors
    /// The text is not a value of the column's type.
    pub(crate) fn append(&mut self, slot: usize, value: Option<&str>, place: Place<'_>) -> Result<()> {
        let builder = &mut self.builders[slot];
        match value {
            None => builder.append_null(),
            Some(text) => builder
                .append_text(text)
                .map_err(|error| place.locate(error, &self.table.columns[self.wanted[slot]].name))?,
        }
        Ok(())
    }

    /// The columns so far; the builders are empty afterwards.
    pub(crate) fn finish(&mut self) -> Vec<ArrayRef> {
        self.builders.iter_mut().map(ColumnBuilder::finish).collect()
    }
}
