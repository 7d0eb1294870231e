//! The error that a client sees.

use std::fmt;

/// `ErrorResponse` and `NoticeResponse` carry these fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// Five characters.
    pub sqlstate: SqlState,
    /// Lower case, no full stop, names in double quotes.
    pub message: String,
    /// Sentences.
    pub detail: Option<String>,
    /// Sentences.
    pub hint: Option<String>,
    /// Character (not byte) position in the statement's text, from 1.
    pub position: Option<usize>,
    /// What the server was doing, for example the remote SQL.
    pub context: Option<String>,
}

/// A SQLSTATE of PostgreSQL's Appendix A.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqlState(pub [u8; 5]);

macro_rules! states {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        #[expect(missing_docs, reason = "the names are those of PostgreSQL's Appendix A")]
        impl SqlState {
            $($(#[$doc])* pub const $name: Self = Self(*$code);)*
        }
    };
}

states! {
    CONNECTION_EXCEPTION = b"08000";
    CONNECTION_FAILURE = b"08006";
    SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION = b"08001";
    PROTOCOL_VIOLATION = b"08P01";
    FEATURE_NOT_SUPPORTED = b"0A000";
    CARDINALITY_VIOLATION = b"21000";
    DATA_EXCEPTION = b"22000";
    NUMERIC_VALUE_OUT_OF_RANGE = b"22003";
    INVALID_DATETIME_FORMAT = b"22007";
    DATETIME_FIELD_OVERFLOW = b"22008";
    SUBSTRING_ERROR = b"22011";
    DIVISION_BY_ZERO = b"22012";
    INVALID_PRECEDING_OR_FOLLOWING_SIZE = b"22013";
    NULL_VALUE_NOT_ALLOWED = b"22004";
    INVALID_ARGUMENT_FOR_NTH_VALUE = b"22016";
    INVALID_PARAMETER_VALUE = b"22023";
    INVALID_TIME_ZONE_DISPLACEMENT_VALUE = b"22009";
    INVALID_REGULAR_EXPRESSION = b"2201B";
    INVALID_TEXT_REPRESENTATION = b"22P02";
    INVALID_BINARY_REPRESENTATION = b"22P03";
    BAD_COPY_FILE_FORMAT = b"22P04";
    CHARACTER_NOT_IN_REPERTOIRE = b"22021";
    INVALID_ESCAPE_SEQUENCE = b"22025";
    NOT_NULL_VIOLATION = b"23502";
    INVALID_TRANSACTION_STATE = b"25000";
    ACTIVE_SQL_TRANSACTION = b"25001";
    READ_ONLY_SQL_TRANSACTION = b"25006";
    NO_ACTIVE_SQL_TRANSACTION = b"25P01";
    IN_FAILED_SQL_TRANSACTION = b"25P02";
    IDLE_IN_TRANSACTION_SESSION_TIMEOUT = b"25P03";
    INVALID_SQL_STATEMENT_NAME = b"26000";
    INVALID_AUTHORIZATION_SPECIFICATION = b"28000";
    INVALID_PASSWORD = b"28P01";
    DEPENDENT_OBJECTS_STILL_EXIST = b"2BP01";
    INVALID_CURSOR_NAME = b"34000";
    INVALID_SAVEPOINT_SPECIFICATION = b"3B001";
    INVALID_CATALOG_NAME = b"3D000";
    INVALID_SCHEMA_NAME = b"3F000";
    SERIALIZATION_FAILURE = b"40001";
    SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION = b"42000";
    SYNTAX_ERROR = b"42601";
    INSUFFICIENT_PRIVILEGE = b"42501";
    CANNOT_COERCE = b"42846";
    GROUPING_ERROR = b"42803";
    WINDOWING_ERROR = b"42P20";
    INVALID_RECURSION = b"42P19";
    INVALID_NAME = b"42602";
    NAME_TOO_LONG = b"42622";
    RESERVED_NAME = b"42939";
    DATATYPE_MISMATCH = b"42804";
    INDETERMINATE_DATATYPE = b"42P18";
    WRONG_OBJECT_TYPE = b"42809";
    UNDEFINED_COLUMN = b"42703";
    UNDEFINED_FUNCTION = b"42883";
    UNDEFINED_TABLE = b"42P01";
    UNDEFINED_PARAMETER = b"42P02";
    UNDEFINED_OBJECT = b"42704";
    DUPLICATE_COLUMN = b"42701";
    DUPLICATE_CURSOR = b"42P03";
    DUPLICATE_PREPARED_STATEMENT = b"42P05";
    DUPLICATE_SCHEMA = b"42P06";
    DUPLICATE_TABLE = b"42P07";
    DUPLICATE_ALIAS = b"42712";
    DUPLICATE_OBJECT = b"42710";
    AMBIGUOUS_COLUMN = b"42702";
    AMBIGUOUS_FUNCTION = b"42725";
    INVALID_COLUMN_REFERENCE = b"42P10";
    INVALID_TABLE_DEFINITION = b"42P16";
    INVALID_OBJECT_DEFINITION = b"42P17";
    INVALID_SCHEMA_DEFINITION = b"42P15";
    INVALID_GRANT_OPERATION = b"0LP01";
    OUT_OF_MEMORY = b"53200";
    DISK_FULL = b"53100";
    TOO_MANY_CONNECTIONS = b"53300";
    CONFIGURATION_LIMIT_EXCEEDED = b"53400";
    STATEMENT_TOO_COMPLEX = b"54001";
    TOO_MANY_COLUMNS = b"54011";
    OBJECT_NOT_IN_PREREQUISITE_STATE = b"55000";
    OBJECT_IN_USE = b"55006";
    CANT_CHANGE_RUNTIME_PARAM = b"55P02";
    QUERY_CANCELED = b"57014";
    ADMIN_SHUTDOWN = b"57P01";
    IDLE_SESSION_TIMEOUT = b"57P05";
    CANNOT_CONNECT_NOW = b"57P03";
    IO_ERROR = b"58030";
    UNDEFINED_FILE = b"58P01";
    FDW_ERROR = b"HV000";
    FDW_COLUMN_NAME_NOT_FOUND = b"HV005";
    FDW_INVALID_DATA_TYPE = b"HV004";
    FDW_INVALID_OPTION_NAME = b"HV00D";
    FDW_INVALID_ATTRIBUTE_VALUE = b"HV024";
    FDW_OPTION_NAME_NOT_FOUND = b"HV00J";
    FDW_DYNAMIC_PARAMETER_VALUE_NEEDED = b"HV002";
    FDW_SCHEMA_NOT_FOUND = b"HV00Q";
    FDW_TABLE_NOT_FOUND = b"HV00R";
    FDW_UNABLE_TO_ESTABLISH_CONNECTION = b"HV00N";
    TRANSACTION_RESOLUTION_UNKNOWN = b"08007";
    FDW_INVALID_HANDLE = b"HV00B";
    WARNING_PRIVILEGE_NOT_REVOKED = b"01006";
    WARNING_PRIVILEGE_NOT_GRANTED = b"01007";
    SUCCESSFUL_COMPLETION = b"00000";
    WARNING = b"01000";
    DEPRECATED_FEATURE = b"01P01";
    INTERNAL_ERROR = b"XX000";
}

impl SqlState {
    /// A SQLSTATE from text, for example one that a remote server sent; `None` where it is not five letters or digits.
    pub fn parse(code: &str) -> Option<Self> {
        let bytes: [u8; 5] = code.as_bytes().try_into().ok()?;
        bytes.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()).then_some(Self(bytes))
    }

    /// The five characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XX000")
    }
}

