//! Connections: how one is made, a small pool of them for each server and user, how a running query is killed, and what
//! MySQL's errors mean.

use std::collections::VecDeque;
use std::io::Read;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use atoll_connector_api::network;
use atoll_connector_api::statement::SourceId;
use atoll_connector_api::{ConnectorError, RemoteText, Result, ServerSpec};
use futures::FutureExt;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Error, IoError, Opts, OptsBuilder, ServerError, SslOpts};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::options::{self, SslMode};

/// A pooled connection that waited longer than this is asked whether it still lives before it is used.
const IDLE_UNCHECKED_MAX: Duration = Duration::from_secs(2);
/// A pooled connection that waited longer than this is closed.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// How long a query waits for a connection of its server. All of them may belong to one query that needs this one, too.
const CONNECTION_WAIT_MAX: Duration = Duration::from_secs(30);
/// How long a server may take to answer a ping, or to end a connection that is killed.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);
/// Silence after which the kernel asks whether the other side still lives.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// The largest packet that is read: the largest value is a little smaller.
const PACKET_BYTES_MAX: usize = 256 << 20;
/// A certificate file larger than this is none.
const SSL_CA_BYTES_MAX: u64 = 1 << 20;
/// MySQL drops a client that does not read for `net_write_timeout` seconds; a cursor may rest for longer than its default.
const WRITE_TIMEOUT_S: u32 = 8 * 3600;
/// After this the driver would think a connection expired. The pool is ours.
const WAIT_TIMEOUT_S: usize = 8 * 3600;

/// One server as one user reaches it. Holds idle connections, never more than `max_connections` with those in use.
pub(crate) struct Pool {
    source: SourceId,
    spec: ServerSpec,
    /// Passes on what the server says.
    texts: RemoteText,
    ssl_mode: SslMode,
    connect_timeout: Duration,
    max_connections: usize,
    permits: Arc<Semaphore>,
    idle: Mutex<VecDeque<Idle>>,
    evicting: AtomicBool,
}

// The driver's own types print the password.
impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("server", &self.spec.name).finish_non_exhaustive()
    }
}

struct Idle {
    conn: Conn,
    since: Instant,
}

impl Pool {
    /// The source that reads through it.
    pub(crate) fn source(&self) -> SourceId {
        self.source
    }

    pub(crate) fn new(spec: ServerSpec) -> Result<Arc<Self>> {
        let max_connections = options::max_connections(&spec.options)?;
        Ok(Arc::new(Self {
            source: SourceId::new(),
            ssl_mode: SslMode::of(&spec.options),
            connect_timeout: options::connect_timeout(&spec.options)?,
            max_connections,
            permits: Arc::new(Semaphore::new(max_connections)),
            idle: Mutex::default(),
            evicting: AtomicBool::new(false),
            texts: RemoteText::new(options::OPTIONS, &spec),
            spec,
        }))
    }

    pub(crate) fn server(&self) -> &str {
        &self.spec.name
    }

    pub(crate) fn dbname(&self) -> Option<&str> {
        self.spec.options.get(options::DBNAME)
    }

    /// A connection that works, pooled or new. A pooled one that was used a moment ago is not asked whether it lives: who
    /// finds it gone takes [`Self::lease_new`].
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Lease> {
        let permit = self.permit().await?;
        while let Some(idle) = self.take_idle() {
            let mut lease = Lease { pool: Arc::clone(self), conn: Some(idle.conn), pooled: true, _permit: None };
            if idle.since.elapsed() < IDLE_UNCHECKED_MAX || lease.answers().await {
                lease._permit = Some(permit);
                return Ok(lease);
            }
        }
        let conn = self.connect().await?;
        Ok(Lease { pool: Arc::clone(self), conn: Some(conn), pooled: false, _permit: Some(permit) })
    }

