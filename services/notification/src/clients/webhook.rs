//! Webhooks: <https://www.standardwebhooks.com>.

use std::sync::Arc;

use common::clock::Clock;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::json;

use super::guarded::Guarded;
use super::{Provider, answer};
use crate::domain::attempt::{Answer, Claimed, Doubt, Outcome};
use crate::domain::vault::Vault;
use crate::domain::webhook::signature;

/// Posts signed requests.
pub struct Webhook {
    /// Reaches the public internet only.
    pub http: Guarded,
    /// What time it is.
    pub clock: Clock,
    /// Opens secrets.
    pub vault: Arc<Vault>,
}

impl Webhook {
    async fn post(&self, delivery: &Claimed) -> Answer {
        let Some(endpoint) = &delivery.endpoint else {
            let detail = "there is no such webhook, or it is disabled";
            return Answer::plain(Outcome::Permanent, Some(detail));
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
            let detail = "its secret was sealed with another key than WEBHOOK_SECRETS_KEY";
            return Answer::plain(Outcome::Config, Some(detail));
        };
        // The same over all attempts, so that the receiver can tell a second one.
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
            // The id lets the receiver tell a second one, so that no doubt is left.
            Err(lost) if lost.outcome == Outcome::Unknown => {
                let outcome = Outcome::Transient(None);
                return Answer { outcome, ..lost };
            }
            Err(answer) => return answer,
        };
        let wait = answer::retry_after(&response);
        let status = response.status().as_u16();
        let (outcome, words) = match status {
            200..=299 => (Outcome::Sent, None),
            300..=399 => (Outcome::Permanent, Some("redirects are not followed")),
            410 => (Outcome::Gone, Some("the receiver wants no more")),
            408 | 425 | 429 | 500.. => (Outcome::Transient(wait), None),
            _ => (Outcome::Permanent, None),
        };
        // What it says is not looked at, however long it is.
        answer::by_status(status, outcome, words)
    }
}

impl Provider for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn doubt(&self) -> Doubt {
        Doubt::SendAgain
    }

    fn send<'a>(&'a self, delivery: &'a Claimed) -> BoxFuture<'a, Answer> {
        self.post(delivery).boxed()
    }
}
