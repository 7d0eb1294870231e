//! Running a query and sending its rows in batches; a query that nobody waits for is killed.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatchOptions;
use arrow::datatypes::{Field, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use atoll_connector_api::scan::SqlScan;
use atoll_connector_api::sql_table::ColumnScan;
use atoll_connector_api::statement::ScanPlace;
use atoll_connector_api::types::PgType;
use atoll_connector_api::{ConnectorError, Result};
use futures::StreamExt;
use futures::stream::BoxStream;
use mysql_async::prelude::Queryable;
use mysql_async::{BinaryProtocol, Conn, QueryResult};
use tokio::sync::mpsc;

use crate::connection::{Lease, Pool, is_shape_changed};
use crate::metadata::{self, Class, RemoteTable};
use crate::values::{ColumnReader, Place, RemoteForm};

/// Rows in a batch.
const BATCH_ROWS_MAX: usize = 8192;
/// Bytes of values after which a batch ends early.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// Batches that wait between the connection and the query.
const BATCHES_WAITING_MAX: usize = 2;

/// One table's scans.
#[derive(Debug, Clone)]
pub(crate) struct MysqlScan {
    pub(crate) pool: Arc<Pool>,
    /// The SQL name of the foreign table, for errors.
    pub(crate) table: Arc<str>,
    /// The remote table's database and name.
    pub(crate) remote: Arc<(String, String)>,
    /// By the foreign table's column names.
    pub(crate) columns: Arc<HashMap<String, ScanColumn>>,
}

/// What the remote declares of a column, as far as its values care.
#[derive(Debug, Clone)]
pub(crate) struct ScanColumn {
    pub(crate) remote: String,
    pub(crate) class: Class,
    /// Digits of a second's fraction.
    pub(crate) fraction: usize,
}

type Sender = mpsc::Sender<Result<Option<RecordBatch>>>;

#[async_trait]
impl SqlScan for MysqlScan {
    fn server(&self) -> &str {
        self.pool.server()
    }

    async fn run(
        &self,
        sql: &str,
        schema: SchemaRef,
        _place: &ScanPlace,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let lease = self.pool.lease().await?;
        let (sender, receiver) = mpsc::channel(BATCHES_WAITING_MAX);
        let (scan, sql) = (self.clone(), sql.to_owned());
        tokio::spawn(async move { scan.work(lease, &sql, &schema, &sender).await });
        let server = self.pool.server().to_owned();
        let stream = futures::stream::unfold(Some((receiver, server)), |state| async move {
            let (mut receiver, server) = state?;
            match receiver.recv().await {
                Some(Ok(Some(batch))) => Some((Ok(batch), Some((receiver, server)))),
                Some(Ok(None)) => None,
                Some(Err(error)) => Some((Err(error), None)),
                // The driver gave up on what the server sent.
                None => {
                    let source = std::io::Error::other("the answer broke off");
                    Some((Err(ConnectorError::ConnectionLost { server, source: Arc::new(source) }), None))
                }
            }
        });
        Ok(stream.boxed())
    }
}

impl ColumnScan for MysqlScan {
    type Column = ScanColumn;

    fn with_columns(&self, columns: HashMap<String, ScanColumn>) -> Self {
        Self { columns: Arc::new(columns), ..self.clone() }
    }
}

impl MysqlScan {
    async fn work(&self, mut lease: Lease, sql: &str, schema: &SchemaRef, sender: &Sender) {
        loop {
            let state = tokio::select! {
                state = self.read(&mut lease, sql, schema, sender) => state,
                () = sender.closed() => ConnectionState::Busy,
            };
            match state {
                ConnectionState::Free => lease.give_back(),
                ConnectionState::Busy => lease.kill().await,
                ConnectionState::Lost => drop(lease),
                ConnectionState::Stale => {
                    drop(lease);
                    match self.pool.lease_new().await {
                        // A new connection is not stale: this comes round once.
                        Ok(fresh) => {
                            lease = fresh;
                            continue;
                        }
                        Err(error) => {
                            let _ = sender.send(Err(error)).await;
                        }
                    }
                }
            }
            return;
        }
    }

    /// Reads to the end, and sends it or the error.
    async fn read(&self, lease: &mut Lease, sql: &str, schema: &SchemaRef, sender: &Sender) -> ConnectionState {
        let mut answered = false;
        let (last, state) = match self.rows(lease, sql, (schema, sender), &mut answered).await {
            Ok(()) => (Ok(None), ConnectionState::Free),
            Err(Failure::Connector(error)) => (Err(error), ConnectionState::Busy),
            Err(Failure::Driver(error)) => {
                let changed = if is_shape_changed(&error) { self.changed(lease).await } else { None };
                let error = changed.unwrap_or_else(|| self.pool.error(error, Some(sql)));
                // The server's own error ends the result.
                let lost = matches!(error, ConnectorError::ConnectionLost { .. });
                // A pooled connection that is gone shows it at once. What breaks later broke while the query ran, and an
                // administrator who kills a query does not mean that it be run again.
                if lost && !answered && lease.is_pooled() {
                    return ConnectionState::Stale;
                }
                (Err(error), if lost { ConnectionState::Lost } else { ConnectionState::Free })
            }
        };
        let _ = sender.send(last).await;
        state
    }

    async fn rows(
        &self,
        lease: &mut Lease,
        sql: &str,
        (schema, sender): (&SchemaRef, &Sender),
        answered: &mut bool,
    ) -> Result<(), Failure> {
        let conn = lease.conn()?;
        // Prepared: values come in their own binary formats, floats with every bit.
        let statement = conn.prep(sql).await?;
        *answered = true;
        let result = conn.exec_iter(&statement, ()).await?;
        self.batches(result, schema, sender).await?;
        conn.close(statement).await?;
        Ok(())
    }

    async fn batches(
        &self,
        mut result: QueryResult<'_, '_, BinaryProtocol>,
        schema: &SchemaRef,
        sender: &Sender,
    ) -> Result<(), Failure> {
        let place = Place { server: self.pool.server(), table: &self.table };
        let mut readers: Vec<_> = schema.fields().iter().map(|field| self.reader(field)).collect();
        let (mut count, mut bytes) = (0, 0);
        while let Some(row) = result.next().await? {
            for (index, reader) in readers.iter_mut().enumerate() {
                let value = row.as_ref(index).ok_or_else(|| ConnectorError::Internal {
                    message: format!("server \"{}\" sent rows of fewer columns than were asked for", place.server),
                })?;
                bytes += reader.append(place, value)?;
            }
            count += 1;
            if count >= BATCH_ROWS_MAX || bytes >= BATCH_BYTES_MAX {
                self.send(sender, schema, &mut readers, count).await?;
                (count, bytes) = (0, 0);
            }
        }
        if count > 0 {
            self.send(sender, schema, &mut readers, count).await?;
        }
        result.drop_result().await?;
        Ok(())
    }

    async fn send(
        &self,
        sender: &Sender,
        schema: &SchemaRef,
        readers: &mut [ColumnReader],
        count: usize,
    ) -> Result<()> {
        let columns = readers.iter_mut().map(ColumnReader::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let batch = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|error| {
            ConnectorError::Internal { message: format!("a batch of table \"{}\": {error}", self.table) }
        })?;
        let canceled = |_| ConnectorError::Canceled { server: self.pool.server().to_owned() };
        sender.send(Ok(Some(batch))).await.map_err(canceled)
    }

    fn reader(&self, field: &Field) -> ColumnReader {
        let (class, fraction) =
            self.columns.get(field.name()).map_or((Class::Other, 0), |column| (column.class, column.fraction));
        let form = RemoteForm { class, fraction };
        ColumnReader::new(field.name(), PgType::of_field(field), form, field.is_nullable(), BATCH_ROWS_MAX)
    }

    /// Why a statement of ours does not prepare any more: its table or one of its columns is gone.
    async fn changed(&self, lease: &mut Lease) -> Option<ConnectorError> {
        let conn: &mut Conn = lease.conn().ok()?;
        let remote = match metadata::table(&self.pool, conn, &self.remote.0, &self.remote.1).await {
            Ok(remote) => remote,
            Err(error) => return Some(error),
        };
        self.columns.iter().find_map(|(name, column)| self.gone(&remote, name, &column.remote))
    }

    fn gone(&self, remote: &RemoteTable, name: &str, column: &str) -> Option<ConnectorError> {
        remote
            .column(column)
            .is_none()
            .then(|| ConnectorError::column_gone(self.pool.server(), &self.table, name, column))
    }
}

/// What a connection can be used for after a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectionState {
    /// Everything was read.
    Free,
    /// Rows are on their way, or being computed.
    Busy,
    /// It is gone.
    Lost,
    /// It came out of the pool and was gone already: another one can answer.
    Stale,
}

/// Why rows ended early: for a reason of ours, or one that the driver tells.
enum Failure {
    Connector(ConnectorError),
    Driver(mysql_async::Error),
}

impl From<ConnectorError> for Failure {
    fn from(error: ConnectorError) -> Self {
        Self::Connector(error)
    }
}

impl From<mysql_async::Error> for Failure {
    fn from(error: mysql_async::Error) -> Self {
        Self::Driver(error)
    }
}
