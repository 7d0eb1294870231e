//! One connection's loop: messages in, answers out, the socket watched all the while.

use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;

use super::backend::{self, Severity};
use super::extended::Portal;
use super::frontend::{self, Frame, FrontendMessage};
use super::listener::Shared;
use super::sqlstate::cancel_error;
use super::stream::{Inbox, Outbox, ReadError};
use crate::error::{SqlError, SqlState};
use crate::session::{CancelReason, Canceller, Prepared, Session, TransactionStatus};

/// How long work that was told to stop may take before it is dropped where it stands.
const STOP_GRACE: Duration = Duration::from_millis(700);
/// How long a client may take to read why its connection ends.
pub(super) const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a connection ends.
#[derive(Debug)]
pub(super) enum End {
    /// The client is gone or has said good-bye.
    Gone,
    /// The client is told, then the connection closes.
    Fatal(SqlError),
}

/// Why a message could not be obeyed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The statement failed, the connection lives.
    Statement(SqlError),
    /// The connection ends.
    End(End),
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        Self::Statement(error)
    }
}

impl From<End> for Failure {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

/// Both directions of the socket, and what may interrupt waiting for them.
pub(super) struct Link {
    pub(super) inbox: Inbox,
    pub(super) outbox: Outbox,
    pub(super) canceller: Canceller,
}

impl Link {
    /// Awaits work of the session. A client that goes away, and a shutdown, stop the work: first by its canceller, so that
    /// it can leave things in order, then by dropping it.
    pub(super) async fn attend<T>(&mut self, work: impl Future<Output = T>) -> Result<T, End> {
        let (inbox, canceller) = (&mut self.inbox, &self.canceller);
        let overdue = async {
            canceller.terminated().await;
            tokio::time::sleep(STOP_GRACE).await;
        };
        tokio::pin!(work);
        tokio::select! {
            biased;
            output = &mut work => return Ok(output),
            () = overdue => return Err(End::Fatal(cancel_error(CancelReason::Shutdown))),
            () = inbox.gone() => {}
        }
        canceller.cancel(CancelReason::Shutdown);
        let _ = tokio::time::timeout(STOP_GRACE, work).await;
        Err(End::Gone)
    }

    /// Sends what is buffered while a statement runs. A client that does not read holds the statement up, which can still
    /// be cancelled.
    pub(super) async fn flush_running(&mut self) -> Result<(), Failure> {
        let Self { inbox, outbox, canceller } = self;
        tokio::select! {
            biased;
            result = outbox.flush() => result.map_err(|_| End::Gone.into()),
            reason = canceller.cancelled() => Err(cancel_error(reason).into()),
            () = inbox.gone() => Err(End::Gone.into()),
        }
    }

    /// Sends what is buffered while nothing runs.
    pub(super) async fn flush_idle(&mut self) -> Result<(), End> {
        let Self { outbox, canceller, .. } = self;
        let overdue = async {
            canceller.terminated().await;
            tokio::time::sleep(GOODBYE_TIMEOUT).await;
        };
        tokio::select! {
            biased;
            result = outbox.flush() => result.map_err(|_| End::Gone),
            () = overdue => Err(End::Gone),
        }
    }
}

/// One connection, authenticated.
pub(super) struct Connection {
    pub(super) shared: Arc<Shared>,
    pub(super) link: Link,
    pub(super) session: Session,
    /// The unnamed statement; those with names are the session's, as those of PREPARE are.
    pub(super) unnamed: Option<Arc<Prepared>>,
    /// By name; the unnamed one is `""`.
    pub(super) portals: HashMap<String, Portal>,
    /// After an error of the extended protocol: everything up to the next Sync is skipped.
    skipping: bool,
}

impl Connection {
    pub(super) fn new(shared: Arc<Shared>, inbox: Inbox, outbox: Outbox, session: Session) -> Self {
        let link = Link { inbox, outbox, canceller: session.canceller() };
        Self { shared, link, session, unnamed: None, portals: HashMap::new(), skipping: false }
    }

