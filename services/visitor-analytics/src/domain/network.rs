//! The network of an address, for use where the address itself must not appear.

use common::embedded_ipv4::canonical_address;
use std::net::IpAddr;

use ipnet::IpNet;

/// Roughly the largest network that one household, office or server gets.
const IPV4_PREFIX_BITS: u8 = 24;
const IPV6_PREFIX_BITS: u8 = 48;

/// Returns the /24 (IPv4) or /48 (IPv6) network of an address.
#[must_use]
pub fn network_of(address: IpAddr) -> IpNet {
    let address = canonical_address(address);
    let prefix = match address {
        IpAddr::V4(_) => IPV4_PREFIX_BITS,
        IpAddr::V6(_) => IPV6_PREFIX_BITS,
    };
    IpNet::new_assert(address, prefix).trunc()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_have_one_network() {
        for (address, network) in [
            ("203.0.113.77", "203.0.113.0/24"),
            ("::ffff:203.0.113.9", "203.0.113.0/24"),
            ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(network_of(address).to_string(), network);
        }
    }
}