    /// A new connection. The idle ones are closed: whatever ended one of them most likely ended all.
    pub(crate) async fn lease_new(self: &Arc<Self>) -> Result<Lease> {
        while let Some(idle) = self.take_idle() {
            close(idle.conn);
        }
        let permit = self.permit().await?;
        let conn = self.connect().await?;
        Ok(Lease { pool: Arc::clone(self), conn: Some(conn), pooled: false, _permit: Some(permit) })
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        let permit = tokio::time::timeout(CONNECTION_WAIT_MAX, Arc::clone(&self.permits).acquire_owned()).await;
        permit.ok().and_then(std::result::Result::ok).ok_or_else(|| ConnectorError::Limit {
            message: format!("all {} connections to server \"{}\" are in use", self.max_connections, self.server()),
            hint: Some("Raise the server's option max_connections, or try again when other queries have ended.".into()),
        })
    }

    fn take_idle(&self) -> Option<Idle> {
        // The one used last is the one most likely to live. A panic cannot leave a queue half changed.
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop_back()
    }

    fn put_idle(self: &Arc<Self>, conn: Conn) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push_back(Idle { conn, since: Instant::now() });
        drop(idle);
        if !self.evicting.swap(true, Ordering::Relaxed) {
            tokio::spawn(evict(Arc::downgrade(self)));
        }
    }

    async fn connect(&self) -> Result<Conn> {
        // The driver gives up with a panic where a server asks for a way to log in that it does not know. What the panic
        // says is not for users.
        let connecting = AssertUnwindSafe(self.connect_as_wanted()).catch_unwind();
        match tokio::time::timeout(self.connect_timeout, connecting).await {
            Ok(Ok(connected)) => connected,
            Ok(Err(_panic)) => Err(self.login_unknown()),
            Err(_) => Err(self.unreachable(std::io::Error::new(
                std::io::ErrorKind::TimedOut,
                format!("no connection within {} seconds", self.connect_timeout.as_secs()),
            ))),
        }
    }

    async fn connect_as_wanted(&self) -> Result<Conn> {
        let tls = self.ssl_mode != SslMode::Disabled;
        let mut conn = match Conn::new(self.opts(tls).await?).await {
            // "preferred" takes what the server has.
            Err(Error::Driver(DriverError::NoClientSslFlagFromServer)) if self.ssl_mode == SslMode::Preferred => {
                Conn::new(self.opts(false).await?).await
            }
            other => other,
        }
        .map_err(|error| self.connect_error(error))?;
        for sql in session_setup() {
            conn.query_drop(sql).await.map_err(|error| self.connect_error(error))?;
        }
        Ok(conn)
    }

    async fn opts(&self, tls: bool) -> Result<Opts> {
        let options = &self.spec.options;
        let host = options.get(options::HOST).unwrap_or("127.0.0.1");
        let port = options.number(options::PORT, options::PORT_DEFAULT)?;
        let addresses = network::resolve(self.server(), host, port, &self.spec.context).await?;
        let addresses: Vec<IpAddr> = addresses.iter().map(std::net::SocketAddr::ip).collect();
        let user = &self.spec.user_options;
        let builder = OptsBuilder::default()
            .ip_or_hostname(host)
            .resolved_ips(Some(addresses))
            .tcp_port(port)
            .user(user.get(options::USER).or_else(|| user.get(options::USERNAME)))
            .pass(user.get(options::PASSWORD))
            // The server could name any socket of this machine.
            .prefer_socket(false)
            .tcp_keepalive(Some(KEEPALIVE))
            // Every statement is closed after its only use.
            .stmt_cache_size(0)
            .max_allowed_packet(Some(PACKET_BYTES_MAX))
            .wait_timeout(Some(WAIT_TIMEOUT_S))
            .ssl_opts(if tls { Some(self.ssl_opts()?) } else { None });
        Ok(builder.into())
    }

    fn ssl_opts(&self) -> Result<SslOpts> {
        let mut ssl = SslOpts::default();
        if let Some(path) = self.spec.options.get(options::SSL_CA) {
            let certificates = self.ssl_ca(path)?;
            ssl = ssl.with_root_certs(vec![certificates.into()]).with_disable_built_in_roots(true);
        }
        Ok(match self.ssl_mode {
            SslMode::Disabled | SslMode::Preferred | SslMode::Required => ssl.with_danger_accept_invalid_certs(true),
            SslMode::VerifyCa => ssl.with_danger_skip_domain_validation(true),
            SslMode::VerifyIdentity => ssl,
        })
    }

    fn ssl_ca(&self, path: &str) -> Result<Vec<u8>> {
        let located = self.spec.context.files.resolve(path)?;
        let failed = |error: std::io::Error| ConnectorError::File {
            path: path.to_owned(),
            object: format!("option \"{}\" of server \"{}\"", options::SSL_CA, self.server()),
            reason: error.to_string(),
            missing: error.kind() == std::io::ErrorKind::NotFound,
            hint: None,
        };
        let mut bytes = Vec::new();
        located.open().map_err(failed)?.take(SSL_CA_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }

    fn unreachable(&self, source: impl std::error::Error + Send + Sync + 'static) -> ConnectorError {
        ConnectorError::Connect { server: self.server().to_owned(), source: Arc::new(source) }
    }

    fn login_unknown(&self) -> ConnectorError {
        ConnectorError::Login {
            server: self.server().to_owned(),
            message: "the authentication plugin that it asks for is not supported".into(),
        }
    }

    fn connect_error(&self, error: Error) -> ConnectorError {
        let said = match error {
            Error::Server(error) if is_login(&error) => {
                ConnectorError::Login { server: self.server().to_owned(), message: error.message }
            }
            Error::Server(error) => self.remote(error, None),
            Error::Driver(DriverError::UnknownAuthPlugin { .. } | DriverError::CleartextPluginDisabled) => {
                self.login_unknown()
            }
            other => ConnectorError::Connect { server: self.server().to_owned(), source: cause(other) },
        };
        self.texts.error(said)
    }

    /// What an error of a query means.
    pub(crate) fn error(&self, error: Error, sql: Option<&str>) -> ConnectorError {
        let said = match error {
            Error::Server(error) if is_login(&error) => {
                ConnectorError::Login { server: self.server().to_owned(), message: error.message }
            }
            Error::Server(error) if matches!(error.code, SERVER_SHUTDOWN | CONNECTION_KILLED) => {
                ConnectorError::ConnectionLost { server: self.server().to_owned(), source: Arc::new(error) }
            }
            Error::Server(error) => self.remote(error, sql),
            other => ConnectorError::ConnectionLost { server: self.server().to_owned(), source: cause(other) },
        };
        self.texts.error(said)
    }

    fn remote(&self, error: ServerError, sql: Option<&str>) -> ConnectorError {
        ConnectorError::Remote {
            server: self.server().to_owned(),
            sqlstate: error.state,
            message: error.message,
            detail: None,
            hint: None,
            remote_sql: sql.map(str::to_owned),
        }
    }
}

