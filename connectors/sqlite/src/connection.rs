//! Opening a database file read-only beneath the configured roots, and what SQLite's errors mean.

use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use atoll_connector_api::paths::FilesRoots;
use atoll_connector_api::statement::SourceId;
use atoll_connector_api::{ConnectorError, Result};
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, ErrorCode, OpenFlags};

/// How long SQLite itself waits for another process's lock before [`Database::retry_busy`] looks whether to go on.
const BUSY_WAIT: Duration = Duration::from_millis(250);
/// How often a locked database is tried again: five seconds in all.
const BUSY_TRIES_MAX: u32 = 20;
/// Instructions of SQLite's virtual machine between two looks at the cancel flag: well below a millisecond.
const CANCEL_CHECK_OPS: i32 = 1000;
/// Metadata and the work of virtual tables ask for these; no other PRAGMA runs.
const PRAGMAS: [&str; 7] =
    ["table_list", "table_xinfo", "index_list", "encoding", "data_version", "page_size", "page_count"];

/// Set when nobody waits for the work any more.
#[derive(Debug, Clone, Default)]
pub(crate) struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets the flag when the guard is dropped.
    pub(crate) fn guard(&self) -> CancelGuard {
        CancelGuard(self.clone())
    }
}

/// Cancels the work that it guards when it is dropped.
#[derive(Debug)]
pub(crate) struct CancelGuard(CancelFlag);

impl Drop for CancelGuard {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// A database file as a server names it. Connections are opened for each piece of work: that costs well under a
/// millisecond, and a file that was replaced meanwhile is seen.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    source: SourceId,
    server: Arc<str>,
    path: Arc<str>,
    roots: FilesRoots,
}

impl Database {
    pub(crate) fn new(server: &str, path: &str, roots: FilesRoots) -> Self {
        Self { source: SourceId::new(), server: server.into(), path: path.into(), roots }
    }

