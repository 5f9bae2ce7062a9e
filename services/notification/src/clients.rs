//! Clients of the providers, one file each, behind the trait [`Provider`]; and the log.

pub mod body;
pub mod callback_keys;
pub mod discord;
pub mod email;
pub mod fcm;
pub mod form;
pub mod http_result;
pub mod log;
pub mod ntfy;
pub mod public_http_client;
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
use crate::domain::truncate::truncate_chars;

/// Sends the messages of one channel.
pub trait Provider: Send + Sync {
    /// The name in the API, the database and the metrics.
    fn name(&self) -> &'static str;

    /// Sends a delivery once.
    fn send<'a>(&'a self, delivery: &'a ClaimedDelivery) -> BoxFuture<'a, SendResult>;

    /// Returns the policy for unknown outcomes. Most providers offer no lookup.
    fn unknown_outcome_policy(&self) -> UnknownOutcomePolicy {
        UnknownOutcomePolicy::GiveUp
    }

    /// Returns the ids of messages since `since` with the same text and recipient, for providers
    /// with [`UnknownOutcomePolicy::LookUp`]. The error is the result of the attempt if the lookup
    /// fails.
    fn look_up<'a>(
        &'a self,
        delivery: &'a ClaimedDelivery,
        since: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<Vec<String>, SendResult>> {
        let _ = (delivery, since);
        std::future::ready(Ok(vec![])).boxed()
    }
}

/// Truncates a text to `most` characters; a text that is cut ends in `…`.
fn truncate(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text.to_owned();
    }
    let kept = truncate_chars(text, most.saturating_sub(1));
    format!("{kept}…")
}

/// Joins title and text, for channels without a title.
fn title_and_body(delivery: &ClaimedDelivery) -> String {
    match &delivery.title {
        Some(title) => format!("{title}\n{}", delivery.body),
        None => delivery.body.clone(),
    }
}
