//! What tokio-postgres reports, as a [`ConnectorError`].

use std::error::Error as StdError;
use std::sync::Arc;

use tokio_postgres::Error;
use tokio_postgres::error::DbError;

use atoll_connector_api::ConnectorError;

use crate::connect::Remote;

/// PostgreSQL's SQLSTATE for a wrong password.
const INVALID_PASSWORD: &str = "28P01";
/// What a server without an entry for this user and this kind of connection in `pg_hba.conf` says.
const INVALID_AUTHORIZATION: &str = "28000";

/// A failure while connecting and logging in.
pub(crate) fn login_error(remote: &Remote, error: Error) -> ConnectorError {
    let server = &remote.server;
    let said = match error.as_db_error() {
        Some(database) if database.code().code() == INVALID_PASSWORD => {
            ConnectorError::Login { server: server.to_owned(), message: database.message().to_owned() }
        }
        // Starting up or shutting down: no connection, whoever asks.
        Some(database) if !ends_connection(database) => remote_error(server, database, None),
        _ if asks_for_password(&error) => ConnectorError::Login {
            server: server.to_owned(),
            message: "it asks for a password, and the user mapping has none".to_owned(),
        },
        _ => ConnectorError::Connect { server: server.to_owned(), source: Arc::new(error) },
    };
    remote.texts.error(said)
}

/// A failure on a connection that was in use. `sql` is what it ran.
pub(crate) fn query_error(remote: &Remote, error: Error, sql: Option<&str>) -> ConnectorError {
    let server = &remote.server;
    let said = match error.as_db_error() {
        Some(database) if !ends_connection(database) => remote_error(server, database, sql),
        _ => ConnectorError::ConnectionLost { server: server.to_owned(), source: Arc::new(error) },
    };
    remote.texts.error(said)
}

/// Whether the connection is gone, so that another may be tried in its place.
pub(crate) fn is_lost(error: &Error) -> bool {
    match error.as_db_error() {
        Some(database) => ends_connection(database),
        None => error.is_closed() || error.source().is_some_and(|source| source.is::<std::io::Error>()),
    }
}

/// Whether the server refuses this user over this kind of connection (encrypted or not), but perhaps not over the other.
pub(crate) fn is_refused_kind(error: &Error) -> bool {
    error.as_db_error().is_some_and(|database| database.code().code() == INVALID_AUTHORIZATION)
}

/// The remote is going away (57P01 to 57P05) or says itself that the connection is broken (class 08). Its code would tell
/// a client of ours that Atoll is going away, so it is reported as a lost connection.
fn ends_connection(error: &DbError) -> bool {
    let code = error.code().code();
    code.starts_with("57P") || code.starts_with("08")
}

/// tokio-postgres has no other mark for a login that needs a password where none was given.
fn asks_for_password(error: &Error) -> bool {
    error.source().is_some_and(|source| source.to_string() == "password missing")
}

fn remote_error(server: &str, error: &DbError, sql: Option<&str>) -> ConnectorError {
    ConnectorError::Remote {
        server: server.to_owned(),
        sqlstate: error.code().code().to_owned(),
        message: error.message().to_owned(),
        detail: error.detail().map(str::to_owned),
        hint: error.hint().map(str::to_owned),
        remote_sql: sql.map(str::to_owned),
    }
}
