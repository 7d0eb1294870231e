//! Reading CSV files: the header, and rows of values.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::ArrayRef;
use atoll_connector_api::{ConnectorError, Result};

use super::input::Input;
use super::tokenizer::{Dialect, Step, Tokenizer};
use super::{BATCH_BYTES_MAX, BATCH_ROWS, COLUMNS_MAX, Columns, Place, ROW_BYTES_MAX, TextTable};
use crate::options::{Header, TableOptions};

/// Bytes that a reader asks for at first.
const WINDOW_BYTES: usize = 256 << 10;

/// The records of one CSV file.
#[derive(Debug)]
pub(crate) struct Records {
    input: Input,
    tokenizer: Tokenizer,
    /// Lines consumed so far.
    lines: u64,
    /// Bytes of the current record, given up when the next is asked for.
    current: usize,
    current_lines: u64,
}

impl Records {
    pub(crate) fn new(input: Input, options: &TableOptions) -> Self {
        let name = input.path.rsplit('/').next().unwrap_or_default();
        let tabs = name.to_ascii_lowercase().contains(".tsv");
        let dialect = Dialect {
            delimiter: options.csv.delimiter.unwrap_or(if tabs { b'\t' } else { b',' }),
            quote: options.csv.quote,
            escape: options.csv.escape,
        };
        Self { input, tokenizer: Tokenizer::new(dialect), lines: 0, current: 0, current_lines: 0 }
    }

    /// Moves to the next record; `false` at the end of the file.
    ///
    /// # Errors
    /// Reading errors; text that is no CSV, or not of its encoding; a record beyond [`ROW_BYTES_MAX`].
    pub(crate) async fn next(&mut self) -> Result<bool> {
        self.input.consume(std::mem::take(&mut self.current));
        self.lines += std::mem::take(&mut self.current_lines);
        loop {
            let ended = self.input.ended();
            match self.tokenizer.next(self.input.data(), ended) {
                Ok(Step::End) => return Ok(false),
                // A window that has grown to the bound holds twice as much after the next fill.
                Ok(Step::Record { bytes, .. }) if bytes > ROW_BYTES_MAX => return Err(self.too_wide()),
                Ok(Step::Record { bytes, lines }) => {
                    (self.current, self.current_lines) = (bytes, lines);
                    self.check_text()?;
                    return Ok(true);
                }
                Ok(Step::NeedMore) => {
                    let have = self.input.data().len();
                    if have > ROW_BYTES_MAX {
                        return Err(self.too_wide());
                    }
                    self.input.fill((have * 2).max(WINDOW_BYTES)).await?;
                }
                Err(problem) => return Err(self.place().value("22P04", problem.text(), None)),
            }
        }
    }

    /// Takes back the last record, so that [`Self::next`] finds it again.
    pub(crate) fn put_back(&mut self) {
        (self.current, self.current_lines) = (0, 0);
    }

    fn too_wide(&self) -> ConnectorError {
        let place = self.place();
        ConnectorError::Limit {
            message: format!(
                "{}: a row of \"{}\" is longer than {} MB (line {})",
                place.owner.object,
                place.path,
                ROW_BYTES_MAX >> 20,
                place.line
            ),
            hint: Some("A quote that is not closed makes one row of all that follows.".into()),
        }
    }

    fn check_text(&self) -> Result<()> {
        let record = self.record();
        if let Err(error) = std::str::from_utf8(record) {
            let bad = &record[error.valid_up_to()..];
            let bad = &bad[..bad.len().min(error.error_len().unwrap_or(bad.len())).min(4)];
            let hex: Vec<_> = bad.iter().map(|byte| format!("0x{byte:02x}")).collect();
            let problem = format!("invalid byte sequence for encoding \"UTF8\": {}", hex.join(" "));
            return Err(self.place().value("22021", &problem, None));
        }
        if record.contains(&0) {
            return Err(self.place().value("22021", "invalid byte sequence for encoding \"UTF8\": 0x00", None));
        }
        Ok(())
    }

    fn record(&self) -> &[u8] {
        self.input.data().get(..self.current).unwrap_or_default()
    }

    /// The line on which the current record begins.
    pub(crate) fn place(&self) -> Place<'_> {
        Place { owner: &self.input.owner, path: &self.input.path, line: self.lines + 1 }
    }

    /// Fields of the current record.
    pub(crate) fn width(&self) -> usize {
        self.tokenizer.len()
    }

    /// A field of the current record, and whether it was quoted.
    pub(crate) fn field(&self, index: usize) -> Option<(&str, bool)> {
        let (bytes, quoted) = self.tokenizer.field(self.input.data(), index)?;
        // The record was checked; quotes and delimiters are ASCII, so no character was cut.
        std::str::from_utf8(bytes).ok().map(|text| (text, quoted))
    }

    /// All fields of the current record, a header, as they stand there.
    pub(crate) fn names(&self) -> Vec<String> {
        (0..self.width()).filter_map(|index| self.field(index)).map(|(text, _)| text.to_owned()).collect()
    }

    pub(crate) fn bytes_in(&self) -> u64 {
        self.input.bytes_in()
    }
}

/// The rows of one CSV file, as a table's columns.
#[derive(Debug)]
pub(crate) struct CsvFile {
    records: Records,
    table: Arc<TextTable>,
    columns: Columns,
    /// For each wanted column, its field.
    fields: Vec<usize>,
    /// Names of all fields, to check the width of rows and to name what is missing.
    names: Vec<String>,
}

