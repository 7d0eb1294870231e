//! The wrapper's options, and what they come to for one server and user.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use atoll_connector_api::options::{check_bool, check_port, check_positive, parse_bool};
use atoll_connector_api::{ConnectorError, OptionScope, OptionSpec, Options, Result, ServerSpec};

use OptionScope::{Column, Import, Server, Table, UserMapping};

/// Where the server of a `host`-less definition is, as most clients have it.
const HOST_DEFAULT: &str = "localhost";
const PORT_DEFAULT: u16 = 5432;
const MAX_CONNECTIONS_DEFAULT: usize = 8;
const CONNECT_TIMEOUT_DEFAULT: u64 = 10;
/// Seconds beyond which a connection attempt is not waited for, whatever the option says.
const CONNECT_TIMEOUT_MAX: u64 = 3600;
/// Rows in one batch: the default, and the most that `fetch_size` can ask for.
const BATCH_ROWS_DEFAULT: usize = 8192;
const BATCH_ROWS_MAX: usize = 65_536;
/// Parts of one scan, and connections of one pool, beyond which a remote server is not loaded.
const PARTITIONS_MAX: usize = 64;
/// Parts of one scan that nobody has asked for: our own cores decode them, but the remote has other users.
const PARTITIONS_DEFAULT_MAX: usize = 4;
const CONNECTIONS_MAX: usize = 1000;
/// `NAMEDATALEN` is 64 in PostgreSQL as it is built; a name in UTF-8 that is longer cannot exist at the remote.
const NAME_BYTES_MAX: usize = 63;

/// Every option of the wrapper.
pub(crate) static OPTIONS: &[OptionSpec] = &[
    OptionSpec::checked("host", Server, check_host),
    OptionSpec::checked("hostaddr", Server, check_host_address),
    OptionSpec::checked("port", Server, check_port),
    OptionSpec::checked("dbname", Server, check_text),
    OptionSpec::checked("sslmode", Server, check_ssl_mode),
    OptionSpec::checked("sslrootcert", Server, check_text),
    OptionSpec::checked("fetch_size", Server, check_positive),
    OptionSpec::checked("max_connections", Server, check_connections),
    OptionSpec::checked("partitions", Server, check_partitions),
    OptionSpec::checked("application_name", Server, check_plain),
    OptionSpec::checked("connect_timeout", Server, check_timeout),
    OptionSpec::checked("user", UserMapping, check_text),
    OptionSpec::secret("password", UserMapping),
    OptionSpec::checked("schema_name", Table, check_name),
    OptionSpec::checked("table_name", Table, check_name),
    OptionSpec::checked("fetch_size", Table, check_positive),
    OptionSpec::checked("partitions", Table, check_partitions),
    OptionSpec::checked("column_name", Column, check_name),
    // What postgres_fdw knows besides: planner costs, writes and connection keeping, which have no meaning here.
    OptionSpec::ignored("use_remote_estimate", Server),
    OptionSpec::ignored("fdw_startup_cost", Server),
    OptionSpec::ignored("fdw_tuple_cost", Server),
    OptionSpec::ignored("extensions", Server),
    OptionSpec::ignored("updatable", Server),
    OptionSpec::ignored("truncatable", Server),
    OptionSpec::ignored("async_capable", Server),
    OptionSpec::ignored("keep_connections", Server),
    OptionSpec::ignored("parallel_commit", Server),
    OptionSpec::ignored("analyze_sampling", Server),
    OptionSpec::ignored("batch_size", Server),
    OptionSpec::checked("password_required", UserMapping, check_bool),
    OptionSpec::ignored("use_remote_estimate", Table),
    OptionSpec::ignored("updatable", Table),
    OptionSpec::ignored("truncatable", Table),
    OptionSpec::ignored("async_capable", Table),
    OptionSpec::ignored("analyze_sampling", Table),
    OptionSpec::ignored("batch_size", Table),
    OptionSpec::ignored("import_collate", Import),
    OptionSpec::ignored("import_default", Import),
    OptionSpec::ignored("import_generated", Import),
    OptionSpec::ignored("import_not_null", Import),
];

type Check = std::result::Result<(), String>;

