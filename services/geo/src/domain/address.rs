//! Parses IP addresses and refuses special-purpose ones, which have no location.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// Why an address cannot be located.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocateError {
    #[error("an address is required, such as ?ip=81.2.69.142")]
    Required,
    #[error("the address is not a valid IPv4 or IPv6 address")]
    Invalid,
    #[error("the address has no location, because it is {0}")]
    Reserved(SpecialPurpose),
    #[error("no database has this address")]
    NotFound,
}

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

/// Parses an address that can have a location. IPv4-mapped IPv6 addresses (`::ffff:81.2.69.142`)
/// become IPv4.
pub fn parse_address(text: &str) -> Result<IpAddr, LocateError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(LocateError::Required);
    }
    let address: IpAddr = text.parse().map_err(|_| LocateError::Invalid)?;
    let address = address.to_canonical();
    match special_purpose(address) {
        Some(kind) => Err(LocateError::Reserved(kind)),
        None => Ok(address),
    }
}

/// The canonical text of `ip`, which was parsed from `text`. IPv4 has a single spelling, so that
/// the input is reused.
#[must_use]
pub fn canonical_text(text: &str, ip: IpAddr) -> String {
    if text.contains(':') {
        ip.to_string()
    } else {
        text.trim().to_owned()
    }
}

fn special_purpose(address: IpAddr) -> Option<SpecialPurpose> {
    match address {
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
    fn every_kind_of_reserved_address_is_named() {
        let cases = [
            ("0.1.2.3", SpecialPurpose::Unspecified),
            ("10.1.2.3", SpecialPurpose::Private),
            ("172.31.255.255", SpecialPurpose::Private),
            ("192.168.0.1", SpecialPurpose::Private),
            ("100.127.0.1", SpecialPurpose::CarrierGradeNat),
            ("127.0.0.1", SpecialPurpose::Loopback),
            ("::1", SpecialPurpose::Loopback),
            ("::", SpecialPurpose::Unspecified),
            ("169.254.169.254", SpecialPurpose::LinkLocal),
            ("fe80::1", SpecialPurpose::LinkLocal),
            ("fd12::1", SpecialPurpose::UniqueLocal),
            ("192.0.2.7", SpecialPurpose::Documentation),
            ("2001:db8::1", SpecialPurpose::Documentation),
            ("3fff::1", SpecialPurpose::Documentation),
            ("198.19.0.1", SpecialPurpose::Benchmarking),
            ("2001:2::1", SpecialPurpose::Benchmarking),
            ("239.0.0.1", SpecialPurpose::Multicast),
            ("ff02::1", SpecialPurpose::Multicast),
            ("255.255.255.255", SpecialPurpose::Broadcast),
            ("250.0.0.1", SpecialPurpose::ProtocolAssignment),
            ("100::1", SpecialPurpose::DiscardOnly),
            ("::ffff:10.0.0.1", SpecialPurpose::Private),
        ];
        for (text, kind) in cases {
            assert_eq!(
                parse_address(text),
                Err(LocateError::Reserved(kind)),
                "{text}"
            );
        }
    }

    #[test]
    fn neighbours_of_reserved_ranges_are_places() {
        for text in [
            "9.255.255.255",
            "11.0.0.0",
            "172.32.0.0",
            "100.128.0.0",
            "198.20.0.0",
            "2001:db9::1",
        ] {
            assert_eq!(parse_address(text), Ok(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        assert_eq!(parse_address(" "), Err(LocateError::Required));
        for text in ["1.2.3", "1.2.3.4.5", "localhost", "1.2.3.4/24", "01.2.3.4"] {
            assert_eq!(parse_address(text), Err(LocateError::Invalid), "{text}");
        }
        assert_eq!(
            parse_address(" ::ffff:81.2.69.142 "),
            Ok("81.2.69.142".parse().unwrap())
        );
    }

    #[test]
    fn an_address_has_one_spelling() {
        for (text, spelling) in [
            (" 81.2.69.142 ", "81.2.69.142"),
            ("::ffff:81.2.69.142", "81.2.69.142"),
            ("2A02:D0C0:0::1", "2a02:d0c0::1"),
        ] {
            assert_eq!(canonical_text(text, parse_address(text).unwrap()), spelling);
        }
    }
}
