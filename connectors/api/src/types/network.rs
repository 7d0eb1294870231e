//! Network addresses: `inet`, `cidr`, `macaddr`, `macaddr8`.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::{BufMut, BytesMut};

use super::input::{bad_binary, hex_value, invalid_syntax, trim};
use crate::{ConnectorError, Result};

/// Address families in the binary format: `PGSQL_AF_INET`, `PGSQL_AF_INET6`.
const FAMILY_V4: u8 = 2;
const FAMILY_V6: u8 = 3;

/// An address with the length of its network part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inet {
    /// The address in the first 4 or all 16 bytes.
    bytes: [u8; 16],
    v6: bool,
    bits: u8,
}

impl Inet {
    /// `inet_in` or `cidr_in`.
    pub(crate) fn parse(text: &str, cidr: bool) -> Result<Self> {
        let name = if cidr { "cidr" } else { "inet" };
        let inet = read(trim(text), cidr).ok_or_else(|| invalid_syntax(name, text))?;
        if cidr && inet.has_host_bits() {
            return Err(ConnectorError::value("22P02", format!("invalid cidr value: \"{text}\""))
                .with_detail("Value has bits set to right of mask."));
        }
        Ok(inet)
    }

    /// `inet_recv`, `cidr_recv`.
    pub(crate) fn from_binary(bytes: &[u8], cidr: bool) -> Result<Self> {
        let bad = || bad_binary(if cidr { "cidr" } else { "inet" });
        let [family, bits, _is_cidr, length, address @ ..] = bytes else { return Err(bad()) };
        let v6 = match *family {
            FAMILY_V4 => false,
            FAMILY_V6 => true,
            _ => return Err(bad()),
        };
        let size = if v6 { 16 } else { 4 };
        if usize::from(*length) != size || address.len() != size || usize::from(*bits) > size * 8 {
            return Err(bad());
        }
        let mut full = [0; 16];
        full.iter_mut().zip(address).for_each(|(to, from)| *to = *from);
        let inet = Self { bytes: full, v6, bits: *bits };
        if cidr && inet.has_host_bits() { Err(bad()) } else { Ok(inet) }
    }

    /// Appends it as `inet_send` does.
    pub(crate) fn write_binary(&self, cidr: bool, out: &mut BytesMut) {
        let size = if self.v6 { 16 } else { 4 };
        out.put_u8(if self.v6 { FAMILY_V6 } else { FAMILY_V4 });
        out.put_u8(self.bits);
        out.put_u8(u8::from(cidr));
        out.put_u8(size);
        out.put_slice(self.bytes.get(..usize::from(size)).unwrap_or_default());
    }

    /// Appends it as PostgreSQL prints it: `inet` leaves a full network length out.
    pub(crate) fn write(&self, cidr: bool, out: &mut String) {
        if self.v6 {
            write_v6(Ipv6Addr::from(self.bytes), out);
        } else {
            let [a, b, c, d, ..] = self.bytes;
            // Writing to a String cannot fail.
            let _ = write!(out, "{}", Ipv4Addr::new(a, b, c, d));
        }
        if cidr || self.bits != if self.v6 { 128 } else { 32 } {
            let _ = write!(out, "/{}", self.bits);
        }
    }

    /// Appends bytes in PostgreSQL's order: the network, its length, the address.
    pub(crate) fn write_key(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.v6));
        for (index, byte) in self.bytes.iter().enumerate() {
            let network = usize::from(self.bits).saturating_sub(index * 8).min(8);
            out.push(byte & !u8::try_from(0xff_u16 >> network).unwrap_or(0));
        }
        out.push(self.bits);
        out.extend(self.bytes);
    }

    /// Its network: the address without the bits behind the network's.
    pub(crate) fn network(&self) -> Self {
        let mut bytes = self.bytes;
        for (index, byte) in bytes.iter_mut().enumerate() {
            let network = usize::from(self.bits).saturating_sub(index * 8).min(8);
            *byte &= !u8::try_from(0xff_u16 >> network).unwrap_or(0);
        }
        Self { bytes, ..*self }
    }

    fn has_host_bits(&self) -> bool {
        let size = if self.v6 { 16 } else { 4 };
        self.bytes.iter().take(size).enumerate().any(|(index, byte)| {
            let network = usize::from(self.bits).saturating_sub(index * 8).min(8);
            let host_mask = u8::try_from(0xff_u16 >> network).unwrap_or(0);
            byte & host_mask != 0
        })
    }
}

