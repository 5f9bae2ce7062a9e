//! Telegram's bots: <https://core.telegram.org/bots/api#sendmessage>.

use chrono::TimeDelta;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use reqwest::{Client, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::{Provider, answer, body, cut, whole};
use crate::domain::attempt::{ClaimedDelivery, SendOutcome, SendResult};

/// The longest message, in characters.
const MAX_MESSAGE_CHARS: usize = 4_096;
/// A longer answer, in bytes, is not read.
const MAX_RESPONSE_BYTES: usize = 1 << 16;

/// Writes to chats of Telegram as a bot.
pub struct TelegramProvider {
    /// Calls with limits.
    pub http: Client,
    /// Where its API is.
    pub base: Url,
    /// The bot's token.
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
        let base = self.base.as_str().trim_end_matches('/');
        let url = format!("{base}/bot{}/sendMessage", self.token.expose_secret());
        // Without a `parse_mode` the text is shown as it is: nothing in it becomes a link with
        // another text, whatever a visitor's page is called.
        let body = json!({"chat_id": delivery.target.value(),
            "text": cut(&whole(delivery), MAX_MESSAGE_CHARS),
            "link_preview_options": {"is_disabled": true}});
        match self.http.post(url).json(&body).send().await {
            Ok(response) => read(response).await,
            Err(error) => answer::broken(&error),
        }
    }
}

async fn read(response: Response) -> SendResult {
    let status = response.status().as_u16();
    let json = body::read(response, MAX_RESPONSE_BYTES).await;
    let said: Option<TelegramResponse> = json.and_then(|json| serde_json::from_slice(&json).ok());
    let said = said.unwrap_or_default();
    let wait = said
        .parameters
        .and_then(|parameters| parameters.retry_after);
    let wait = wait.map(|seconds| TimeDelta::seconds(seconds.into()));
    let (outcome, words) = match status {
        200..=299 => (SendOutcome::Sent, None),
        401 | 404 => (SendOutcome::Config, Some("the bot's token is not accepted")),
        403 => (
            SendOutcome::Gone,
            Some("the chat wants no messages of the bot"),
        ),
        429 => (SendOutcome::Transient(wait), None),
        500.. => (SendOutcome::Unknown, None),
        _ => (
            SendOutcome::Permanent,
            Some("the chat or the message is not accepted"),
        ),
    };
    SendResult {
        code: said.error_code,
        message_id: said.result.map(|message| message.message_id.to_string()),
        ..answer::by_status(status, outcome, words)
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
