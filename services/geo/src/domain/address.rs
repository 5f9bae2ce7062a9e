//! Parses IP addresses and refuses special-purpose ones, which have no location.

use common::embedded_ipv4::canonical_address;
use std::net::IpAddr;

use common::special_purpose::{SpecialPurpose, special_purpose};

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

/// Parses an address that can have a location. IPv6 addresses that stand for an IPv4 address, such as
/// `::ffff:81.2.69.142` and `64:ff9b::81.2.69.142` (NAT64), become IPv4.
pub fn parse_address(text: &str) -> Result<IpAddr, LocateError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(LocateError::Required);
    }
    let address: IpAddr = text.parse().map_err(|_| LocateError::Invalid)?;
    let address = canonical_address(address);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_behind_nat64_is_the_ipv4_address() {
        let ipv4 = Ok("81.2.69.142".parse().unwrap());
        assert_eq!(parse_address("64:ff9b::5102:458e"), ipv4);
        assert_eq!(parse_address("64:ff9b:1::5102:458e"), ipv4);
        let private = Err(LocateError::Reserved(SpecialPurpose::Private));
        assert_eq!(parse_address("64:ff9b::10.1.2.3"), private);
    }

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
