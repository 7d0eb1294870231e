//! Functions of `inet` and `cidr`.

use std::net::IpAddr;

use atoll_connector_api::types::oids;

use super::{BOOL, Call, Datum, Function, INT4, INT8, Kind, TEXT, invalid, strict, text};
use crate::error::{SqlError, SqlResult, SqlState};

const INET: Kind = Kind::Of(oids::INET);
const CIDR: Kind = Kind::Of(oids::CIDR);

pub(super) const FUNCTIONS: &[Function] = &[
    strict("host", &[INET], TEXT, |call| text(call.text(0).split('/').next().unwrap_or_default())),
    strict("masklen", &[INET], INT4, |call| Ok(Datum::Int(i64::from(Network::read(call, 0)?.bits)))),
    strict("family", &[INET], INT4, |call| Ok(Datum::Int(if Network::read(call, 0)?.is_v6() { 6 } else { 4 }))),
    strict("set_masklen", &[INET, INT4], INET, |call| {
        let network = Network::read(call, 0)?.with_bits(call.int(1))?;
        text(format!("{}/{}", network.address, network.bits))
    }),
    strict("set_masklen", &[CIDR, INT4], CIDR, |call| text(Network::read(call, 0)?.with_bits(call.int(1))?.network())),
    strict("netmask", &[INET], INET, |call| {
        let network = Network::read(call, 0)?;
        text(network.at(network.mask()))
    }),
    strict("hostmask", &[INET], INET, |call| {
        let network = Network::read(call, 0)?;
        text(network.at(network.all() & !network.mask()))
    }),
    strict("broadcast", &[INET], INET, |call| {
        let network = Network::read(call, 0)?;
        let last = network.at(network.prefix(network.bits) | (network.all() & !network.mask()));
        text(if network.bits == network.whole() { last } else { format!("{last}/{}", network.bits) })
    }),
    strict("abbrev", &[CIDR], TEXT, |call| {
        if call.text(0).contains(':') {
            return Err(SqlError::unsupported("abbrev of networks of IPv6 is not supported"));
        }
        let network = Network::read(call, 0)?;
        let octets = usize::from(network.bits).div_ceil(8).max(1);
        let address = network.at(network.prefix(network.bits));
        let shown: Vec<&str> = address.split('.').take(octets).collect();
        text(format!("{}/{}", shown.join("."), network.bits))
    }),
    strict("abbrev", &[INET], TEXT, |call| text(call.text(0))),
    strict("network", &[INET], CIDR, |call| text(Network::read(call, 0)?.network())),
    strict("network_sub", &[INET, INET], BOOL, |call| {
        let (inner, outer) = (Network::read(call, 0)?, Network::read(call, 1)?);
        Ok(Datum::Bool(inner.bits > outer.bits && inner.meets(&outer)))
    }),
    strict("network_sup", &[INET, INET], BOOL, |call| {
        let (outer, inner) = (Network::read(call, 0)?, Network::read(call, 1)?);
        Ok(Datum::Bool(inner.bits > outer.bits && inner.meets(&outer)))
    }),
    strict("network_overlap", &[INET, INET], BOOL, |call| {
        Ok(Datum::Bool(Network::read(call, 0)?.meets(&Network::read(call, 1)?)))
    }),
    strict("network_add", &[INET, INT8], INET, |call| text(Network::read(call, 0)?.moved(call.int(1))?)),
    strict("network_add", &[INT8, INET], INET, |call| text(Network::read(call, 1)?.moved(call.int(0))?)),
    strict("network_minus", &[INET, INT8], INET, |call| {
        let by = call.int(1).checked_neg().ok_or_else(out_of_range)?;
        text(Network::read(call, 0)?.moved(by)?)
    }),
    strict("network_minus", &[INET, INET], INT8, |call| {
        let (one, other) = (Network::read(call, 0)?, Network::read(call, 1)?);
        if one.is_v6() != other.is_v6() {
            return Err(invalid("cannot subtract inet values of different sizes"));
        }
        let (one, other) = (one.prefix(one.whole()), other.prefix(other.whole()));
        let distance = i64::try_from(one.abs_diff(other)).map_err(|_| out_of_range())?;
        Ok(Datum::Int(if one < other { -distance } else { distance }))
    }),
];

