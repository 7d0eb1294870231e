//! Options of the wrapper `mysql`, and their values as types.

use std::time::Duration;

use atoll_connector_api::options::{check_port, check_positive};
use atoll_connector_api::{OptionScope, OptionSpec, Options, Result};

pub(crate) const HOST: &str = "host";
pub(crate) const PORT: &str = "port";
pub(crate) const DBNAME: &str = "dbname";
pub(crate) const SSL_MODE: &str = "ssl_mode";
pub(crate) const SSL_CA: &str = "ssl_ca";
pub(crate) const CONNECT_TIMEOUT: &str = "connect_timeout";
pub(crate) const MAX_CONNECTIONS: &str = "max_connections";
pub(crate) const USER: &str = "user";
pub(crate) const USERNAME: &str = "username";
pub(crate) const PASSWORD: &str = "password";
pub(crate) const TABLE_NAME: &str = "table_name";
pub(crate) const COLUMN_NAME: &str = "column_name";

/// MySQL's registered port.
pub(crate) const PORT_DEFAULT: u16 = 3306;
const CONNECT_TIMEOUT_DEFAULT_S: u32 = 10;
const MAX_CONNECTIONS_DEFAULT: u32 = 8;
/// A server's connections for one user: what MySQL allows for all users together by default is 151.
const MAX_CONNECTIONS_MAX: u32 = 100;

/// Every option, in all scopes. The ignored ones are those of scripts written for `mysql_fdw` that concern its costs, its
/// writing or its way of fetching.
pub(crate) static OPTIONS: &[OptionSpec] = &[
    OptionSpec::checked(HOST, OptionScope::Server, check_host),
    OptionSpec::checked(PORT, OptionScope::Server, check_port),
    OptionSpec::checked(DBNAME, OptionScope::Server, check_not_empty),
    OptionSpec::checked(SSL_MODE, OptionScope::Server, check_ssl_mode),
    OptionSpec::checked(SSL_CA, OptionScope::Server, check_not_empty),
    OptionSpec::checked(CONNECT_TIMEOUT, OptionScope::Server, check_positive),
    OptionSpec::checked(MAX_CONNECTIONS, OptionScope::Server, check_max_connections),
    OptionSpec::ignored("use_remote_estimate", OptionScope::Server),
    OptionSpec::ignored("fetch_size", OptionScope::Server),
    OptionSpec::ignored("secure_auth", OptionScope::Server),
    OptionSpec::ignored("reconnect", OptionScope::Server),
    OptionSpec::ignored("character_set", OptionScope::Server),
    OptionSpec::ignored("sql_mode", OptionScope::Server),
    OptionSpec::ignored("truncatable", OptionScope::Server),
    OptionSpec::text(USER, OptionScope::UserMapping),
    OptionSpec::text(USERNAME, OptionScope::UserMapping),
    OptionSpec::secret(PASSWORD, OptionScope::UserMapping),
    OptionSpec::checked(DBNAME, OptionScope::Table, check_not_empty),
    OptionSpec::checked(TABLE_NAME, OptionScope::Table, check_not_empty),
    OptionSpec::ignored("fetch_size", OptionScope::Table),
    OptionSpec::ignored("max_blob_size", OptionScope::Table),
    OptionSpec::ignored("truncatable", OptionScope::Table),
    OptionSpec::checked(COLUMN_NAME, OptionScope::Column, check_not_empty),
    OptionSpec::ignored("import_default", OptionScope::Import),
    OptionSpec::ignored("import_not_null", OptionScope::Import),
    OptionSpec::ignored("import_enum_as_text", OptionScope::Import),
    OptionSpec::ignored("import_generated", OptionScope::Import),
];

fn check_not_empty(value: &str) -> std::result::Result<(), String> {
    if value.is_empty() {
        return Err("may not be empty".into());
    }
    if value.contains('\0') {
        return Err("may not contain a zero byte".into());
    }
    Ok(())
}

/// One name or address, over TCP: this connector knows no sockets.
fn check_host(value: &str) -> std::result::Result<(), String> {
    check_not_empty(value)?;
    if value.contains(',') {
        return Err("names one host, not a list".into());
    }
    if value.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/') {
        return Err("requires a host name or an address".into());
    }
    Ok(())
}

fn check_ssl_mode(value: &str) -> std::result::Result<(), String> {
    SslMode::parse(value)
        .map(|_| ())
        .ok_or_else(|| "valid values are disabled, preferred, required, verify_ca, verify_identity".into())
}

fn check_max_connections(value: &str) -> std::result::Result<(), String> {
    match value.trim().parse::<u32>() {
        Ok(1..=MAX_CONNECTIONS_MAX) => Ok(()),
        _ => Err(format!("requires a whole number from 1 to {MAX_CONNECTIONS_MAX}")),
    }
}

/// How far a connection is protected, in MySQL's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SslMode {
    /// Plain.
    Disabled,
    /// Encrypted where the server can, whoever it is; else plain.
    Preferred,
    /// Encrypted, whoever the server is.
    Required,
    /// Encrypted, and the certificate is signed by a trusted authority. The driver checks its name as well.
    VerifyCa,
    /// And it names the host.
    VerifyIdentity,
}

impl SslMode {
    fn parse(value: &str) -> Option<Self> {
        Some(match value.trim().to_ascii_lowercase().replace('-', "_").as_str() {
            "disabled" => Self::Disabled,
            "preferred" => Self::Preferred,
            "required" => Self::Required,
            "verify_ca" => Self::VerifyCa,
            "verify_identity" => Self::VerifyIdentity,
            _ => return None,
        })
    }

    pub(crate) fn of(options: &Options) -> Self {
        // Checked when it was given.
        options.get(SSL_MODE).and_then(Self::parse).unwrap_or(Self::Preferred)
    }
}

pub(crate) fn connect_timeout(options: &Options) -> Result<Duration> {
    options.number(CONNECT_TIMEOUT, CONNECT_TIMEOUT_DEFAULT_S).map(|seconds| Duration::from_secs(seconds.into()))
}

pub(crate) fn max_connections(options: &Options) -> Result<usize> {
    let count = options.number(MAX_CONNECTIONS, MAX_CONNECTIONS_DEFAULT)?;
    Ok(usize::try_from(count.clamp(1, MAX_CONNECTIONS_MAX)).unwrap_or(1))
}