/// The driver's error without the layers that repeat its text.
fn cause(error: Error) -> Arc<dyn std::error::Error + Send + Sync> {
    match error {
        Error::Io(IoError::Io(error)) => match error.downcast::<Error>() {
            Ok(inner) => cause(inner),
            Err(error) => Arc::new(error),
        },
        other => Arc::new(other),
    }
}

/// What makes every session answer alike, whatever the server's own settings are.
fn session_setup() -> [String; 3] {
    let variables = [
        // Timestamps come in UTC.
        "time_zone = '+00:00'",
        // Neither quotes nor operators mean anything else; nothing is padded.
        "sql_mode = 'STRICT_ALL_TABLES'",
        // Else a pooled connection would read one old snapshot for ever.
        "autocommit = 1",
        // Either would change rows silently.
        "sql_select_limit = 18446744073709551615",
        "sql_auto_is_null = 0",
        &format!("net_write_timeout = {WRITE_TIMEOUT_S}"),
    ];
    let variables: Vec<_> = variables.iter().map(|variable| format!("SESSION {variable}")).collect();
    [
        "SET NAMES utf8mb4".to_owned(),
        format!("SET {}", variables.join(", ")),
        "SET SESSION TRANSACTION READ ONLY".to_owned(),
    ]
}

/// MySQL's `ER_ACCESS_DENIED_ERROR`, `ER_ACCESS_DENIED_NO_PASSWORD_ERROR`, `ER_ACCOUNT_HAS_BEEN_LOCKED`,
/// `ER_MUST_CHANGE_PASSWORD_LOGIN`; MariaDB's `ER_ACCOUNT_HAS_BEEN_LOCKED`.
const LOGIN_CODES: [u16; 5] = [1045, 1698, 3118, 1862, 4151];
const SERVER_SHUTDOWN: u16 = 1053;
/// MariaDB's `ER_CONNECTION_KILLED`.
const CONNECTION_KILLED: u16 = 1927;
/// `ER_BAD_FIELD_ERROR`.
const UNKNOWN_COLUMN: u16 = 1054;
/// `ER_BAD_DB_ERROR`, `ER_NO_SUCH_TABLE`.
const UNKNOWN_TABLE: [u16; 2] = [1049, 1146];

