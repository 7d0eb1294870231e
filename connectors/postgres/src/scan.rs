//! Running a scan's SQL: one `COPY` stream, or several that see the same moment.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field as ArrowField, Int64Type, Schema, SchemaRef};
use async_trait::async_trait;
use bytes::{Buf, Bytes};
use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};
use tokio::sync::{Mutex, Notify};
use tokio_postgres::SimpleQueryMessage;

use atoll_connector_api::scan::SqlScan;
use atoll_connector_api::types::{PgType, oids};
use atoll_connector_api::{ConnectorError, Result};

use crate::copy::{Decoder, Field};
use crate::error::query_error;
use crate::pool::{Lease, Pool, copy_statement};
use crate::tap::CopyData;

/// Rows that have arrived wait at most this long for more before they go on as a small batch.
const FLUSH_DELAY: Duration = Duration::from_millis(50);
/// Rows in a batch without columns.
const COUNT_ROWS: usize = 8192;

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

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
    /// Where the scan has several parts.
    pub(crate) snapshot: Option<SharedSnapshot>,
}

#[async_trait]
impl SqlScan for PostgresScan {
    fn server(&self) -> &str {
        self.pool.server()
    }

    async fn run(&self, sql: &str, schema: SchemaRef) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let part = match &self.snapshot {
            Some(snapshot) => snapshot.copy(&self.pool, sql).await?,
            None => {
                let (lease, copy) = self.pool.copy(sql).await?;
                Part { lease: Some(lease), copy, generation: None }
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
    lease: Option<Lease>,
    copy: CopyData,
    generation: Option<Arc<Generation>>,
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
        while self.part.lease.is_some() && !self.decoder.is_full() {
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
        match self.part.lease.take() {
            // A failed statement leaves its transaction failed too: that connection is not for others.
            Some(lease) if self.part.generation.is_none() => lease.fail(error, Some(&self.sql)),
            _ => query_error(self.pool.remote(), error, Some(&self.sql)),
        }
    }

    /// The stream has ended: the connection may go back before the last rows go out.
    fn finish(&mut self) -> Result<()> {
        let lease = self.part.lease.take();
        if !self.decoder.is_done() {
            let cut =
                std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the COPY stream ended without its end mark");
            return Err(ConnectorError::ConnectionLost {
                server: self.pool.server().to_owned(),
                source: Arc::new(cut),
            });
        }
        match (lease, self.part.generation.take()) {
            (Some(lease), Some(generation)) => generation.give_back(lease),
            (Some(mut lease), None) => lease.mark_clean(),
            (None, _) => {}
        }
        Ok(())
    }
}

/// One moment for all parts of a scan: the first part exports its snapshot, the others import it.
///
/// A part that has ended leaves its connection, whose transaction still holds the snapshot, to a part that waits for
/// one. So a scan always ends with the one connection it has, and scans that wait for each other's cannot arise.
#[derive(Debug)]
pub(crate) struct SharedSnapshot {
    parts: usize,
    state: Mutex<SnapshotState>,
}

#[derive(Debug, Default)]
struct SnapshotState {
    started: HashSet<String>,
    generation: Option<Arc<Generation>>,
}

/// One execution of all parts.
struct Generation {
    snapshot: String,
    shared: StdMutex<Shared>,
    returned: Notify,
}

#[derive(Default)]
struct Shared {
    /// Connections in a transaction that sees the snapshot.
    free: Vec<Lease>,
    /// Parts that have no connection yet.
    unserved: usize,
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generation").field("snapshot", &self.snapshot).finish_non_exhaustive()
    }
}

impl SharedSnapshot {
    /// A snapshot for `parts` statements, each with a text of its own.
    pub(crate) fn new(parts: usize) -> Self {
        Self { parts, state: Mutex::default() }
    }

    async fn copy(&self, pool: &Arc<Pool>, sql: &str) -> Result<Part> {
        let (generation, mut lease) = self.join(pool, sql).await?;
        lease.mark_busy();
        match lease.session().copy(&copy_statement(sql)).await {
            Ok(copy) => Ok(Part { lease: Some(lease), copy, generation: Some(generation) }),
            Err(error) => Err(query_error(pool.remote(), error, Some(sql))),
        }
    }

    async fn join(&self, pool: &Arc<Pool>, sql: &str) -> Result<(Arc<Generation>, Lease)> {
        let mut state = self.state.lock().await;
        let current = state.generation.clone().filter(|_| !state.started.contains(sql));
        if let Some(generation) = current {
            state.started.insert(sql.to_owned());
            if state.started.len() == self.parts {
                // Held from here on by the running parts alone.
                state.generation = None;
            }
            drop(state);
            let lease = generation.connection(pool).await?;
            return Ok((generation, lease));
        }
        // The first part, or one that runs a second time: a moment of its own.
        let (lease, snapshot) = export(pool).await?;
        let shared = StdMutex::new(Shared { free: Vec::new(), unserved: self.parts.saturating_sub(1) });
        let generation = Arc::new(Generation { snapshot, shared, returned: Notify::new() });
        state.started = HashSet::from([sql.to_owned()]);
        state.generation = Some(Arc::clone(&generation));
        Ok((generation, lease))
    }
}

/// Opens a transaction and exports its snapshot.
async fn export(pool: &Arc<Pool>) -> Result<(Lease, String)> {
    let (lease, messages) = pool
        .run(None, |session| async move {
            session.client.simple_query(&format!("{BEGIN}; SELECT pg_export_snapshot()")).await
        })
        .await?;
    let snapshot = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.try_get(0).ok().flatten().map(str::to_owned),
        _ => None,
    });
    // It becomes part of a statement.
    let snapshot = snapshot.filter(|id| id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
    let snapshot = snapshot.ok_or_else(|| ConnectorError::Internal {
        message: format!("server \"{}\" exported no snapshot", pool.server()),
    })?;
    Ok((lease, snapshot))
}

impl Generation {
    /// A connection that sees the snapshot: one that another part has left, or one more of the pool's.
    async fn connection(&self, pool: &Arc<Pool>) -> Result<Lease> {
        let lease = tokio::select! {
            biased;
            lease = self.left() => lease,
            lease = self.import(pool) => lease?,
        };
        let left = {
            let mut shared = self.lock();
            shared.unserved = shared.unserved.saturating_sub(1);
            if shared.unserved == 0 { std::mem::take(&mut shared.free) } else { Vec::new() }
        };
        left.into_iter().for_each(end_transaction);
        Ok(lease)
    }

    async fn left(&self) -> Lease {
        loop {
            let returned = self.returned.notified();
            if let Some(lease) = self.lock().free.pop() {
                return lease;
            }
            returned.await;
        }
    }

    async fn import(&self, pool: &Arc<Pool>) -> Result<Lease> {
        let sql = &format!("{BEGIN}; SET TRANSACTION SNAPSHOT '{}'", self.snapshot);
        let (lease, ()) = pool.run(None, |session| async move { session.client.batch_execute(sql).await }).await?;
        Ok(lease)
    }

    /// Takes the connection of a part that has ended.
    fn give_back(&self, lease: Lease) {
        let mut shared = self.lock();
        if shared.unserved == 0 {
            drop(shared);
            return end_transaction(lease);
        }
        shared.free.push(lease);
        drop(shared);
        self.returned.notify_one();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Commits, and gives the connection back to its pool.
fn end_transaction(mut lease: Lease) {
    let pool = Arc::clone(lease.pool());
    pool.spawn(async move {
        if lease.session().client.batch_execute("COMMIT").await.is_ok() {
            lease.mark_clean();
        }
    });
}
