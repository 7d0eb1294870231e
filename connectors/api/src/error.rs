//! Why a connector could not do what the server asked.

use std::sync::Arc;

use datafusion::error::DataFusionError;

/// The result of every fallible call to a connector.
pub type Result<T, E = ConnectorError> = std::result::Result<T, E>;

/// The cause of a [`ConnectorError`], shared so that an error can be reported to several waiters.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// Why a connector could not do what the server asked.
///
/// A message names the foreign server and never holds a password, a connection string or row data. It does not repeat
/// its cause: whoever prints the chain prints that.
#[derive(Debug, Clone, thiserror::Error)]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum ConnectorError {
    /// The foreign server did not accept a connection: `08001`.
    #[error("could not connect to server \"{server}\"")]
    Connect {
        server: String,
        #[source]
        source: Cause,
    },
    /// The foreign server refused the user or password of the mapping: `28P01` for a password, else `28000`.
    #[error("server \"{server}\" refused the login: {message}")]
    Login { server: String, message: String },
    /// A connection was lost while it was used: `08006`.
    #[error("connection to server \"{server}\" was lost")]
    ConnectionLost {
        server: String,
        #[source]
        source: Cause,
    },
    /// The remote answered with an error of its own, whose SQLSTATE (five characters) is kept.
    #[error("{message}")]
    Remote {
        server: String,
        sqlstate: String,
        message: String,
        detail: Option<String>,
        hint: Option<String>,
        remote_sql: Option<String>,
    },
    /// The wrapper does not know an option: `HV00D`.
    #[error("invalid option \"{option}\"")]
    UnknownOption { option: String, valid: Vec<&'static str> },
    /// The value of an option cannot be used: `HV024`.
    #[error("invalid value for option \"{option}\": {reason}")]
    OptionValue { option: String, reason: String },
    /// A required option is missing: `HV00B`.
    #[error("option \"{option}\" is required for {object}")]
    OptionMissing { option: &'static str, object: String },
    /// No such schema at the source: `HV00Q`.
    #[error("schema \"{schema}\" does not exist on server \"{server}\"")]
    SchemaMissing { server: String, schema: String },
    /// No such table at the source: `HV00R`.
    #[error("table \"{table}\" does not exist on server \"{server}\"")]
    TableMissing { server: String, table: String },
    /// A column of the foreign table is gone or has another type at the source: `HV005`.
    #[error("column \"{column}\" of foreign table \"{table}\" {problem} on server \"{server}\"")]
    ColumnChanged { server: String, table: String, column: String, problem: String },
    /// A remote type has no representation: `HV004`.
    #[error("column \"{column}\" has type {type_name}, which cannot be read from server \"{server}\"")]
    TypeUnsupported { server: String, column: String, type_name: String },
    /// A value cannot be represented, or is not of its column's type; `sqlstate` says which of class 22.
    #[error("{message}")]
    Value { sqlstate: &'static str, message: String, notes: Option<Box<Notes>> },
    /// A file could not be opened or read: `58030`, or `58P01` where it does not exist.
    #[error("could not read \"{path}\" for {object}: {reason}")]
    File { path: String, object: String, reason: String, missing: bool, hint: Option<String> },
    /// A file holds something other than the declared format: `HV000` class, reported as `22P04`.
    #[error("{object}: \"{path}\" is not a valid {format} file: {reason}")]
    Format { path: String, object: String, format: &'static str, reason: String },
    /// A path or network address is not granted: `42501`.
    #[error("{message}")]
    Denied { message: String, hint: Option<String> },
    /// A configured bound was reached: `53400`.
    #[error("{message}")]
    Limit { message: String, hint: Option<String> },
    /// Not built: `0A000`.
    #[error("{message}")]
    Unsupported { message: String, hint: Option<String> },
    /// A scan was cancelled: `57014`.
    #[error("scan of server \"{server}\" was canceled")]
    Canceled { server: String },
    /// A broken invariant of ours: `XX000`.
    #[error("internal error: {message}")]
    Internal { message: String },
}

/// What is said of a value's error beside its message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// Sentences.
    pub detail: Option<String>,
    /// Sentences.
    pub hint: Option<String>,
    /// Where in the value.
    pub context: Option<String>,
}

impl ConnectorError {
    /// A value error of class 22, with its SQLSTATE.
    pub fn value(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self::Value { sqlstate, message: message.into(), notes: None }
    }

    /// The same with what PostgreSQL says beside the message.
    #[must_use]
    pub fn with_notes(self, notes: Notes) -> Self {
        match self {
            Self::Value { sqlstate, message, .. } => Self::Value { sqlstate, message, notes: Some(Box::new(notes)) },
            other => other,
        }
    }

    /// The same with a DETAIL.
    #[must_use]
    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        self.with_notes(Notes { detail: Some(detail.into()), ..Notes::default() })
    }

    /// A column of the foreign table that is not, or no longer, at the source, where it is called `remote`.
    pub fn column_gone(server: &str, table: &str, column: &str, remote: &str) -> Self {
        Self::ColumnChanged {
            server: server.to_owned(),
            table: table.to_owned(),
            column: column.to_owned(),
            problem: format!("has no counterpart \"{remote}\""),
        }
    }

    /// Shorthand for [`ConnectorError::Unsupported`] without a hint.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::Unsupported { message: message.into(), hint: None }
    }
}

/// Errors travel through DataFusion whole, so that the server can choose a SQLSTATE from the variant.
impl From<ConnectorError> for DataFusionError {
    fn from(error: ConnectorError) -> Self {
        Self::External(Box::new(error))
    }
}
