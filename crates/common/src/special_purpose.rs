//! Addresses that are reserved for a special purpose, and so are neither places nor hosts of the
//! public internet.

use crate::embedded_ipv4::canonical_address;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// The purpose of a reserved address: the IANA special-purpose address registries (RFC 6890 and
/// its updates) and the multicast ranges (RFC 5771, RFC 4291).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialPurpose {
    /// `0.0.0.0/8`, `::`.
    Unspecified,
    /// RFC 1918.
    Private,
    /// RFC 6598: shared by a carrier's customers.
    CarrierGradeNat,
    /// `127.0.0.0/8`, `::1`.
    Loopback,
    /// RFC 3927, RFC 4291.
    LinkLocal,
    /// RFC 4193.
    UniqueLocal,
    /// RFC 5737, RFC 3849, RFC 9637.
    Documentation,
    /// RFC 2544, RFC 5180.
    Benchmarking,
    Multicast,
    Broadcast,
    /// RFC 6666.
    DiscardOnly,
    /// IETF protocol assignments and addresses reserved for future use.
    ProtocolAssignment,
    /// Reserved according to a provider, for an unknown purpose.
    Other,
}

impl fmt::Display for SpecialPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "unspecified",
            Self::Private => "private",
            Self::CarrierGradeNat => "shared address space (CGNAT)",
            Self::Loopback => "loopback",
            Self::LinkLocal => "link-local",
            Self::UniqueLocal => "unique-local",
            Self::Documentation => "reserved for documentation",
            Self::Benchmarking => "reserved for benchmarking",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::DiscardOnly => "discard-only",
            Self::ProtocolAssignment => "reserved by IANA",
            Self::Other => "reserved",
        })
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(a: u16, b: u16, c: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), length)
}

/// Searched in order, so that narrower networks come before wider ones.
const SPECIAL_PURPOSE_IPV4: [(Ipv4Net, SpecialPurpose); 15] = [
    (v4(255, 255, 255, 255, 32), SpecialPurpose::Broadcast),
    (v4(0, 0, 0, 0, 8), SpecialPurpose::Unspecified),
    (v4(10, 0, 0, 0, 8), SpecialPurpose::Private),
    (v4(100, 64, 0, 0, 10), SpecialPurpose::CarrierGradeNat),
    (v4(127, 0, 0, 0, 8), SpecialPurpose::Loopback),
    (v4(169, 254, 0, 0, 16), SpecialPurpose::LinkLocal),
    (v4(172, 16, 0, 0, 12), SpecialPurpose::Private),
    (v4(192, 0, 0, 0, 24), SpecialPurpose::ProtocolAssignment),
    (v4(192, 0, 2, 0, 24), SpecialPurpose::Documentation),
    (v4(192, 168, 0, 0, 16), SpecialPurpose::Private),
    (v4(198, 18, 0, 0, 15), SpecialPurpose::Benchmarking),
    (v4(198, 51, 100, 0, 24), SpecialPurpose::Documentation),
    (v4(203, 0, 113, 0, 24), SpecialPurpose::Documentation),
    (v4(224, 0, 0, 0, 4), SpecialPurpose::Multicast),
    (v4(240, 0, 0, 0, 4), SpecialPurpose::ProtocolAssignment),
];

const SPECIAL_PURPOSE_IPV6: [(Ipv6Net, SpecialPurpose); 9] = [
    (v6(0x100, 0, 0, 64), SpecialPurpose::DiscardOnly),
    (v6(0x2001, 2, 0, 48), SpecialPurpose::Benchmarking),
    (v6(0x2001, 0x10, 0, 28), SpecialPurpose::ProtocolAssignment),
    (v6(0x2001, 0xdb8, 0, 32), SpecialPurpose::Documentation),
    (v6(0x3fff, 0, 0, 20), SpecialPurpose::Documentation),
    (v6(0x5f00, 0, 0, 16), SpecialPurpose::ProtocolAssignment),
    (v6(0xfc00, 0, 0, 7), SpecialPurpose::UniqueLocal),
    (v6(0xfe80, 0, 0, 10), SpecialPurpose::LinkLocal),
    (v6(0xff00, 0, 0, 8), SpecialPurpose::Multicast),
];

/// Returns the purpose of a reserved address. An IPv4-mapped IPv6 address has that of the IPv4
/// address.
#[must_use]
pub fn special_purpose(address: IpAddr) -> Option<SpecialPurpose> {
    match canonical_address(address) {
        IpAddr::V4(ip) => find_purpose(&SPECIAL_PURPOSE_IPV4, |net| net.contains(&ip)),
        IpAddr::V6(ip) if ip.is_loopback() => Some(SpecialPurpose::Loopback),
        IpAddr::V6(ip) if ip.is_unspecified() => Some(SpecialPurpose::Unspecified),
        IpAddr::V6(ip) => find_purpose(&SPECIAL_PURPOSE_IPV6, |net| net.contains(&ip)),
    }
}

fn find_purpose<N>(
    registry: &[(N, SpecialPurpose)],
    contains: impl Fn(&N) -> bool,
) -> Option<SpecialPurpose> {
    registry
        .iter()
        .find(|(net, _)| contains(net))
        .map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_have_the_purpose_of_their_ipv4_address() {
        let of = |text: &str| special_purpose(text.parse().unwrap());
        assert_eq!(of("::ffff:10.0.0.1"), Some(SpecialPurpose::Private));
        assert_eq!(of("::ffff:8.8.8.8"), None);
    }
}