impl CsvFile {
    /// Opens a file and reads its header, if it has one.
    ///
    /// # Errors
    /// Reading errors; [`ConnectorError::ColumnChanged`] where the header lacks a declared column.
    pub(crate) async fn open(input: Input, table: &Arc<TextTable>, wanted: &[usize]) -> Result<Self> {
        let mut records = Records::new(input, &table.options);
        let header = read_header(&mut records, table).await?;
        let columns = Columns::new(table, wanted);
        let (names, positions) = match header {
            Some(names) => {
                let positions = positions(table, &names, &records.input.path)?;
                (names, positions)
            }
            None => {
                (table.columns.iter().map(|column| column.name.clone()).collect(), (0..table.columns.len()).collect())
            }
        };
        let fields = wanted.iter().map(|index| positions[*index]).collect();
        Ok(Self { records, table: Arc::clone(table), columns, fields, names })
    }

    /// Up to `rows_max` rows: the wanted columns and the number of rows; `None` at the end.
    ///
    /// # Errors
    /// Reading errors; rows of another width; values that are not of their column's type.
    pub(crate) async fn next_batch(&mut self, rows_max: usize) -> Result<Option<(Vec<ArrayRef>, usize)>> {
        let (mut rows, mut bytes) = (0, 0);
        while rows < rows_max.min(BATCH_ROWS) && bytes < BATCH_BYTES_MAX {
            if !self.records.next().await? {
                break;
            }
            bytes += self.records.current;
            self.append()?;
            rows += 1;
        }
        Ok((rows > 0).then(|| (self.columns.finish(), rows)))
    }

    fn append(&mut self) -> Result<()> {
        let (width, place) = (self.records.width(), self.records.place());
        if width < self.names.len() {
            let problem = format!("missing data for column \"{}\"", self.names[width]);
            return Err(place.value("22P04", &problem, None));
        }
        if width > self.names.len() {
            return Err(place.value("22P04", "extra data after last expected column", None));
        }
        let null = self.table.options.csv.null.as_str();
        for slot in 0..self.columns.len() {
            let (text, quoted) = self.records.field(self.fields[slot]).unwrap_or_default();
            let column = self.columns.column(slot);
            let is_null = text == null && if quoted { column.force_null } else { !column.force_not_null };
            self.columns.append(slot, (!is_null).then_some(text), place)?;
        }
        Ok(())
    }

    pub(crate) fn bytes_in(&self) -> u64 {
        self.records.bytes_in()
    }
}

/// Reads the first record where it is a header.
async fn read_header(records: &mut Records, table: &TextTable) -> Result<Option<Vec<String>>> {
    if table.options.csv.header == Header::No || !records.next().await? {
        return Ok(None);
    }
    let names = records.names();
    // One known name is enough: a header that lost or renamed others is still a header, and to read it as a row would
    // shift columns without a word.
    let known = |name: &String| table.columns.iter().any(|column| column.remote.eq_ignore_ascii_case(name));
    let distinct = distinct_names(&names);
    if table.options.csv.header == Header::Yes || names.iter().chain(&distinct).any(known) {
        return Ok(Some(names));
    }
    records.put_back();
    Ok(None)
}

/// A header's names, each of them once: a field without a name is called after its place, and of equal names those after
/// the first get a number, `a_1`.
pub(crate) fn distinct_names(header: &[String]) -> Vec<String> {
    let mut taken: HashSet<String> = header.iter().cloned().collect();
    let mut first: HashSet<&str> = HashSet::new();
    let mut distinct = Vec::with_capacity(header.len());
    for (index, name) in header.iter().enumerate() {
        if !name.is_empty() && first.insert(name) {
            distinct.push(name.clone());
            continue;
        }
        let base = if name.is_empty() { format!("column{}", index + 1) } else { name.clone() };
        let numbered = (1..).map(|number| format!("{base}_{number}"));
        // Of as many candidates as there are names, and one more, one is free.
        let found = std::iter::once(base.clone()).chain(numbered).take(header.len() * 2 + 2);
        let name = found.into_iter().find(|candidate| !taken.contains(candidate)).unwrap_or(base);
        taken.insert(name.clone());
        distinct.push(name);
    }
    distinct
}

/// For each column of the table, its place in the header: the same name, else one that differs in case only.
fn positions(table: &TextTable, names: &[String], path: &str) -> Result<Vec<usize>> {
    if names.len() > COLUMNS_MAX {
        return Err(table.owner.limit(path, format!("has more than {COLUMNS_MAX} columns")));
    }
    let distinct = distinct_names(names);
    let mut positions = Vec::with_capacity(table.columns.len());
    for column in &table.columns {
        let remote = column.remote.as_str();
        let found = distinct
            .iter()
            .position(|name| name == remote)
            // A field without a name goes by that, too.
            .or_else(|| names.iter().position(|name| name == remote))
            .or_else(|| distinct.iter().position(|name| name.eq_ignore_ascii_case(remote)))
            .ok_or_else(|| vanished(table, &column.name, &format!("the header of file \"{path}\"")))?;
        if positions.contains(&found) {
            return Err(ConnectorError::Unsupported {
                message: format!("two columns of foreign table \"{}\" read the column \"{remote}\"", table.name),
                hint: Some(
                    "Of columns with one name, those after the first are called \"a_1\", \"a_2\" and so on.".into(),
                ),
            });
        }
        positions.push(found);
    }
    Ok(positions)
}

/// A declared column that a file does not have.
pub(crate) fn vanished(table: &TextTable, column: &str, place: &str) -> ConnectorError {
    ConnectorError::ColumnChanged {
        server: table.owner.server.clone(),
        table: table.name.clone(),
        column: column.to_owned(),
        problem: format!("is not in {place}"),
    }
}
