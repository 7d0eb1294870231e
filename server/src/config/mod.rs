//! Typed settings of the program: the only reader of the command line, the environment and the configuration file.

mod catalog_url;
mod listen_address;
mod one_or_many;
mod unknown;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::session::engine::default_cpu_threads;
use crate::session::settings::{parse_memory, parse_time_ms};

pub use catalog_url::CatalogUrl;
pub use listen_address::ListenAddress;
use one_or_many::one_or_many;
pub use unknown::unknown_variables;

/// Bounds of `startup_timeout`: a human types a password neither in less, nor for longer.
const STARTUP_TIMEOUT_MS: std::ops::RangeInclusive<u64> = 1_000..=600_000;
/// Least `memory_max`: less would refuse ordinary queries.
const MEMORY_MIN: u64 = 64 << 20;
/// Bounds of `message_bytes_max`: less would refuse ordinary statements; PostgreSQL's own limit is 1 GB.
const MESSAGE_BYTES: std::ops::RangeInclusive<u64> = 65_536..=1_073_741_824;
/// Upper bound of `prepared_statements_max`.
const PREPARED_STATEMENTS_MAX: usize = 1_000_000;
/// Upper bound of `portals_max`.
const PORTALS_MAX: usize = 100_000;

/// What `serve --help` says of [`EnvironmentSecrets`].
const SECRETS_HELP: &str = "\
Environment variables that no option stands for, because others can read command lines:
  ATOLL_PASSWORD    Password of the superuser atoll in a fresh data directory [default: one is made and kept there]
  ATOLL_MASTER_KEY  Key that opens stored secrets, instead of the key file in the data directory";

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "atoll",
    version,
    about = "One PostgreSQL endpoint over many sources",
    long_about = "Atoll makes one PostgreSQL database out of tables that live in PostgreSQL, MySQL, SQLite, CSV, JSON \
                  and Parquet files, locally or on S3. Sources are registered with SQL: CREATE SERVER, IMPORT FOREIGN \
                  SCHEMA."
)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the server
    #[command(after_long_help = SECRETS_HELP, after_help = SECRETS_HELP)]
    Serve(Box<ServeArgs>),
    /// Runs a server with sample sources on a throw-away catalog, and prints how to connect
    Demo(DemoArgs),
}

/// `atoll demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", env = "ATOLL_LISTEN", default_value = "127.0.0.1:7432")]
    pub listen: ListenAddress,
    /// Directory for the demo's catalog and samples, made anew at each start [default: one in the temporary directory]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// `atoll serve`: every value may also stand in the file and, as `ATOLL_…`, in the environment. The command line wins over