fn check_text(value: &str) -> Check {
    if value.is_empty() || value.contains('\0') { Err("requires a non-empty value".into()) } else { Ok(()) }
}

fn check_plain(value: &str) -> Check {
    if value.contains('\0') { Err("may not contain a zero byte".into()) } else { Ok(()) }
}

fn check_name(value: &str) -> Check {
    check_text(value)?;
    if value.len() > NAME_BYTES_MAX { Err(format!("a name has at most {NAME_BYTES_MAX} bytes")) } else { Ok(()) }
}

/// libpq takes an empty host for none.
fn check_host(value: &str) -> Check {
    if value.is_empty() || value.starts_with('/') {
        return Ok(());
    }
    if value.contains(',') {
        return Err("names one host, not a list".into());
    }
    if value.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/') {
        return Err("requires a host name, an address, or the absolute path of a socket directory".into());
    }
    Ok(())
}

fn check_host_address(value: &str) -> Check {
    value.parse::<IpAddr>().map(|_| ()).map_err(|_| "requires a numeric IP address".into())
}

fn check_ssl_mode(value: &str) -> Check {
    SslMode::parse(value).map(|_| ()).ok_or_else(|| {
        "valid values are \"disable\", \"allow\", \"prefer\", \"require\", \"verify-ca\" and \"verify-full\"".into()
    })
}

fn check_bounded(value: &str, max: u64) -> Check {
    match value.trim().parse::<u64>() {
        Ok(number) if (1..=max).contains(&number) => Ok(()),
        _ => Err(format!("requires a whole number from 1 to {max}")),
    }
}

fn check_connections(value: &str) -> Check {
    check_bounded(value, CONNECTIONS_MAX as u64)
}

fn partitions_default() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(PARTITIONS_DEFAULT_MAX)
}

fn check_partitions(value: &str) -> Check {
    check_bounded(value, PARTITIONS_MAX as u64)
}

fn check_timeout(value: &str) -> Check {
    check_bounded(value, CONNECT_TIMEOUT_MAX)
}

/// How a connection is encrypted and whom it trusts: libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SslMode {
    /// Never.
    Disable,
    /// Where the server insists.
    Allow,
    /// Where the server offers it.
    Prefer,
    /// Always; the certificate is checked only where `sslrootcert` is given.
    Require,
    /// Always, with a certificate of a trusted authority.
    VerifyCa,
    /// Always, with a certificate of a trusted authority that names the host.
    VerifyFull,
}

impl SslMode {
    fn parse(value: &str) -> Option<Self> {
        Some(match value {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
}

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    /// A name or address, and the address to use instead of resolving the name.
    Network { name: String, address: Option<String> },
    /// The directory of a unix socket.
    Socket(PathBuf),
}

/// What a server's and a mapping's options come to.
#[derive(Clone)]
pub(crate) struct ServerConfig {
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) database: Option<String>,
    pub(crate) user: String,
    pub(crate) password: Option<String>,
    /// The server may let the user in without a password.
    pub(crate) trusted: bool,
    pub(crate) ssl_mode: SslMode,
    pub(crate) ssl_root_certificate: Option<String>,
    pub(crate) application_name: String,
    pub(crate) connect_timeout: Duration,
    pub(crate) connections_max: usize,
    pub(crate) partitions: usize,
    pub(crate) batch_rows: usize,
}

impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConfig").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl ServerConfig {
    /// Reads the options of a server and of the user's mapping.
    ///
    /// # Errors
    /// * Option errors.
    /// * [`ConnectorError::Denied`] for a socket directory where the user is not a superuser.
    /// * `2F003` where a user who is not a superuser has no password: else the connection would be Atoll's own.
    pub(crate) fn new(spec: &ServerSpec) -> Result<Self> {
        let options = &spec.options;
        let user = spec.user_options.get("user").ok_or_else(|| ConnectorError::OptionMissing {
            option: "user",
            object: format!("the user mapping for server \"{}\"", spec.name),
        })?;
        let password = spec.user_options.get("password").map(str::to_owned);
        // Only a superuser may have said so in a mapping.
        let required = spec.user_options.get("password_required").and_then(parse_bool) != Some(false);
        let trusted = spec.context.superuser || !required;
        if !trusted && password.as_deref().is_none_or(str::is_empty) {
            return Err(password_required(
                &spec.name,
                "Non-superusers must provide a password in the user mapping.",
                "Add the option \"password\" to the user mapping.",
            ));
        }
        let host = host_of(spec)?;
        let ssl_mode = options.get("sslmode").map_or(Ok(SslMode::Prefer), |value| {
            SslMode::parse(value).ok_or_else(|| ConnectorError::OptionValue {
                option: "sslmode".into(),
                reason: "is not a known mode".into(),
            })
        })?;
        Ok(Self {
            host,
            port: options.number("port", PORT_DEFAULT)?,
            database: options.get("dbname").map(str::to_owned),
            user: user.to_owned(),
            password,
            trusted,
            ssl_mode,
            ssl_root_certificate: options.get("sslrootcert").map(str::to_owned),
            application_name: options.get("application_name").unwrap_or("atoll").to_owned(),
            connect_timeout: Duration::from_secs(
                options.number("connect_timeout", CONNECT_TIMEOUT_DEFAULT)?.clamp(1, CONNECT_TIMEOUT_MAX),
            ),
            connections_max: options.number("max_connections", MAX_CONNECTIONS_DEFAULT)?.clamp(1, CONNECTIONS_MAX),
            partitions: options.number("partitions", partitions_default())?.clamp(1, PARTITIONS_MAX),
            batch_rows: options.number("fetch_size", BATCH_ROWS_DEFAULT)?.clamp(1, BATCH_ROWS_MAX),
        })
    }

