//! Arrow builders fed with PostgreSQL's text and binary formats.

use arrow::array::ArrayRef;

use super::PgType;
use crate::Result;

/// Builds one column of [`PgType::storage`] from values in PostgreSQL's formats.
#[derive(Debug)]
pub struct ColumnBuilder {
    data_type: PgType,
}

impl ColumnBuilder {
    /// A builder for `data_type` with room for `capacity` rows.
    pub fn new(data_type: &PgType, _capacity: usize) -> Self {
        Self { data_type: data_type.clone() }
    }

    /// Rows appended so far.
    pub fn len(&self) -> usize {
        0
    }

    /// Whether no row was appended.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends NULL.
    pub fn append_null(&mut self) {}

    /// Appends a value as PostgreSQL's input function would read it (ISO dates, any `DateStyle` of PostgreSQL's own).
    /// Timestamps with time zone but no zone in the text are read in `UTC`.
    ///
    /// # Errors
    /// `22P02`, `22007`, `22008`, `22003`, with PostgreSQL's message.
    pub fn append_text(&mut self, _value: &str) -> Result<()> {
        Err(crate::ConnectorError::unsupported(format!("{} is not built yet", self.data_type.sql_name())))
    }

    /// Appends a value in PostgreSQL's binary send format; every length is checked.
    ///
    /// # Errors
    /// `22P03` where the bytes are not a value of the type; `22003`, `22008` where the storage cannot hold it.
    pub fn append_binary(&mut self, _value: &[u8]) -> Result<()> {
        Err(crate::ConnectorError::unsupported(format!("{} is not built yet", self.data_type.sql_name())))
    }

    /// Appends an integer.
    ///
    /// # Errors
    /// `22003`.
    pub fn append_i64(&mut self, value: i64) -> Result<()> {
        self.append_text(&value.to_string())
    }

    /// Appends a float.
    ///
    /// # Errors
    /// `22003`.
    pub fn append_f64(&mut self, value: f64) -> Result<()> {
        self.append_text(&value.to_string())
    }

    /// Appends a boolean.
    ///
    /// # Errors
    /// `22P02`.
    pub fn append_bool(&mut self, value: bool) -> Result<()> {
        self.append_text(if value { "t" } else { "f" })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// `22P03`.
    pub fn append_bytes(&mut self, value: &[u8]) -> Result<()> {
        self.append_binary(value)
    }

    /// The column; the builder is empty afterwards.
    pub fn finish(&mut self) -> ArrayRef {
        arrow::array::new_empty_array(&self.data_type.storage())
    }
}
