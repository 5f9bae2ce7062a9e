//! Settings of sites, and their validation.

use common::embedded_ipv4::canonical_address;
use std::collections::BTreeSet;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use ipnet::IpNet;
use rollups::pattern::WildcardPattern;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::visit::{self, ValidationError};

const MAX_SITE_ALIASES: usize = 100;
/// The limit for ignored networks, and for ignored paths.
const MAX_IGNORE_RULES: usize = 100;

const MAX_SITE_PROPERTIES: usize = 10;
const MAX_PROPERTY_NAME_BYTES: usize = 64;

/// A new site with its settings.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SubmittedSite, example = json!({
    "domain": "example.com", "time_zone": "Europe/Berlin", "aliases": ["www.example.com"]
}))]
pub struct SubmittedSite {
    /// A host name such as `example.com`.
    pub domain: String,
    // utoipa would show a doc comment as the text of a field.
    #[serde(flatten)]
    pub settings: SubmittedSiteSettings,
}

/// Settings of a site. Omitted fields remain unchanged.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[schema(as = SubmittedSettings, example = json!({"time_zone": "Europe/Berlin"}))]
pub struct SubmittedSiteSettings {
    /// The IANA name of the time zone in which reports count the days of the site. `UTC` for a new
    /// site.
    pub time_zone: Option<String>,
    /// All other domains of the site, at most 100. Visits recorded for them from now on belong to
    /// the site.
    pub aliases: Option<Vec<String>>,
    /// All addresses and networks (CIDR) whose visits are not stored, such as those of an office.
    /// At most 100.
    pub ignored_addresses: Option<Vec<String>>,
    /// All paths whose visits are not stored, at most 100. `*` matches any characters.
    pub ignored_paths: Option<Vec<String>>,
    /// The names of all properties of visits that reports count: at most 10, each with 1 to 64
    /// bytes. A change recomputes all days of the site.
    pub properties: Option<Vec<String>>,
    /// The number of days for which visits are kept, 1 to 36,500. Whole months are deleted. If the
    /// retention of the service is shorter, that one applies. `null` removes the setting.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 36_500)]
    pub retention_days: Option<Option<u32>>,
}

/// Valid settings. `None` leaves a setting unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteSettings {
    pub time_zone: Option<Tz>,
    pub aliases: Option<BTreeSet<String>>,
    /// Networks in CIDR notation.
    pub ignored_addresses: Option<Vec<String>>,
    /// Patterns with the wildcard `*`.
    pub ignored_paths: Option<Vec<String>>,
    /// Sorted, without duplicates.
    pub properties: Option<Vec<String>>,
    /// `Some(None)` removes the setting.
    pub retention_days: Option<Option<u32>>,
}

/// The rules by which a site ignores visits.
#[derive(Clone, Debug, Default)]
pub struct SiteIgnoreRules {
    networks: Vec<IpNet>,
    paths: Vec<WildcardPattern>,
    retention_start: Option<DateTime<Utc>>,
}

impl SiteIgnoreRules {
    /// Creates the rules from valid settings. Visits before `retention_start` are ignored, because the
    /// retention of the site has expired.
    #[must_use]
    pub fn new(
        addresses: &[String],
        paths: &[String],
        retention_start: Option<DateTime<Utc>>,
    ) -> Self {
        Self {
            networks: addresses
                .iter()
                .filter_map(|text| parse_network(text))
                .collect(),
            paths: paths
                .iter()
                .filter_map(|path| WildcardPattern::parse_path(path).ok())
                .collect(),
            retention_start,
        }
    }

    /// Whether a visit from `ip` to `path` at the time `at` is ignored.
    #[must_use]
    pub fn matches(&self, ip: IpAddr, path: &str, at: DateTime<Utc>) -> bool {
        self.retention_start.is_some_and(|since| at < since)
            || self.networks.iter().any(|network| network.contains(&ip))
            || self.paths.iter().any(|pattern| pattern.matches(path))
    }
}

/// Parses a network in CIDR notation or a single address.
fn parse_network(text: &str) -> Option<IpNet> {
    let address = text.parse::<IpAddr>().ok();
    let address = address.map(|ip| IpNet::from(canonical_address(ip)));
    address.or_else(|| text.parse::<IpNet>().ok().map(|network| network.trunc()))
}

fn validate_ignored_addresses(texts: &[String]) -> Result<Vec<String>, ValidationError> {
    let networks = texts.iter().map(|text| parse_network(text.trim()));
    let networks: Option<Vec<IpNet>> = networks.collect();
    let networks = networks.filter(|networks| networks.len() <= MAX_IGNORE_RULES);
    let networks = networks.ok_or(ValidationError::IgnoredAddresses)?;
    Ok(networks.iter().map(ToString::to_string).collect())
}

