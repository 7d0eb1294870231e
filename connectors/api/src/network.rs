//! Which network addresses a connector may reach for a user, decided once and pinned: what was checked is what is
//! connected to, so that a name which resolves differently the second time gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use crate::{ConnectorContext, ConnectorError, Result};

/// Addresses of one host beyond which the rest are not tried.
const ADDRESSES_MAX: usize = 16;

/// Resolves a host name or address and keeps the addresses that the user may reach, at least one, to be connected to in
/// this order. `server` is the SQL name, for messages.
///
/// Users who are not superusers reach special ranges (loopback, private, link-local, carrier-grade NAT, unique-local,
/// cloud metadata, and IPv6 forms that embed such an IPv4 address) only where `context.network_allow` names the host or
/// a range that holds the address.
///
/// # Errors
/// * [`ConnectorError::Connect`]: the name does not resolve.
/// * [`ConnectorError::Denied`]: no address of it may be reached.
pub async fn resolve(server: &str, host: &str, port: u16, context: &ConnectorContext) -> Result<Vec<SocketAddr>> {
    let unresolved =
        |source: std::io::Error| ConnectorError::Connect { server: server.to_owned(), source: Arc::new(source) };
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let found: Vec<SocketAddr> = match bare.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => tokio::net::lookup_host((host, port)).await.map_err(unresolved)?.take(ADDRESSES_MAX).collect(),
    };
    if found.is_empty() {
        return Err(unresolved(std::io::Error::new(
            std::io::ErrorKind::NotFound,
            format!("could not translate host name \"{host}\" to address"),
        )));
    }
    let allowed: Vec<SocketAddr> =
        found.into_iter().filter(|address| is_allowed(host, address.ip(), context)).collect();
    if allowed.is_empty() {
        return Err(ConnectorError::Denied {
            message: format!("connecting to host \"{host}\" is not allowed"),
            hint: Some(
                "Its address is in a special range (loopback, private, link-local or metadata). Whoever runs the server may name it in --network-allow."
                    .to_owned(),
            ),
        });
    }
    Ok(allowed)
}

/// Whether a user may connect to `address`, to which `host` resolved.
pub fn is_allowed(host: &str, address: IpAddr, context: &ConnectorContext) -> bool {
    context.superuser
        || !is_special(address)
        || context.network_allow.iter().any(|entry| entry_allows(entry.trim(), host, address))
}

/// Whether an entry of `--network-allow` is well formed: a host name, an address, or a range in CIDR notation.
pub fn is_valid_entry(entry: &str) -> bool {
    match entry.trim().split_once('/') {
        Some(_) => parse_range(entry.trim()).is_some(),
        None => !entry.trim().is_empty() && !entry.trim().contains(char::is_whitespace),
    }
}

fn entry_allows(entry: &str, host: &str, address: IpAddr) -> bool {
    if let Some((network, bits)) = parse_range(entry) {
        return contains(network, bits, address)
            || embedded_ipv4(address).is_some_and(|inner| contains(network, bits, IpAddr::V4(inner)));
    }
    entry.trim_end_matches('.').eq_ignore_ascii_case(host.trim_end_matches('.'))
}

/// Reads `address` or `address/bits`.
fn parse_range(entry: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = match entry.split_once('/') {
        Some((address, bits)) => (address.parse::<IpAddr>().ok()?, bits.parse::<u32>().ok()?),
        None => {
            let address = entry.parse::<IpAddr>().ok()?;
            (address, if address.is_ipv4() { 32 } else { 128 })
        }
    };
    (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, bits))
}

fn contains(network: IpAddr, bits: u32, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            u32::from(network) & mask == u32::from(address) & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            u128::from(network) & mask == u128::from(address) & mask
        }
        _ => false,
    }
}

/// Whether an address is no ordinary address of the public internet.
pub fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_special_ipv4(address),
        IpAddr::V6(address) => is_special_ipv6(address),
    }
}

fn is_special_ipv4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        // "This network", carrier-grade NAT (RFC 6598), IETF protocol assignments, benchmarking (RFC 2544), reserved.
        || a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19))
        || a >= 240
        // Azure's host-side services answer on a public address.
        || address == Ipv4Addr::new(168, 63, 129, 16)
}

