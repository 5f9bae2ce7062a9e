//! IPv6 addresses that stand for an IPv4 address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Converts an IPv6 address that stands for an IPv4 address to this IPv4 address: IPv4-mapped ones
/// (`::ffff:192.0.2.1`) and those of NAT64, with the well-known prefix `64:ff9b::/96` (RFC 6052)
/// and the prefix `64:ff9b:1::/48` for local use (RFC 8215). Other addresses stay as they are.
#[must_use]
pub fn canonical_address(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => translated_by_nat64(ip).map_or(IpAddr::V6(ip), IpAddr::V4),
        ip @ IpAddr::V4(_) => ip,
    }
}

fn translated_by_nat64(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = address.octets();
    let (prefix, last) = octets.split_last_chunk::<4>()?;
    match *prefix {
        // With a prefix of 48 bits, the address surrounds the byte 8, which is zero (RFC 6052,
        // section 2.2). Most networks use a prefix of 96 bits within this one.
        [
            0,
            0x64,
            0xff,
            0x9b,
            0,
            1,
            first,
            second,
            0,
            third,
            fourth,
            0,
        ] if *last == [0; 4] => Some(Ipv4Addr::new(first, second, third, fourth)),
        [0, 0x64, 0xff, 0x9b, 0, 1, ..] | [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0] => {
            Some(Ipv4Addr::from(*last))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_addresses_are_found() {
        for (address, canonical) in [
            ("64:ff9b::5102:458e", "81.2.69.142"),
            ("64:ff9b::81.2.69.142", "81.2.69.142"),
            ("64:ff9b:1::81.2.69.142", "81.2.69.142"),
            ("64:ff9b:1:7:8:9:5102:458e", "81.2.69.142"),
            ("64:ff9b:1:5102:45:8e00::", "81.2.69.142"),
            ("::ffff:81.2.69.142", "81.2.69.142"),
            ("81.2.69.142", "81.2.69.142"),
            ("64:ff9b:0:1::5102:458e", "64:ff9b:0:1::5102:458e"),
            ("64:ff9b:2::5102:458e", "64:ff9b:2::5102:458e"),
            ("2001:db8::5102:458e", "2001:db8::5102:458e"),
        ] {
            let found = canonical_address(address.parse().unwrap());
            assert_eq!(found, canonical.parse::<IpAddr>().unwrap(), "{address}");
        }
    }
}
