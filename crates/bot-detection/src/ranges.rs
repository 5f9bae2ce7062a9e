//! Crawler verification by the address ranges that the operators publish.

use std::net::IpAddr;

use serde::Deserialize;

use super::BotRule;

/// The published address ranges of each crawler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CrawlerRanges {
    /// The names are in lower case. The ranges (first and last address) are sorted and disjoint.
    by_crawler: Vec<(String, Vec<(u128, u128)>)>,
}

/// The format in which Google, Bing, `OpenAI`, Apple and others publish their ranges.
#[derive(Deserialize)]
struct PublishedRanges {
    prefixes: Vec<PublishedPrefix>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PublishedPrefix {
    ipv4_prefix: Option<String>,
    ipv6_prefix: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum RangesError {
    #[error(
        "invalid JSON, expected {{\"prefixes\": [{{\"ipv4Prefix\": …}}, {{\"ipv6Prefix\": …}}]}}: {0}"
    )]
    InvalidJson(#[from] serde_json::Error),
    #[error("{0:?} is not an address range in CIDR notation")]
    InvalidRange(String),
    /// Refused, because every visit that names the crawler would fail verification.
    #[error("the file contains no address ranges")]
    Empty,
}

impl CrawlerRanges {
    /// Adds a file with ranges of a crawler. A crawler may have several files.
    pub fn add(&mut self, name: &str, published: &str) -> Result<(), RangesError> {
        let published: PublishedRanges = serde_json::from_str(published)?;
        let prefixes = published.prefixes.into_iter();
        let texts = prefixes.flat_map(|prefix| [prefix.ipv4_prefix, prefix.ipv6_prefix]);
        let parse = |text: String| parse_range(&text).ok_or(RangesError::InvalidRange(text));
        let mut ranges = texts.flatten().map(parse).collect::<Result<Vec<_>, _>>()?;
        if ranges.is_empty() {
            return Err(RangesError::Empty);
        }
        let name = name.to_ascii_lowercase();
        if let Some(known) = self.by_crawler.iter().position(|(one, _)| *one == name) {
            ranges.extend(self.by_crawler.swap_remove(known).1);
        }
        ranges.sort_unstable();
        ranges.dedup_by(|next, last| {
            let overlap = next.0 <= last.1;
            last.1 = if overlap { last.1.max(next.1) } else { last.1 };
            overlap
        });
        self.by_crawler.push((name, ranges));
        Ok(())
    }

    /// Checks whether the address belongs to the crawler `name`. Returns `None` without ranges of
    /// that crawler. The ranges of `Googlebot` also apply to `Googlebot-Image`; the longest name
    /// wins.
    #[must_use]
    pub fn verify(&self, name: &str, ip: IpAddr) -> Option<BotRule> {
        let is_of = |one: &str| {
            let start = name.get(..one.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(one))
        };
        let known = self.by_crawler.iter().filter(|(one, _)| is_of(one));
        let (_, ranges) = known.max_by_key(|(one, _)| one.len())?;
        let ip = address_bits(ip);
        let after = ranges.partition_point(|(first, _)| *first <= ip);
        let is_inside = after > 0 && ip <= ranges[after - 1].1;
        Some(if is_inside {
            BotRule::VerifiedCrawler
        } else {
            BotRule::SpoofedCrawler
        })
    }
}

/// Converts an address to a number. An IPv4 address becomes its IPv4-mapped IPv6 address.
fn address_bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// Returns the first and last address of a network such as `66.249.64.0/27`.
fn parse_range(text: &str) -> Option<(u128, u128)> {
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let length: u32 = length.parse().ok()?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let free = width - Some(length).filter(|length| *length <= width)?;
    let inside = 1_u128.checked_shl(free).map_or(u128::MAX, |size| size - 1);
    let first = address_bits(address) & !inside;
    Some((first, first | inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_from_elsewhere_is_a_pretender() {
        let mut ranges = CrawlerRanges::default();
        let google = r#"{"creationTime": "2026-11-01T00:00:00", "prefixes": [
            {"ipv6Prefix": "2001:4860:4801:10::/64"}, {"ipv4Prefix": "66.249.64.32/27"},
            {"ipv4Prefix": "66.249.64.0/27"}]}"#;
        ranges.add("Googlebot", google).unwrap();
        ranges
            .add(
                "googlebot",
                r#"{"prefixes": [{"ipv4Prefix": "192.0.2.0/24"}]}"#,
            )
            .unwrap();
        ranges
            .add("All", r#"{"prefixes": [{"ipv6Prefix": "::/0"}]}"#)
            .unwrap();
        let judge = |name: &str, ip: &str| ranges.verify(name, ip.parse().unwrap());
        for (name, ip) in [
            ("Googlebot", "66.249.64.0"),
            ("googlebot", "66.249.64.63"),
            ("Googlebot-Image", "192.0.2.255"),
            ("Googlebot", "2001:4860:4801:10:ffff::1"),
            ("All", "203.0.113.9"),
        ] {
            assert_eq!(
                judge(name, ip),
                Some(BotRule::VerifiedCrawler),
                "{name} {ip}"
            );
        }
        for ip in [
            "66.249.64.64",
            "66.249.63.255",
            "2001:4860:4801:11::",
            "::42f9:4001",
        ] {
            assert_eq!(
                judge("Googlebot", ip),
                Some(BotRule::SpoofedCrawler),
                "{ip}"
            );
        }
        assert_eq!(judge("Google", "66.249.64.0"), None);
        assert_eq!(judge("bingbot", "66.249.64.0"), None);
    }

    #[test]
    fn what_is_not_of_the_form_is_refused() {
        let mut ranges = CrawlerRanges::default();
        let with = |range: &str| format!(r#"{{"prefixes": [{{"ipv4Prefix": "{range}"}}]}}"#);
        for wrong in [
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0/8",
            "::/129",
            "a/8",
            "10.0.0.0/-1",
        ] {
            let refused = ranges.add("a", &with(wrong));
            assert!(
                matches!(refused, Err(RangesError::InvalidRange(_))),
                "{wrong}"
            );
        }
        assert!(matches!(
            ranges.add("a", "[]"),
            Err(RangesError::InvalidJson(_))
        ));
        let empty = ranges.add("a", r#"{"prefixes": []}"#);
        assert!(matches!(empty, Err(RangesError::Empty)));
        assert_eq!(ranges, CrawlerRanges::default());
    }
}
