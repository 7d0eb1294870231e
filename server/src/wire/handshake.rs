//! From an accepted socket to a session: startup, connection limit, authentication.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::auth::{self, AuthError};
use super::backend;
use super::connection::{Connection, say_goodbye};
use super::frontend::SMALL_MESSAGE_BYTES_MAX;
use super::listener::Shared;
use super::registry::Slot;
use super::settings::AuthMode;
use super::sqlstate::cancel_error;
use super::startup::{ClientStartup, Opened, Opening, Refused, open};
use super::stream::{BoxedStream, Inbox, Outbox};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::session::{CancelReason, Session, Startup, TlsInfo};

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Peer {
    Tcp(SocketAddr),
    /// Whether the other end runs as the server's own user, or as root.
    Unix {
        own_user: bool,
    },
}

impl Peer {
    fn is_local(self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix { .. } => true,
        }
    }
}

/// Serves one connection from its first byte to its last.
pub(super) async fn serve(shared: Arc<Shared>, stream: BoxedStream, peer: Peer, direct_tls: bool) {
    let deadline = Instant::now() + shared.config.startup_timeout;
    let opening = tokio::time::timeout_at(deadline, open(stream, shared.config.tls.as_ref(), direct_tls));
    let opened = tokio::select! {
        opened = opening => opened,
        () = shared.shutdown.cancelled() => return,
    };
    match opened {
        Ok(Ok(opened)) => serve_opened(shared, opened, peer, deadline).await,
        Ok(Err(Refused::With(stream, error))) => {
            let (_, mut outbox) = split(stream);
            say_goodbye(&mut outbox, &error).await;
        }
        Ok(Err(Refused::Silently)) => tracing::debug!(?peer, "connection without a startup packet"),
        Err(_) => tracing::debug!(?peer, "no startup packet in time"),
    }
}

fn split(stream: BoxedStream) -> (Inbox, Outbox) {
    let (read, write) = tokio::io::split(stream);
    // Whoever is not authenticated yet sends nothing long.
    (Inbox::new(read, SMALL_MESSAGE_BYTES_MAX), Outbox::new(write))
}

async fn serve_opened(shared: Arc<Shared>, opened: Opened, peer: Peer, deadline: Instant) {
    let Opened { stream, encrypted: tls, end_point, opening } = opened;
    let startup = match opening {
        Opening::Cancel { pid, key } => {
            // No answer either way: a client learns nothing about keys.
            if !shared.registry.cancel(pid, &key) {
                tracing::debug!(?peer, pid, "cancel request with a wrong key");
            }
            return;
        }
        Opening::Session(startup) => startup,
    };
    let (mut inbox, mut outbox) = split(stream);
    let admitted =
        admit(&shared, &mut inbox, &mut outbox, &startup, Channel { peer, encrypted: tls.is_some(), end_point });
    let slot = match tokio::time::timeout_at(deadline, admitted).await {
        Ok(Ok(slot)) => slot,
        Ok(Err(AuthError::Refused(error))) => {
            tracing::info!(?peer, user = startup.user, %error, "connection refused");
            return say_goodbye(&mut outbox, &error).await;
        }
        Ok(Err(AuthError::Gone)) => return,
        Err(_) => {
            let error = SqlError::new(SqlState::QUERY_CANCELED, "canceling authentication due to timeout");
            return say_goodbye(&mut outbox, &error).await;
        }
    };
    inbox.admit(shared.config.message_bytes_max);
    serve_session(shared, inbox, outbox, (startup, tls), peer, slot).await;
}

async fn serve_session(
    shared: Arc<Shared>,
    mut inbox: Inbox,
    mut outbox: Outbox,
    (client, tls): (ClientStartup, Option<TlsInfo>),
    peer: Peer,
    slot: Slot,
) {
    let Some((pid, key)) = shared.registry.new_identity(client.key_bytes()) else {
        return say_goodbye(&mut outbox, &SqlError::internal("could not generate random cancel key")).await;
    };
    let address = match peer {
        Peer::Tcp(address) => Some(address),
        Peer::Unix { .. } => None,
    };
    let startup = Startup {
        user: client.user,
        database: client.database,
        settings: client.settings,
        peer: address,
        pid,
        tls_offered: shared.config.tls.is_some(),
        tls,
    };
    // A live catalog is read from its source: whoever waits for it no more, or a shutdown, ends that.
    let opening = tokio::select! {
        opening = Session::open(Arc::clone(&shared.engine), startup) => opening,
        () = inbox.gone() => return,
        () = shared.shutdown.cancelled() => Err(cancel_error(CancelReason::Shutdown)),
    };
    let session = match opening {
        Ok(session) => session,
        Err(error) => return say_goodbye(&mut outbox, &error).await,
    };
    let registered = shared.registry.register(pid, key.clone(), session.canceller());
    Connection::new(shared, inbox, outbox, session).run(pid, &key).await;
    drop((registered, slot));
}

struct Channel {
    peer: Peer,
    encrypted: bool,
    end_point: Option<Arc<[u8]>>,
}

/// Takes a slot and finds out who the client is.
async fn admit(
    shared: &Shared,
    inbox: &mut Inbox,
    outbox: &mut Outbox,
    startup: &ClientStartup,
    channel: Channel,
) -> Result<Slot, AuthError> {
    let config = &shared.config;
    if let Some(version) = startup.negotiated_version() {
        outbox.push(&backend::negotiate_protocol_version(version, startup.unknown_options.clone()))?;
    }
    let slot = shared
        .registry
        .take_slot(config.max_connections)
        .ok_or_else(|| SqlError::new(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already"))?;
    if config.tls.is_some() && config.tls_required && !channel.encrypted && !channel.peer.is_local() {
        let message = "connections from other machines have to be encrypted";
        let error = SqlError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message);
        return Err(error.hint("Connect with sslmode=require or stronger.").into());
    }
    authenticate(shared, inbox, outbox, &startup.user, &channel).await?;
    outbox.push(&backend::authentication_ok())?;
    check_reserve(shared, &startup.user)?;
    Ok(slot)
}

async fn authenticate(
    shared: &Shared,
    inbox: &mut Inbox,
    outbox: &mut Outbox,
    user: &str,
    channel: &Channel,
) -> Result<(), AuthError> {
    match channel.peer {
        Peer::Unix { own_user: true } => Ok(()),
        Peer::Unix { own_user: false } => {
            let message = format!("Peer authentication failed for user \"{user}\"");
            Err(SqlError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message).into())
        }
        // The listener has refused to trust anything but loopback; the peer's address is looked at all the same.
        Peer::Tcp(_) if shared.config.auth == AuthMode::Trust && channel.peer.is_local() => Ok(()),
        Peer::Tcp(_) => {
            let verifier = auth::verifier_of(&shared.engine.catalog(), user, &shared.config.mock_nonce);
            auth::scram(inbox, outbox, user, verifier, channel.end_point.as_deref()).await
        }
    }
}

fn check_reserve(shared: &Shared, user: &str) -> SqlResult<()> {
    let config = &shared.config;
    let open_to_all = config.max_connections.saturating_sub(config.reserved_superuser_connections);
    let superuser = || shared.engine.catalog().role(user).is_some_and(|role| role.superuser);
    if shared.registry.slots_taken() <= open_to_all || superuser() {
        return Ok(());
    }
    let message = "remaining connection slots are reserved for non-replication superuser connections";
    Err(SqlError::new(SqlState::TOO_MANY_CONNECTIONS, message))
}
