//! The only reader of the environment.

use std::time::Duration;

use chassis::database::DatabaseArgs;
use chassis::settings::ServiceArgs;
use chrono::TimeDelta;
use url::Url;

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
    #[arg(long, env = "GEO_SERVICE_URL")]
    pub geo_service_url: Url,
    /// Where notification is.
    #[arg(long, env = "NOTIFICATION_SERVICE_URL")]
    pub notification_service_url: Url,
    /// A visit older than this when it arrives tells nobody: `15m`, `2h`, `1d`.
    #[arg(long, env = "NOTIFY_MAX_AGE", default_value = "15m", value_parser = duration)]
    pub notify_max_age: TimeDelta,
}

/// What to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::Subcommand)]
pub enum Command {
    /// Answer requests (the default).
    #[default]
    Serve,
    /// Bring the database's schema to this version, and end.
    Migrate,
}

/// Ten years, in seconds.
const LONGEST: u64 = 315_576_000;

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
        .filter(|whole| *whole <= LONGEST);
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
