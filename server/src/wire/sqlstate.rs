//! The one place that chooses SQLSTATE and message of an error.
//!
//! Our own errors travel through DataFusion whole and are found again here. What DataFusion and Arrow say in words of their
//! own is told apart by variant first and by its text second; the texts are pinned by this module's tests, so an upgrade of
//! DataFusion that rewords one fails there.

mod planning;
mod position;
mod type_names;
mod values;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::sync::Arc;

use arrow::error::ArrowError;
use atoll_connector_api::ConnectorError;
use datafusion::common::Diagnostic;
use datafusion::error::DataFusionError;
use datafusion::object_store;
use datafusion::parquet::errors::ParquetError;
use datafusion::sql::sqlparser::parser::ParserError;

use crate::error::{SqlError, SqlState};
use crate::session::CancelReason;
pub(crate) use planning::with_near_names;

/// Causes of causes are followed this far.
const CHAIN_MAX: usize = 32;

/// The error that a client sees.
pub fn sql_error(error: &DataFusionError) -> SqlError {
    choose(error, None).error
}

/// The same, with the position in `sql` (characters from 1) where it is certain.
pub fn sql_error_with_sql(error: &DataFusionError, sql: &str) -> SqlError {
    let chosen = choose(error, None);
    if chosen.error.position.is_some() {
        return chosen.error;
    }
    let position = match (&chosen.location, &chosen.identifier) {
        (Some((line, column)), _) => position::of_line_and_column(sql, *line, *column),
        (None, Some(identifier)) => position::of_identifier(sql, identifier),
        (None, None) => None,
    };
    with_arguments(chosen, sql, position).at(position)
}

/// DataFusion names an unknown function without its arguments; the statement's text has them.
fn with_arguments(chosen: Chosen, sql: &str, position: Option<usize>) -> SqlError {
    let Chosen { mut error, identifier, .. } = chosen;
    if let (SqlState::UNDEFINED_FUNCTION, Some(name), Some(position)) = (error.sqlstate, identifier, position)
        && error.message == format!("function {name} does not exist")
        && let Some(types) = position::literal_arguments(sql, position, &name)
    {
        error.message = format!("function {name}({}) does not exist", types.join(", "));
    }
    error
}

