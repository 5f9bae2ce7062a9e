//! The IP addresses to which requests with a stranger's URL may connect (protection against SSRF).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use common::special_purpose::special_purpose;

/// Whether the address belongs to the public internet, according to IANA's registries of
/// special-purpose addresses.
#[must_use]
pub fn is_public_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    // geo locates the deprecated 6to4 relays, but a request to one has no destination.
    let is_6to4_relay = address.octets()[..3] == [192, 88, 99];
    special_purpose(address.into()).is_none() && !is_6to4_relay
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(v4) = address.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    let s = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match s {
        // NAT64 and 6to4 translate to an IPv4 address, which is checked.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            is_public_v4(v4(high, low))
        }
        // IETF protocols, such as Teredo.
        [0x2001, second, ..] if second < 0x200 => false,
        // The only block of global unicast addresses that IANA allocates.
        [first, ..] => first & 0xe000 == 0x2000 && special_purpose(address.into()).is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_public() {
        let of = |text: &str| is_public_address(text.parse().unwrap());
        for public in [
            "8.8.8.8",
            "1.1.1.1",
            "100.128.0.1",
            "2606:4700::1111",
            "64:ff9b::808:808",
            "::ffff:8.8.8.8",
        ] {
            assert!(of(public), "{public}");
        }
        for special in [
            "0.0.0.0",
            "10.0.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "::127.0.0.1",
            "100::1",
        ] {
            assert!(!of(special), "{special}");
        }
    }
}
