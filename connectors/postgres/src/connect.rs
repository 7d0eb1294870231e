//! Connecting and logging in: addresses that were checked, TLS as asked for, and a session whose settings do not change
//! what values look like.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode as Negotiation;
use tokio_postgres::types::Type;
use tokio_postgres::{CancelToken, Client, Config, NoTls, Statement};
use tracing::debug;

use atoll_connector_api::{ConnectorContext, ConnectorError, RemoteText, Result, ServerSpec, network};

use crate::error::{is_refused_kind, login_error};
use crate::frames::Frames;
use crate::known::{MARK_SQL, MARK_START};
use crate::options::{self, Host, ServerConfig, SslMode, password_required};
use crate::tap::{CopyData, Tap};
use crate::tls::Tls;

/// A cancel request that does not get through in this time is given up: closing the connection ends the query too.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(3);
/// A peer that vanished is noticed after about a minute of silence: 30 s + 3 × 10 s.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;
/// Bytes of `sun_path`, its final zero included: unix(7).
const SOCKET_PATH_MAX: usize = 108;

/// One round trip after login. Values print and read the same whatever the role's or the database's defaults are, names
/// resolve as written, and nothing can be changed by a view's function.
const SESSION_SETTINGS: &str = "SET TimeZone = 'UTC'; SET DateStyle = ISO, MDY; SET IntervalStyle = postgres; \
     SET extra_float_digits = 3; SET bytea_output = hex; SET lc_monetary = 'C'; SET xmloption = content; \
     SET standard_conforming_strings = on; SET quote_all_identifiers = off; SET search_path = pg_catalog; SET default_transaction_read_only = on";

/// A server as one user reaches it.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) server: String,
    pub(crate) config: ServerConfig,
    /// Passes on what the server says.
    pub(crate) texts: RemoteText,
    context: ConnectorContext,
    /// Set once the server was seen to ask for a password, which users who are not superusers must rely on.
    asks_for_password: OnceCell<()>,
}

/// A logged-in connection.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Client,
    /// `server_version_num` without the minor version, for example 15.
    pub(crate) major_version: u32,
    /// The database is encoded in UTF-8, so that every text can be sent and `"C"` order is ours.
    pub(crate) utf8: bool,
    driver: JoinHandle<()>,
    canceller: Canceller,
    tap: Arc<Tap>,
    /// [`MARK_SQL`], once it was asked for.
    mark: OnceCell<Statement>,
}

#[derive(Debug, Clone)]
enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// What a cancel request needs: the same address and the same TLS.
struct Canceller {
    address: Address,
    token: CancelToken,
    tls: Option<Tls>,
}

impl std::fmt::Debug for Canceller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Canceller").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Why one attempt failed, and whether TLS was the reason.
struct Failure {
    error: tokio_postgres::Error,
    in_tls: bool,
}

impl Remote {
    /// A server and a user's mapping. Connects to nothing.
    ///
    /// # Errors
    /// Those of [`ServerConfig::new`].
    pub(crate) fn new(spec: ServerSpec) -> Result<Self> {
        let config = ServerConfig::new(&spec)?;
        let texts = RemoteText::new(options::OPTIONS, &spec);
        Ok(Self { server: spec.name, config, texts, context: spec.context, asks_for_password: OnceCell::new() })
    }

    /// Connects, within `connect_timeout`.
    ///
    /// # Errors
    /// * [`ConnectorError::Denied`]: the address is not open to this user.
    /// * [`ConnectorError::Connect`], [`ConnectorError::Login`], and [`ConnectorError::Remote`] for what else the server
    ///   answers.
    pub(crate) async fn connect(&self) -> Result<Session> {
        let attempt = async {
            if !self.config.trusted {
                self.asks_for_password.get_or_try_init(|| self.require_password()).await?;
            }
            let session = self.connect_with(self.config.password.as_deref()).await?;
            session.client.batch_execute(SESSION_SETTINGS).await.map_err(|error| login_error(self, error))?;
            Ok(session)
        };
        tokio::time::timeout(self.config.connect_timeout, attempt)
            .await
            .unwrap_or_else(|_| Err(self.unreachable(io::Error::new(io::ErrorKind::TimedOut, "timeout expired"))))
    }