/// The error of a statement that was asked to stop.
pub fn cancel_error(reason: CancelReason) -> SqlError {
    match reason {
        CancelReason::Client => SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request"),
        CancelReason::Timeout => {
            SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to statement timeout")
        }
        CancelReason::Shutdown => {
            SqlError::new(SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
        }
    }
}

/// An error with what is known of its place.
#[derive(Debug)]
struct Chosen {
    error: SqlError,
    /// An identifier that the statement has to contain: its only occurrence is the place.
    identifier: Option<String>,
    /// Line and column, both from 1.
    location: Option<(u64, u64)>,
}

impl From<SqlError> for Chosen {
    fn from(error: SqlError) -> Self {
        Self { error, identifier: None, location: None }
    }
}

impl Chosen {
    fn naming(mut self, identifier: impl Into<String>) -> Self {
        self.identifier = Some(identifier.into());
        self
    }

    fn located(mut self, location: Option<(u64, u64)>) -> Self {
        self.location = location.or(self.location);
        self
    }
}

fn choose(error: &DataFusionError, diagnostic: Option<&Diagnostic>) -> Chosen {
    match error {
        DataFusionError::Context(context, inner) => choose_in_context(context, inner, diagnostic),
        DataFusionError::Diagnostic(diagnostic, inner) => {
            let location = diagnostic.span.map(|span| (span.start.line, span.start.column));
            choose(inner, Some(diagnostic)).located(location)
        }
        DataFusionError::Shared(inner) => choose(inner, diagnostic),
        DataFusionError::Collection(errors) => match errors.first() {
            Some(first) => choose(first, diagnostic),
            None => internal("no error was reported").into(),
        },
        DataFusionError::External(inner) => of_chain(inner.as_ref()),
        DataFusionError::ArrowError(inner, _) => of_arrow(inner),
        DataFusionError::ParquetError(inner) => of_parquet(inner),
        DataFusionError::ObjectStore(inner) => of_object_store(inner).into(),
        DataFusionError::IoError(inner) => of_io(inner),
        DataFusionError::SQL(inner, _) => of_parser(inner),
        DataFusionError::SchemaError(inner, _) => planning::of_schema(inner),
        DataFusionError::Plan(message) => planning::of_plan(message, diagnostic),
        DataFusionError::NotImplemented(message) => planning::of_not_implemented(message),
        DataFusionError::Execution(message) => values::of_execution(message).into(),
        DataFusionError::Configuration(message) => {
            SqlError::new(SqlState::INVALID_PARAMETER_VALUE, lower_first(message)).into()
        }
        DataFusionError::ResourcesExhausted(message) => exhausted(message).into(),
        DataFusionError::ExecutionJoin(inner) => {
            internal(if inner.is_panic() { "a task of the query panicked" } else { "a task of the query was aborted" })
                .into()
        }
        DataFusionError::Internal(message) => planning::of_internal(message).into(),
        DataFusionError::Substrait(message) | DataFusionError::Ffi(message) => internal(message).into(),
    }
}

fn choose_in_context(context: &str, inner: &DataFusionError, diagnostic: Option<&Diagnostic>) -> Chosen {
    if context == "Invalid regex" {
        return values::invalid_regex(&inner.to_string()).into();
    }
    choose(inner, diagnostic)
}

/// The first error of a chain of causes that is known.
fn of_chain(error: &(dyn Error + 'static)) -> Chosen {
    let mut next = Some(error);
    for _ in 0..CHAIN_MAX {
        let Some(current) = next else { break };
        if let Some(known) = of_known(current) {
            return known;
        }
        next = current.source();
    }
    let text = error.to_string();
    if text.contains("regex parse error") { values::invalid_regex(&text).into() } else { internal(&text).into() }
}

fn of_known(error: &(dyn Error + 'static)) -> Option<Chosen> {
    if let Some(known) = error.downcast_ref::<SqlError>() {
        return Some(known.clone().into());
    }
    if let Some(known) = error.downcast_ref::<ConnectorError>() {
        return Some(connector_error(known).into());
    }
    if let Some(known) = error.downcast_ref::<DataFusionError>() {
        return Some(choose(known, None));
    }
    if let Some(known) = error.downcast_ref::<Arc<DataFusionError>>() {
        return Some(choose(known, None));
    }
    if let Some(known) = error.downcast_ref::<ArrowError>() {
        return Some(of_arrow(known));
    }
    if let Some(known) = error.downcast_ref::<ParquetError>() {
        return Some(of_parquet(known));
    }
    if let Some(known) = error.downcast_ref::<object_store::Error>() {
        return Some(of_object_store(known).into());
    }
    error.downcast_ref::<std::io::Error>().map(of_io)
}

/// The error that a client sees of what a connector says.
pub fn connector_error(error: &ConnectorError) -> SqlError {
    let message = error.to_string();
    let new = |state| SqlError::new(state, message.clone());
    match error {
        ConnectorError::Connect { server: _, source } => {
            new(SqlState::SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION).detail(chain_text(source.as_ref()))
        }
        ConnectorError::ConnectionLost { server: _, source } => {
            new(SqlState::CONNECTION_FAILURE).detail(chain_text(source.as_ref()))
        }
        // The connector tells a wrong password from other refusals only in its words.
        ConnectorError::Login { server: _, message } if message.contains("password") => new(SqlState::INVALID_PASSWORD),
        ConnectorError::Login { .. } => new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION),
        ConnectorError::Remote { server, sqlstate, message: _, detail, hint, remote_sql } => {
            let mut remote = new(remote_state(sqlstate));
            remote.detail = detail.clone();
            remote.hint = hint.clone();
            remote.context = Some(match remote_sql {
                Some(sql) => format!("server \"{server}\", remote SQL command: {sql}"),
                None => format!("server \"{server}\""),
            });
            remote
        }
        ConnectorError::UnknownOption { option: _, valid } => {
            let hint = if valid.is_empty() {
                "There are no valid options in this context.".to_owned()
            } else {
                format!("Valid options in this context are: {}", valid.join(", "))
            };
            new(SqlState::FDW_INVALID_OPTION_NAME).hint(hint)
        }
        ConnectorError::OptionValue { .. } => new(SqlState::FDW_INVALID_ATTRIBUTE_VALUE),
        // Appendix A: fdw_dynamic_parameter_value_needed is HV002, fdw_invalid_handle HV00B, which stands for it here.
        ConnectorError::OptionMissing { .. } => new(SqlState(*b"HV00B")),
        ConnectorError::SchemaMissing { .. } => new(SqlState::FDW_SCHEMA_NOT_FOUND),
        ConnectorError::TableMissing { .. } => new(SqlState::FDW_TABLE_NOT_FOUND),
        ConnectorError::ColumnChanged { .. } => new(SqlState::FDW_COLUMN_NAME_NOT_FOUND)
            .hint("Import the table again, or change its definition with ALTER FOREIGN TABLE."),
        ConnectorError::TypeUnsupported { .. } => new(SqlState::FDW_INVALID_DATA_TYPE),
        ConnectorError::Value { sqlstate, message: _, notes } => {
            let mut value = new(SqlState::parse(sqlstate).unwrap_or(SqlState::DATA_EXCEPTION));
            if let Some(notes) = notes {
                value.detail.clone_from(&notes.detail);
                value.hint.clone_from(&notes.hint);
                value.context.clone_from(&notes.context);
            }
            value
        }
        ConnectorError::File { missing, hint, .. } => {
            let mut file = new(if *missing { SqlState::UNDEFINED_FILE } else { SqlState::IO_ERROR });
            file.hint = hint.clone();
            file
        }
        ConnectorError::Format { .. } => new(SqlState::BAD_COPY_FILE_FORMAT),
        ConnectorError::Denied { message: _, hint } => with_hint(new(SqlState::INSUFFICIENT_PRIVILEGE), hint),
        ConnectorError::Limit { message: _, hint } => with_hint(new(SqlState::CONFIGURATION_LIMIT_EXCEEDED), hint),
        ConnectorError::Unsupported { message: _, hint } => with_hint(new(SqlState::FEATURE_NOT_SUPPORTED), hint),
        ConnectorError::Canceled { .. } => new(SqlState::QUERY_CANCELED),
        ConnectorError::Internal { .. } => new(SqlState::INTERNAL_ERROR),
    }
}

fn with_hint(mut error: SqlError, hint: &Option<String>) -> SqlError {
    error.hint.clone_from(hint);
    error
}

/// A remote's own SQLSTATE, unless a client would take it for something about its connection to us.
fn remote_state(code: &str) -> SqlState {
    match SqlState::parse(code) {
        Some(state) if matches!(&state.0[..2], b"00" | b"01" | b"02") => SqlState::FDW_ERROR,
        Some(state) if state.0.starts_with(b"57P") => SqlState::CONNECTION_FAILURE,
        Some(state) => state,
        None => SqlState::FDW_ERROR,
    }
}

/// An error and its causes, none of which repeats the next.
fn chain_text(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    for _ in 0..CHAIN_MAX {
        let Some(cause) = next else { break };
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

fn of_arrow(error: &ArrowError) -> Chosen {
    let new = |state, message: &str| SqlError::new(state, message);
    match error {
        ArrowError::ExternalError(inner) => return of_chain(inner.as_ref()),
        ArrowError::DivideByZero => new(SqlState::DIVISION_BY_ZERO, "division by zero"),
        ArrowError::ArithmeticOverflow(message) => values::of_overflow(message),
        ArrowError::CastError(message) => values::of_cast(message),
        ArrowError::ParseError(message) => values::of_parse(message),
        ArrowError::ComputeError(message) => values::of_compute(message),
        ArrowError::InvalidArgumentError(message) => values::of_invalid_argument(message),
        ArrowError::NotYetImplemented(message) => SqlError::unsupported(lower_first(message)),
        ArrowError::MemoryError(message) => exhausted(message),
        ArrowError::IoError(_, inner) => return of_io(inner),
        ArrowError::CsvError(message) => bad_file("CSV", message),
        ArrowError::JsonError(message) => bad_file("JSON", message),
        ArrowError::AvroError(message) => bad_file("Avro", message),
        ArrowError::IpcError(message) => bad_file("Arrow", message),
        ArrowError::ParquetError(message) => bad_file("Parquet", message),
        ArrowError::DictionaryKeyOverflowError
        | ArrowError::RunEndIndexOverflowError
        | ArrowError::OffsetOverflowError(_) => new(SqlState(*b"54000"), "a column of a batch is too large"),
        ArrowError::SchemaError(message) | ArrowError::CDataInterface(message) => internal(message),
    }
    .into()
}

fn bad_file(format: &str, message: &str) -> SqlError {
    SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, format!("invalid {format} data: {}", lower_first(message)))
}

fn of_parquet(error: &ParquetError) -> Chosen {
    match error {
        ParquetError::External(inner) => of_chain(inner.as_ref()),
        ParquetError::NYI(message) => SqlError::unsupported(format!("Parquet: {}", lower_first(message))).into(),
        ParquetError::General(message) | ParquetError::EOF(message) | ParquetError::ArrowError(message) => {
            bad_file("Parquet", message).into()
        }
        ParquetError::IndexOutOfBound(..) | ParquetError::NeedMoreData(_) | ParquetError::NeedMoreDataRange(_) => {
            bad_file("Parquet", &error.to_string()).into()
        }
        // The enum is open to extension.
        other => bad_file("Parquet", &other.to_string()).into(),
    }
}

fn of_object_store(error: &object_store::Error) -> SqlError {
    match error {
        object_store::Error::NotFound { path, source: _ } => {
            SqlError::new(SqlState::UNDEFINED_FILE, format!("object \"{path}\" does not exist"))
        }
        object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. } => {
            SqlError::unsupported(lower_first(&error.to_string()))
        }
        object_store::Error::PermissionDenied { path, .. } | object_store::Error::Unauthenticated { path, .. } => {
            SqlError::denied(format!("the object store refused access to \"{path}\""))
        }
        // The enum is open to extension; whatever it says, an object could not be read.
        other => SqlError::new(SqlState::IO_ERROR, lower_first(&chain_text(other))),
    }
}

fn of_io(error: &std::io::Error) -> Chosen {
    if let Some(known) = error.get_ref().and_then(|inner| of_known(inner)) {
        return known;
    }
    let state = match error.kind() {
        std::io::ErrorKind::NotFound => SqlState::UNDEFINED_FILE,
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => SqlState::DISK_FULL,
        std::io::ErrorKind::OutOfMemory => SqlState::OUT_OF_MEMORY,
        _ => SqlState::IO_ERROR,
    };
    SqlError::new(state, format!("could not read or write: {error}")).into()
}

fn of_parser(error: &ParserError) -> Chosen {
    match error {
        ParserError::ParserError(message) | ParserError::TokenizerError(message) => planning::of_syntax(message),
        ParserError::RecursionLimitExceeded => {
            SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded").into()
        }
    }
}

fn exhausted(message: &str) -> SqlError {
    if message.contains("disk") {
        return SqlError::new(SqlState::DISK_FULL, "temporary file size exceeds the limit").detail(message);
    }
    SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory").detail(message)
}

/// `XX000`: what DataFusion says, without its advice to its own users.
fn internal(message: &str) -> SqlError {
    let message = message.split(".\nThis issue was likely caused").next().unwrap_or(message);
    SqlError::internal(format!("internal error: {}", lower_first(message)))
}

fn lower_first(message: &str) -> String {
    let message = message.trim().trim_end_matches('.');
    let mut chars = message.chars();
    match (chars.next(), chars.clone().next()) {
        // An acronym stays one.
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => message.to_owned(),
    }
}

/// What stands between two texts.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = text.split_once(before)?.1;
    Some(rest.split_once(after)?.0)
}

/// The text after `before`.
fn after<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    text.split_once(before).map(|(_, rest)| rest)
}
