//! Channels: the protocol of each provider, with errors.

mod chat;
mod fcm;
mod sms;
mod web_push;
mod webhook;

use crate::fake_provider::{FakeProvider, Reply};
use crate::support::{Service, delete_suppression, first_attempt};

/// The arguments, with webhooks to this machine allowed.
fn with_local_webhooks(more: &[String]) -> Vec<String> {
    let mut args = vec!["--webhook-private-networks=127.0.0.0/8".to_owned()];
    args.extend_from_slice(more);
    args
}

/// Checks the outcome for each reply of the provider.
async fn assert_outcomes(
    service: &Service,
    played: &FakeProvider,
    to: &str,
    rows: Vec<(Reply, &str)>,
) {
    for (reply, outcome) in rows {
        let told = format!("{reply:?}");
        played.push_reply(reply);
        let made = first_attempt(service, to).await;
        assert_eq!(made["outcome"], outcome, "{told}: {made}");
        // Webhooks are disabled and subscriptions deleted instead.
        let endpoint = to.starts_with("webhook:") || to.starts_with("push:");
        if outcome == "gone" && !endpoint {
            delete_suppression(service).await;
        }
    }
}
