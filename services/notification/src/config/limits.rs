//! Limits that save money.

use super::ConfigError;
use crate::domain::limit::DailyLimits;
use crate::domain::target::Channel;

/// How much may be sent in a day (UTC); nothing is limited unless told.
#[derive(Clone, Debug, clap::Args)]
pub struct DailyLimitArgs {
    /// The most messages a day on all channels.
    #[arg(long, env = "LIMIT_PER_DAY", value_parser = clap::value_parser!(i64).range(1..))]
    pub limit_per_day: Option<i64>,
    /// The most messages a day to one recipient.
    #[arg(long, env = "LIMIT_PER_RECIPIENT", value_parser = clap::value_parser!(i64).range(1..))]
    pub limit_per_recipient: Option<i64>,
    /// The most messages a day on channels, such as sms=200,email=1000.
    #[arg(long, env = "LIMIT_PER_CHANNEL", value_delimiter = ',')]
    pub limit_per_channel: Vec<String>,
    /// What text messages may cost a day, in the currency of `SMS_SEGMENT_PRICE`.
    #[arg(long, env = "SMS_COST_CAP", value_parser = money, requires = "sms_segment_price", allow_negative_numbers = true)]
    pub sms_cost_cap: Option<f64>,
    /// What one segment of a text message costs.
    #[arg(long, env = "SMS_SEGMENT_PRICE", value_parser = money, allow_negative_numbers = true)]
    pub sms_segment_price: Option<f64>,
}

/// For `value_parser`: an amount above 0.
fn money(text: &str) -> Result<f64, &'static str> {
    let amount = text.trim().parse().ok();
    amount
        .filter(|amount: &f64| amount.is_finite() && *amount > 0.0)
        .ok_or("it is an amount above 0, such as 0.0079")
}

impl DailyLimitArgs {
    /// The limits.
    pub fn limits(&self) -> Result<DailyLimits, ConfigError> {
        let channel = |text: &String| {
            let (name, limit) = text.split_once('=')?;
            let limit = limit.trim().parse().ok().filter(|limit| *limit > 0)?;
            Some((Channel::named(name.trim())?, limit))
        };
        let channels = self.limit_per_channel.iter().map(channel);
        let channels = channels.collect::<Option<_>>().ok_or(ConfigError::Limits)?;
        Ok(DailyLimits {
            total: self.limit_per_day,
            per_recipient: self.limit_per_recipient,
            channels,
            sms_segments: self.sms_segments()?,
        })
    }

    /// How many segments may be paid for.
    fn sms_segments(&self) -> Result<Option<i64>, ConfigError> {
        let Some(cap) = self.sms_cost_cap else {
            return Ok(None);
        };
        let price = self.sms_segment_price.unwrap_or_default();
        let good = cap.is_finite() && cap > 0.0 && price.is_finite() && price > 0.0;
        #[expect(clippy::cast_possible_truncation, reason = "a cast to i64 saturates")]
        // Fractions such as 0.05 / 0.01 are not exact.
        let segments = (cap / price + 1e-9).floor() as i64;
        good.then_some(Some(segments)).ok_or(ConfigError::Cost)
    }
}
