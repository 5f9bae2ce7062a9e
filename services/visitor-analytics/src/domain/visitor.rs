//! Telling visitors apart without knowing them.

use std::net::IpAddr;

use aws_lc_rs::hmac;

/// A day's random key; who does not have it cannot go from a visitor id back to an address.
pub type Salt = [u8; 32];

/// A visitor's id for a day: a keyed hash (HMAC-SHA-256, 128 bits of it, in hex) of site, address
/// and user agent.
#[must_use]
pub fn daily_id(salt: &Salt, site: &str, ip: IpAddr, user_agent: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, salt);
    let mut hash = hmac::Context::with_key(&key);
    // The parts cannot run into each other: no site or address contains a line's end.
    hash.update(site.as_bytes());
    hash.update(b"\n");
    hash.update(ip.to_string().as_bytes());
    hash.update(b"\n");
    hash.update(user_agent.as_bytes());
    let tag = hash.sign();
    let mut id = String::with_capacity(32);
    for byte in &tag.as_ref()[..16] {
        id.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or_default());
        id.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or_default());
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn site_address_agent_and_day_each_make_another_visitor() {
        let ip: IpAddr = "81.2.69.142".parse().unwrap();
        let id = daily_id(&[1; 32], "a.example", ip, "Firefox");
        assert_eq!(id.len(), 32);
        assert_eq!(id, daily_id(&[1; 32], "a.example", ip, "Firefox"));
        let others = [
            daily_id(&[2; 32], "a.example", ip, "Firefox"),
            daily_id(&[1; 32], "b.example", ip, "Firefox"),
            daily_id(
                &[1; 32],
                "a.example",
                "81.2.69.143".parse().unwrap(),
                "Firefox",
            ),
            daily_id(&[1; 32], "a.example", ip, "Chrome"),
        ];
        assert!(others.iter().all(|other| *other != id));
    }
}