fn validate_ignored_paths(paths: Vec<String>) -> Result<Vec<String>, ValidationError> {
    let is_good = |path: &String| {
        path.starts_with(['/', '*'])
            && !path.contains('\0')
            && WildcardPattern::parse_path(path).is_ok()
    };
    let are_good = paths.len() <= MAX_IGNORE_RULES && paths.iter().all(is_good);
    are_good
        .then_some(paths)
        .ok_or(ValidationError::IgnoredPaths)
}

/// Distinguishes `null`, which removes the setting (RFC 7396), from an omitted field.
#[expect(
    clippy::option_option,
    reason = "an omitted field, null and a number have different meanings"
)]
fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(from).map(Some)
}

fn validate_retention_days(days: Option<u32>) -> Result<Option<u32>, ValidationError> {
    let are_good = days.is_none_or(|days| (1..=36_500).contains(&days));
    are_good
        .then_some(days)
        .ok_or(ValidationError::RetentionDays)
}

fn validate_property_names(names: Vec<String>) -> Result<Vec<String>, ValidationError> {
    let is_good = |name: &String| {
        (1..=MAX_PROPERTY_NAME_BYTES).contains(&name.len()) && !name.contains(['=', '\0'])
    };
    let names: BTreeSet<String> = names.into_iter().collect();
    let are_good = names.len() <= MAX_SITE_PROPERTIES && names.iter().all(is_good);
    let names = are_good.then(|| names.into_iter().collect());
    names.ok_or(ValidationError::SiteProperties)
}

impl SiteSettings {
    /// Validates the settings of the site `domain`.
    pub fn accept(domain: &str, from: SubmittedSiteSettings) -> Result<Self, ValidationError> {
        let zone = from
            .time_zone
            .map(|name| name.parse().map_err(|_| ValidationError::TimeZone));
        let aliases = from.aliases.map(|names| {
            let aliases = names.iter().map(|name| visit::normalize_domain(name));
            let aliases: Result<BTreeSet<String>, _> = aliases.collect();
            let aliases = aliases.map_err(|_| ValidationError::Aliases)?;
            let is_good = aliases.len() <= MAX_SITE_ALIASES && !aliases.contains(domain);
            is_good.then_some(aliases).ok_or(ValidationError::Aliases)
        });
        let addresses = from
            .ignored_addresses
            .as_deref()
            .map(validate_ignored_addresses);
        Ok(Self {
            time_zone: zone.transpose()?,
            aliases: aliases.transpose()?,
            ignored_addresses: addresses.transpose()?,
            ignored_paths: from.ignored_paths.map(validate_ignored_paths).transpose()?,
            properties: from.properties.map(validate_property_names).transpose()?,
            retention_days: from
                .retention_days
                .map(validate_retention_days)
                .transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_site_does_not_want_is_known_by_address_and_path() {
        let ignored = SiteIgnoreRules::new(
            &["81.2.69.142".into(), "2a02:6b8::/32".into()],
            &["/admin*".into(), "*.json".into()],
            Some(DateTime::UNIX_EPOCH),
        );
        let at = |ip: &str, path: &str, at| ignored.matches(ip.parse().unwrap(), path, at);
        let holds = |ip: &str, path: &str| at(ip, path, DateTime::UNIX_EPOCH);
        assert!(at("1.1.1.1", "/", DateTime::from_timestamp(-1, 0).unwrap()));
        assert!(holds("81.2.69.142", "/"));
        assert!(holds("2a02:6b8:1::7", "/"));
        assert!(holds("1.1.1.1", "/admin/users"));
        assert!(holds("1.1.1.1", "/api/a.json"));
        assert!(!holds("81.2.69.143", "/"));
        assert!(!holds("1.1.1.1", "/"));
        assert_eq!(
            validate_ignored_addresses(&["10.1.2.3/8".into(), "::ffff:1.2.3.4".into()]).unwrap(),
            ["10.0.0.0/8", "1.2.3.4/32"]
        );
        for wrong in ["", "10.0.0.0/33", "example.com"] {
            assert!(
                validate_ignored_addresses(&[wrong.into()]).is_err(),
                "{wrong}"
            );
        }
        assert!(validate_ignored_paths(vec!["admin".into()]).is_err());
    }

    #[test]
    fn properties_are_few_and_their_names_are_no_pairs() {
        let named = |names: &[&str]| {
            validate_property_names(names.iter().map(|n| (*n).to_owned()).collect())
        };
        assert_eq!(named(&["plan", "a b", "plan"]).unwrap(), ["a b", "plan"]);
        let long = "a".repeat(65);
        for wrong in ["", "a=b", "a\0", &long] {
            assert!(named(&[wrong]).is_err(), "{wrong}");
        }
        let many: Vec<String> = (0..11).map(|n| n.to_string()).collect();
        assert!(validate_property_names(many).is_err());
    }
}