/// the environment, and that over the file.
#[derive(Debug, Default, Args)]
pub struct ServeArgs {
    /// Address and port to listen on; repeatable [default: 127.0.0.1:7432]
    #[arg(long, value_name = "ADDRESS:PORT", env = "ATOLL_LISTEN", value_delimiter = ',')]
    pub listen: Option<Vec<ListenAddress>>,
    /// Directory of the catalog, keys and sockets [default: $XDG_DATA_HOME/atoll]
    #[arg(long, value_name = "DIR", env = "ATOLL_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Name of the one database [default: atoll]
    #[arg(long, value_name = "NAME", env = "ATOLL_DATABASE")]
    pub database: Option<String>,
    /// PostgreSQL URL of a catalog that several servers share, instead of SQLite in the data directory; with a password,
    /// better in the environment or the file, since others can read command lines
    #[arg(long, value_name = "URL", env = "ATOLL_CATALOG_URL", hide_env_values = true)]
    pub catalog_url: Option<CatalogUrl>,
    /// Configuration file
    #[arg(long, value_name = "FILE.toml", env = "ATOLL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Directory that options may name local files beneath; repeatable [default: none]
    #[arg(long, value_name = "DIR", env = "ATOLL_FILES_ROOT", value_delimiter = ':')]
    pub files_root: Option<Vec<PathBuf>>,
    /// How TCP clients prove who they are; `trust` on loopback only [default: scram]
    #[arg(long, value_enum, env = "ATOLL_AUTH")]
    pub auth: Option<Auth>,
    /// Certificate chain for TLS, PEM
    #[arg(long, value_name = "FILE", env = "ATOLL_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,
    /// Private key for TLS, PEM
    #[arg(long, value_name = "FILE", env = "ATOLL_TLS_KEY")]
    pub tls_key: Option<PathBuf>,
    /// Whether other machines have to encrypt where a certificate is given [default: true]
    #[arg(long, value_name = "BOOL", env = "ATOLL_TLS_REQUIRED")]
    pub tls_required: Option<bool>,
    /// Directory of the unix socket [default: the data directory]
    #[arg(long, value_name = "DIR", env = "ATOLL_SOCKET_DIR")]
    pub socket_dir: Option<PathBuf>,
    /// Connections at once [default: 100]
    #[arg(long, value_name = "N", env = "ATOLL_MAX_CONNECTIONS")]
    pub max_connections: Option<usize>,
    /// Of them, those that are kept for superusers [default: 3]
    #[arg(long, value_name = "N", env = "ATOLL_RESERVED_SUPERUSER_CONNECTIONS")]
    pub reserved_superuser_connections: Option<usize>,
    /// How long a connection may take to log in, from 1s to 10min [default: 30s]
    #[arg(long, value_name = "TIME", env = "ATOLL_STARTUP_TIMEOUT")]
    pub startup_timeout: Option<String>,
    /// Size of a client's message, a statement with its parameters, from 64kB to 1GB [default: 64MB]
    #[arg(long, value_name = "SIZE", env = "ATOLL_MESSAGE_BYTES_MAX")]
    pub message_bytes_max: Option<String>,
    /// Named prepared statements in one session [default: 10000]
    #[arg(long, value_name = "N", env = "ATOLL_PREPARED_STATEMENTS_MAX")]
    pub prepared_statements_max: Option<usize>,
    /// Portals and cursors in one session [default: 1000]
    #[arg(long, value_name = "N", env = "ATOLL_PORTALS_MAX")]
    pub portals_max: Option<usize>,
    /// Threads for queries [default: four for each core, at least 16]
    #[arg(long, value_name = "N", env = "ATOLL_CPU_THREADS")]
    pub cpu_threads: Option<usize>,
    /// Memory of all queries together, at least 64MB [default: three quarters of the machine's]
    #[arg(long, value_name = "SIZE", env = "ATOLL_MEMORY_MAX")]
    pub memory_max: Option<String>,
    /// Queries that compute at once, the others wait [default: as many as cpu_threads]
    #[arg(long, value_name = "N", env = "ATOLL_MAX_RUNNING_QUERIES")]
    pub max_running_queries: Option<usize>,
    /// Queries that wait for their turn, beyond which they are refused [default: 1000]
    #[arg(long, value_name = "N", env = "ATOLL_MAX_WAITING_QUERIES")]
    pub max_waiting_queries: Option<usize>,
    /// How long running queries may go on at shutdown, for example 10s [default: 5s]
    #[arg(long, value_name = "TIME", env = "ATOLL_SHUTDOWN_GRACE")]
    pub shutdown_grace: Option<String>,
    /// Hosts and networks that users who are not superusers may reach although loopback or private; repeatable
    #[arg(long, value_name = "HOST|CIDR", env = "ATOLL_NETWORK_ALLOW", value_delimiter = ',')]
    pub network_allow: Option<Vec<String>>,
    /// Environment variables that `env:NAME` in a user mapping may name; repeatable
    #[arg(long, value_name = "NAME", env = "ATOLL_SECRET_ENV", value_delimiter = ',')]
    pub secret_env: Option<Vec<String>>,
    /// Directories that `file:PATH` in a user mapping may name files beneath; repeatable
    #[arg(long, value_name = "DIR", env = "ATOLL_SECRET_DIR", value_delimiter = ':')]
    pub secret_dir: Option<Vec<PathBuf>>,
    /// What is logged, for example info or atoll=debug [default: info]
    #[arg(long, value_name = "FILTER", env = "ATOLL_LOG")]
    pub log: Option<String>,
    /// Prints the settings in force and exits
    #[arg(long)]
    pub print_config: bool,
}

/// How TCP clients prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// SCRAM-SHA-256.
    Scram,
    /// Nobody proves anything: loopback only.
    Trust,
}