fn is_special_ipv6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        // Site-local, deprecated (RFC 3879), and the local-use NAT64 prefix (RFC 8215), which embeds at any offset.
        || segments[0] & 0xffc0 == 0xfec0
        || (segments[0] == 0x64 && segments[1] == 0xff9b && segments[2] == 1)
        // Teredo hides its endpoints behind an exclusive or.
        || (segments[0] == 0x2001 && segments[1] == 0)
        || embedded_ipv4(address.into()).is_some_and(is_special_ipv4)
}

/// The IPv4 address that packets to an IPv6 address end at: mapped, compatible, NAT64 (RFC 6052) and 6to4 (RFC 3056).
fn embedded_ipv4(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    let segments = address.segments();
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match segments {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(join(high, low)),
        [0, 0, 0, 0, 0xffff, 0, high, low] => Some(join(high, low)),
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]
mod tests {
    use super::*;
    use crate::paths::FilesRoots;

    fn context(superuser: bool, allow: &[&str]) -> ConnectorContext {
        ConnectorContext {
            files: FilesRoots::default(),
            superuser,
            network_allow: allow.iter().map(|entry| (*entry).to_owned()).collect(),
        }
    }

    #[test]
    fn special_ranges_are_recognised_in_every_disguise() {
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.255.255",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.170",
            "168.63.129.16",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "fec0::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001::1",
            "::ffff:0:127.0.0.1",
        ] {
            assert!(is_special(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn public_addresses_are_not_special() {
        for text in [
            "8.8.8.8",
            "172.32.0.1",
            "172.15.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "2606:4700::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::",
        ] {
            assert!(!is_special(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn an_entry_opens_its_range_and_its_host_only() {
        let address = "10.1.2.3".parse().unwrap();
        assert!(!is_allowed("db", address, &context(false, &[])));
        assert!(is_allowed("db", address, &context(true, &[])));
        assert!(is_allowed("db", address, &context(false, &["10.0.0.0/8"])));
        assert!(!is_allowed("db", address, &context(false, &["10.2.0.0/16"])));
        assert!(is_allowed("db", address, &context(false, &["DB."])));
        assert!(!is_allowed("other", address, &context(false, &["db"])));
        assert!(is_allowed("db", address, &context(false, &["10.1.2.3"])));
        assert!(is_allowed("db", address, &context(false, &["0.0.0.0/0"])));
        assert!(is_allowed("db", "::ffff:10.1.2.3".parse().unwrap(), &context(false, &["10.0.0.0/8"])));
        assert!(is_allowed("db", "fd00::1".parse().unwrap(), &context(false, &["fd00::/8"])));
        assert!(!is_allowed("db", address, &context(false, &["10.0.0.0/33", "::/0"])));
    }

    #[test]
    fn entries_are_checked() {
        assert!(is_valid_entry("10.0.0.0/8") && is_valid_entry("db.internal") && is_valid_entry("::1"));
        assert!(!is_valid_entry("10.0.0.0/33") && !is_valid_entry("db/8") && !is_valid_entry(""));
    }

    #[tokio::test]
    async fn resolution_refuses_and_pins() {
        let denied = resolve("s", "127.0.0.1", 5432, &context(false, &[])).await.unwrap_err();
        assert!(matches!(denied, ConnectorError::Denied { .. }), "{denied}");
        let denied = resolve("s", "localhost", 5432, &context(false, &[])).await.unwrap_err();
        assert!(matches!(denied, ConnectorError::Denied { .. }), "{denied}");
        let pinned = resolve("s", "localhost", 5432, &context(false, &["localhost"])).await.unwrap();
        assert!(pinned.iter().all(|address| address.ip().is_loopback() && address.port() == 5432));
        assert_eq!(resolve("s", "[::1]", 1, &context(true, &[])).await.unwrap(), ["[::1]:1".parse().unwrap()]);
        let missing = resolve("s", "no-such-host.invalid", 5432, &context(true, &[])).await.unwrap_err();
        assert!(matches!(missing, ConnectorError::Connect { .. }), "{missing}");
    }
}
