//! Running a scan's SQL: one `COPY` stream for each part.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field as ArrowField, Int64Type, Schema, SchemaRef};
use async_trait::async_trait;
use bytes::{Buf, Bytes};
use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};

use atoll_connector_api::scan::SqlScan;
use atoll_connector_api::statement::{ScanPlace, SourceId};
use atoll_connector_api::types::{PgType, oids};
use atoll_connector_api::{ConnectorError, Result};

use crate::copy::{Decoder, Field};
use crate::error::query_error;
use crate::moment::{Moment, Seat};
use crate::pool::{Lease, Pool, copy_statement};
use crate::tap::CopyData;

/// Rows that have arrived wait at most this long for more before they go on as a small batch.
const FLUSH_DELAY: Duration = Duration::from_millis(50);
/// Rows in a batch without columns.
const COUNT_ROWS: usize = 8192;

/// What the rows of a scan's SQL stand for.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// One row for each row of the table, with these fields.
    Rows(Vec<Field>),
    /// One row, which holds the number of rows of the table.
    Count,
}

/// Runs the SQL of one table's scan.
#[derive(Debug)]
pub(crate) struct PostgresScan {
    pub(crate) pool: Arc<Pool>,
    /// The table's SQL name, for messages.
    pub(crate) table: String,
    pub(crate) answer: Answer,
    /// Rows in a batch.
    pub(crate) batch_rows: usize,
}

#[async_trait]
impl SqlScan for PostgresScan {
    fn server(&self) -> &str {
        self.pool.server()
    }

    fn source(&self) -> Option<SourceId> {
        Some(self.pool.source())
    }

    async fn run(
        &self,
        sql: &str,
        schema: SchemaRef,
        place: &ScanPlace,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let part = match self.seat(place).await? {
            Some(seat) => self.copy_at(seat, sql).await?,
            None => {
                let (lease, copy) = self.pool.copy(sql).await?;
                Part { connection: Connection::Own(lease), copy }
            }
        };
        let (fields, rows_schema) = match &self.answer {
            Answer::Rows(fields) => (fields.clone(), schema),
            Answer::Count => (vec![count_field()], count_schema()),
        };
        let reader = Reader {
            decoder: Decoder::new(self.pool.server(), &self.table, fields, self.batch_rows),
            pool: Arc::clone(&self.pool),
            part,
            schema: rows_schema,
            sql: sql.to_owned(),
            piece: Bytes::new(),
        };
        let batches = futures::stream::try_unfold(reader, async |mut reader| {
            Ok(reader.next_batch().await?.map(|batch| (batch, reader)))
        });
        Ok(match &self.answer {
            Answer::Rows(_) => batches.boxed(),
            Answer::Count => batches.map_ok(|batch| empty_rows(&batch)).try_flatten().boxed(),
        })
    }
}

impl PostgresScan {
    /// A connection that sees what the statement's other scans see; `None` where there is no other.
    async fn seat(&self, place: &ScanPlace) -> Result<Option<Seat>> {
        let source = self.pool.source();
        let parts: usize =
            place.statement.expected(source).iter().map(|(_, parts)| *parts).fold(0, usize::saturating_add);
        if parts < 2 {
            return Ok(None);
        }
        let connections_max = self.pool.remote().config.connections_max;
        let moment = place.statement.shared(source, |expected| Moment::new(expected, connections_max));
        moment.seat(&self.pool, place.scan).await
    }

    async fn copy_at(&self, mut seat: Seat, sql: &str) -> Result<Part> {
        let Some(lease) = seat.lease_mut() else {
            return Err(ConnectorError::Internal { message: "a seat without a connection".into() });
        };
        lease.mark_busy();
        match lease.session().copy(&copy_statement(sql)).await {
            Ok(copy) => Ok(Part { connection: Connection::Shared(seat), copy }),
            Err(error) => Err(query_error(self.pool.remote(), error, Some(sql))),
        }
    }
}

fn count_field() -> Field {
    Field { name: "count".into(), data_type: PgType::new(oids::INT8), text: false, nullable: false }
}

fn count_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![ArrowField::new("count", DataType::Int64, false)]))
}

/// Batches without columns for the counts in `batch`.
fn empty_rows(batch: &RecordBatch) -> impl Stream<Item = Result<RecordBatch>> + Send + use<> {
    let counts = batch.column(0).as_primitive_opt::<Int64Type>();
    let total: usize =
        counts.map_or(0, |counts| counts.values().iter().filter_map(|count| usize::try_from(*count).ok()).sum());
    futures::stream::unfold(total, async |left| {
        let rows = left.min(COUNT_ROWS);
        (rows > 0).then(|| (rows_without_columns(rows), left - rows))
    })
}

fn rows_without_columns(rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)
        .map_err(|error| ConnectorError::Internal { message: format!("a count made a wrong batch: {error}") })
}

/// One running `COPY` and its connection.
struct Part {
    connection: Connection,
    copy: CopyData,
}

/// What a part runs on.
enum Connection {
    /// Its own.
    Own(Lease),
    /// One in a transaction that sees the statement's moment.
    Shared(Seat),
    /// It has ended.
    Gone,
}

/// Reads one `COPY` stream. Dropped before its end, it cancels the remote query through its lease.
struct Reader {
    decoder: Decoder,
    pool: Arc<Pool>,
    part: Part,
    schema: SchemaRef,
    sql: String,
    /// What came and is not decoded.
    piece: Bytes,
}

impl Reader {
    async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let mut flush = None;
        self.decode()?;
        while !matches!(self.part.connection, Connection::Gone) && !self.decoder.is_full() {
            let message = match self.part.copy.next().now_or_never() {
                Some(message) => message,
                None if self.decoder.rows() == 0 => self.part.copy.next().await,
                // The remote is slower than we are: what is here goes on after a short while.
                None => {
                    let flush = flush.get_or_insert_with(|| self.pool.sleep(FLUSH_DELAY));
                    tokio::select! {
                        message = self.part.copy.next() => message,
                        () = flush.as_mut() => break,
                    }
                }
            };
            match message {
                Some(Ok(bytes)) => {
                    self.piece = bytes;
                    self.decode()?;
                }
                Some(Err(error)) => return Err(self.failed(error)),
                None => self.finish()?,
            }
        }
        if self.decoder.rows() == 0 {
            return Ok(None);
        }
        self.decoder.take_batch(&self.schema).map(Some)
    }

    /// Decodes what came, up to a full batch.
    fn decode(&mut self) -> Result<()> {
        let used = self.decoder.push(&self.piece)?;
        self.piece.advance(used);
        Ok(())
    }

    fn failed(&mut self, error: tokio_postgres::Error) -> ConnectorError {
        match std::mem::replace(&mut self.part.connection, Connection::Gone) {
            Connection::Own(lease) => lease.fail(error, Some(&self.sql)),
            // A failed statement leaves its transaction failed too: that connection is not for others.
            _ => query_error(self.pool.remote(), error, Some(&self.sql)),
        }
    }

    /// The stream has ended: the connection may go back before the last rows go out.
    fn finish(&mut self) -> Result<()> {
        let connection = std::mem::replace(&mut self.part.connection, Connection::Gone);
        if !self.decoder.is_done() {
            let cut =
                std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the COPY stream ended without its end mark");
            return Err(ConnectorError::ConnectionLost {
                server: self.pool.server().to_owned(),
                source: Arc::new(cut),
            });
        }
        match connection {
            Connection::Shared(seat) => seat.leave(),
            Connection::Own(mut lease) => lease.mark_clean(),
            Connection::Gone => {}
        }
        Ok(())
    }
}