/// The settings in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "ServeArgs says what each is")]
pub struct Config {
    #[serde(deserialize_with = "one_or_many")]
    pub listen: Vec<ListenAddress>,
    pub data_dir: PathBuf,
    pub database: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catalog_url: Option<CatalogUrl>,
    #[serde(deserialize_with = "one_or_many")]
    pub files_root: Vec<PathBuf>,
    pub auth: Auth,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    pub tls_required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket_dir: Option<PathBuf>,
    pub max_connections: usize,
    /// Of them, kept for superusers.
    pub reserved_superuser_connections: usize,
    pub startup_timeout: String,
    pub message_bytes_max: String,
    pub prepared_statements_max: usize,
    pub portals_max: usize,
    pub cpu_threads: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_max: Option<String>,
    pub max_running_queries: usize,
    pub max_waiting_queries: usize,
    pub shutdown_grace: String,
    #[serde(deserialize_with = "one_or_many")]
    pub network_allow: Vec<String>,
    #[serde(deserialize_with = "one_or_many")]
    pub secret_env: Vec<String>,
    #[serde(deserialize_with = "one_or_many")]
    pub secret_dir: Vec<PathBuf>,
    pub log: String,
}

/// Bytes of the machine's memory, as the kernel says.
fn machine_memory() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    total.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1024)
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 7432)).into()],
            data_dir: default_data_dir(),
            database: "atoll".to_owned(),
            catalog_url: None,
            files_root: Vec::new(),
            auth: Auth::Scram,
            tls_cert: None,
            tls_key: None,
            tls_required: true,
            socket_dir: None,
            max_connections: 100,
            reserved_superuser_connections: 3,
            startup_timeout: "30s".to_owned(),
            message_bytes_max: "64MB".to_owned(),
            prepared_statements_max: 10_000,
            portals_max: 1_000,
            cpu_threads: 0,
            memory_max: None,
            max_running_queries: 0,
            max_waiting_queries: 1_000,
            shutdown_grace: "5s".to_owned(),
            network_allow: Vec::new(),
            secret_env: Vec::new(),
            secret_dir: Vec::new(),
            log: "info".to_owned(),
        }
    }
}

/// Secrets that the environment may hold. They are no settings: nothing prints them.
#[derive(Default)]
pub struct EnvironmentSecrets {
    /// `ATOLL_PASSWORD`: of the role `atoll` in a fresh data directory.
    pub password: Option<String>,
    /// `ATOLL_MASTER_KEY`: opens stored secrets instead of the key file.
    pub master_key: Option<String>,
}

impl std::fmt::Debug for EnvironmentSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EnvironmentSecrets(***)")
    }
}