    /// Rows in one batch of a table: its own `fetch_size`, else the server's.
    ///
    /// # Errors
    /// [`ConnectorError::OptionValue`].
    pub(crate) fn batch_rows_of(&self, table: &Options) -> Result<usize> {
        Ok(table.number("fetch_size", self.batch_rows)?.clamp(1, BATCH_ROWS_MAX))
    }

    /// Parts of one scan of a table: its own `partitions`, else the server's.
    ///
    /// # Errors
    /// [`ConnectorError::OptionValue`].
    pub(crate) fn partitions_of(&self, table: &Options) -> Result<usize> {
        Ok(table.number("partitions", self.partitions)?.clamp(1, PARTITIONS_MAX))
    }
}

fn host_of(spec: &ServerSpec) -> Result<Host> {
    let name = spec.options.get("host").filter(|name| !name.is_empty()).unwrap_or(HOST_DEFAULT);
    if !name.starts_with('/') {
        return Ok(Host::Network { name: name.to_owned(), address: spec.options.get("hostaddr").map(str::to_owned) });
    }
    if spec.context.superuser {
        return Ok(Host::Socket(PathBuf::from(name)));
    }
    Err(ConnectorError::Denied {
        message: format!("connecting to a unix socket is not allowed for server \"{}\"", spec.name),
        hint: Some("Only superusers may use a socket directory as host.".into()),
    })
}

