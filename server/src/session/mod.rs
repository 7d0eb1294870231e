//! One connection: user, settings, transaction state, prepared statements, cursors, cancellation.

pub mod outcome;

use std::sync::Arc;

use atoll_connector_api::types::PgType;
use atoll_connector_api::types::text::OutputStyle;
use datafusion::common::ScalarValue;

use crate::catalog::Catalog;
use crate::error::{Notice, SqlError, SqlResult};
use crate::statement::ParsedStatement;

pub use outcome::{CancelReason, Canceller, Outcome, ResultColumn, Rows, RowsTag, TransactionStatus};

/// What all connections share: catalog, runtimes, connectors.
#[derive(Debug)]
pub struct Engine {}

impl Engine {
    /// The catalog as last committed.
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::default()
    }
}

/// What a client says when it connects, authenticated.
#[derive(Debug, Clone)]
pub struct Startup {
    /// The role, authenticated.
    pub user: String,
    /// The database asked for; PostgreSQL's default, the user's name, is replaced by our database.
    pub database: Option<String>,
    /// Settings from the startup packet, `options` taken apart included.
    pub settings: Vec<(String, String)>,
    /// For pg_stat_activity: an address and port, or `None` for a unix socket.
    pub peer: Option<std::net::SocketAddr>,
    /// The process id of the cancel key.
    pub pid: i32,
}

/// A statement that was parsed and described.
#[derive(Debug)]
pub struct Prepared {
    /// The statement; `None`: empty query.
    pub statement: Option<ParsedStatement>,
    /// Types of `$1`, `$2` …
    pub parameters: Vec<PgType>,
    /// The rows it will return; `None`: it returns none.
    pub columns: Option<Vec<ResultColumn>>,
}

/// One connection's state. Dropping it rolls back and ends its remote work.
#[derive(Debug)]
pub struct Session {
    engine: Arc<Engine>,
}

impl Session {
    /// Opens a session for an authenticated role.
    ///
    /// # Errors
    /// `28000` no such role or no LOGIN; `3D000` no such database; `53300` too many connections; `22023` bad settings.
    pub async fn open(engine: Arc<Engine>, _startup: Startup) -> SqlResult<Self> {
        Ok(Self { engine })
    }

    /// What all connections share.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Cancels this session's running statement, from any thread.
    pub fn canceller(&self) -> Canceller {
        Canceller::default()
    }

    /// Splits and parses what a client sent. A syntax error anywhere fails the whole text, as in PostgreSQL.
    ///
    /// # Errors
    /// `42601` with a position, `0A000`.
    pub fn parse(&self, _sql: &str) -> SqlResult<Vec<ParsedStatement>> {
        Err(SqlError::unsupported("not built"))
    }

    /// Plans a statement as far as its parameters and columns need. `types` are those the client gave, by position.
    ///
    /// # Errors
    /// Whatever planning finds.
    pub async fn prepare(
        &mut self,
        _statement: Option<ParsedStatement>,
        _types: &[Option<PgType>],
    ) -> SqlResult<Arc<Prepared>> {
        Err(SqlError::unsupported("not built"))
    }

    /// Runs a statement. `parameters` are of the storage of [`Prepared::parameters`]. Starts the implicit transaction
    /// where none is open; the caller ends it with [`Self::end_implicit`]. An error has already failed the transaction.
    ///
    /// # Errors
    /// Whatever planning or running up to the first batch finds.
    pub async fn run(&mut self, _prepared: &Prepared, _parameters: Vec<ScalarValue>) -> SqlResult<Outcome> {
        Err(SqlError::unsupported("not built"))
    }

    /// A statement failed outside of [`Self::run`], for example while its rows were sent.
    pub fn fail(&mut self) {}

    /// Ends an implicit transaction: at Sync, and after the last statement of a simple query. Commits unless failed.
    ///
    /// # Errors
    /// `40001` and what the store says.
    pub async fn end_implicit(&mut self) -> SqlResult<()> {
        Ok(())
    }

    /// For ReadyForQuery.
    pub fn transaction_status(&self) -> TransactionStatus {
        TransactionStatus::Idle
    }

    /// Notices since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        Vec::new()
    }

    /// `ParameterStatus` to send: all of them at the first call, later those that changed since.
    pub fn take_parameter_changes(&mut self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// How values print under the session's settings.
    pub fn output_style(&self) -> OutputStyle {
        OutputStyle::default()
    }

    /// How long the client may stay idle inside a transaction block; `None`: for ever.
    pub fn idle_in_transaction_timeout(&self) -> Option<std::time::Duration> {
        None
    }
}