fn out_of_range() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "result is out of range")
}

/// An address and the bits of its network.
struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// An argument, as it prints.
    fn read(call: &Call<'_>, index: usize) -> SqlResult<Self> {
        let shown = call.text(index);
        let malformed = || invalid(format!("invalid address: \"{shown}\""));
        let (address, bits) = match shown.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().map_err(|_| malformed())?)),
            None => (shown, None),
        };
        let address: IpAddr = address.parse().map_err(|_| malformed())?;
        let whole = if address.is_ipv6() { 128 } else { 32 };
        Ok(Self { address, bits: bits.unwrap_or(whole) })
    }

    fn whole(&self) -> u8 {
        if self.is_v6() { 128 } else { 32 }
    }

    /// An address so many further, in the same network's length.
    fn moved(&self, by: i64) -> SqlResult<String> {
        let number = self.prefix(self.whole());
        let moved = if by < 0 {
            number.checked_sub(by.unsigned_abs().into())
        } else {
            number.checked_add(by.unsigned_abs().into())
        };
        let moved = moved.ok_or_else(out_of_range)?;
        let address = match self.address {
            IpAddr::V4(_) => IpAddr::from(u32::try_from(moved).map_err(|_| out_of_range())?.to_be_bytes()),
            IpAddr::V6(_) => IpAddr::from(moved.to_be_bytes()),
        };
        Ok(if self.bits == self.whole() { address.to_string() } else { format!("{address}/{}", self.bits) })
    }

    /// The address with all bits set.
    fn all(&self) -> u128 {
        if self.is_v6() { u128::MAX } else { u128::from(u32::MAX) }
    }

    /// The bits of the network.
    fn mask(&self) -> u128 {
        let host = u32::from(self.whole() - self.bits);
        self.all().checked_shr(host).and_then(|ones| ones.checked_shl(host)).unwrap_or(0)
    }

    /// A number as an address of the same kind.
    fn at(&self, number: u128) -> String {
        match self.address {
            IpAddr::V4(_) => IpAddr::from(u32::try_from(number).unwrap_or(0).to_be_bytes()).to_string(),
            IpAddr::V6(_) => IpAddr::from(number.to_be_bytes()).to_string(),
        }
    }

    fn is_v6(&self) -> bool {
        self.address.is_ipv6()
    }

    fn with_bits(self, bits: i64) -> SqlResult<Self> {
        let whole = if self.is_v6() { 128 } else { 32 };
        let bits = if bits == -1 { whole } else { bits };
        match u8::try_from(bits) {
            Ok(length) if bits <= whole => Ok(Self { bits: length, ..self }),
            _ => Err(invalid(format!("invalid mask length: {bits}"))),
        }
    }

    /// The address with all bits behind the network's cleared, as a number.
    fn prefix(&self, bits: u8) -> u128 {
        let (number, whole) = match self.address {
            IpAddr::V4(address) => (u128::from(u32::from(address)), 32_u32),
            IpAddr::V6(address) => (u128::from(address), 128),
        };
        let host = whole.saturating_sub(u32::from(bits));
        number.checked_shr(host).and_then(|number| number.checked_shl(host)).unwrap_or(0)
    }

    /// Whether two networks have addresses in common.
    fn meets(&self, other: &Self) -> bool {
        let bits = self.bits.min(other.bits);
        self.is_v6() == other.is_v6() && self.prefix(bits) == other.prefix(bits)
    }

    fn network(&self) -> String {
        let prefix = self.prefix(self.bits);
        format!("{}/{}", self.at(prefix), self.bits)
    }
}
