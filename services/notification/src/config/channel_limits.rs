//! Settings for the concurrency and rate of channels.

use super::error::ConfigError;
use crate::domain::channel_address::DeliveryChannel;
use crate::domain::token_bucket::ChannelLimits;

/// Limits of each channel, per process.
#[derive(Clone, Debug, clap::Args)]
pub struct ChannelLimitArgs {
    /// Maximum number of concurrent sends per channel and process, such as sms=8,email=4 (1 to
    /// 1000). Default: 64 each.
    #[arg(long, env = "CHANNEL_CONCURRENCY", value_delimiter = ',')]
    pub channel_concurrency: Vec<String>,
    /// Maximum number of messages per second, per channel and process, such as sms=1,telegram=25
    /// (0.001 to 1000000). Default: unlimited.
    #[arg(long, env = "CHANNEL_RATE", value_delimiter = ',')]
    pub channel_rate: Vec<String>,
}

impl ChannelLimitArgs {
    /// The limits of every channel.
    pub fn channel_limits(&self) -> Result<Vec<(DeliveryChannel, ChannelLimits)>, ConfigError> {
        let mut flows = DeliveryChannel::ALL.map(|channel| (channel, ChannelLimits::default()));
        let wrong = ConfigError::InvalidChannelLimits("CHANNEL_CONCURRENCY", "sms=8,email=4");
        for text in &self.channel_concurrency {
            let (flow, value) = parse_entry(&mut flows, text).ok_or(wrong)?;
            let count = value
                .parse()
                .ok()
                .filter(|count| (1..=1_000).contains(count));
            flow.concurrency = count.ok_or(wrong)?;
        }
        let wrong = ConfigError::InvalidChannelLimits("CHANNEL_RATE", "sms=1,telegram=25");
        for text in &self.channel_rate {
            let (flow, value) = parse_entry(&mut flows, text).ok_or(wrong)?;
            let rate = value.parse().ok();
            let rate = rate.filter(|rate: &f64| (0.001..=1e6).contains(rate));
            flow.per_second = Some(rate.ok_or(wrong)?);
        }
        Ok(flows.into())
    }
}

fn parse_entry<'a>(
    flows: &'a mut [(DeliveryChannel, ChannelLimits)],
    text: &'a str,
) -> Option<(&'a mut ChannelLimits, &'a str)> {
    let (name, value) = text.split_once('=')?;
    let channel = DeliveryChannel::from_name(name.trim())?;
    let own = flows.iter_mut().find(|(own, _)| *own == channel)?;
    Some((&mut own.1, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_has_its_own() {
        let args = |concurrency: &str, rate: &str| ChannelLimitArgs {
            channel_concurrency: vec![concurrency.into()],
            channel_rate: vec![rate.into()],
        };
        let flows = args("sms=8", "sms = 0.5").channel_limits().unwrap();
        let of = |channel| flows.iter().find(|(own, _)| *own == channel).unwrap().1;
        let sms = ChannelLimits {
            concurrency: 8,
            per_second: Some(0.5),
        };
        assert_eq!(of(DeliveryChannel::Sms), sms);
        assert_eq!(of(DeliveryChannel::Email), ChannelLimits::default());
        for (concurrency, rate) in [("sms=0", "sms=1"), ("sms", "sms=1"), ("fax=1", "sms=1")] {
            assert!(
                args(concurrency, rate).channel_limits().is_err(),
                "{concurrency}"
            );
        }
        for rate in ["sms=0", "sms=-1", "sms=NaN", "sms=", "pigeon=1"] {
            assert!(args("sms=1", rate).channel_limits().is_err(), "{rate}");
        }
    }
}
