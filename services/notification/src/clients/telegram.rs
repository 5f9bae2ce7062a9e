//! Telegram Bot API: <https://core.telegram.org/bots/api#sendmessage>.

use chrono::TimeDelta;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use reqwest::{Client, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::{Provider, body, http_result, title_and_body, truncate};
use crate::domain::attempt::{ClaimedDelivery, SendOutcome, SendResult};

const MAX_MESSAGE_CHARS: usize = 4_096;
const MAX_RESPONSE_BYTES: usize = 1 << 16;

/// Sends to Telegram chats as a bot.
pub struct TelegramProvider {
    /// A client with time-outs.
    pub http: Client,
    /// URL of the Bot API.
    pub base_url: Url,
    pub token: SecretString,
}

#[derive(Default, Deserialize)]
struct TelegramResponse {
    result: Option<TelegramMessage>,
    error_code: Option<i32>,
    parameters: Option<ResponseParameters>,
}

#[derive(Deserialize)]
struct TelegramMessage {
    message_id: i64,
}

#[derive(Deserialize)]
struct ResponseParameters {
    retry_after: Option<u32>,
}

impl TelegramProvider {
    async fn post(&self, delivery: &ClaimedDelivery) -> SendResult {
        let base = self.base_url.as_str().trim_end_matches('/');
        let url = format!("{base}/bot{}/sendMessage", self.token.expose_secret());
        // Without a `parse_mode`, Telegram shows the text literally, so the name of a visitor's
        // page cannot become a link with a different text.
        let body = json!({"chat_id": delivery.address.unmasked_value(),
            "text": truncate(&title_and_body(delivery), MAX_MESSAGE_CHARS),
            "link_preview_options": {"is_disabled": true}});
        match self.http.post(url).json(&body).send().await {
            Ok(response) => parse_response(response).await,
            Err(error) => http_result::transport_error(&error),
        }
    }
}

async fn parse_response(response: Response) -> SendResult {
    let status = response.status().as_u16();
    let json = body::read_limited(response, MAX_RESPONSE_BYTES).await;
    let said: Option<TelegramResponse> = json.and_then(|json| serde_json::from_slice(&json).ok());
    let said = said.unwrap_or_default();
    let wait = said
        .parameters
        .and_then(|parameters| parameters.retry_after);
    let wait = wait.map(|seconds| TimeDelta::seconds(seconds.into()));
    let (outcome, words) = match status {
        200..=299 => (SendOutcome::Sent, None),
        401 | 404 => (SendOutcome::Config, Some("the bot token is invalid")),
        403 => (
            SendOutcome::Gone,
            Some("the bot is blocked or not a member of the chat"),
        ),
        429 => (SendOutcome::Transient(wait), None),
        500.. => (SendOutcome::Unknown, None),
        _ => (
            SendOutcome::Permanent,
            Some("the chat or the message is invalid"),
        ),
    };
    SendResult {
        code: said.error_code,
        message_id: said.result.map(|message| message.message_id.to_string()),
        ..http_result::from_status(status, outcome, words)
    }
}

impl Provider for TelegramProvider {
    fn name(&self) -> &'static str {
        "telegram"
    }

    fn send<'a>(&'a self, delivery: &'a ClaimedDelivery) -> BoxFuture<'a, SendResult> {
        self.post(delivery).boxed()
    }
}