impl EnvironmentSecrets {
    /// Reads them.
    pub fn read() -> Self {
        let read = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        Self { password: read("ATOLL_PASSWORD"), master_key: read("ATOLL_MASTER_KEY") }
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum ConfigError {
    #[error("could not read the configuration file {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the configuration file {} is not valid{place}: {message}", path.display())]
    Parse { path: PathBuf, place: String, message: String },
    #[error("invalid value for {name}: {reason}")]
    Value { name: &'static str, reason: String },
}

impl Config {
    /// The settings of a command line, its environment and its file.
    ///
    /// # Errors
    /// A file that cannot be read or holds what no setting is; values out of range.
    pub fn load(args: ServeArgs) -> Result<Self, ConfigError> {
        let mut config = match &args.config {
            Some(path) => Self::from_file(path)?,
            None => Self::default(),
        };
        macro_rules! take {
            ($($field:ident),*) => { $(if let Some(value) = args.$field { config.$field = value; })* };
        }
        take!(listen, data_dir, database, files_root, auth, max_connections, cpu_threads, shutdown_grace);
        take!(network_allow, secret_env, secret_dir, log, tls_required);
        take!(max_running_queries, max_waiting_queries, reserved_superuser_connections);
        take!(startup_timeout, message_bytes_max, prepared_statements_max, portals_max);
        config.catalog_url = args.catalog_url.or(config.catalog_url);
        config.tls_cert = args.tls_cert.or(config.tls_cert);
        config.tls_key = args.tls_key.or(config.tls_key);
        config.socket_dir = args.socket_dir.or(config.socket_dir);
        config.memory_max = args.memory_max.or(config.memory_max);
        config.check()?;
        Ok(config)
    }

    fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        toml::from_str(&text).map_err(|error| ConfigError::Parse {
            path: path.to_owned(),
            place: error.span().map_or_else(String::new, |span| place_of(&text, span.start)),
            // The error's own display repeats the line, which may hold a password.
            message: error.message().to_owned(),
        })
    }

    fn check(&self) -> Result<(), ConfigError> {
        let refuse = |name, reason: &str| Err(ConfigError::Value { name, reason: reason.to_owned() });
        if self.listen.is_empty() {
            return refuse("listen", "at least one address is needed");
        }
        if self.database.is_empty() || self.database.len() > 63 {
            return refuse("database", "a name has 1 to 63 bytes");
        }
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return refuse("tls_cert", "tls_cert and tls_key go together");
        }
        if self.max_connections == 0 || self.max_connections > 100_000 {
            return refuse("max_connections", "is from 1 to 100000");
        }
        if self.reserved_superuser_connections >= self.max_connections {
            return refuse("reserved_superuser_connections", "is less than max_connections");
        }
        if !parse_time_ms(&self.startup_timeout).is_some_and(|time| STARTUP_TIMEOUT_MS.contains(&time)) {
            return refuse("startup_timeout", "is a time from 1s to 10min");
        }
        if !parse_memory(&self.message_bytes_max).is_some_and(|bytes| MESSAGE_BYTES.contains(&bytes)) {
            return refuse("message_bytes_max", "is a size from 64kB to 1GB");
        }
        if self.memory_max.as_ref().is_some_and(|size| parse_memory(size).is_none_or(|bytes| bytes < MEMORY_MIN)) {
            return refuse("memory_max", "is a size of at least 64MB");
        }
        if !(1..=PREPARED_STATEMENTS_MAX).contains(&self.prepared_statements_max) {
            return refuse("prepared_statements_max", "is from 1 to 1000000");
        }
        if !(1..=PORTALS_MAX).contains(&self.portals_max) {
            return refuse("portals_max", "is from 1 to 100000");
        }
        if parse_time_ms(&self.shutdown_grace).is_none() {
            return refuse("shutdown_grace", "is a time such as 500ms, 10s or 1min");
        }
        Ok(())
    }

    /// From accepting a connection to the end of its authentication.
    pub fn startup_timeout(&self) -> Duration {
        Duration::from_millis(parse_time_ms(&self.startup_timeout).unwrap_or(*STARTUP_TIMEOUT_MS.start()))
    }

    /// Bytes in one message of a client.
    pub fn message_bytes_max(&self) -> usize {
        let bytes = parse_memory(&self.message_bytes_max).unwrap_or(*MESSAGE_BYTES.start());
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Bytes that all queries together may use.
    pub fn memory_max(&self) -> usize {
        let own = self.memory_max.as_deref().and_then(parse_memory).and_then(|bytes| usize::try_from(bytes).ok());
        own.or_else(|| Some(machine_memory()? / 4 * 3)).unwrap_or(usize::MAX)
    }

    /// How long running queries may go on at shutdown.
    pub fn shutdown_grace(&self) -> Duration {
        Duration::from_millis(parse_time_ms(&self.shutdown_grace).unwrap_or(0))
    }

    /// The same with what 0 and nothing stand for on this machine, to be printed.
    #[must_use]
    pub fn in_force(mut self) -> Self {
        if self.cpu_threads == 0 {
            self.cpu_threads = default_cpu_threads();
        }
        if self.max_running_queries == 0 {
            self.max_running_queries = self.cpu_threads;
        }
        let memory_max = self.memory_max();
        if self.memory_max.is_none() && memory_max < usize::MAX {
            self.memory_max = Some(format!("{}kB", memory_max / 1024));
        }
        self
    }

    /// The settings as a configuration file; a password in the catalog's URL is masked.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).unwrap_or_default()
    }
}

/// The line of a byte of the file, and the setting that the line begins with; never its value.
fn place_of(text: &str, byte: usize) -> String {
    let before = text.get(..byte).unwrap_or(text);
    let number = before.matches('\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default();
    let is_name =
        |name: &&str| !name.is_empty() && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_');
    match line.split_once('=').map(|(name, _)| name.trim()).filter(is_name) {
        Some(name) => format!(" in line {number} ({name})"),
        None => format!(" in line {number}"),
    }
}

fn default_data_dir() -> PathBuf {
    let base = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    base.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share")))
        .map_or_else(|| PathBuf::from("atoll-data"), |base| base.join("atoll"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_wins_over_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("atoll.toml");
        std::fs::write(&path, "database = \"fromfile\"\nmax_connections = 7\n").unwrap();
        let args = ServeArgs { config: Some(path), database: Some("fromargs".to_owned()), ..ServeArgs::default() };
        let config = Config::load(args).unwrap();
        assert_eq!((config.database.as_str(), config.max_connections), ("fromargs", 7));
    }

    #[test]
    fn printed_settings_read_back_and_hold_no_secret() {
        let url = CatalogUrl::from("postgres://u:canary@h/d?sslmode=require".to_owned());
        let config = Config { catalog_url: Some(url), ..Config::default() };
        let text = config.to_toml();
        assert!(!text.contains("canary"), "{text}");
        assert!(text.contains("postgres://u:***@h/d?sslmode=require"), "{text}");
        assert!(!format!("{config:?}").contains("canary"));
        let read = toml::from_str::<Config>(&text).unwrap();
        assert_eq!(Config { catalog_url: None, ..read }, Config::default());
    }

    #[test]
    fn values_out_of_bounds_are_refused_with_their_names() {
        let text = |text: &str| Some(text.to_owned());
        for (args, name) in [
            (ServeArgs { startup_timeout: text("999ms"), ..ServeArgs::default() }, "startup_timeout"),
            (ServeArgs { startup_timeout: text("11min"), ..ServeArgs::default() }, "startup_timeout"),
            (ServeArgs { startup_timeout: text("soon"), ..ServeArgs::default() }, "startup_timeout"),
            (ServeArgs { message_bytes_max: text("63kB"), ..ServeArgs::default() }, "message_bytes_max"),
            (ServeArgs { message_bytes_max: text("2GB"), ..ServeArgs::default() }, "message_bytes_max"),
            (ServeArgs { message_bytes_max: text("-1"), ..ServeArgs::default() }, "message_bytes_max"),
            (ServeArgs { prepared_statements_max: Some(0), ..ServeArgs::default() }, "prepared_statements_max"),
            (ServeArgs { portals_max: Some(100_001), ..ServeArgs::default() }, "portals_max"),
            (ServeArgs { max_connections: Some(3), ..ServeArgs::default() }, "reserved_superuser_connections"),
        ] {
            let error = Config::load(args).unwrap_err().to_string();
            assert!(error.contains(&format!("invalid value for {name}")), "{error}");
        }
        let args = ServeArgs { startup_timeout: text("1s"), message_bytes_max: text("1GB"), ..ServeArgs::default() };
        let config = Config::load(args).unwrap();
        assert_eq!((config.startup_timeout(), config.message_bytes_max()), (Duration::from_secs(1), 1 << 30));
    }

    #[test]
    fn a_list_of_one_needs_no_brackets() {
        let text = "listen = \"127.0.0.1:7555\"\nfiles_root = \"/x\"\nsecret_env = [\"A\", \"B\"]\n";
        let config = toml::from_str::<Config>(text).unwrap();
        assert_eq!(config.listen, [SocketAddr::from(([127, 0, 0, 1], 7555)).into()]);
        assert_eq!(config.files_root, [PathBuf::from("/x")]);
        assert_eq!(config.secret_env, ["A", "B"]);
    }

    #[test]
    fn a_file_with_a_wrong_value_is_refused_with_its_place_and_without_the_value() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("atoll.toml");
        for (line, place) in [
            ("listen = 7555", "in line 2 (listen): "),
            ("listen = \"canary\"", "in line 2 (listen): "),
            ("files_root = [1]", "in line 2 (files_root): "),
            ("max_connections = \"many\"", "in line 2 (max_connections): "),
            ("tls_required", "in line 2: "),
        ] {
            std::fs::write(&path, format!("database = \"d\"\n{line}\nlog = \"info\"\n")).unwrap();
            let error = Config::load(ServeArgs { config: Some(path.clone()), ..ServeArgs::default() }).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(place) && !text.contains("canary"), "{line}: {text}");
        }
    }

    #[test]
    fn a_file_with_an_unknown_setting_is_refused_without_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("atoll.toml");
        std::fs::write(&path, "pasword = \"canary\"\n").unwrap();
        let error = Config::load(ServeArgs { config: Some(path), ..ServeArgs::default() }).unwrap_err();
        assert!(error.to_string().contains("pasword") && !error.to_string().contains("canary"), "{error}");
    }
}
