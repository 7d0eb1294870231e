//! The connections of one source: bounded in number and in idle time, given back clean or closed.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::SimpleQueryMessage;

use atoll_connector_api::statement::SourceId;
use atoll_connector_api::{ConnectorError, Result};

use crate::connect::{Remote, Session};
use crate::error::{is_lost, query_error};
use crate::tap::CopyData;

/// A statement waits this long for a connection of a busy pool, then reports the limit.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// An idle connection is closed after this time, give or take one [`REAP_INTERVAL`].
const IDLE_MAX: Duration = Duration::from_secs(60);
const REAP_INTERVAL: Duration = Duration::from_secs(10);
/// Rows of one metadata query beyond which the remote's answer is not believed.
const METADATA_ROWS_MAX: usize = 2_000_000;

/// One row of a metadata query, as text.
pub(crate) type TextRow = Vec<Option<String>>;

/// The connections of one source.
#[derive(Debug)]
pub(crate) struct Pool {
    source: SourceId,
    remote: Arc<Remote>,
    permits: Arc<Semaphore>,
    idle: Mutex<Idle>,
    /// Where connections live. A query's plan may run on another runtime, which computes and should not drive sockets.
    runtime: OnceLock<Handle>,
}

#[derive(Debug, Default)]
struct Idle {
    sessions: Vec<(Arc<Session>, Instant)>,
    reaping: bool,
}

/// A connection on loan. Dropped while a statement runs on it, it is cancelled and closed; else it goes back.
#[derive(Debug)]
pub(crate) struct Lease {
    pool: Arc<Pool>,
    session: Arc<Session>,
    permit: Option<OwnedSemaphorePermit>,
    fresh: bool,
    clean: bool,
}

impl Pool {
    /// A pool without connections. They will live on the runtime that this is called on, if it is.
    pub(crate) fn new(remote: Remote) -> Arc<Self> {
        let runtime = OnceLock::new();
        if let Ok(handle) = Handle::try_current() {
            let _ = runtime.set(handle);
        }
        Arc::new(Self {
            source: SourceId::new(),
            permits: Arc::new(Semaphore::new(remote.config.connections_max)),
            remote: Arc::new(remote),
            idle: Mutex::default(),
            runtime,
        })
    }

    /// The source whose connections these are.
    pub(crate) fn source(&self) -> SourceId {
        self.source
    }

    pub(crate) fn remote(&self) -> &Remote {
        &self.remote
    }

    pub(crate) fn server(&self) -> &str {
        &self.remote.server
    }

    fn runtime(&self) -> &Handle {
        self.runtime.get_or_init(Handle::current)
    }

    /// A future that ends after `duration`, on the pool's own timer: the caller's runtime may have none.
    pub(crate) fn sleep(&self, duration: Duration) -> Pin<Box<tokio::time::Sleep>> {
        let _entered = self.runtime().enter();
        Box::pin(tokio::time::sleep(duration))
    }