/// `2F003`, as `postgres_fdw` reports it.
pub(crate) fn password_required(server: &str, detail: &str, hint: &str) -> ConnectorError {
    ConnectorError::Remote {
        server: server.to_owned(),
        sqlstate: "2F003".into(),
        message: "password is required".into(),
        detail: Some(detail.into()),
        hint: Some(hint.into()),
        remote_sql: None,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]
mod tests {
    use super::*;
    use atoll_connector_api::ConnectorContext;
    use atoll_connector_api::options::check_options;
    use atoll_connector_api::paths::FilesRoots;

    fn options(pairs: &[(&str, &str)]) -> Options {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn spec(superuser: bool, server: &[(&str, &str)], mapping: &[(&str, &str)]) -> ServerSpec {
        ServerSpec {
            name: "sales".into(),
            options: options(server),
            user_options: options(mapping),
            context: ConnectorContext { files: FilesRoots::default(), superuser, network_allow: Vec::new() },
        }
    }

    #[test]
    fn values_are_checked_when_given() {
        let refused = [
            ("port", "0"),
            ("port", "x"),
            ("port", "70000"),
            ("host", "a,b"),
            ("host", "a b"),
            ("host", "a/b"),
            ("sslmode", "sometimes"),
            ("sslmode", "REQUIRE"),
            ("fetch_size", "0"),
            ("max_connections", "0"),
            ("max_connections", "100000"),
            ("partitions", "-1"),
            ("partitions", "65"),
            ("connect_timeout", "0"),
            ("connect_timeout", "soon"),
            ("hostaddr", "localhost"),
            ("dbname", ""),
        ];
        for (name, value) in refused {
            let error = check_options(OPTIONS, Server, [(name, value)]).unwrap_err();
            assert!(matches!(error, ConnectorError::OptionValue { .. }), "{name} {value}: {error}");
        }
        let accepted = [
            ("port", "5433"),
            ("host", "db.example"),
            ("host", "/var/run/postgresql"),
            ("host", "::1"),
            ("hostaddr", "10.0.0.1"),
            ("sslmode", "verify-full"),
            ("fetch_size", "100"),
            ("max_connections", "1"),
            ("partitions", "8"),
            ("connect_timeout", "3"),
            ("use_remote_estimate", "true"),
            ("application_name", ""),
        ];
        for (name, value) in accepted {
            check_options(OPTIONS, Server, [(name, value)]).unwrap();
        }
    }

    #[test]
    fn an_unknown_option_lists_the_valid_ones() {
        let error = check_options(OPTIONS, UserMapping, [("username", "x")]).unwrap_err();
        let ConnectorError::UnknownOption { option, valid } = error else { panic!("{error}") };
        assert_eq!((option.as_str(), valid), ("username", vec!["password", "password_required", "user"]));
        assert!(check_options(OPTIONS, Server, [("password", "x")]).is_err());
    }

    #[test]
    fn a_mapping_may_say_that_no_password_is_required() {
        assert!(ServerConfig::new(&spec(false, &[], &[("user", "u")])).is_err());
        let said = |value| ServerConfig::new(&spec(false, &[], &[("user", "u"), ("password_required", value)]));
        assert!(said("false").unwrap().trusted);
        assert!(said("true").is_err());
    }

    #[test]
    fn defaults_are_those_of_the_documentation() {
        // libpq takes an empty host for none.
        let config = ServerConfig::new(&spec(true, &[("host", "")], &[("user", "u")])).unwrap();
        assert_eq!(config.host, Host::Network { name: "localhost".into(), address: None });
        assert_eq!(
            (config.port, config.connections_max, config.partitions, config.batch_rows),
            (5432, 8, partitions_default(), 8192)
        );
        assert_eq!((config.ssl_mode, config.connect_timeout.as_secs()), (SslMode::Prefer, 10));
        assert_eq!(config.application_name, "atoll");
    }

    #[test]
    fn users_who_are_not_superusers_need_a_password_and_no_socket() {
        for mapping in [&[("user", "u")][..], &[("user", "u"), ("password", "")][..]] {
            let error = ServerConfig::new(&spec(false, &[], mapping)).unwrap_err();
            let ConnectorError::Remote { sqlstate, message, hint, .. } = error else { panic!("{error}") };
            assert_eq!((sqlstate.as_str(), message.as_str(), hint.is_some()), ("2F003", "password is required", true));
        }
        let mapping = [("user", "u"), ("password", "p")];
        assert!(ServerConfig::new(&spec(false, &[("host", "db")], &mapping)).is_ok());
        let error = ServerConfig::new(&spec(false, &[("host", "/tmp")], &mapping)).unwrap_err();
        assert!(matches!(error, ConnectorError::Denied { .. }), "{error}");
        assert!(ServerConfig::new(&spec(true, &[("host", "/tmp")], &mapping)).is_ok());
        let error = ServerConfig::new(&spec(true, &[], &[])).unwrap_err();
        assert!(matches!(error, ConnectorError::OptionMissing { option: "user", .. }), "{error}");
    }

    #[test]
    fn the_password_is_not_printed() {
        let config = ServerConfig::new(&spec(true, &[], &[("user", "u"), ("password", "canary")])).unwrap();
        assert!(!format!("{config:?}").contains("canary"));
    }
}
