//! A site's settings.

use std::collections::BTreeSet;

use chrono_tz::Tz;
use serde::Deserialize;
use utoipa::ToSchema;

use super::visit::{self, Invalid};

/// Other domains of a site.
const MOST_ALIASES: usize = 100;

/// A new site.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SubmittedSite, example = json!({
    "domain": "example.com", "time_zone": "Europe/Berlin", "aliases": ["www.example.com"]
}))]
pub struct Submitted {
    /// Such as `example.com`.
    pub domain: String,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "its text would be that of a field")]
    pub settings: SubmittedSettings,
}

/// What may be changed of a site; what is left out stays as it is.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[schema(as = SubmittedSettings, example = json!({"time_zone": "Europe/Berlin"}))]
pub struct SubmittedSettings {
    /// An IANA name; its days are the site's days. `UTC` without it.
    pub time_zone: Option<String>,
    /// All of its other domains: what is recorded for them is the site's from then on.
    pub aliases: Option<Vec<String>>,
}

/// Settings that can be kept; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whose clock tells the days.
    pub zone: Option<Tz>,
    /// Other domains.
    pub aliases: Option<BTreeSet<String>>,
}

impl Settings {
    /// Accepts settings of a site, or says what is wrong with them.
    pub fn accept(domain: &str, from: SubmittedSettings) -> Result<Self, Invalid> {
        let zone = from
            .time_zone
            .map(|name| name.parse().map_err(|_| Invalid::TimeZone));
        let aliases = from.aliases.map(|names| {
            let aliases = names.iter().map(|name| visit::site(name));
            let aliases: Result<BTreeSet<String>, _> = aliases.collect();
            let aliases = aliases.map_err(|_| Invalid::Aliases)?;
            let is_good = aliases.len() <= MOST_ALIASES && !aliases.contains(domain);
            is_good.then_some(aliases).ok_or(Invalid::Aliases)
        });
        Ok(Self {
            zone: zone.transpose()?,
            aliases: aliases.transpose()?,
        })
    }
}