fn is_login(error: &ServerError) -> bool {
    LOGIN_CODES.contains(&error.code)
}

/// Whether a statement of ours names a table or column that is gone.
pub(crate) fn is_shape_changed(error: &Error) -> bool {
    matches!(error, Error::Server(error) if error.code == UNKNOWN_COLUMN || UNKNOWN_TABLE.contains(&error.code))
}

/// Closes connections that nobody used for a while, as long as there are any.
async fn evict(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(IDLE_MAX / 2).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut old = Vec::new();
        let mut idle = pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while idle.front().is_some_and(|first| first.since.elapsed() >= IDLE_MAX / 2) {
            old.extend(idle.pop_front());
        }
        let empty = idle.is_empty();
        if empty {
            pool.evicting.store(false, Ordering::Relaxed);
        }
        drop(idle);
        for one in old {
            close(one.conn);
        }
        if empty {
            return;
        }
    }
}

/// Closes a connection at once, whatever the server is still sending.
fn close(conn: Conn) {
    // The first poll marks it as disconnected; without that, dropping it would read all that is left of a result.
    let _ = conn.disconnect().now_or_never();
}

/// A connection in use. Dropping it closes it; [`Lease::give_back`] keeps it for the next.
pub(crate) struct Lease {
    pool: Arc<Pool>,
    conn: Option<Conn>,
    pooled: bool,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Lease {
    /// The connection.
    pub(crate) fn conn(&mut self) -> Result<&mut Conn> {
        self.conn
            .as_mut()
            .ok_or_else(|| ConnectorError::Internal { message: "a connection was used after its end".into() })
    }

    /// Whether it was used before.
    pub(crate) fn is_pooled(&self) -> bool {
        self.pooled
    }

    async fn answers(&mut self) -> bool {
        let Some(conn) = &mut self.conn else { return false };
        matches!(tokio::time::timeout(ANSWER_WAIT_MAX, conn.ping()).await, Ok(Ok(())))
    }

    /// Keeps the connection, on which nothing is left to read.
    pub(crate) fn give_back(mut self) {
        if let Some(conn) = self.conn.take() {
            self.pool.put_idle(conn);
        }
    }

    /// Ends what the connection is doing at the server, and the connection.
    pub(crate) async fn kill(mut self) {
        let Some(conn) = self.conn.take() else { return };
        let id = conn.id();
        // A statement that is computing does not notice that its client is gone.
        let killed = async {
            let mut other = self.pool.connect().await?;
            let answer = other.query_drop(format!("KILL {id}")).await;
            close(other);
            answer.map_err(|error| self.pool.error(error, None))
        };
        match tokio::time::timeout(ANSWER_WAIT_MAX.max(self.pool.connect_timeout), killed).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(server = self.pool.server(), %error, "could not kill a query"),
            Err(_) => tracing::debug!(server = self.pool.server(), "could not kill a query in time"),
        }
        close(conn);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            close(conn);
        }
    }
}
