//! Listening, accepting, shutting down.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::handshake::{self, Peer};
use super::registry::Registry;
use super::settings::{WireConfig, WireError, check_exposure};
use super::unix_socket::{UnixSocket, is_own_user};
use crate::session::Engine;

/// Connections beyond `max_connections` that may be open to be told so, to be authenticated or to cancel; further ones are
/// closed at once.
const WAITING_CONNECTIONS_MAX: usize = 256;
/// After the grace period: how long cancelled statements may take to stop.
const CANCEL_GRACE: Duration = Duration::from_secs(5);
/// Out of file descriptors, for example: trying again at once would only burn the CPU.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(200);
/// First byte of a TLS record that holds a handshake (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 0x16;
/// A peer that vanished without a word is noticed after idle + interval * count.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_COUNT: u32 = 3;

/// What all connections share.
pub(super) struct Shared {
    pub(super) config: WireConfig,
    pub(super) engine: Arc<Engine>,
    pub(super) registry: Arc<Registry>,
    pub(super) shutdown: CancellationToken,
}

/// A server that listens and does not accept yet.
pub struct WireServer {
    shared: Arc<Shared>,
    tcp: Vec<TcpListener>,
    unix: Option<UnixSocket>,
}

/// Listens and serves until `shutdown`, then ends every connection in order.
///
/// # Errors
/// See [`WireError`]; once it listens, it does not fail.
pub async fn serve(config: WireConfig, engine: Arc<Engine>, shutdown: CancellationToken) -> Result<(), WireError> {
    let sockets = WireServer::listen(&config).await?;
    WireServer::bind(config, sockets, engine, shutdown)?.run().await;
    Ok(())
}

impl WireServer {
    /// Takes the TCP addresses. Who connects waits until [`Self::run`].
    ///
    /// # Errors
    /// See [`WireError`].
    pub async fn listen(config: &WireConfig) -> Result<Vec<TcpListener>, WireError> {
        for warning in check_exposure(config)? {
            tracing::warn!("{warning}");
        }
        let mut tcp = Vec::new();
        for &address in &config.listen {
            tcp.push(TcpListener::bind(address).await.map_err(|source| WireError::Bind { address, source })?);
        }
        Ok(tcp)
    }

    /// Makes a server of what [`Self::listen`] has taken, and of the unix socket.
    ///
    /// # Errors
    /// See [`WireError`].
    pub fn bind(
        config: WireConfig,
        tcp: Vec<TcpListener>,
        engine: Arc<Engine>,
        shutdown: CancellationToken,
    ) -> Result<Self, WireError> {
        let first_port = tcp.first().and_then(|listener| listener.local_addr().ok()).map(|address| address.port());
        let port = config.unix_socket_port.or(first_port).unwrap_or(7432);
        let unix = config.unix_socket_dir.as_ref().map(|directory| UnixSocket::bind(directory, port)).transpose()?;
        if tcp.is_empty() && unix.is_none() {
            return Err(WireError::Nowhere);
        }
        let shared = Shared { config, engine, registry: Arc::default(), shutdown };
        Ok(Self { shared: Arc::new(shared), tcp, unix })
    }

    /// The TCP addresses, with the ports that were taken.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.tcp.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// The unix socket's file.
    pub fn unix_socket(&self) -> Option<&Path> {
        self.unix.as_ref().map(UnixSocket::path)
    }

    /// Serves until the shutdown given to [`Self::bind`], then ends every connection in order: idle ones at once, running
    /// statements after the grace period.
    pub async fn run(self) {
        let Self { shared, tcp, unix } = self;
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = shared.shutdown.cancelled() => break,
                Some(ended) = connections.join_next() => {
                    report_end(ended);
                    continue;
                }
                accepted = accept_tcp(&tcp) => accepted.map(Accepted::Tcp),
                accepted = accept_unix(unix.as_ref()) => accepted.map(Accepted::Unix),
            };
            match accepted {
                Ok(_) if connections.len() >= shared.config.max_connections + WAITING_CONNECTIONS_MAX => {
                    tracing::warn!("too many connections are waiting: one was closed");
                }
                Ok(accepted) => {
                    connections.spawn(serve_accepted(Arc::clone(&shared), accepted));
                }
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                }
            }
        }
        // Nobody new from here on; the unix socket's file goes with its listener.
        drop((tcp, unix));
        end_connections(&shared, connections).await;
    }
}

async fn end_connections(shared: &Shared, mut connections: JoinSet<()>) {
    if tokio::time::timeout(shared.config.shutdown_grace, drain(&mut connections)).await.is_ok() {
        return;
    }
    tracing::info!(connections = connections.len(), "canceling the statements that still run");
    shared.registry.shut_down();
    if tokio::time::timeout(CANCEL_GRACE, drain(&mut connections)).await.is_err() {
        tracing::warn!(connections = connections.len(), "some connections did not end and are dropped");
        connections.shutdown().await;
    }
}

async fn drain(connections: &mut JoinSet<()>) {
    while let Some(ended) = connections.join_next().await {
        report_end(ended);
    }
}

/// A connection contains its own panics; one here is in what surrounds it.
fn report_end(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection panicked before it had a session");
    }
}

enum Accepted {
    Tcp(TcpStream),
    Unix(tokio::net::UnixStream),
}

/// The next connection on any of the addresses.
async fn accept_tcp(listeners: &[TcpListener]) -> io::Result<TcpStream> {
    if listeners.is_empty() {
        return std::future::pending().await;
    }
    let accepting = listeners.iter().map(|listener| Box::pin(listener.accept()));
    let (accepted, ..) = futures::future::select_all(accepting).await;
    accepted.map(|(stream, _)| stream)
}

async fn accept_unix(socket: Option<&UnixSocket>) -> io::Result<tokio::net::UnixStream> {
    match socket {
        Some(socket) => socket.listener.accept().await.map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

async fn serve_accepted(shared: Arc<Shared>, accepted: Accepted) {
    match accepted {
        Accepted::Unix(stream) => {
            let peer = Peer::Unix { own_user: is_own_user(&stream) };
            handshake::serve(shared, Box::new(stream), peer, false).await;
        }
        Accepted::Tcp(stream) => {
            let Ok(address) = stream.peer_addr() else { return };
            if let Err(error) = prepare_socket(&stream) {
                tracing::debug!(%error, "could not set socket options");
            }
            let mut first = [0];
            let waiting = tokio::time::timeout(shared.config.startup_timeout, stream.peek(&mut first));
            let peeked = tokio::select! {
                peeked = waiting => peeked,
                () = shared.shutdown.cancelled() => return,
            };
            let Ok(Ok(1..)) = peeked else { return };
            handshake::serve(shared, Box::new(stream), Peer::Tcp(address), first[0] == TLS_HANDSHAKE).await;
        }
    }
}

fn prepare_socket(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_INTERVAL)?;
    Ok(sockopt::set_tcp_keepcnt(stream, KEEPALIVE_COUNT)?)
}
