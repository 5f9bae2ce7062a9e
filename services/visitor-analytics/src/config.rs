//! The only reader of the environment.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use bot_detection::CrawlerRanges;
use chassis::database::DatabaseArgs;
use chassis::settings::{ServiceArgs, service_url};
use chrono::TimeDelta;
use url::Url;

use crate::clients::dns::DnsVerifier;
use crate::domain::policy::{IpStorage, PrivacyPolicy, RetentionPeriod};
use crate::domain::session::{NotifyPolicy, NotifyTrigger};
use crate::domain::source::QueryParameterAllowlist;
use crate::domain::visitor::VisitorIdLifetime;
use crate::verify::VerifyArgs;

/// Who visits, from where, and what they do: the visitor-analytics service.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "visitor-analytics", version)]
pub struct Config {
    #[command(subcommand)]
    #[expect(
        missing_docs,
        reason = "its text would become the program's description"
    )]
    pub command: Option<Command>,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "its text would become the program's description"
    )]
    pub service: ServiceArgs,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "its text would become the program's description"
    )]
    pub database: DatabaseArgs,
    /// Where geo is, such as `http://geo.railway.internal:8000`.
    #[arg(long, env = "GEO_SERVICE_URL", value_parser = service_url)]
    pub geo_service_url: Url,
    /// Where notification is.
    #[arg(long, env = "NOTIFICATION_SERVICE_URL", value_parser = service_url)]
    pub notification_service_url: Url,
    /// A visit older than this when it arrives tells nobody: `15m`, `2h`, `1d`.
    #[arg(long, env = "NOTIFY_MAX_AGE", default_value = "15m", value_parser = duration)]
    pub notify_max_age: TimeDelta,
    /// When somebody is told of a person's session: at its first visit, or at a second signal that
    /// it is a person's. Once a session at most.
    #[arg(long, env = "NOTIFY_WHEN", value_enum, default_value_t)]
    pub notify_when: NotifyTrigger,
    /// Files with the addresses from which crawlers come, as their owners publish them:
    /// `Googlebot=googlebot.json,bingbot=bingbot.json`. Who has such a crawler's user agent and
    /// comes from elsewhere is called a pretender.
    #[arg(long, env = "CRAWLER_RANGES", value_delimiter = ',', value_parser = published)]
    pub crawler_ranges: Vec<(String, PathBuf)>,
    /// Whether the DNS is asked about those who call themselves a crawler whose owner publishes
    /// its hosts' names, and whose ranges are not given. No visit waits for that.
    #[arg(long, env = "CRAWLER_DNS", value_enum, default_value_t)]
    pub crawler_dns: OnOff,
    /// The name server that is asked, `192.0.2.53:53`, instead of the system's.
    #[arg(long, env = "CRAWLER_DNS_SERVER")]
    pub crawler_dns_server: Option<SocketAddr>,
    /// How many new sites visits and events may bring along within 24 hours; 0 for none. Further
    /// ones are refused, and `POST /sites` adds them.
    #[arg(long, env = "MAX_NEW_SITES_PER_DAY", default_value_t = 20)]
    pub max_new_sites_per_day: u32,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "its text would become the program's description"
    )]
    pub privacy: PrivacyArgs,
}

/// What is kept of visitors, and for how long.
#[derive(Clone, Debug, clap::Args)]
pub struct PrivacyArgs {
    /// How long a visitor keeps the same id, where the site gives none: the key that makes it of
    /// an address is deleted afterwards.
    #[arg(long, env = "VISITOR_ID", value_enum, default_value_t)]
    pub visitor_id: VisitorIdLifetime,
    /// What is kept of a visitor's address with each visit.
    #[arg(long, env = "STORE_IP", value_enum, default_value_t)]
    pub store_ip: IpStorage,
    /// Whether a visitor who sends `DNT: 1` or `Sec-GPC: 1` is not followed: each visit counts as
    /// a visitor of its own, without address and user id, and nobody is told of it.
    #[arg(long, env = "RESPECT_DNT", value_enum, default_value_t)]
    pub respect_dnt: OnOff,
    /// Visits older than this are removed, a month at a time, and not taken in any more. Without
    /// it they stay for ever.
    #[arg(long, env = "RETENTION_DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub retention_days: Option<u32>,
    /// Parameters of pages' addresses that are kept beside those of campaigns and of lists
    /// (`page`, `sort`, `lang` …): names with commas between them, `*` for all. The others are
    /// dropped before anything is stored, and so is what looks like an e-mail address.
    #[arg(long, env = "KEEP_PARAMETERS", default_value = "")]
    pub keep_parameters: QueryParameterAllowlist,
}