    /// Serves the client until it goes or is sent away. A panic ends this connection and no other.
    pub(super) async fn run(mut self, pid: i32, key: &[u8]) {
        let end = AssertUnwindSafe(self.serve(pid, key)).catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!(pid, "a connection panicked");
            End::Fatal(SqlError::internal("internal error: the connection's task panicked"))
        });
        // What runs, and the transaction, end first: the client may take its time.
        let Self { link: Link { mut outbox, .. }, portals, session, .. } = self;
        drop((portals, session));
        if let End::Fatal(error) = end {
            say_goodbye(&mut outbox, &error).await;
        }
    }

    async fn serve(&mut self, pid: i32, key: &[u8]) -> End {
        match self.serve_messages(pid, key).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn serve_messages(&mut self, pid: i32, key: &[u8]) -> Result<std::convert::Infallible, End> {
        self.push_parameters()?;
        self.push(&backend::backend_key_data(pid, key))?;
        self.ready().await?;
        loop {
            let frame = self.next_frame().await?;
            self.obey_frame(frame).await?;
            // A flood of small messages with long answers must not pile them up.
            if self.link.outbox.is_full() {
                self.link.flush_idle().await?;
            }
            if self.link.canceller.reason() == Some(CancelReason::Shutdown) {
                return Err(End::Fatal(cancel_error(CancelReason::Shutdown)));
            }
        }
    }

    async fn next_frame(&mut self) -> Result<Frame, End> {
        let closed = |error| match error {
            ReadError::Closed => End::Gone,
            ReadError::Violation(error) => End::Fatal(error),
        };
        if let Some(frame) = self.link.inbox.ready().map_err(closed)? {
            return Ok(frame);
        }
        // Nothing runs while the client is waited for.
        self.link.canceller.disarm();
        self.link.flush_idle().await?;
        let (idle_timeout, idle_error) = self.idle_limit();
        let Link { inbox, canceller, .. } = &mut self.link;
        let shutdown = || End::Fatal(cancel_error(CancelReason::Shutdown));
        tokio::select! {
            biased;
            () = self.shared.shutdown.cancelled() => Err(shutdown()),
            () = canceller.terminated() => Err(shutdown()),
            frame = inbox.next() => frame.map_err(closed),
            () = sleep_or_never(idle_timeout) => Err(End::Fatal(idle_error)),
        }
    }

    /// How long the client may stay silent, and what it is told then.
    fn idle_limit(&self) -> (Option<Duration>, SqlError) {
        if self.session.transaction_status() == TransactionStatus::Idle {
            let message = "terminating connection due to idle-session timeout";
            return (self.session.idle_session_timeout(), SqlError::new(SqlState::IDLE_SESSION_TIMEOUT, message));
        }
        let message = "terminating connection due to idle-in-transaction timeout";
        let error = SqlError::new(SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT, message);
        (self.session.idle_in_transaction_timeout(), error)
    }

    async fn obey_frame(&mut self, frame: Frame) -> Result<(), End> {
        let tag = frame.tag;
        if self.skipping && !matches!(tag, b'S' | b'X') {
            return Ok(());
        }
        // A cancel request that came while nothing ran is not for what runs next.
        self.link.canceller.begin_statement();
        let result = match frontend::decode(frame) {
            Ok(message) => self.obey(message).await,
            Err(error) => Err(error.into()),
        };
        match result {
            Ok(()) => Ok(()),
            Err(Failure::End(end)) => Err(end),
            Err(Failure::Statement(error)) => {
                self.report(&error)?;
                self.skipping = frontend::is_extended(tag);
                if self.skipping { Ok(()) } else { self.finish_implicit().await }
            }
        }
    }

    async fn obey(&mut self, message: FrontendMessage) -> Result<(), Failure> {
        match message {
            FrontendMessage::Query(sql) => self.simple_query(&sql).await,
            FrontendMessage::Parse { name, query, types } => self.parse(name, &query, &types).await,
            FrontendMessage::Bind(bind) => self.bind(bind),
            FrontendMessage::Describe(target) => self.describe(&target),
            FrontendMessage::Close(target) => self.close(&target),
            FrontendMessage::Execute { portal, rows_max } => self.execute(portal, rows_max).await,
            FrontendMessage::Flush => Ok(self.link.flush_idle().await?),
            FrontendMessage::Sync => {
                self.skipping = false;
                Ok(self.finish_implicit().await?)
            }
            FrontendMessage::Terminate => Err(End::Gone.into()),
            FrontendMessage::Copy => Ok(()),
            FrontendMessage::FunctionCall => {
                Err(SqlError::unsupported("function calls by message are not supported").into())
            }
        }
    }

    /// Ends the implicit transaction and says that the next query may come.
    async fn finish_implicit(&mut self) -> Result<(), End> {
        if let Err(failure) = self.end_implicit().await {
            match failure {
                Failure::End(end) => return Err(end),
                Failure::Statement(error) => self.report(&error)?,
            }
        }
        if self.session.transaction_status() == TransactionStatus::Idle {
            self.portals.clear();
        }
        self.ready().await
    }

    /// Commits the implicit transaction, unless it has failed.
    pub(super) async fn end_implicit(&mut self) -> Result<(), Failure> {
        self.link.attend(self.session.end_implicit()).await??;
        Ok(self.push_notices()?)
    }

    pub(super) async fn ready(&mut self) -> Result<(), End> {
        self.link.canceller.disarm();
        self.push_parameters()?;
        let status = self.session.transaction_status();
        self.push(&backend::ready_for_query(status))?;
        self.link.flush_idle().await
    }

    /// Tells the client of an error, and the session too. A statement that a shutdown stopped takes the connection along.
    fn report(&mut self, error: &SqlError) -> Result<(), End> {
        self.portals.clear();
        self.session.fail();
        self.link.canceller.disarm();
        if self.link.canceller.reason() == Some(CancelReason::Shutdown) {
            return Err(End::Fatal(cancel_error(CancelReason::Shutdown)));
        }
        self.push_notices()?;
        if error.sqlstate == SqlState::INTERNAL_ERROR {
            tracing::error!(%error, "a statement failed by a bug of ours");
        }
        self.push(&backend::error(Severity::Error, error))
    }

    /// Buffers a message. One that cannot be encoded would leave the client waiting, so it ends the connection.
    pub(super) fn push(&mut self, message: &pgwire::messages::PgWireBackendMessage) -> Result<(), End> {
        self.link.outbox.push(message).map_err(End::Fatal)
    }

    /// Buffers the notices that have come up.
    pub(super) fn push_notices(&mut self) -> Result<(), End> {
        for notice in self.session.take_notices() {
            self.push(&backend::notice(&notice))?;
        }
        Ok(())
    }

    fn push_parameters(&mut self) -> Result<(), End> {
        for (name, value) in self.session.take_parameter_changes() {
            self.push(&backend::parameter_status(name, &value))?;
        }
        Ok(())
    }
}

async fn sleep_or_never(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

/// Tells the client why its connection ends, and waits a little for it to read.
pub(super) async fn say_goodbye(outbox: &mut Outbox, error: &SqlError) {
    if outbox.push(&backend::error(Severity::Fatal, error)).is_ok() {
        let _ = tokio::time::timeout(GOODBYE_TIMEOUT, outbox.flush()).await;
    }
    let _ = tokio::time::timeout(GOODBYE_TIMEOUT, outbox.close()).await;
}
