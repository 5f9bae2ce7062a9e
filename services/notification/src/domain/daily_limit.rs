//! Daily limits (UTC) of messages and costs.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::attempt::ClaimedDelivery;
use super::channel_address::DeliveryChannel;
use super::sms::count_segments;

/// The event that reports an exceeded limit. Only the service may send it; it is exempt from the
/// limits.
pub const LIMIT_REACHED_EVENT: &str = "limit.reached";

/// The daily limits. `None` and channels that are not listed are unlimited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DailyLimits {
    /// Messages on all channels.
    pub total: Option<i64>,
    /// Messages to each address.
    pub per_recipient: Option<i64>,
    /// Messages on a channel.
    pub channels: Vec<(DeliveryChannel, i64)>,
    /// Segments of text messages; providers charge by segment.
    pub sms_segments: Option<i64>,
}

/// Identifies a counter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UsageKey {
    /// `total`, `channel`, `recipient` or `sms_segments`.
    pub scope: &'static str,
    /// The channel or address; empty for the other scopes.
    pub key: String,
}

/// What a batch of deliveries adds to the counters of the day.
#[derive(Clone, Debug, Default)]
pub struct UsageBatch {
    pub added: BTreeMap<UsageKey, i64>,
    /// The increments of each delivery, in order.
    increments: Vec<(Uuid, Vec<UsageIncrement>)>,
}

/// What a delivery adds to a counter, and the limit of the counter.
#[derive(Clone, Debug)]
struct UsageIncrement {
    counter: UsageKey,
    amount: i64,
    limit: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExceededLimits {
    /// Deliveries that must not be sent, with the reason.
    pub refused: HashMap<Uuid, String>,
    /// Descriptions of the limits that this batch is the first to exceed.
    pub reached: Vec<String>,
}

impl DailyLimits {
    /// Computes the increments of these deliveries. Only first attempts count.
    #[must_use]
    pub fn count_usage(&self, claimed: &[ClaimedDelivery]) -> UsageBatch {
        let mut batch = UsageBatch::default();
        let new =
            |one: &&ClaimedDelivery| one.attempt_number == 1 && one.suppression_reason.is_none();
        for one in claimed
            .iter()
            .filter(new)
            .filter(|one| one.event != LIMIT_REACHED_EVENT)
        {
            let parts = self.increments_of(one);
            for part in &parts {
                *batch.added.entry(part.counter.clone()).or_default() += part.amount;
            }
            if !parts.is_empty() {
                batch.increments.push((one.id, parts));
            }
        }
        batch
    }

    fn increments_of(&self, one: &ClaimedDelivery) -> Vec<UsageIncrement> {
        let part = |scope, key: &str, weight, limit| UsageIncrement {
            counter: UsageKey {
                scope,
                key: key.to_owned(),
            },
            amount: weight,
            limit,
        };
        let channel = one.address.channel();
        let mut parts = Vec::new();
        if let Some(limit) = self.total {
            parts.push(part("total", "", 1, limit));
        }
        if let Some(limit) = self.per_recipient {
            parts.push(part("recipient", one.address.unmasked(), 1, limit));
        }
        let own = self.channels.iter().filter(|(own, _)| *own == channel);
        for (_, limit) in own {
            parts.push(part("channel", channel.as_str(), 1, *limit));
        }
        if let Some(limit) = self
            .sms_segments
            .filter(|_| channel == DeliveryChannel::Sms)
        {
            let weight = i64::try_from(count_segments(&one.body)).unwrap_or(i64::MAX);
            parts.push(part("sms_segments", "", weight, limit));
        }
        parts
    }
}

impl UsageBatch {
    /// Finds the deliveries that exceed a limit. `now` are the counters including this batch.
    #[must_use]
    pub fn exceeded_limits(&self, now: &HashMap<UsageKey, i64>) -> ExceededLimits {
        let mut over = ExceededLimits::default();
        let before = |count: &UsageKey| {
            let added = self.added.get(count).copied().unwrap_or_default();
            now.get(count).copied().unwrap_or_default() - added
        };
        let mut used: HashMap<&UsageKey, i64> = HashMap::new();
        for (id, parts) in &self.increments {
            for UsageIncrement {
                counter: count,
                amount: weight,
                limit,
            } in parts
            {
                let used = used.entry(count).or_insert_with(|| before(count));
                let was_over = *used > *limit;
                *used += weight;
                if *used > *limit {
                    let words = describe_limit(count, *limit);
                    if !was_over {
                        over.reached.push(words.clone());
                    }
                    over.refused.entry(*id).or_insert(words);
                }
            }
        }
        over
    }
}

/// Describes a limit without the address, because the text appears in logs and in messages to
/// others.
fn describe_limit(count: &UsageKey, limit: i64) -> String {
    match count.scope {
        "total" => format!("the daily limit of {limit} messages is reached"),
        "recipient" => format!("the daily limit of {limit} messages to one recipient is reached"),
        "channel" => format!(
            "the daily limit of {limit} messages on {} is reached",
            count.key
        ),
        _ => format!("the daily limit of {limit} text message segments is reached"),
    }
}
