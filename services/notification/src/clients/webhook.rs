//! Webhooks according to Standard Webhooks: <https://www.standardwebhooks.com>.

pub mod signature;

use std::sync::Arc;

use common::clock::Clock;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::json;

use self::signature::signature_header;
use super::public_http_client::PublicHttpClient;
use super::{Provider, http_result};
use crate::domain::attempt::{ClaimedDelivery, SendOutcome, SendResult, UnknownOutcomePolicy};
use crate::domain::secret_box::SecretBox;

pub struct WebhookProvider {
    pub http: PublicHttpClient,
    pub clock: Clock,
    /// Decrypts the signing secrets.
    pub secret_box: Arc<SecretBox>,
}

impl WebhookProvider {
    async fn post(&self, delivery: &ClaimedDelivery) -> SendResult {
        let Some(endpoint) = &delivery.endpoint else {
            let detail = "the webhook does not exist or is disabled";
            return SendResult::new(SendOutcome::Permanent, Some(detail));
        };
        let body = json!({
            "type": delivery.event,
            "timestamp": delivery.created_at,
            "data": {
                "notification_id": delivery.notification_id,
                "title": delivery.title,
                "text": delivery.body,
                "data": delivery.data,
            },
        })
        .to_string();
        let owner = delivery.address.unmasked();
        let secrets = endpoint
            .keys
            .iter()
            .map(|key| self.secret_box.open(owner, key));
        let Ok(secrets) = secrets.collect::<Result<Vec<_>, _>>() else {
            let detail = "the webhook's secret cannot be decrypted with WEBHOOK_SECRETS_KEY";
            return SendResult::new(SendOutcome::Config, Some(detail));
        };
        // The same for all attempts, so that the receiver can recognize duplicates.
        let id = format!("msg_{}", delivery.id.simple());
        let now = self.clock.now().timestamp();
        let signature = signature_header(&secrets, &id, now, body.as_bytes());
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
        let wait = http_result::retry_after(&response);
        let status = response.status().as_u16();
        let (outcome, words) = match status {
            200..=299 => (SendOutcome::Sent, None),
            300..=399 => (SendOutcome::Permanent, Some("redirects are not followed")),
            410 => (SendOutcome::Gone, Some("the receiver unsubscribed")),
            408 | 425 | 429 | 500.. => (SendOutcome::Transient(wait), None),
            _ => (SendOutcome::Permanent, None),
        };
        // The body of the response is not read.
        http_result::from_status(status, outcome, words)
    }
}

impl Provider for WebhookProvider {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn unknown_outcome_policy(&self) -> UnknownOutcomePolicy {
        UnknownOutcomePolicy::SendAgain
    }

    fn send<'a>(&'a self, delivery: &'a ClaimedDelivery) -> BoxFuture<'a, SendResult> {
        self.post(delivery).boxed()
    }
}
