//! Running a query on a thread of its own and sending its rows in batches.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatchOptions;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use atoll_connector_api::scan::SqlScan;
use atoll_connector_api::sql_table::ColumnScan;
use atoll_connector_api::statement::{ScanId, ScanPlace, SourceId};
use atoll_connector_api::types::PgType;
use atoll_connector_api::{ConnectorError, Result};
use futures::StreamExt;
use futures::stream::BoxStream;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::connection::{CancelFlag, Database};
use crate::declared::Affinity;
use crate::moment::{Moment, SCANS_TOGETHER_MAX};
use crate::source;
use crate::values::{ColumnReader, Place};

/// Rows in a batch.
const BATCH_ROWS_MAX: usize = 8192;
/// Bytes of values after which a batch ends early.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// Batches that wait between the reading thread and the query.
const BATCHES_WAITING_MAX: usize = 2;
/// Scans of one server that run at once, each on a thread.
pub(crate) const SCANS_MAX: usize = 64;
/// How long a scan waits for others to end. All of them may belong to one query that needs this one, too.
const SCAN_WAIT_MAX: Duration = Duration::from_secs(30);

/// One table's scans.
#[derive(Debug, Clone)]
pub(crate) struct SqliteScan {
    pub(crate) database: Database,
    pub(crate) permits: Arc<Semaphore>,
    /// The SQL name of the foreign table, for errors.
    pub(crate) table: Arc<str>,
    /// The remote table.
    pub(crate) remote_table: Arc<str>,
    /// By the foreign table's column names: the remote name and its affinity.
    pub(crate) columns: Arc<HashMap<String, (String, Affinity)>>,
}

type Sender = mpsc::Sender<Result<RecordBatch>>;

#[async_trait]
impl SqlScan for SqliteScan {
    fn server(&self) -> &str {
        self.database.server()
    }

    fn source(&self) -> Option<SourceId> {
        Some(self.database.source())
    }

    async fn run(
        &self,
        sql: &str,
        schema: SchemaRef,
        place: &ScanPlace,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let permit = self.permit().await?;
        let moment = self.moment(place).map(|moment| (moment, place.scan));
        let cancel = CancelFlag::default();
        let guard = cancel.guard();
        let (sender, receiver) = mpsc::channel(BATCHES_WAITING_MAX);
        let (scan, sql) = (self.clone(), sql.to_owned());
        std::thread::Builder::new()
            .name("sqlite-scan".into())
            .spawn(move || scan.work(&sql, &schema, &sender, &cancel, (permit, moment)))
            .map_err(|error| ConnectorError::Limit {
                message: format!("no thread for a scan of server \"{}\": {error}", self.database.server()),
                hint: None,
            })?;
        let server = self.database.server().to_owned();
        let stream = futures::stream::unfold(Some((receiver, guard, server)), |state| async move {
            let (mut receiver, guard, server) = state?;
            match receiver.recv().await {
                // An empty batch of no meaning but "all rows were sent" never leaves the thread otherwise.
                Some(Ok(batch)) if batch.num_rows() == 0 => None,
                Some(Ok(batch)) => Some((Ok(batch), Some((receiver, guard, server)))),
                Some(Err(error)) => Some((Err(error), None)),
                None => {
                    let message = format!("the thread that scanned server \"{server}\" ended early");
                    Some((Err(ConnectorError::Internal { message }), None))
                }
            }
        });
        Ok(stream.boxed())
    }
}

impl ColumnScan for SqliteScan {
    type Column = (String, Affinity);

    fn with_columns(&self, columns: HashMap<String, (String, Affinity)>) -> Self {
        Self { columns: Arc::new(columns), ..self.clone() }
    }

    fn has_one_moment(&self) -> bool {
        true
    }
}

