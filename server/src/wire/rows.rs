//! Rows on their way to the client: a batch at a time, and no faster than the client reads.

use arrow::record_batch::RecordBatch;
use atoll_connector_api::types::text::OutputStyle;
use bytes::BytesMut;
use futures::{FutureExt, StreamExt};

use super::backend;
use super::connection::{Failure, Link};
use super::copy::CopyEncoder;
use super::encode::{BatchWriter, Formats, RowEncoder};
use crate::error::{SqlError, SqlResult};
use crate::session::{ResultColumn, Rows, RowsTag};
use crate::statement::ast::CopyTo;

/// A result that is being sent; between two Executes it keeps the batch that was sent in part.
pub(super) struct Cursor {
    rows: Rows,
    encoder: RowEncoder,
    batch: Option<(RecordBatch, usize)>,
    sent: u64,
}

/// How far sending came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// Rows sent this time.
    pub(super) rows: u64,
    /// There are no more.
    pub(super) complete: bool,
}

impl Cursor {
    /// # Errors
    /// `54011`.
    pub(super) fn new(rows: Rows, formats: &Formats, style: OutputStyle) -> SqlResult<Self> {
        let encoder = RowEncoder::new(&rows.columns, formats, style)?;
        Ok(Self { rows, encoder, batch: None, sent: 0 })
    }

    /// What is left, and how many rows were sent.
    pub(super) fn into_rest(self) -> (Rows, u64) {
        let Rows { columns, batches, tag } = self.rows;
        let left = self.batch.map(|(batch, row)| Ok(batch.slice(row, batch.num_rows() - row)));
        (Rows { columns, batches: futures::stream::iter(left).chain(batches).boxed(), tag }, self.sent)
    }

    /// The columns.
    pub(super) fn columns(&self) -> &[ResultColumn] {
        &self.rows.columns
    }

    /// The command tag after so many rows.
    pub(super) fn tag(&self) -> RowsTag {
        self.rows.tag
    }

    /// Sends DataRow messages, at most `rows_max` where that is given.
    pub(super) async fn send(&mut self, link: &mut Link, rows_max: Option<u64>) -> Result<Progress, Failure> {
        self.send_with(link, rows_max, |writer, row, out| writer.append_data_row(row, out)).await
    }

    async fn send_with(
        &mut self,
        link: &mut Link,
        rows_max: Option<u64>,
        mut append: impl FnMut(&mut BatchWriter<'_>, usize, &mut BytesMut) -> SqlResult<()>,
    ) -> Result<Progress, Failure> {
        let mut rows = 0;
        loop {
            if let Some((batch, mut row)) = self.batch.take() {
                let mut writer = self.encoder.batch(&batch)?;
                while row < batch.num_rows() && rows_max != Some(rows) {
                    append(&mut writer, row, link.outbox.buffer())?;
                    row += 1;
                    rows += 1;
                    self.sent += 1;
                    if link.outbox.is_full() {
                        link.flush_running().await?;
                    }
                }
                drop(writer);
                self.batch = (row < batch.num_rows()).then_some((batch, row));
            }
            // As in PostgreSQL, a result that fills the limit exactly is suspended: only the next Execute finds its end.
            if rows_max == Some(rows) {
                return Ok(Progress { rows, complete: false });
            }
            match self.next_batch(link).await? {
                Some(batch) => self.batch = Some((batch, 0)),
                None => return Ok(Progress { rows, complete: true }),
            }
        }
    }

    /// The next batch. Before it is waited for, the client gets all that there is.
    async fn next_batch(&mut self, link: &mut Link) -> Result<Option<RecordBatch>, Failure> {
        let ready = self.rows.batches.next().now_or_never();
        let next = match ready {
            Some(next) => next,
            None => {
                link.flush_running().await?;
                link.attend(self.rows.batches.next()).await?
            }
        };
        Ok(next.transpose()?)
    }
}

/// Sends a whole result as COPY data; yields the command tag.
pub(super) async fn send_copy(
    link: &mut Link,
    rows: Rows,
    options: Box<CopyTo>,
    style: OutputStyle,
) -> Result<String, Failure> {
    let mut copy = CopyEncoder::new(options, &rows.columns)?;
    let mut cursor = Cursor::new(rows, &Formats::All(copy.format()), style)?;
    let message = backend::copy_out_response(cursor.columns().len(), copy.format());
    link.outbox.push(&message)?;
    copy.append_header(cursor.columns(), link.outbox.buffer())?;
    let append = |writer: &mut BatchWriter<'_>, row: usize, out: &mut BytesMut| copy.append_row(writer, row, out);
    let progress = cursor.send_with(link, None, append).await?;
    copy.append_trailer(link.outbox.buffer())?;
    link.outbox.push(&backend::copy_done())?;
    Ok(RowsTag::Copy.text(progress.rows))
}

/// `0A000`: a prepared statement's result is not what it was when it was described.
pub(super) fn changed_result_type() -> SqlError {
    SqlError::unsupported("cached plan must not change result type")
}
