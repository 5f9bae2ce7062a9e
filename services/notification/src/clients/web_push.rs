//! Push messages for browsers (RFC 8030).

use std::sync::Arc;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use common::clock::Clock;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::json;
use url::Url;

use super::guarded::Guarded;
use super::{Provider, answer};
use crate::domain::attempt::{Answer, Claimed, Outcome};
use crate::domain::web_push::{BadKeys, Keys, LONGEST, Vapid};

/// How long a push service keeps a message for a browser that is off, in seconds.
const KEPT: &str = "86400";

/// Sends to browsers.
pub struct WebPush {
    /// Reaches the public internet only.
    pub http: Guarded,
    /// Who sends.
    pub vapid: Arc<Vapid>,
    /// What time it is.
    pub clock: Clock,
}

impl WebPush {
    async fn post(&self, delivery: &Claimed) -> Answer {
        let Some(endpoint) = &delivery.endpoint else {
            let detail = "there is no such subscription";
            return Answer::plain(Outcome::Permanent, Some(detail));
        };
        let Ok((body, authorization)) = self.seal(delivery, &endpoint.url, &endpoint.keys) else {
            let detail = "the keys of the subscription cannot be used";
            return Answer::plain(Outcome::Permanent, Some(detail));
        };
        let posted = self.http.post(&endpoint.url, |request| {
            request
                .header("ttl", KEPT)
                .header("urgency", "normal")
                .header("content-encoding", "aes128gcm")
                .header("content-type", "application/octet-stream")
                .header("authorization", authorization)
                .body(body)
        });
        let response = match posted.await {
            Ok(response) => response,
            Err(answer) => return answer,
        };
        let wait = answer::retry_after(&response);
        let message_id = response.headers().get("location");
        let message_id = message_id.and_then(|at| Some(at.to_str().ok()?.to_owned()));
        let status = response.status().as_u16();
        let (outcome, words) = match status {
            200..=299 => (Outcome::Sent, None),
            404 | 410 => (Outcome::Gone, Some("the subscription has ended")),
            400 | 401 | 403 => (Outcome::Config, Some("the keys are not accepted")),
            413 => (Outcome::Permanent, Some("the message is too long")),
            429 | 500.. => (Outcome::Transient(wait), None),
            _ => (Outcome::Permanent, None),
        };
        Answer {
            message_id: message_id.filter(|id| id.len() <= 500),
            ..answer::by_status(status, outcome, words)
        }
    }

    fn seal(
        &self,
        delivery: &Claimed,
        url: &str,
        keys: &[String],
    ) -> Result<(Vec<u8>, String), BadKeys> {
        let [p256dh, auth] = keys else {
            return Err(BadKeys);
        };
        let url = Url::parse(url).map_err(|_| BadKeys)?;
        let origin = url.origin().ascii_serialization();
        let authorization = self.vapid.authorization(&origin, self.clock.now())?;
        let pair = PrivateKey::generate(&ECDH_P256).map_err(|_| BadKeys)?;
        let mut salt = [0; 16];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| BadKeys)?;
        let plain = payload(delivery);
        let body = Keys::new(p256dh, auth)?.encrypt(plain.as_bytes(), &pair, salt)?;
        Ok((body, authorization))
    }
}

/// What the page's worker gets, shortened until it fits.
fn payload(delivery: &Claimed) -> String {
    let mut chars = LONGEST;
    loop {
        let text = super::cut(&delivery.body, chars);
        let payload = json!({"id": delivery.notification, "event": delivery.event,
            "title": delivery.title, "body": text});
        let payload = payload.to_string();
        if payload.len() <= LONGEST || chars < 10 {
            return payload;
        }
        chars /= 2;
    }
}

impl Provider for WebPush {
    fn name(&self) -> &'static str {
        "web_push"
    }

    fn send<'a>(&'a self, delivery: &'a Claimed) -> BoxFuture<'a, Answer> {
        self.post(delivery).boxed()
    }
}