impl SqliteScan {
    async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        let permit = tokio::time::timeout(SCAN_WAIT_MAX, Arc::clone(&self.permits).acquire_owned()).await;
        permit.ok().and_then(std::result::Result::ok).ok_or_else(|| ConnectorError::Limit {
            message: format!("server \"{}\" has {SCANS_MAX} scans running", self.database.server()),
            hint: Some("Try again when other queries have ended.".into()),
        })
    }

    /// What the scan shares with the statement's others; `None` where it is alone.
    fn moment(&self, place: &ScanPlace) -> Option<Arc<Moment>> {
        let source = self.database.source();
        let expected = place.statement.expected(source);
        let runs: usize = expected.iter().map(|(_, runs)| *runs).fold(0, usize::saturating_add);
        (runs > 1 && expected.len() <= SCANS_TOGETHER_MAX).then(|| place.statement.shared(source, Moment::new))
    }

    /// The thread's whole life. The permit is given back when it ends.
    fn work(
        &self,
        sql: &str,
        schema: &SchemaRef,
        sender: &Sender,
        cancel: &CancelFlag,
        (permit, moment): (OwnedSemaphorePermit, Option<(Arc<Moment>, ScanId)>),
    ) {
        let last = match self.read_within(moment, sql, schema, sender, cancel) {
            Ok(()) => Ok(RecordBatch::new_empty(Arc::clone(schema))),
            Err(error) => Err(error),
        };
        drop(permit);
        // Nobody may be listening any more.
        let _ = sender.blocking_send(last);
    }

    fn read_within(
        &self,
        moment: Option<(Arc<Moment>, ScanId)>,
        sql: &str,
        schema: &SchemaRef,
        sender: &Sender,
        cancel: &CancelFlag,
    ) -> Result<()> {
        let Some((moment, scan)) = moment else {
            return self.read(&self.database.open(cancel)?, sql, schema, sender, cancel);
        };
        let connection = moment.connection(&self.database, scan, cancel)?;
        self.read(&connection, sql, schema, sender, cancel)?;
        moment.leave(scan, connection);
        Ok(())
    }

    fn read(
        &self,
        connection: &Connection,
        sql: &str,
        schema: &SchemaRef,
        sender: &Sender,
        cancel: &CancelFlag,
    ) -> Result<()> {
        let started = Cell::new(false);
        self.database.retry_busy(cancel, || {
            let result = self.rows(connection, sql, schema, sender, &started);
            // What was sent cannot be taken back: only a scan that has not begun may begin again.
            match result {
                Err(ConnectorError::Remote { message, server, hint, .. }) if started.get() => {
                    Err(ConnectorError::Remote {
                        server,
                        sqlstate: "HV000".into(),
                        message,
                        detail: None,
                        hint,
                        remote_sql: None,
                    })
                }
                other => other,
            }
        })
    }

    /// One statement, hence one read transaction: all rows are of one moment.
    fn rows(
        &self,
        connection: &Connection,
        sql: &str,
        schema: &SchemaRef,
        sender: &Sender,
        started: &Cell<bool>,
    ) -> Result<()> {
        let failed = |error: rusqlite::Error| self.database.error(&error);
        let mut statement =
            connection.prepare(sql).map_err(|error| self.changed(connection).unwrap_or_else(|| failed(error)))?;
        let place = Place { server: self.database.server(), table: &self.table };
        let mut readers: Vec<_> = schema.fields().iter().map(|field| self.reader(field)).collect();
        let (mut count, mut bytes) = (0, 0);
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            for (index, reader) in readers.iter_mut().enumerate() {
                bytes += reader.append(place, row.get_ref(index).map_err(failed)?)?;
            }
            count += 1;
            if count >= BATCH_ROWS_MAX || bytes >= BATCH_BYTES_MAX {
                started.set(true);
                self.send(sender, schema, &mut readers, count)?;
                (count, bytes) = (0, 0);
            }
        }
        if count > 0 {
            started.set(true);
            self.send(sender, schema, &mut readers, count)?;
        }
        Ok(())
    }

    fn send(&self, sender: &Sender, schema: &SchemaRef, readers: &mut [ColumnReader], count: usize) -> Result<()> {
        let columns = readers.iter_mut().map(ColumnReader::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let batch = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|error| {
            ConnectorError::Internal { message: format!("a batch of table \"{}\": {error}", self.table) }
        })?;
        sender
            .blocking_send(Ok(batch))
            .map_err(|_| ConnectorError::Canceled { server: self.database.server().to_owned() })
    }

    fn reader(&self, field: &arrow::datatypes::Field) -> ColumnReader {
        let affinity = self.columns.get(field.name()).map_or(Affinity::Blob, |(_, affinity)| *affinity);
        ColumnReader::new(field.name(), PgType::of_field(field), affinity, field.is_nullable(), BATCH_ROWS_MAX)
    }

    /// Why a statement of ours does not compile any more: its table or one of its columns is gone.
    fn changed(&self, connection: &Connection) -> Option<ConnectorError> {
        let shape = match source::shape(&self.database, connection, &self.remote_table) {
            Ok(shape) => shape,
            Err(error) => return Some(error),
        };
        let gone = self.columns.iter().find(|(_, (remote, _))| shape.column(remote).is_none());
        gone.map(|(name, (remote, _))| ConnectorError::column_gone(self.database.server(), &self.table, name, remote))
    }
}
