//! Those who carry messages: one file per provider, alike behind [`Provider`]; and the log.

pub mod answer;
pub mod body;
pub mod discord;
pub mod email;
pub mod fcm;
pub mod guarded;
pub mod log;
pub mod ntfy;
pub mod slack;
pub mod telegram;
pub mod twilio;
pub mod vonage;
pub mod web_push;
pub mod webhook;

use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::domain::attempt::{ClaimedDelivery, SendResult, UnknownOutcomePolicy};

/// Carries messages of one channel.
pub trait Provider: Send + Sync {
    /// Its name, as the API, the database and the metrics have it.
    fn name(&self) -> &'static str;

    /// Sends it, once.
    fn send<'a>(&'a self, delivery: &'a ClaimedDelivery) -> BoxFuture<'a, SendResult>;

    /// What follows where nobody knows whether it took a message. Most have nothing to look at.
    fn doubt(&self) -> UnknownOutcomePolicy {
        UnknownOutcomePolicy::Leave
    }

    /// The ids of messages sent since then that say the same to the same recipient, for those who
    /// can be asked ([`UnknownOutcomePolicy::LookUp`]). The error is the answer to give where that cannot be told.
    fn look_up<'a>(
        &'a self,
        delivery: &'a ClaimedDelivery,
        since: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<Vec<String>, SendResult>> {
        let _ = (delivery, since);
        std::future::ready(Ok(vec![])).boxed()
    }
}

/// The first so many characters, the last of them `…` where there are more.
fn cut(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    kept + "…"
}

/// Headline and text as one, for channels that show no headline.
fn whole(delivery: &ClaimedDelivery) -> String {
    match &delivery.title {
        Some(title) => format!("{title}\n{}", delivery.body),
        None => delivery.body.clone(),
    }
}