impl SqlError {
    /// An error with a message only.
    pub fn new(sqlstate: SqlState, message: impl Into<String>) -> Self {
        Self { sqlstate, message: message.into(), detail: None, hint: None, position: None, context: None }
    }

    /// `42601`.
    pub fn syntax(message: impl Into<String>) -> Self {
        Self::new(SqlState::SYNTAX_ERROR, message)
    }

    /// `0A000`: not built, or not to be had.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(SqlState::FEATURE_NOT_SUPPORTED, message)
    }

    /// `42501`.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(SqlState::INSUFFICIENT_PRIVILEGE, message)
    }

    /// `XX000`: a bug of ours.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(SqlState::INTERNAL_ERROR, message)
    }

    /// Adds a DETAIL.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds a HINT.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a position: characters from 1.
    #[must_use]
    pub fn at(mut self, position: impl Into<Option<usize>>) -> Self {
        self.position = position.into().or(self.position);
        self
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.sqlstate.as_str())
    }
}

impl std::error::Error for SqlError {}

/// It travels through DataFusion whole and is found again by `wire::sqlstate`.
impl From<SqlError> for datafusion::error::DataFusionError {
    fn from(error: SqlError) -> Self {
        Self::External(Box::new(error))
    }
}

/// The result of what a client asks for.
pub type SqlResult<T> = Result<T, SqlError>;

/// A message for the client that is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How PostgreSQL labels it.
    pub severity: NoticeSeverity,
    /// Message, code and the rest.
    pub message: SqlError,
}

/// The severities of a `NoticeResponse` that Atoll sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are PostgreSQL's")]
pub enum NoticeSeverity {
    Notice,
    Warning,
}

impl Notice {
    /// The notice of IF [NOT] EXISTS: `message, skipping` under the SQLSTATE that the error would have had.
    pub fn skipping(sqlstate: SqlState, message: impl fmt::Display) -> Self {
        let message = SqlError::new(sqlstate, format!("{message}, skipping"));
        Self { severity: NoticeSeverity::Notice, message }
    }

    /// `NOTICE:  message`.
    #[expect(clippy::self_named_constructors, reason = "it is PostgreSQL's name of the severity")]
    pub fn notice(message: impl Into<String>) -> Self {
        Self { severity: NoticeSeverity::Notice, message: SqlError::new(SqlState::SUCCESSFUL_COMPLETION, message) }
    }

    /// `WARNING:  message`.
    pub fn warning(sqlstate: SqlState, message: impl Into<String>) -> Self {
        Self { severity: NoticeSeverity::Warning, message: SqlError::new(sqlstate, message) }
    }
}