fn read(text: &str, cidr: bool) -> Option<Inet> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) if !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit()) => {
            (address, Some(bits.parse::<u8>().ok()?))
        }
        Some(_) => return None,
        None => (text, None),
    };
    if address.contains(':') {
        let bytes = address.parse::<Ipv6Addr>().ok()?.octets();
        let bits = bits.unwrap_or(128);
        return (bits <= 128).then_some(Inet { bytes, v6: true, bits });
    }
    let mut bytes = [0; 16];
    let mut count = 0_u8;
    for part in address.split('.') {
        if part.is_empty() || part.len() > 3 || !part.bytes().all(|byte| byte.is_ascii_digit()) || count == 4 {
            return None;
        }
        *bytes.get_mut(usize::from(count))? = part.parse().ok()?;
        count += 1;
    }
    // Only networks may leave octets out, or addresses with a length.
    if count < 4 && !cidr && bits.is_none() {
        return None;
    }
    let bits = match bits {
        Some(bits) => bits,
        None if cidr && count < 4 => classful(bytes[0], count),
        None => 32,
    };
    if bits > 32 {
        return None;
    }
    Some(Inet { bytes, v6: false, bits })
}

/// The network length that an abbreviated network has by its class.
fn classful(first: u8, octets: u8) -> u8 {
    let class = match first {
        240.. => 32,
        224..=239 => 8,
        192..=223 => 24,
        128..=191 => 16,
        _ => 8,
    };
    class.max(octets * 8)
}

/// Text as the ISC's `inet_net_ntop` makes it, which PostgreSQL uses: the first longest run of at least two zero groups
/// becomes `::`, and IPv4-compatible and -mapped addresses end in dotted decimal.
fn write_v6(address: Ipv6Addr, out: &mut String) {
    let groups = address.segments();
    let (mut best_start, mut best_length, mut start) = (0, 0, None);
    for (index, group) in groups.iter().chain([&1]).enumerate() {
        match (group, start) {
            (0, None) => start = Some(index),
            (0, Some(_)) => {}
            (_, Some(begun)) => {
                if index - begun > best_length {
                    (best_start, best_length) = (begun, index - begun);
                }
                start = None;
            }
            (_, None) => {}
        }
    }
    if best_length < 2 {
        best_length = 0;
    }
    let in_best = |index: usize| best_length > 0 && (best_start..best_start + best_length).contains(&index);
    for (index, group) in groups.iter().enumerate() {
        if in_best(index) {
            if index == best_start {
                out.push(':');
            }
            continue;
        }
        if index > 0 {
            out.push(':');
        }
        let dotted = index == 6
            && best_length > 0
            && best_start == 0
            && (best_length == 6
                || (best_length == 7 && groups.get(7) != Some(&1))
                || (best_length == 5 && groups.get(5) == Some(&0xffff)));
        if dotted {
            let [.., a, b, c, d] = address.octets();
            let _ = write!(out, "{}", Ipv4Addr::new(a, b, c, d));
            return;
        }
        let _ = write!(out, "{group:x}");
    }
    if best_length > 0 && best_start + best_length == 8 {
        out.push(':');
    }
}

/// `macaddr_in`, `macaddr8_in`: pairs of digits with one kind of separator, or none. `N` is 6 or 8.
pub(crate) fn mac<const N: usize>(text: &str) -> Result<[u8; N]> {
    let name = if N == 6 { "macaddr" } else { "macaddr8" };
    read_mac(trim(text)).ok_or_else(|| invalid_syntax(name, text))
}

fn read_mac<const N: usize>(text: &str) -> Option<[u8; N]> {
    let separator = text.bytes().find(|byte| matches!(byte, b':' | b'-' | b'.'));
    let mut bytes = Vec::with_capacity(8);
    if let Some(separator) = separator.filter(|_| N == 6 && text.split([':', '-']).count() == 6) {
        // Six numbers may have one digit each.
        for part in text.split(char::from(separator)) {
            if part.is_empty() || part.len() > 2 {
                return None;
            }
            bytes.push(u8::from_str_radix(part, 16).ok().filter(|_| !part.starts_with('+'))?);
        }
        return bytes.try_into().ok();
    }
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        if rest.first().copied() == separator && separator.is_some() && !bytes.is_empty() {
            rest = rest.get(1..)?;
        }
        let [high, low, after @ ..] = rest else { return None };
        bytes.push((hex_value(*high)? << 4) | hex_value(*low)?);
        rest = after;
    }
    if N == 8 && bytes.len() == 6 {
        // EUI-48 in EUI-64.
        bytes.splice(3..3, [0xff, 0xfe]);
    }
    bytes.try_into().ok()
}

/// Appends `08:00:2b:01:02:03`.
pub(crate) fn write_mac(bytes: &[u8], out: &mut String) {
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 {
            out.push(':');
        }
        let _ = write!(out, "{byte:02x}");
    }
}
