//! Limits that save money: how much may be sent in a day (UTC).

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::attempt::ClaimedDelivery;
use super::sms::segments;
use super::target::Channel;

/// The event that tells of a limit. Nobody else may send it, and it is not limited.
pub const LIMIT_REACHED_EVENT: &str = "limit.reached";

/// How much may be sent in a day; nothing is limited that is not named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DailyLimits {
    /// On all channels.
    pub total: Option<i64>,
    /// To each recipient.
    pub per_recipient: Option<i64>,
    /// On a channel.
    pub channels: Vec<(Channel, i64)>,
    /// Segments of text messages, which are what is paid for.
    pub sms_segments: Option<i64>,
}

/// What is counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UsageKey {
    /// `total`, `channel`, `recipient` or `sms_segments`.
    pub scope: &'static str,
    /// Which one of them.
    pub key: String,
}

/// What a batch of deliveries adds to what was sent today.
#[derive(Clone, Debug, Default)]
pub struct UsageBatch {
    /// How much it adds to each count.
    pub added: BTreeMap<UsageKey, i64>,
    /// Each delivery, in order, with what it adds to which count of what limit.
    parts: Vec<(Uuid, Vec<UsageIncrement>)>,
}

/// What a delivery adds to a count.
#[derive(Clone, Debug)]
struct UsageIncrement {
    count: UsageKey,
    weight: i64,
    limit: i64,
}

/// What follows from a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExceededLimits {
    /// Deliveries that are not to be sent, and why.
    pub refused: HashMap<Uuid, String>,
    /// Limits that were reached by this batch and not before, in words.
    pub reached: Vec<String>,
}

impl DailyLimits {
    /// What these deliveries add; those that were counted before add nothing.
    #[must_use]
    pub fn batch(&self, claimed: &[ClaimedDelivery]) -> UsageBatch {
        let mut batch = UsageBatch::default();
        let new = |one: &&ClaimedDelivery| one.number == 1 && one.suppressed.is_none();
        for one in claimed
            .iter()
            .filter(new)
            .filter(|one| one.event != LIMIT_REACHED_EVENT)
        {
            let parts = self.parts(one);
            for part in &parts {
                *batch.added.entry(part.count.clone()).or_default() += part.weight;
            }
            if !parts.is_empty() {
                batch.parts.push((one.id, parts));
            }
        }
        batch
    }

    fn parts(&self, one: &ClaimedDelivery) -> Vec<UsageIncrement> {
        let part = |scope, key: &str, weight, limit| UsageIncrement {
            count: UsageKey {
                scope,
                key: key.to_owned(),
            },
            weight,
            limit,
        };
        let channel = one.target.channel();
        let mut parts = Vec::new();
        if let Some(limit) = self.total {
            parts.push(part("total", "", 1, limit));
        }
        if let Some(limit) = self.per_recipient {
            parts.push(part("recipient", one.target.address(), 1, limit));
        }
        let own = self.channels.iter().filter(|(own, _)| *own == channel);
        for (_, limit) in own {
            parts.push(part("channel", channel.as_str(), 1, *limit));
        }
        if let Some(limit) = self.sms_segments.filter(|_| channel == Channel::Sms) {
            let weight = i64::try_from(segments(&one.body)).unwrap_or(i64::MAX);
            parts.push(part("sms_segments", "", weight, limit));
        }
        parts
    }
}

impl UsageBatch {
    /// What is over its limit where the counts are now these, with this batch.
    #[must_use]
    pub fn over(&self, now: &HashMap<UsageKey, i64>) -> ExceededLimits {
        let mut over = ExceededLimits::default();
        let before = |count: &UsageKey| {
            let added = self.added.get(count).copied().unwrap_or_default();
            now.get(count).copied().unwrap_or_default() - added
        };
        let mut used: HashMap<&UsageKey, i64> = HashMap::new();
        for (id, parts) in &self.parts {
            for UsageIncrement {
                count,
                weight,
                limit,
            } in parts
            {
                let used = used.entry(count).or_insert_with(|| before(count));
                let was_over = *used > *limit;
                *used += weight;
                if *used > *limit {
                    let words = words(count, *limit);
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

/// No address is told: it goes to logs and other people.
fn words(count: &UsageKey, limit: i64) -> String {
    match count.scope {
        "total" => format!("the limit of {limit} messages a day is reached"),
        "recipient" => format!("the limit of {limit} messages a day to one recipient is reached"),
        "channel" => format!("the limit of {limit} a day on {} is reached", count.key),
        _ => format!("the limit of {limit} segments of text messages a day is reached"),
    }
}