    /// The source that reads it.
    pub(crate) fn source(&self) -> SourceId {
        self.source
    }

    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Runs `work` with a connection on a thread where it may block. Dropping the future cancels it.
    pub(crate) async fn call<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&Database, &Connection) -> Result<T> + Send + 'static,
    {
        let cancel = CancelFlag::default();
        let _guard = cancel.guard();
        let database = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let connection = database.open(&cancel)?;
            database.retry_busy(&cancel, || work(&database, &connection))
        });
        task.await.map_err(|error| ConnectorError::Internal { message: format!("SQLite's thread ended: {error}") })?
    }

    /// Repeats what found the database locked by a writer, within bounds.
    pub(crate) fn retry_busy<T>(&self, cancel: &CancelFlag, work: impl Fn() -> Result<T>) -> Result<T> {
        let mut tries = 0;
        loop {
            match work() {
                Err(error) if is_busy(&error) && tries < BUSY_TRIES_MAX => tries += 1,
                other => return other,
            }
            if cancel.is_set() {
                return Err(ConnectorError::Canceled { server: self.server.to_string() });
            }
        }
    }

    /// Opens the file: read-only, nothing but reading allowed, ended by `cancel`.
    pub(crate) fn open(&self, cancel: &CancelFlag) -> Result<Connection> {
        let (pinned, canonical) = self.locate()?;
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let connection = Connection::open_with_flags(&canonical, flags).map_err(|error| self.error(&error))?;
        // SQLite opens by name. Between the two looks the name must have meant the file that was found beneath the root.
        let same = std::fs::symlink_metadata(&canonical)
            .is_ok_and(|now| pinned.metadata().is_ok_and(|then| (now.dev(), now.ino()) == (then.dev(), then.ino())));
        if !same {
            return Err(self.file_error("was replaced while it was opened", false, None));
        }
        self.confine(&connection, cancel).map_err(|error| self.error(&error))?;
        Ok(connection)
    }

    /// Finds the file beneath its root and the name by which the kernel knows it, free of symbolic links.
    fn locate(&self) -> Result<(std::fs::File, String)> {
        // Never a readable descriptor: closing one would drop the locks of every SQLite connection of this process on the
        // same file (sqlite.org/howtocorrupt.html, 2.2).
        let pinned = self.roots.resolve(&self.path)?.pin().map_err(|error| {
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            self.file_error(&error.to_string(), missing, None)
        })?;
        let name = std::fs::read_link(format!("/proc/self/fd/{}", pinned.as_raw_fd()))
            .map_err(|error| self.file_error(&error.to_string(), false, None))?;
        let name = name.to_str().ok_or_else(|| self.file_error("its name is not UTF-8", false, None))?.to_owned();
        // A link may lead to another place beneath the root: that place must be readable, too (the data directory is not).
        self.roots.resolve(&name)?;
        Ok((pinned, name))
    }

    fn confine(&self, connection: &Connection, cancel: &CancelFlag) -> rusqlite::Result<()> {
        connection.busy_timeout(BUSY_WAIT)?;
        let settings = [
            // A quoted name that is no column would be read as a string: rows of a vanished column's name.
            (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
            // The schema comes out of a file that anyone may have written.
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        ];
        for (setting, value) in settings {
            connection.set_db_config(setting, value)?;
        }
        connection.pragma_update(None, "cell_size_check", true)?;
        connection.pragma_update(None, "mmap_size", 0)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.authorizer(Some(authorize));
        Self::ended_by(connection, cancel);
        Ok(())
    }

    /// Has `cancel` end the work on a connection, and nothing else.
    pub(crate) fn ended_by(connection: &Connection, cancel: &CancelFlag) {
        let cancel = cancel.clone();
        connection.progress_handler(CANCEL_CHECK_OPS, Some(move || cancel.is_set()));
    }

    /// What an error of SQLite means to the server.
    pub(crate) fn error(&self, error: &rusqlite::Error) -> ConnectorError {
        let (code, text) = match error {
            rusqlite::Error::SqliteFailure(code, text) => (code, text.clone()),
            rusqlite::Error::SqlInputError { error, msg, .. } => (error, Some(msg.clone())),
            other => return self.remote("HV000", other.to_string(), None),
        };
        let text = text.unwrap_or_else(|| code.to_string());
        match code.code {
            ErrorCode::OperationInterrupted => ConnectorError::Canceled { server: self.server.to_string() },
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => self.remote(
                BUSY_SQLSTATE,
                format!("the database of server \"{}\" is locked by another process", self.server),
                Some("Try again after the other process has written."),
            ),
            ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => ConnectorError::Format {
                path: self.path.to_string(),
                object: self.object(),
                format: "SQLite",
                reason: text,
            },
            ErrorCode::CannotOpen | ErrorCode::PermissionDenied => self.file_error(&text, false, Some(WAL_HINT)),
            ErrorCode::ReadOnly => {
                self.file_error("it needs recovery after a crash of its writer", false, Some(RECOVERY_HINT))
            }
            ErrorCode::SystemIoFailure => self.file_error(&text, false, None),
            ErrorCode::OutOfMemory => self.remote("53200", text, None),
            _ => self.remote("HV000", text, None),
        }
    }

    fn remote(&self, sqlstate: &str, message: String, hint: Option<&str>) -> ConnectorError {
        ConnectorError::Remote {
            server: self.server.to_string(),
            sqlstate: sqlstate.into(),
            message,
            detail: None,
            hint: hint.map(str::to_owned),
            remote_sql: None,
        }
    }

    fn file_error(&self, reason: &str, missing: bool, hint: Option<&str>) -> ConnectorError {
        ConnectorError::File {
            path: self.path.to_string(),
            object: self.object(),
            reason: reason.into(),
            missing,
            hint: hint.map(str::to_owned),
        }
    }

    fn object(&self) -> String {
        format!("server \"{}\"", self.server)
    }
}

/// PostgreSQL's `lock_not_available`.
const BUSY_SQLSTATE: &str = "55P03";
const WAL_HINT: &str = "A database in WAL mode can be read only where the server may write to its directory, or after journal_mode = delete.";
const RECOVERY_HINT: &str = "Open the database once with a program that may write to it.";

pub(crate) fn is_busy(error: &ConnectorError) -> bool {
    matches!(error, ConnectorError::Remote { sqlstate, .. } if sqlstate == BUSY_SQLSTATE)
}

/// All SQL is ours, but views and virtual tables come out of the file.
fn authorize(context: AuthContext<'_>) -> Authorization {
    match context.action {
        // Off already: nothing ever turns extensions on.
        AuthAction::Function { function_name: "load_extension" } => Authorization::Deny,
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Function { .. } | AuthAction::Recursive => {
            Authorization::Allow
        }
        // Of our own text only: neither a view nor a trigger can hold it.
        AuthAction::Transaction { .. } => Authorization::Allow,
        AuthAction::Pragma { pragma_name, pragma_value: _ } if PRAGMAS.contains(&pragma_name) => Authorization::Allow,
        _ => Authorization::Deny,
    }
}
