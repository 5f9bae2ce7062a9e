//! Webhooks according to Standard Webhooks: <https://www.standardwebhooks.com>.

use std::sync::Arc;

use common::clock::Clock;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::json;

use super::guarded::PublicHttpClient;
use super::{Provider, answer};
use crate::domain::attempt::{ClaimedDelivery, SendOutcome, SendResult, UnknownOutcomePolicy};
use crate::domain::vault::SecretBox;
use crate::domain::webhook::signature;

pub struct WebhookProvider {
    pub http: PublicHttpClient,
    pub clock: Clock,
    /// Decrypts the signing secrets.
    pub vault: Arc<SecretBox>,
}

impl WebhookProvider {
    async fn post(&self, delivery: &ClaimedDelivery) -> SendResult {
        let Some(endpoint) = &delivery.endpoint else {
            let detail = "the webhook does not exist or is disabled";
            return SendResult::plain(SendOutcome::Permanent, Some(detail));
        };
        let body = json!({
            "type": delivery.event,
            "timestamp": delivery.created_at,
            "data": {
                "notification_id": delivery.notification,
                "title": delivery.title,
                "text": delivery.body,
                "data": delivery.data,
            },
        })
        .to_string();
        let owner = delivery.target.address();
        let secrets = endpoint.keys.iter().map(|key| self.vault.open(owner, key));
        let Ok(secrets) = secrets.collect::<Result<Vec<_>, _>>() else {
            let detail = "the webhook's secret cannot be decrypted with WEBHOOK_SECRETS_KEY";
            return SendResult::plain(SendOutcome::Config, Some(detail));
        };
        // The same for all attempts, so that the receiver can recognize duplicates.
        let id = format!("msg_{}", delivery.id.simple());
        let now = self.clock.now().timestamp();
        let signature = signature(&secrets, &id, now, body.as_bytes());
        let posted = self.http.post(&endpoint.url, |request| {
            request
                .header("content-type", "application/json")
                .header("webhook-id", &id)
                .header("webhook-timestamp", now)
                .header("webhook-signature", signature)
                .body(body)
        });
        let response = match posted.await {
            Ok(response) => response,
            // The receiver recognizes duplicates by the id, so a retry is safe.
            Err(lost) if lost.outcome == SendOutcome::Unknown => {
                let outcome = SendOutcome::Transient(None);
                return SendResult { outcome, ..lost };
            }
            Err(answer) => return answer,
        };
        let wait = answer::retry_after(&response);
        let status = response.status().as_u16();
        let (outcome, words) = match status {
            200..=299 => (SendOutcome::Sent, None),
            300..=399 => (SendOutcome::Permanent, Some("redirects are not followed")),
            410 => (SendOutcome::Gone, Some("the receiver unsubscribed")),
            408 | 425 | 429 | 500.. => (SendOutcome::Transient(wait), None),
            _ => (SendOutcome::Permanent, None),
        };
        // The body of the response is not read.
        answer::by_status(status, outcome, words)
    }
}

impl Provider for WebhookProvider {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn doubt(&self) -> UnknownOutcomePolicy {
        UnknownOutcomePolicy::SendAgain
    }

    fn send<'a>(&'a self, delivery: &'a ClaimedDelivery) -> BoxFuture<'a, SendResult> {
        self.post(delivery).boxed()
    }
}
