//! Settings and subcommands. No other module reads the environment.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use bot_detection::CrawlerRanges;
use chassis::database::DatabaseArgs;
use chassis::settings::{ServiceArgs, service_url};
use chrono::{NaiveDate, TimeDelta};
use url::Url;

use crate::clients::dns::DnsVerifier;
use crate::domain::privacy::{IpStorage, PrivacyPolicy, RetentionPeriod};
use crate::domain::session::{NotifyPolicy, NotifyTrigger};
use crate::domain::source::QueryParameterAllowlist;
use crate::domain::visitor_id::VisitorIdLifetime;

/// Records visits to websites, detects bots and reports on the visitors.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "visitor-analytics", version)]
pub struct Config {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub service: ServiceArgs,
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Base URL of the geo service, such as `http://geo.railway.internal:8000`.
    #[arg(long, env = "GEO_SERVICE_URL", value_parser = service_url)]
    pub geo_service_url: Url,
    /// Base URL of the notification service, such as `http://notification.railway.internal:8000`.
    #[arg(long, env = "NOTIFICATION_SERVICE_URL", value_parser = service_url)]
    pub notification_service_url: Url,
    /// Maximum age of a visit on arrival for its session to be announced. A whole number with a
    /// unit: `90s`, `15m`, `2h`, `1d`; at most ten years.
    #[arg(long, env = "NOTIFY_MAX_AGE", default_value = "15m", value_parser = parse_duration)]
    pub notify_max_age: TimeDelta,
    /// When a person's session is announced to the notification service. Each session is announced
    /// at most once.
    #[arg(long, env = "NOTIFY_WHEN", value_enum, default_value_t)]
    pub notify_when: NotifyTrigger,
    /// Files with the IP address ranges of crawlers, as the crawlers' owners publish them:
    /// `Googlebot=googlebot.json,bingbot=bingbot.json`. A visit with the user agent of such a
    /// crawler but from another address is classified as a spoofed crawler.
    #[arg(long, env = "CRAWLER_RANGES", value_delimiter = ',', value_parser = parse_crawler_file)]
    pub crawler_ranges: Vec<(String, PathBuf)>,
    /// Whether crawlers are verified by DNS (forward-confirmed reverse DNS). Applies to crawlers
    /// whose owner publishes host names and that have no file in `CRAWLER_RANGES`. Verification
    /// runs in the background and does not delay visits.
    #[arg(long, env = "CRAWLER_DNS", value_enum, default_value_t)]
    pub crawler_dns: OnOff,
    /// Name server for crawler verification, such as `192.0.2.53:53`. Default: the name servers of
    /// the system.
    #[arg(long, env = "CRAWLER_DNS_SERVER")]
    pub crawler_dns_server: Option<SocketAddr>,
    /// Maximum number of sites that visits and events may create within 24 hours; 0 for none.
    /// Visits and events of further sites are refused until the site is added with `POST /sites`.
    #[arg(long, env = "MAX_NEW_SITES_PER_DAY", default_value_t = 20)]
    pub max_new_sites_per_day: u32,
    #[command(flatten)]
    pub privacy: PrivacyArgs,
}

/// Privacy and retention settings.
#[derive(Clone, Debug, clap::Args)]
pub struct PrivacyArgs {
    /// How long a visitor keeps the same id if the site does not send one. The id is derived from
    /// the address with a secret key, which is deleted after the period.
    #[arg(long, env = "VISITOR_ID", value_enum, default_value_t)]
    pub visitor_id: VisitorIdLifetime,
    /// How much of a visitor's IP address is stored with each visit.
    #[arg(long, env = "STORE_IP", value_enum, default_value_t)]
    pub store_ip: IpStorage,
    /// Whether `DNT: 1` and `Sec-GPC: 1` are respected. With `on`, each visit with such a header
    /// counts as a new visitor, is stored without address and user id, and is not announced.
    #[arg(long, env = "RESPECT_DNT", value_enum, default_value_t)]
    pub respect_dnt: OnOff,
    /// Number of days for which visits are kept, from 1 to 36500. Older visits are removed, a month
    /// at a time, and refused on arrival. Default: visits are kept forever.
    #[arg(long, env = "RETENTION_DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub retention_days: Option<u32>,
    /// Comma-separated names of query parameters to store with page URLs, in addition to those of
    /// campaigns and lists (`page`, `sort`, `lang`, …); `*` for all. Other parameters and values
    /// that look like email addresses are removed before anything is stored.
    #[arg(long, env = "KEEP_PARAMETERS", default_value = "")]
    pub keep_parameters: QueryParameterAllowlist,
}

