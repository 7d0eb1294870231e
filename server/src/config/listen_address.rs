//! An address to listen on, which may be a host's name.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `127.0.0.1:7432`, `[::1]:7432` or `localhost:7432`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddress(String);

/// Not an address and a port.
#[derive(Debug, thiserror::Error)]
#[error("is an address and a port, such as 127.0.0.1:7432")]
pub struct NoAddress;

impl FromStr for ListenAddress {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        if text.parse::<SocketAddr>().is_ok() {
            return Ok(Self(text.to_owned()));
        }
        let (host, port) = text.rsplit_once(':').ok_or(NoAddress)?;
        // What looks like an address and is none is nobody's name.
        let is_name = host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
            && host.chars().any(|c| c.is_ascii_alphabetic());
        if is_name && port.parse::<u16>().is_ok() { Ok(Self(text.to_owned())) } else { Err(NoAddress) }
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self(address.to_string())
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ListenAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ListenAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl ListenAddress {
    /// The addresses that it stands for. Of a name's, those that this machine has: `localhost` may be an IPv6 address where
    /// there is no IPv6.
    ///
    /// # Errors
    /// A name that cannot be resolved.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = self.0.parse() {
            return Ok(vec![address]);
        }
        let mut found: Vec<SocketAddr> = self.0.to_socket_addrs()?.collect();
        found.dedup();
        let usable: Vec<SocketAddr> = found
            .iter()
            .copied()
            .filter(|address| TcpListener::bind(SocketAddr::new(address.ip(), 0)).is_ok())
            .collect();
        // Which one cannot be used is said when it is bound.
        Ok(if usable.is_empty() { found } else { usable })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_have_a_port() {
        for text in ["127.0.0.1:7432", "[::1]:0", "localhost:7432", "db.example:1"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
        for text in ["localhost", "127.0.0.1", ":7432", "127.0.0.300:1", "localhost:70000", "::1:1", "a b:1"] {
            assert!(text.parse::<ListenAddress>().is_err(), "{text}");
        }
        let local = "localhost:7432".parse::<ListenAddress>().unwrap().resolve().unwrap();
        assert!(!local.is_empty() && local.iter().all(|address| address.ip().is_loopback() && address.port() == 7432));
    }
}