    /// Refuses a server that lets the user in without a password (trust, peer, ident): whoever may define a server would
    /// else be whoever Atoll's own account is. `postgres_fdw` has the same rule.
    async fn require_password(&self) -> Result<()> {
        match self.connect_with(None).await {
            Ok(_) => Err(password_required(
                &self.server,
                "Non-superuser cannot connect if the server does not request a password.",
                "Target server's authentication method must be changed.",
            )),
            Err(ConnectorError::Login { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn connect_with(&self, password: Option<&str>) -> Result<Session> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "no address");
        for address in self.addresses().await? {
            match self.login_at(&address, password).await {
                Err(Attempt::Unreachable(error)) => last = error,
                Err(Attempt::Refused(error)) => return Err(error),
                Ok(session) => return Ok(session),
            }
        }
        Err(self.unreachable(last))
    }

    async fn addresses(&self) -> Result<Vec<Address>> {
        match &self.config.host {
            Host::Network { name, address } => {
                let target = address.as_deref().unwrap_or(name);
                let found = network::resolve(&self.server, target, self.config.port, &self.context).await?;
                Ok(found.into_iter().map(Address::Tcp).collect())
            }
            Host::Socket(directory) => {
                let path = directory.join(format!(".s.PGSQL.{}", self.config.port));
                if path.as_os_str().len() >= SOCKET_PATH_MAX {
                    return Err(ConnectorError::OptionValue {
                        option: "host".into(),
                        reason: "is too long for the path of a socket".into(),
                    });
                }
                Ok(vec![Address::Unix(path)])
            }
        }
    }

    async fn login_at(&self, address: &Address, password: Option<&str>) -> std::result::Result<Session, Attempt> {
        let (first, second) = self.negotiations(address);
        let failure = match self.login_once(address, password, first).await? {
            Ok(session) => return Ok(session),
            Err(failure) => failure,
        };
        // libpq's rule for `prefer` and `allow`: the other kind of connection is tried where TLS itself failed or the
        // server has no entry for this kind, never after a wrong password.
        let failure = match second {
            Some(second) if failure.in_tls || is_refused_kind(&failure.error) => {
                match self.login_once(address, password, second).await? {
                    Ok(session) => return Ok(session),
                    Err(failure) => failure,
                }
            }
            _ => failure,
        };
        Err(Attempt::Refused(login_error(self, failure.error)))
    }

    fn negotiations(&self, address: &Address) -> (Negotiation, Option<Negotiation>) {
        // A unix socket is never encrypted, whatever sslmode says; libpq ignores it there too.
        if matches!(address, Address::Unix(_)) {
            return (Negotiation::Disable, None);
        }
        match self.config.ssl_mode {
            SslMode::Disable => (Negotiation::Disable, None),
            SslMode::Allow => (Negotiation::Disable, Some(Negotiation::Require)),
            SslMode::Prefer => (Negotiation::Prefer, Some(Negotiation::Disable)),
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => (Negotiation::Require, None),
        }
    }

    async fn login_once(
        &self,
        address: &Address,
        password: Option<&str>,
        negotiation: Negotiation,
    ) -> std::result::Result<std::result::Result<Session, Failure>, Attempt> {
        let mut config = Config::new();
        config.user(&self.config.user).application_name(&self.config.application_name).ssl_mode(negotiation);
        if let Some(database) = &self.config.database {
            config.dbname(database);
        }
        if let Some(password) = password {
            config.password(password);
        }
        let tap = Arc::<Tap>::default();
        match address {
            Address::Tcp(socket) => {
                let stream = open_tcp(*socket).await.map_err(Attempt::Unreachable)?;
                let tls = self.tls(*socket).map_err(Attempt::Refused)?.tapped(&tap);
                let stream = match negotiation {
                    Negotiation::Disable => Frames::new(stream, Arc::clone(&tap)),
                    _ => Frames::after_request(stream, Arc::clone(&tap)),
                };
                Ok(start(stream, address.clone(), Some(tls), &config, tap).await)
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(Attempt::Unreachable)?;
                Ok(start(Frames::new(stream, Arc::clone(&tap)), address.clone(), None, &config, tap).await)
            }
        }
    }

    fn tls(&self, address: SocketAddr) -> Result<Tls> {
        let name = match &self.config.host {
            Host::Network { name, .. } => name.as_str(),
            Host::Socket(_) => "localhost",
        };
        Tls::new(&self.server, name, address, &self.config, &self.context)
    }

    fn unreachable(&self, source: io::Error) -> ConnectorError {
        ConnectorError::Connect { server: self.server.clone(), source: Arc::new(source) }
    }
}

/// How an attempt at one address ended.
enum Attempt {
    /// Nothing answers there: the next address may.
    Unreachable(io::Error),
    /// The server answered; the next address would say the same.
    Refused(ConnectorError),
}

async fn open_tcp(address: SocketAddr) -> io::Result<TcpStream> {
    use rustix::net::sockopt;
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(&stream, true)?;
    sockopt::set_tcp_keepidle(&stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(&stream, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(&stream, KEEPALIVE_PROBES)?;
    Ok(stream)
}

async fn start<S>(
    stream: S,
    address: Address,
    tls: Option<Tls>,
    config: &Config,
    tap: Arc<Tap>,
) -> std::result::Result<Session, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (client, driver, server_version, encoding) = match &tls {
        Some(tls) => {
            let (client, connection) = config
                .connect_raw(stream, tls.clone())
                .await
                .map_err(|error| Failure { error, in_tls: tls.has_failed() })?;
            let (version, encoding) = parameters(&connection);
            (client, tokio::spawn(drive(connection)), version, encoding)
        }
        None => {
            let (client, connection) =
                config.connect_raw(stream, NoTls).await.map_err(|error| Failure { error, in_tls: false })?;
            let (version, encoding) = parameters(&connection);
            (client, tokio::spawn(drive(connection)), version, encoding)
        }
    };
    Ok(Session {
        canceller: Canceller { address, token: client.cancel_token(), tls },
        major_version: major_version(&server_version),
        utf8: encoding == "UTF8",
        client,
        driver,
        tap,
        mark: OnceCell::new(),
    })
}

fn parameters<S, T>(connection: &tokio_postgres::Connection<S, T>) -> (String, String)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let parameter = |name| connection.parameter(name).unwrap_or_default().to_owned();
    (parameter("server_version"), parameter("server_encoding"))
}

/// Reads and writes for a [`Client`] until that is dropped or the connection breaks; the client then sees why.
async fn drive<S, T>(connection: tokio_postgres::Connection<S, T>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    // What the server said last is not for the log: it may repeat a secret.
    if connection.await.is_err() {
        debug!("connection to a foreign PostgreSQL server ended");
    }
}

/// `15.4 (Debian …)`, `16beta1` and `9.6.24` give 15, 16 and 9.
fn major_version(version: &str) -> u32 {
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

impl Session {
    /// Runs `COPY … TO STDOUT`.
    ///
    /// # Errors
    /// The server's, where it refuses the statement; of the connection.
    pub(crate) async fn copy(&self, statement: &str) -> std::result::Result<CopyData, tokio_postgres::Error> {
        CopyData::start(&self.client, &self.tap, statement).await
    }

    /// One word for what a relation is now.
    ///
    /// # Errors
    /// The server's, of the connection.
    pub(crate) async fn mark(
        &self,
        schema: &str,
        table: &str,
    ) -> std::result::Result<Option<String>, tokio_postgres::Error> {
        let prepare = || self.client.prepare_typed(MARK_SQL, &[Type::NAME, Type::NAME]);
        let statement = self.mark.get_or_try_init(prepare).await?;
        let row = self.client.query_opt(statement, &[&schema, &table]).await?;
        let mark: Option<String> = row.and_then(|row| row.try_get(0).ok().flatten());
        Ok(mark.filter(|mark| mark.starts_with(MARK_START)))
    }

    /// Ends whatever runs on this connection, and the connection: first the query, by a cancel request, because a server
    /// that computes does not look at its socket.
    pub(crate) async fn kill(&self) {
        if !self.client.is_closed()
            && let Err(_) | Ok(Err(_)) = tokio::time::timeout(CANCEL_TIMEOUT, self.canceller.cancel()).await
        {
            debug!("a cancel request to a foreign PostgreSQL server did not get through");
        }
        self.driver.abort();
    }
}

impl Canceller {
    async fn cancel(&self) -> io::Result<()> {
        let sent = match (&self.address, &self.tls) {
            (Address::Tcp(address), Some(tls)) => {
                self.token.cancel_query_raw(open_tcp(*address).await?, tls.clone()).await
            }
            (Address::Tcp(address), None) => self.token.cancel_query_raw(open_tcp(*address).await?, NoTls).await,
            (Address::Unix(path), _) => self.token.cancel_query_raw(UnixStream::connect(path).await?, NoTls).await,
        };
        sent.map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::major_version;

    #[test]
    fn versions_are_read_in_every_form() {
        for (text, major) in [("15.4 (Debian 15.4-1)", 15), ("16beta1", 16), ("9.6.24", 9), ("", 0), ("devel", 0)] {
            assert_eq!(major_version(text), major, "{text}");
        }
    }
}