/// A switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OnOff {
    /// Enabled.
    On,
    /// Disabled.
    #[default]
    Off,
}

impl Config {
    #[must_use]
    pub fn notify_policy(&self) -> NotifyPolicy {
        NotifyPolicy {
            max_age: self.notify_max_age,
            trigger: self.notify_when,
        }
    }

    pub fn load_crawler_ranges(&self) -> anyhow::Result<CrawlerRanges> {
        let mut ranges = CrawlerRanges::default();
        for (name, path) in &self.crawler_ranges {
            let unusable = || format!("CRAWLER_RANGES: {name}={}", path.display());
            let published = std::fs::read_to_string(path).with_context(unusable)?;
            ranges.add(name, &published).with_context(unusable)?;
        }
        Ok(ranges)
    }

    /// Returns `None` if crawlers are not verified by DNS.
    pub fn dns_verifier(&self) -> anyhow::Result<Option<DnsVerifier>> {
        let is_enabled = self.crawler_dns == OnOff::On;
        let dns = is_enabled.then(|| DnsVerifier::new(self.crawler_dns_server));
        dns.transpose().context("CRAWLER_DNS")
    }

    #[must_use]
    pub fn privacy_policy(&self) -> PrivacyPolicy {
        PrivacyPolicy {
            visitor_id_lifetime: self.privacy.visitor_id,
            ip_storage: self.privacy.store_ip,
            respect_dnt: self.privacy.respect_dnt == OnOff::On,
            retention: RetentionPeriod::from_days(self.privacy.retention_days),
            query_parameters: self.privacy.keep_parameters.clone(),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Subcommand)]
pub enum Command {
    /// Serve requests (the default).
    #[default]
    Serve,
    /// Migrate the database schema to this version, and exit.
    Migrate,
    /// Remove data older than `RETENTION_DAYS` now, and print the partitions. `serve` removes old
    /// data by itself.
    Retention {
        /// Only print what would be removed, and when.
        #[arg(long)]
        dry_run: bool,
    },
    /// Apply the bot rules of this version to the stored visits, correct sessions and rollups, and
    /// print what changed. Can be interrupted and resumes where it stopped.
    Reclassify(ReclassifyArgs),
    /// Recompute the rollups from the visits, and print the differences. Exits with 1 if there are
    /// any.
    Verify(VerifyArgs),
}

/// Options of `reclassify`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
pub struct ReclassifyArgs {
    /// Only print what would change.
    #[arg(long)]
    pub dry_run: bool,
    /// Start with the first visit, even if an earlier run with these rules has completed.
    #[arg(long)]
    pub again: bool,
    /// Visits per transaction.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub batch: u16,
}

/// Options of `verify`.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct VerifyArgs {
    /// Domain of the site to verify. Default: all sites.
    #[arg(long)]
    pub site: Option<String>,
    /// First day to verify, such as `2026-11-20`. Default: the earliest.
    #[arg(long)]
    pub from: Option<NaiveDate>,
    /// Last day to verify, inclusive. Default: the latest.
    #[arg(long)]
    pub to: Option<NaiveDate>,
}

/// Parses `Googlebot=path`.
fn parse_crawler_file(text: &str) -> Result<(String, PathBuf), &'static str> {
    let (name, path) = text.split_once('=').unwrap_or_default();
    let (name, path) = (name.trim(), path.trim());
    if name.is_empty() || path.is_empty() {
        return Err("expected a crawler's name and its file, such as Googlebot=googlebot.json");
    }
    Ok((name.to_owned(), PathBuf::from(path)))
}

/// Ten years.
const MAX_DURATION_SECONDS: u64 = 315_576_000;

/// Parses a whole number with a unit: `s`, `m`, `h` or `d`.
fn parse_duration(text: &str) -> Result<TimeDelta, &'static str> {
    let wrong = "expected a whole number with a unit: 90s, 15m, 2h or 1d";
    let unit = text.chars().last().ok_or(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong),
    };
    let number = &text[..text.len() - 1];
    let number: u64 = number.parse().map_err(|_| wrong)?;
    let whole = number
        .checked_mul(seconds)
        .filter(|whole| *whole <= MAX_DURATION_SECONDS);
    let whole = whole.ok_or("a duration is at most ten years")?;
    TimeDelta::from_std(Duration::from_secs(whole)).map_err(|_| wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_number_and_a_unit() {
        assert_eq!(parse_duration("15m"), Ok(TimeDelta::minutes(15)));
        assert_eq!(parse_duration("1d"), Ok(TimeDelta::days(1)));
        for wrong in [
            "",
            "15",
            "m",
            "-1m",
            "1.5h",
            "1w",
            "99999999999999999999d",
            "9é",
        ] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
