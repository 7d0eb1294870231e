//! What running a statement yields.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use arrow::record_batch::RecordBatch;
use atoll_connector_api::types::PgType;
use futures::stream::BoxStream;
use tokio::sync::Notify;

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
    Show,
    Explain,
    Copy,
}

impl RowsTag {
    /// The tag's text after `rows` rows.
    pub fn text(self, rows: u64) -> String {
        match self {
            Self::Select => format!("SELECT {rows}"),
            Self::Fetch => format!("FETCH {rows}"),
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

    /// Completes when asked to stop.
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
            notified.await;
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
