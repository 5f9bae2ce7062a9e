//! ntfy: <https://docs.ntfy.sh/publish/#publish-as-json>.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use reqwest::{Client, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::{Provider, body, http_result, truncate};
use crate::domain::attempt::{ClaimedDelivery, SendOutcome, SendResult};

/// Servers accept 4,096 bytes.
const MAX_MESSAGE_CHARS: usize = 1_300;
const MAX_RESPONSE_BYTES: usize = 1 << 16;

/// Publishes to ntfy topics.
pub struct NtfyProvider {
    /// A client with time-outs.
    pub http: Client,
    /// URL of the server.
    pub base_url: Url,
    /// Access token, if the server requires one.
    pub token: Option<SecretString>,
}

#[derive(Default, Deserialize)]
struct NtfyResponse {
    id: Option<String>,
    code: Option<i32>,
}

impl NtfyProvider {
    async fn post(&self, delivery: &ClaimedDelivery) -> SendResult {
        let body = json!({"topic": delivery.address.unmasked_value(), "title": delivery.title,
            "message": truncate(&delivery.body, MAX_MESSAGE_CHARS)});
        let request = self.http.post(self.base_url.clone()).json(&body);
        let request = match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        };
        match request.send().await {
            Ok(response) => parse_response(response).await,
            Err(error) => http_result::transport_error(&error),
        }
    }
}

async fn parse_response(response: Response) -> SendResult {
    let status = response.status().as_u16();
    let wait = http_result::retry_after(&response);
    let json = body::read_limited(response, MAX_RESPONSE_BYTES).await;
    let said: Option<NtfyResponse> = json.and_then(|json| serde_json::from_slice(&json).ok());
    let said = said.unwrap_or_default();
    let (outcome, words) = match status {
        200..=299 => (SendOutcome::Sent, None),
        401 | 403 => (
            SendOutcome::Config,
            Some("the server refused the access token"),
        ),
        429 | 507 => (
            SendOutcome::Transient(wait),
            Some("a limit of the server is reached"),
        ),
        500.. => (SendOutcome::Unknown, None),
        _ => (SendOutcome::Permanent, None),
    };
    SendResult {
        code: said.code,
        message_id: said.id,
        ..http_result::from_status(status, outcome, words)
    }
}

impl Provider for NtfyProvider {
    fn name(&self) -> &'static str {
        "ntfy"
    }

    fn send<'a>(&'a self, delivery: &'a ClaimedDelivery) -> BoxFuture<'a, SendResult> {
        self.post(delivery).boxed()
    }
}
