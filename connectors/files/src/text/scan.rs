//! One partition of a scan over text files: its files one after another, as batches of the declared columns.

use std::sync::Arc;

use arrow::array::ArrayRef;
use atoll_connector_api::Result;

use super::TextTable;
use super::csv::CsvFile;
use super::input::Input;
use super::json::JsonFile;
use crate::listing::FileEntry;
use crate::options::Format;

/// A file that is being read.
#[derive(Debug)]
enum OpenFile {
    Csv(Box<CsvFile>),
    Json(Box<JsonFile>),
}

impl OpenFile {
    async fn open(table: &Arc<TextTable>, file: &FileEntry, wanted: &[usize]) -> Result<Self> {
        let input = Input::open(&table.owner, file, &table.options)?;
        Ok(match table.format {
            Format::Json => Self::Json(Box::new(JsonFile::open(input, table, wanted))),
            _ => Self::Csv(Box::new(CsvFile::open(input, table, wanted).await?)),
        })
    }

    async fn next_batch(&mut self, rows_max: usize) -> Result<Option<(Vec<ArrayRef>, usize)>> {
        match self {
            Self::Csv(file) => file.next_batch(rows_max).await,
            Self::Json(file) => file.next_batch(rows_max).await,
        }
    }

    fn bytes_in(&self) -> u64 {
        match self {
            Self::Csv(file) => file.bytes_in(),
            Self::Json(file) => file.bytes_in(),
        }
    }
}

/// Columns of one batch, with the index of the file that they come from.
pub(crate) struct TextBatch {
    pub(crate) file: usize,
    pub(crate) columns: Vec<ArrayRef>,
    pub(crate) rows: usize,
    /// Bytes fetched since the last batch.
    pub(crate) bytes_in: u64,
}

/// Reads some of a table's files.
#[derive(Debug)]
pub(crate) struct TextScan {
    table: Arc<TextTable>,
    files: Arc<Vec<FileEntry>>,
    /// Indices into the files, the next one last.
    todo: Vec<usize>,
    /// Indices into the table's columns.
    wanted: Vec<usize>,
    rows_left: usize,
    open: Option<(usize, OpenFile)>,
    bytes_seen: u64,
}

impl TextScan {
    /// A scan of `part`, indices into `files`, that ends after `limit` rows.
    pub(crate) fn new(
        table: Arc<TextTable>,
        files: Arc<Vec<FileEntry>>,
        part: &[usize],
        wanted: Vec<usize>,
        limit: Option<usize>,
    ) -> Self {
        Self {
            table,
            files,
            todo: part.iter().rev().copied().collect(),
            wanted,
            rows_left: limit.unwrap_or(usize::MAX),
            open: None,
            bytes_seen: 0,
        }
    }

    /// The next batch, `None` after the last. It has at least one row.
    ///
    /// # Errors
    /// Reading errors and values that are not of their column's type, told with file and line.
    pub(crate) async fn next(&mut self) -> Result<Option<TextBatch>> {
        while self.rows_left > 0 {
            let (index, mut file) = match self.open.take() {
                Some(open) => open,
                None => {
                    let Some(index) = self.todo.pop() else { return Ok(None) };
                    self.bytes_seen = 0;
                    (index, OpenFile::open(&self.table, &self.files[index], &self.wanted).await?)
                }
            };
            if let Some((columns, rows)) = file.next_batch(self.rows_left).await? {
                let bytes_in = file.bytes_in() - self.bytes_seen;
                self.bytes_seen += bytes_in;
                self.rows_left -= rows;
                self.open = Some((index, file));
                return Ok(Some(TextBatch { file: index, columns, rows, bytes_in }));
            }
        }
        Ok(None)
    }
}

/// Looks at the beginning of a file: that it can be read, and that its header has the declared columns.
///
/// # Errors
/// What opening it for a scan would meet.
pub(crate) async fn check(table: &Arc<TextTable>, file: &FileEntry) -> Result<()> {
    let mut file = OpenFile::open(table, file, &[]).await?;
    file.next_batch(1).await.map(|_| ())
}
