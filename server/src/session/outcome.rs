//! What running a statement yields.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use atoll_connector_api::types::PgType;
use futures::stream::BoxStream;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::error::SqlResult;
use crate::statement::ast::CopyTo;

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultColumn {
    /// As PostgreSQL would name it; names may repeat.
    pub name: String,
    /// Its type.
    pub data_type: PgType,
    /// The relation and column it comes from, 0 where it is computed.
    pub origin: (u32, i16),
}

impl ResultColumn {
    /// A computed column.
    pub fn new(name: impl Into<String>, data_type: PgType) -> Self {
        Self { name: name.into(), data_type, origin: (0, 0) }
    }
}

/// What running a statement yields.
pub enum Outcome {
    /// Rows, to be sent as DataRow.
    Rows(Rows),
    /// Rows, to be sent as COPY data.
    Copy(Rows, Box<CopyTo>),
    /// A command tag.
    Command(String),
    /// The empty query.
    Empty,
}

/// A result being computed. The work runs on the CPU runtime and waits when its bounded queue is full; dropping this ends
/// it, the remote queries included. An error from the stream has failed the transaction already when the session is told
/// by [`super::Session::fail`]. Cancel and `statement_timeout` end the stream with `57014`.
pub struct Rows {
    /// Columns, in the batches' order.
    pub columns: Arc<[ResultColumn]>,
    /// Batches, perhaps empty ones.
    pub batches: BoxStream<'static, SqlResult<RecordBatch>>,
    /// How to tag the end.
    pub tag: RowsTag,
}

/// The command tag after rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the tags of their names")]
pub enum RowsTag {
    Select,
    Fetch,
    FetchBinary,
    Show,
    Explain,
    Copy,
}

impl RowsTag {
    /// The tag's text after `rows` rows.
    pub fn text(self, rows: u64) -> String {
        match self {
            Self::Select => format!("SELECT {rows}"),
            Self::Fetch | Self::FetchBinary => format!("FETCH {rows}"),
            Self::Copy => format!("COPY {rows}"),
            Self::Show => "SHOW".to_owned(),
            Self::Explain => "EXPLAIN".to_owned(),
        }
    }
}

/// For ReadyForQuery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the states of the protocol")]
pub enum TransactionStatus {
    Idle,
    InBlock,
    Failed,
}

/// Why a statement is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelReason {
    /// A cancel request, or pg_cancel_backend: `57014`.
    Client,
    /// `statement_timeout`: `57014`.
    Timeout,
    /// Shutdown or pg_terminate_backend: `57P01`, and the connection closes.
    Shutdown,
}

/// Stops a session's running statement. Clones share the state; safe from any thread.
#[derive(Debug, Clone, Default)]
pub struct Canceller(Arc<CancelState>);

#[derive(Debug, Default)]
struct CancelState {
    reason: AtomicU8,
    /// When the running statement's time is up.
    deadline: Mutex<Option<Instant>>,
    notify: Notify,
}

impl Canceller {
    /// Asks the running statement to stop. Without one, [`CancelReason::Client`] and `Timeout` are forgotten when the next
    /// begins; `Shutdown` stays.
    pub fn cancel(&self, reason: CancelReason) {
        let code = match reason {
            CancelReason::Client => 1,
            CancelReason::Timeout => 2,
            CancelReason::Shutdown => 3,
        };
        self.0.reason.fetch_max(code, Ordering::SeqCst);
        self.0.notify.notify_waiters();
    }

    /// The reason, if asked to stop.
    pub fn reason(&self) -> Option<CancelReason> {
        match self.0.reason.load(Ordering::SeqCst) {
            1 => Some(CancelReason::Client),
            2 => Some(CancelReason::Timeout),
            3 => Some(CancelReason::Shutdown),
            _ => None,
        }
    }

    /// A new statement begins: forgets all but a shutdown.
    pub fn begin_statement(&self) {
        let _ = self.0.reason.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |code| (code < 3).then_some(0));
    }

    /// Starts the clock of `statement_timeout`, unless it runs already: as in PostgreSQL, parsing and executing a
    /// statement share one. Whoever waits by [`Self::cancelled`] sees the end, be it for rows or for a client that does
    /// not read them.
    pub fn arm(&self, timeout: Option<Duration>) {
        let Some(timeout) = timeout else { return };
        let mut deadline = self.deadline();
        if deadline.is_none() {
            *deadline = Some(Instant::now() + timeout);
            drop(deadline);
            self.0.notify.notify_waiters();
        }
    }

    /// Stops the clock: the statement is done, or the session waits for its client.
    pub fn disarm(&self) {
        *self.deadline() = None;
    }

    fn deadline(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cancels where `deadline` is still the one in force.
    fn expire(&self, expired: Instant) {
        let mut deadline = self.deadline();
        if *deadline == Some(expired) {
            *deadline = None;
            drop(deadline);
            self.cancel(CancelReason::Timeout);
        }
    }

    /// Completes when asked to stop, or when the statement's time is up.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn cancelled(&self) -> CancelReason {
        loop {
            let notified = self.0.notify.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if let Some(reason) = self.reason() {
                return reason;
            }
            let deadline = *self.deadline();
            match deadline {
                Some(deadline) if tokio::time::timeout_at(deadline, notified.as_mut()).await.is_err() => {
                    self.expire(deadline)
                }
                Some(_) => {}
                None => notified.await,
            }
        }
    }

    /// Completes when the whole session has to end: [`CancelReason::Shutdown`] and nothing less.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn terminated(&self) {
        loop {
            let notified = self.0.notify.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.reason() == Some(CancelReason::Shutdown) {
                return;
            }
            notified.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn the_clock_stops_and_starts_with_statements() {
        let canceller = Canceller::default();
        let waiting = tokio::spawn({
            let canceller = canceller.clone();
            async move { canceller.cancelled().await }
        });
        tokio::time::sleep(MOMENT).await;
        canceller.arm(Some(MOMENT));
        canceller.disarm();
        tokio::time::sleep(10 * MOMENT).await;
        assert_eq!(canceller.reason(), None, "a clock that was stopped has run out");
        canceller.arm(Some(MOMENT));
        // The second call is the same statement's.
        canceller.arm(Some(100 * MOMENT));
        let before = Instant::now();
        assert_eq!(waiting.await.ok(), Some(CancelReason::Timeout));
        assert!(before.elapsed() < 100 * MOMENT);
        canceller.begin_statement();
        assert_eq!(canceller.reason(), None);
    }
}