    /// Runs a task where the connections live.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime().spawn(task);
    }

    /// Borrows a connection: an idle one, or a new one.
    ///
    /// # Errors
    /// * [`ConnectorError::Limit`] where all connections stay in use for [`WAIT_MAX`].
    /// * Those of [`Remote::connect`].
    pub(crate) async fn acquire(self: &Arc<Self>) -> Result<Lease> {
        let permit = self.permit().await?;
        if let Some(session) = self.take_idle() {
            return Ok(self.lend(session, permit, false));
        }
        self.acquire_fresh(permit).await
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        tokio::select! {
            permit = Arc::clone(&self.permits).acquire_owned() => {
                permit.map_err(|_| ConnectorError::Internal { message: "the pool is closed".into() })
            }
            () = self.sleep(WAIT_MAX) => Err(ConnectorError::Limit {
                message: format!(
                    "all {} connections to server \"{}\" are in use",
                    self.remote.config.connections_max, self.remote.server
                ),
                hint: Some("Raise the server's option \"max_connections\".".into()),
            }),
        }
    }

    async fn acquire_fresh(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Result<Lease> {
        let remote = Arc::clone(&self.remote);
        // Where its rows are wanted: between two runtimes each message would wake a thread more.
        let runtime = Handle::try_current().unwrap_or_else(|_| self.runtime().clone());
        let mut connecting = AbortOnDrop(runtime.spawn(async move { remote.connect().await }));
        let session = (&mut connecting.0)
            .await
            .map_err(|error| ConnectorError::Internal { message: format!("connecting failed: {error}") })??;
        Ok(self.lend(Arc::new(session), permit, true))
    }

    fn lend(self: &Arc<Self>, session: Arc<Session>, permit: OwnedSemaphorePermit, fresh: bool) -> Lease {
        Lease { pool: Arc::clone(self), session, permit: Some(permit), fresh, clean: true }
    }

    /// Runs `work` on a connection. Where an idle connection turns out to be broken, `work` runs once more on a new one:
    /// nothing was delivered yet. What the remote refuses is reported with `sql`, where given.
    ///
    /// # Errors
    /// Those of [`Self::acquire`], and what `work` meets.
    pub(crate) async fn run<T, W, F>(self: &Arc<Self>, sql: Option<&str>, work: W) -> Result<(Lease, T)>
    where
        W: Fn(Arc<Session>) -> F,
        F: Future<Output = std::result::Result<T, tokio_postgres::Error>>,
    {
        let mut lease = self.acquire().await?;
        lease.clean = false;
        match work(Arc::clone(&lease.session)).await {
            Ok(done) => return Ok((lease, done)),
            Err(error) if lease.fresh || !is_lost(&error) => return Err(lease.fail(error, sql)),
            Err(_) => {}
        }
        // The idle connections beside it broke at the same moment: the remote was restarted.
        let mut lease = lease.replace().await?;
        lease.clean = false;
        match work(Arc::clone(&lease.session)).await {
            Ok(done) => Ok((lease, done)),
            Err(error) => Err(lease.fail(error, sql)),
        }
    }

    /// Runs a metadata query in one round trip.
    ///
    /// # Errors
    /// Those of [`Self::run`]; [`ConnectorError::Limit`] for an answer beyond [`METADATA_ROWS_MAX`].
    pub(crate) async fn query(self: &Arc<Self>, sql: &str) -> Result<(Lease, Vec<TextRow>)> {
        let (mut lease, rows) = self.run(None, |session| async move { session.text_rows(sql).await }).await?;
        if rows.len() > METADATA_ROWS_MAX {
            return Err(ConnectorError::Limit {
                message: format!("server \"{}\" answers a metadata query with too many rows", self.remote.server),
                hint: None,
            });
        }
        lease.mark_clean();
        Ok((lease, rows))
    }

    /// One word for what a relation is now; `None` where there is none: the relation is not there, has columns of types
    /// that users define, or the remote does not keep prepared statements.
    ///
    /// # Errors
    /// Those of [`Self::run`], but not what the remote refuses.
    pub(crate) async fn mark(self: &Arc<Self>, schema: &str, table: &str) -> Result<Option<String>> {
        match self.run(None, |session| async move { session.mark(schema, table).await }).await {
            Ok((mut lease, mark)) => {
                lease.mark_clean();
                Ok(mark)
            }
            Err(ConnectorError::Remote { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Starts `COPY … TO STDOUT`.
    ///
    /// # Errors
    /// Those of [`Self::run`].
    pub(crate) async fn copy(self: &Arc<Self>, sql: &str) -> Result<(Lease, CopyData)> {
        let statement = &copy_statement(sql);
        self.run(Some(sql), |session| async move { session.copy(statement).await }).await
    }

    fn take_idle(&self) -> Option<Arc<Session>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((session, _)) = idle.sessions.pop() {
            if !session.client.is_closed() {
                return Some(session);
            }
        }
        None
    }

    fn clear_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).sessions.clear();
    }

    fn put_back(self: &Arc<Self>, session: Arc<Session>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.sessions.push((session, Instant::now()));
        if !std::mem::replace(&mut idle.reaping, true) {
            self.runtime().spawn(reap(Arc::downgrade(self)));
        }
    }
}

/// The statement that reads a query in binary.
pub(crate) fn copy_statement(sql: &str) -> String {
    format!("COPY ({sql}) TO STDOUT (FORMAT binary)")
}

/// Closes idle connections; ends when none is left or the pool is gone.
async fn reap(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(REAP_INTERVAL).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut idle = pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.sessions.retain(|(session, since)| since.elapsed() < IDLE_MAX && !session.client.is_closed());
        if idle.sessions.is_empty() {
            idle.reaping = false;
            return;
        }
    }
}

struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Session {
    /// The rows of a query as text, at most one more than [`METADATA_ROWS_MAX`].
    async fn text_rows(&self, sql: &str) -> std::result::Result<Vec<TextRow>, tokio_postgres::Error> {
        let messages = self.client.simple_query_raw(sql).await?;
        messages
            .try_filter_map(async |message| {
                let SimpleQueryMessage::Row(row) = message else { return Ok(None) };
                (0..row.len())
                    .map(|index| Ok(row.try_get(index)?.map(str::to_owned)))
                    .collect::<Result<_, _>>()
                    .map(Some)
            })
            .take(METADATA_ROWS_MAX + 1)
            .try_collect()
            .await
    }
}

impl Lease {
    /// The connection.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// The pool it belongs to.
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Declares that no statement runs any more: the connection may be used again.
    pub(crate) fn mark_clean(&mut self) {
        self.clean = true;
    }

    /// Declares that the connection is in a state that must not be met by another user of it.
    pub(crate) fn mark_busy(&mut self) {
        self.clean = false;
    }

    /// The error for a failed statement. A statement that the remote refused leaves the connection fit for the next.
    pub(crate) fn fail(mut self, error: tokio_postgres::Error, sql: Option<&str>) -> ConnectorError {
        self.clean = error.as_db_error().is_some() && !is_lost(&error);
        query_error(self.pool.remote(), error, sql)
    }

    /// Swaps a broken connection for a new one.
    async fn replace(mut self) -> Result<Self> {
        let pool = Arc::clone(&self.pool);
        pool.clear_idle();
        let permit = match self.permit.take() {
            Some(permit) => permit,
            None => pool.permit().await?,
        };
        drop(self);
        pool.acquire_fresh(permit).await
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let session = Arc::clone(&self.session);
        if self.clean && !session.client.is_closed() {
            self.pool.put_back(session);
            return;
        }
        // The permit is held until the remote query has ended, so that cancelled scans cannot pile up at the remote.
        let permit = self.permit.take();
        self.pool.spawn(async move {
            session.kill().await;
            drop(permit);
        });
    }
}
