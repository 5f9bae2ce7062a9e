//! Settings for the daily limits.

use super::error::ConfigError;
use crate::domain::channel_address::DeliveryChannel;
use crate::domain::daily_limit::DailyLimits;

#[derive(Clone, Debug, clap::Args)]
pub struct DailyLimitArgs {
    /// Maximum number of messages per day (UTC) on all channels. Default: unlimited.
    #[arg(long, env = "LIMIT_PER_DAY", value_parser = clap::value_parser!(i64).range(1..))]
    pub limit_per_day: Option<i64>,
    /// Maximum number of messages per day (UTC) to one recipient. Default: unlimited.
    #[arg(long, env = "LIMIT_PER_RECIPIENT", value_parser = clap::value_parser!(i64).range(1..))]
    pub limit_per_recipient: Option<i64>,
    /// Maximum number of messages per day (UTC) per channel, such as sms=200,email=1000. Default:
    /// unlimited.
    #[arg(long, env = "LIMIT_PER_CHANNEL", value_delimiter = ',')]
    pub limit_per_channel: Vec<String>,
    /// Maximum cost of text messages per day (UTC), in the currency of `SMS_SEGMENT_PRICE`.
    /// Default: unlimited.
    #[arg(long, env = "SMS_COST_CAP", value_parser = parse_amount, requires = "sms_segment_price", allow_negative_numbers = true)]
    pub sms_cost_cap: Option<f64>,
    /// Price of one segment of a text message.
    #[arg(long, env = "SMS_SEGMENT_PRICE", value_parser = parse_amount, allow_negative_numbers = true)]
    pub sms_segment_price: Option<f64>,
}

/// A `value_parser` for an amount greater than 0.
fn parse_amount(text: &str) -> Result<f64, &'static str> {
    let amount = text.trim().parse().ok();
    amount
        .filter(|amount: &f64| amount.is_finite() && *amount > 0.0)
        .ok_or("expected an amount greater than 0, such as 0.0079")
}

impl DailyLimitArgs {
    pub fn daily_limits(&self) -> Result<DailyLimits, ConfigError> {
        let channel = |text: &String| {
            let (name, limit) = text.split_once('=')?;
            let limit = limit.trim().parse().ok().filter(|limit| *limit > 0)?;
            Some((DeliveryChannel::from_name(name.trim())?, limit))
        };
        let channels = self.limit_per_channel.iter().map(channel);
        let channels = channels
            .collect::<Option<_>>()
            .ok_or(ConfigError::InvalidDailyLimits)?;
        Ok(DailyLimits {
            total: self.limit_per_day,
            per_recipient: self.limit_per_recipient,
            channels,
            sms_segments: self.max_sms_segments()?,
        })
    }

    /// The number of segments per day that the cost cap allows.
    fn max_sms_segments(&self) -> Result<Option<i64>, ConfigError> {
        let Some(cap) = self.sms_cost_cap else {
            return Ok(None);
        };
        let price = self.sms_segment_price.unwrap_or_default();
        let good = cap.is_finite() && cap > 0.0 && price.is_finite() && price > 0.0;
        #[expect(clippy::cast_possible_truncation, reason = "a cast to i64 saturates")]
        // The epsilon makes up for inexact quotients such as 0.05 / 0.01.
        let segments = (cap / price + 1e-9).floor() as i64;
        good.then_some(Some(segments))
            .ok_or(ConfigError::InvalidCostCap)
    }
}
