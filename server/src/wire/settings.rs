//! What the listener is told, and whether that is safe.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::tls::ServerTls;

/// How clients prove who they are over TCP. Over the unix socket the kernel says who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthMode {
    /// SCRAM-SHA-256, with channel binding over TLS.
    #[default]
    Scram,
    /// Nobody asks. Loopback only.
    Trust,
}

/// How to listen.
#[derive(Debug, Clone)]
pub struct WireConfig {
    /// TCP addresses; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// The directory of the unix socket; `None`: no such socket.
    pub unix_socket_dir: Option<PathBuf>,
    /// The PORT in the unix socket's name, `.s.PGSQL.PORT`; `None`: that of the first TCP address.
    pub unix_socket_port: Option<u16>,
    /// How clients prove who they are.
    pub auth: AuthMode,
    /// What TLS needs; `None`: plain text only.
    pub tls: Option<ServerTls>,
    /// Refuses plain text from other machines where TLS is offered.
    pub tls_required: bool,
    /// Sessions at a time.
    pub max_connections: usize,
    /// How many of them only superusers may take.
    pub reserved_superuser_connections: usize,
    /// From accepting a connection to the end of its authentication.
    pub startup_timeout: Duration,
    /// How long running statements may go on after a shutdown was asked for.
    pub shutdown_grace: Duration,
    /// Bytes in one message of a client.
    pub message_bytes_max: usize,
    /// Named prepared statements in one session.
    pub prepared_statements_max: usize,
    /// Portals in one session, each of which may hold a query that runs.
    pub portals_max: usize,
    /// A secret from which the salts of users who do not exist are made. It should survive a restart, else a restart tells
    /// them from those who do.
    pub mock_nonce: [u8; 32],
}

impl Default for WireConfig {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 7432))],
            unix_socket_dir: None,
            unix_socket_port: None,
            auth: AuthMode::Scram,
            tls: None,
            tls_required: true,
            max_connections: 100,
            reserved_superuser_connections: 3,
            startup_timeout: Duration::from_secs(30),
            shutdown_grace: Duration::from_secs(10),
            message_bytes_max: 64 << 20,
            prepared_statements_max: 10_000,
            portals_max: 1_000,
            mock_nonce: rand::random(),
        }
    }
}

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum WireError {
    /// A TCP address cannot be taken.
    #[error("could not listen on {address}")]
    Bind {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    /// The unix socket cannot be made.
    #[error("could not create the unix socket \"{}\"", path.display())]
    UnixSocket {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// Another process listens on the unix socket, or something else has its name.
    #[error("the unix socket \"{}\" is in use: {reason}", path.display())]
    UnixSocketInUse { path: PathBuf, reason: &'static str },
    /// Neither TCP nor unix socket.
    #[error("there is nothing to listen on")]
    Nowhere,
    /// Data would cross the network in the clear.
    #[error("refusing to listen on {address} without TLS")]
    Exposed { address: SocketAddr },
    /// Everybody on the network would be let in.
    #[error("refusing to listen on {address} without authentication: trust is for loopback addresses only")]
    TrustExposed { address: SocketAddr },
}

impl WireError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Exposed { .. } => Some(
                "Give a certificate and its key (--tls-cert, --tls-key), or listen on a loopback address such as 127.0.0.1.",
            ),
            Self::TrustExposed { .. } => Some("Leave out --auth trust, or listen on 127.0.0.1 or [::1]."),
            Self::Bind { .. } => Some("Is another server running there? Choose another address with --listen."),
            Self::UnixSocketInUse { .. } => Some("Is another server running? Choose another port or directory."),
            Self::UnixSocket { .. } | Self::Nowhere => None,
        }
    }
}

/// Refuses what would expose data or the server, and says what is risky.
///
/// # Errors
/// [`WireError::Exposed`], [`WireError::TrustExposed`].
pub fn check_exposure(config: &WireConfig) -> Result<Vec<String>, WireError> {
    let mut warnings = Vec::new();
    let exposed = config.listen.iter().find(|address| !address.ip().to_canonical().is_loopback());
    if let Some(&address) = exposed {
        if config.auth == AuthMode::Trust {
            return Err(WireError::TrustExposed { address });
        }
        if config.tls.is_none() {
            return Err(WireError::Exposed { address });
        }
        if !config.tls_required {
            warnings.push(format!("plain-text connections from other machines are accepted on {address}"));
        }
    }
    if config.auth == AuthMode::Trust && !config.listen.is_empty() {
        warnings.push(
            "authentication is off (trust): every local user and program can connect as any role, superusers included"
                .to_owned(),
        );
    }
    Ok(warnings)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    fn listening(address: &str) -> WireConfig {
        WireConfig { listen: vec![address.parse().unwrap()], ..WireConfig::default() }
    }

    #[test]
    fn plain_text_stays_on_this_machine() {
        for address in ["127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(check_exposure(&listening(address)).unwrap(), Vec::<String>::new(), "{address}");
        }
        for address in ["0.0.0.0:1", "[::]:1", "192.168.1.2:1", "[::ffff:10.0.0.1]:1"] {
            let error = check_exposure(&listening(address)).unwrap_err();
            assert!(matches!(error, WireError::Exposed { .. }) && error.hint().is_some(), "{address}");
        }
    }

    #[test]
    fn tls_opens_the_network_and_trust_never_does() {
        let made = rcgen::generate_simple_self_signed(vec!["x".to_owned()]).unwrap();
        let key = rustls_pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let tls = ServerTls::new(vec![made.cert.der().clone()], key).unwrap();
        let mut config = WireConfig { tls: Some(tls), ..listening("0.0.0.0:1") };
        assert_eq!(check_exposure(&config).unwrap(), Vec::<String>::new());
        config.tls_required = false;
        assert_eq!(check_exposure(&config).unwrap().len(), 1);
        config.auth = AuthMode::Trust;
        assert!(matches!(check_exposure(&config), Err(WireError::TrustExposed { .. })));
        let local = WireConfig { auth: AuthMode::Trust, ..listening("127.0.0.1:1") };
        assert_eq!(check_exposure(&local).unwrap().len(), 1);
    }
}
