//! Why the catalog could not be opened, read or written.

use std::path::PathBuf;

use super::super::secret::SecretError;
use crate::error::{SqlError, SqlState};

/// Why the catalog could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum StoreError {
    #[error("could not {action} \"{}\"", path.display())]
    Directory {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// As PostgreSQL refuses a data directory that others may read.
    #[error("data directory \"{}\" may be used by others than its owner: set its mode to 0700", path.display())]
    Permissions { path: PathBuf },
    #[error("data directory \"{}\" is used by another server{}", path.display(), process(*pid))]
    Locked { path: PathBuf, pid: Option<u32> },
    #[error("the catalog's format is {found}, which is newer than this server's {FORMAT}: use a newer server", FORMAT = super::FORMAT)]
    NewerFormat { found: i64 },
    #[error(
        "the catalog holds secrets, but the key file \"{}\" is missing and ATOLL_MASTER_KEY is not set: copy master.key of \
         the server that created the catalog there",
        path.display()
    )]
    KeyMissing { path: PathBuf },
    #[error(
        "the master key is not the one that this catalog was created with: copy master.key or set ATOLL_MASTER_KEY"
    )]
    WrongKey,
    #[error("could not prepare the catalog's secrets")]
    Secret(#[from] SecretError),
    #[error("the catalog could not be renamed to database \"{name}\": a server has this name, or it changed meanwhile")]
    DatabaseName { name: String },
    /// The URL itself may hold a password and is not shown.
    #[error("the catalog's URL is not valid: {problem}")]
    Url { problem: &'static str },
    #[error("could not {action} the catalog database")]
    Database {
        action: &'static str,
        #[source]
        source: sqlx::Error,
    },
    #[error("object {oid} of the catalog is damaged")]
    Corrupt {
        oid: i64,
        #[source]
        source: serde_json::Error,
    },
    #[error("the catalog database is damaged: {problem}")]
    Damaged { problem: &'static str },
    #[error("all object identifiers are used")]
    OidsExhausted,
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

impl StoreError {
    pub(super) fn database(action: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database { action, source }
    }
}

/// Why changes were not written.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Somebody changed meanwhile what the changes touch or refer to: `40001`.
    #[error("could not serialize access due to concurrent update")]
    Conflict,
    /// The connection to the catalog database broke during COMMIT: `08007`.
    #[error("the connection to the catalog database was lost during commit, whose outcome is not known")]
    Unknown(#[source] sqlx::Error),
    /// The store failed; nothing was written.
    #[error("could not write the catalog")]
    Store(
        #[from]
        #[source]
        StoreError,
    ),
}

impl From<&CommitError> for SqlError {
    fn from(error: &CommitError) -> Self {
        match error {
            CommitError::Conflict => Self::new(SqlState::SERIALIZATION_FAILURE, error.to_string()),
            CommitError::Unknown(_) => Self::new(SqlState::TRANSACTION_RESOLUTION_UNKNOWN, error.to_string()),
            CommitError::Store(store) => Self::from(store),
        }
    }
}

/// The cause is for the log: it may name hosts and paths of the catalog database.
impl From<&StoreError> for SqlError {
    fn from(error: &StoreError) -> Self {
        Self::new(SqlState::IO_ERROR, error.to_string())
    }
}
