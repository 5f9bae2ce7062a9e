//! Web Push to browsers (RFC 8030).

pub mod encryption;
pub mod vapid;

use std::sync::Arc;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use common::clock::Clock;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::json;
use url::Url;

use self::encryption::{InvalidPushKeys, MAX_PAYLOAD_BYTES, PushEncryptionKeys};
use self::vapid::VapidSigner;
use super::public_http_client::PublicHttpClient;
use super::{Provider, http_result};
use crate::domain::attempt::{ClaimedDelivery, SendOutcome, SendResult};

/// How long a push service keeps a message for a browser that is offline.
const TTL_SECONDS: &str = "86400";

pub struct WebPushProvider {
    pub http: PublicHttpClient,
    pub vapid_signer: Arc<VapidSigner>,
    pub clock: Clock,
}

impl WebPushProvider {
    async fn post(&self, delivery: &ClaimedDelivery) -> SendResult {
        let Some(endpoint) = &delivery.endpoint else {
            let detail = "the subscription does not exist";
            return SendResult::new(SendOutcome::Permanent, Some(detail));
        };
        let Ok((body, authorization)) = self.encrypt(delivery, &endpoint.url, &endpoint.keys)
        else {
            let detail = "the keys of the subscription are invalid";
            return SendResult::new(SendOutcome::Permanent, Some(detail));
        };
        let posted = self.http.post(&endpoint.url, |request| {
            request
                .header("ttl", TTL_SECONDS)
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
        let wait = http_result::retry_after(&response);
        let message_id = response.headers().get("location");
        let message_id = message_id.and_then(|at| Some(at.to_str().ok()?.to_owned()));
        let status = response.status().as_u16();
        let (outcome, words) = match status {
            200..=299 => (SendOutcome::Sent, None),
            404 | 410 => (SendOutcome::Gone, Some("the subscription has expired")),
            400 | 401 | 403 => (
                SendOutcome::Config,
                Some("the push service refused the VAPID key"),
            ),
            413 => (SendOutcome::Permanent, Some("the message is too long")),
            429 | 500.. => (SendOutcome::Transient(wait), None),
            _ => (SendOutcome::Permanent, None),
        };
        SendResult {
            message_id: message_id.filter(|id| id.len() <= 500),
            ..http_result::from_status(status, outcome, words)
        }
    }

    fn encrypt(
        &self,
        delivery: &ClaimedDelivery,
        url: &str,
        keys: &[String],
    ) -> Result<(Vec<u8>, String), InvalidPushKeys> {
        let [p256dh, auth] = keys else {
            return Err(InvalidPushKeys);
        };
        let url = Url::parse(url).map_err(|_| InvalidPushKeys)?;
        let origin = url.origin().ascii_serialization();
        let authorization = self
            .vapid_signer
            .authorization_header(&origin, self.clock.now())?;
        let pair = PrivateKey::generate(&ECDH_P256).map_err(|_| InvalidPushKeys)?;
        let mut salt = [0; 16];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| InvalidPushKeys)?;
        let plain = payload(delivery);
        let body = PushEncryptionKeys::new(p256dh, auth)?.encrypt(plain.as_bytes(), &pair, salt)?;
        Ok((body, authorization))
    }
}

/// Returns the JSON for the page's service worker, with a text that is shortened until it fits.
fn payload(delivery: &ClaimedDelivery) -> String {
    let mut chars = MAX_PAYLOAD_BYTES;
    loop {
        let text = super::truncate(&delivery.body, chars);
        let payload = json!({"id": delivery.notification_id, "event": delivery.event,
            "title": delivery.title, "body": text});
        let payload = payload.to_string();
        if payload.len() <= MAX_PAYLOAD_BYTES || chars < 10 {
            return payload;
        }
        chars /= 2;
    }
}

impl Provider for WebPushProvider {
    fn name(&self) -> &'static str {
        "web_push"
    }

    fn send<'a>(&'a self, delivery: &'a ClaimedDelivery) -> BoxFuture<'a, SendResult> {
        self.post(delivery).boxed()
    }
}