/// On or off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OnOff {
    /// Yes.
    On,
    /// No.
    #[default]
    Off,
}

impl Config {
    /// Which sessions are told of.
    #[must_use]
    pub fn telling(&self) -> NotifyPolicy {
        NotifyPolicy {
            max_age: self.notify_max_age,
            when: self.notify_when,
        }
    }

    /// Reads the files with crawlers' addresses.
    pub fn ranges(&self) -> anyhow::Result<CrawlerRanges> {
        let mut ranges = CrawlerRanges::default();
        for (name, path) in &self.crawler_ranges {
            let unusable = || format!("CRAWLER_RANGES: {name}={}", path.display());
            let published = std::fs::read_to_string(path).with_context(unusable)?;
            ranges.add(name, &published).with_context(unusable)?;
        }
        Ok(ranges)
    }

    /// The name servers that are asked about crawlers, if they are.
    pub fn dns(&self) -> anyhow::Result<Option<DnsVerifier>> {
        let wanted = self.crawler_dns == OnOff::On;
        let dns = wanted.then(|| DnsVerifier::new(self.crawler_dns_server));
        dns.transpose().context("CRAWLER_DNS")
    }

    /// What is kept of visitors.
    #[must_use]
    pub fn policy(&self) -> PrivacyPolicy {
        PrivacyPolicy {
            visitor_ids: self.privacy.visitor_id,
            store_ip: self.privacy.store_ip,
            respect_dnt: self.privacy.respect_dnt == OnOff::On,
            retention: RetentionPeriod::days(self.privacy.retention_days),
            parameters: self.privacy.keep_parameters.clone(),
        }
    }
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Subcommand)]
pub enum Command {
    /// Answer requests (the default).
    #[default]
    Serve,
    /// Bring the database's schema to this version, and end.
    Migrate,
    /// Remove what is older than `RETENTION_DAYS` now, as `serve` does by itself; show what there is.
    Retention {
        /// Only show what would go, and when.
        #[arg(long)]
        dry_run: bool,
    },
    /// Judge the stored visits again by the rules of this version, correct sessions and the numbers
    /// of days, and tell what changed. May be stopped, and goes on where it was.
    Reclassify(ReclassifyArgs),
    /// Compute the numbers of days again from their visits, and tell which differ.
    Verify(VerifyArgs),
}

/// How visits are judged again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
pub struct ReclassifyArgs {
    /// Only tell what would change.
    #[arg(long)]
    pub dry_run: bool,
    /// Begin with the first visit, also where these rules have judged them all.
    #[arg(long)]
    pub again: bool,
    /// Visits in one transaction.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub batch: u16,
}

/// `Googlebot=path`: a crawler and its file.
fn published(text: &str) -> Result<(String, PathBuf), &'static str> {
    let (name, path) = text.split_once('=').unwrap_or_default();
    let (name, path) = (name.trim(), path.trim());
    if name.is_empty() || path.is_empty() {
        return Err("a crawler's name and its file: Googlebot=googlebot.json");
    }
    Ok((name.to_owned(), PathBuf::from(path)))
}

/// Ten years, in seconds.
const MAX_DURATION_SECONDS: u64 = 315_576_000;

/// A whole number with a unit: `s`, `m`, `h` or `d`.
fn duration(text: &str) -> Result<TimeDelta, &'static str> {
    let wrong = "a duration is a whole number with a unit: 90s, 15m, 2h or 1d";
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
    let whole = whole.ok_or("at most ten years")?;
    TimeDelta::from_std(Duration::from_secs(whole)).map_err(|_| wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_number_and_a_unit() {
        assert_eq!(duration("15m"), Ok(TimeDelta::minutes(15)));
        assert_eq!(duration("1d"), Ok(TimeDelta::days(1)));
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
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
