//! Twilio Messages resource: <https://www.twilio.com/docs/messaging/api/message-resource>.

pub mod callback;
mod error_code;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use reqwest::{RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use self::error_code::classify_error;
use super::{Provider, body, http_result};
use crate::domain::attempt::{ClaimedDelivery, SendOutcome, SendResult, UnknownOutcomePolicy};
use crate::domain::phone::PhoneNumber;

const MAX_RESPONSE_BYTES: usize = 1 << 20;
/// Messages per lookup. Only the first page, with the newest messages, is read.
const PAGE_SIZE: &str = "200";
/// Tolerated difference from Twilio's clock, whose times have no fractions of a second.
const CLOCK_SKEW: TimeDelta = TimeDelta::seconds(60);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TwilioSender {
    /// A phone number of the account.
    Number(PhoneNumber),
    /// A messaging service (`MG…`), which selects the number.
    Service(String),
}

#[derive(Clone, Debug)]
pub struct TwilioSettings {
    /// URL of the API.
    pub base_url: Url,
    /// SID of the account (`AC…`).
    pub account_sid: String,
    /// SID of an API key (`SK…`). Without it, `secret` is the account's auth token.
    pub api_key: Option<String>,
    /// Secret of the API key, or the account's auth token.
    pub secret: SecretString,
    /// URL to which Twilio reports the status of messages.
    pub callback_url: Option<Url>,
    pub sender: TwilioSender,
    /// Time-out of a request.
    pub timeout: Duration,
}

pub struct TwilioProvider {
    http: reqwest::Client,
    settings: TwilioSettings,
    messages_url: Url,
}

impl TwilioProvider {
    #[must_use]
    pub fn new(http: reqwest::Client, settings: TwilioSettings) -> Self {
        let path = format!("2010-04-01/Accounts/{}/Messages.json", settings.account_sid);
        let mut messages_url = settings.base_url.clone();
        let before = messages_url.path().trim_end_matches('/').to_owned();
        messages_url.set_path(&format!("{before}/{path}"));
        Self {
            http,
            settings,
            messages_url,
        }
    }

    async fn send_request(&self, request: RequestBuilder) -> reqwest::Result<Response> {
        let TwilioSettings {
            account_sid: account,
            api_key,
            secret,
            ..
        } = &self.settings;
        request
            .basic_auth(
                api_key.as_ref().unwrap_or(account),
                Some(secret.expose_secret()),
            )
            .timeout(self.settings.timeout)
            .send()
            .await
    }

    async fn post(&self, delivery: &ClaimedDelivery) -> SendResult {
        let sender = match &self.settings.sender {
            TwilioSender::Number(number) => ("From", number.as_str()),
            TwilioSender::Service(sid) => ("MessagingServiceSid", sid.as_str()),
        };
        let mut form = vec![
            ("To", delivery.address.unmasked()),
            sender,
            ("Body", &delivery.body),
        ];
        if let Some(callback) = &self.settings.callback_url {
            form.push(("StatusCallback", callback.as_str()));
        }
        let request = self.http.post(self.messages_url.clone()).form(&form);
        match self.send_request(request).await {
            Ok(response) if response.status().is_success() => parse_created(response).await,
            Ok(response) => parse_error(response).await,
            Err(error) => http_result::transport_error(&error),
        }
    }

    async fn find_messages(
        &self,
        delivery: &ClaimedDelivery,
        since: DateTime<Utc>,
    ) -> Result<Vec<String>, SendResult> {
        let since = since - CLOCK_SKEW;
        let day = since.format("%Y-%m-%d").to_string();
        let query = [
            ("To", delivery.address.unmasked()),
            // The name of the parameter ends in `>`; the query then contains `DateSent>=`.
            ("DateSent>", &day),
            ("PageSize", PAGE_SIZE),
        ];
        let request = self.http.get(self.messages_url.clone()).query(&query);
        let failed = |_| SendResult::new(SendOutcome::Unknown, Some("the lookup got no answer"));
        let response = self.send_request(request).await.map_err(failed)?;
        if response.status() != StatusCode::OK {
            let refused = parse_error(response).await;
            let outcome = match refused.outcome {
                outcome @ (SendOutcome::Permanent
                | SendOutcome::Gone
                | SendOutcome::Config
                | SendOutcome::Suppressed) => outcome,
                SendOutcome::Transient(wait) => SendOutcome::Transient(wait),
                SendOutcome::Sent | SendOutcome::Found | SendOutcome::Unknown => {
                    SendOutcome::Unknown
                }
            };
            let detail = refused.detail.map(|detail| format!("lookup: {detail}"));
            return Err(SendResult {
                outcome,
                detail,
                ..refused
            });
        }
        let page = body::read_limited(response, MAX_RESPONSE_BYTES).await;
        let page: Option<MessagePage> = page.and_then(|json| serde_json::from_slice(&json).ok());
        let unreadable = SendResult::new(
            SendOutcome::Unknown,
            Some("the answer to the lookup is invalid"),
        );
        let messages = page.ok_or(unreadable)?.messages.into_iter();
        let same = messages.filter(|message| message.matches(&delivery.body, since));
        Ok(same.map(|message| message.sid).collect())
    }
}

impl Provider for TwilioProvider {
    fn name(&self) -> &'static str {
        "twilio"
    }

    fn unknown_outcome_policy(&self) -> UnknownOutcomePolicy {
        UnknownOutcomePolicy::LookUp
    }

    fn send<'a>(&'a self, delivery: &'a ClaimedDelivery) -> BoxFuture<'a, SendResult> {
        self.post(delivery).boxed()
    }

    fn look_up<'a>(
        &'a self,
        delivery: &'a ClaimedDelivery,
        since: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<Vec<String>, SendResult>> {
        self.find_messages(delivery, since).boxed()
    }
}

#[derive(Deserialize)]
struct MessagePage {
    messages: Vec<MessageResource>,
}

#[derive(Deserialize)]
struct MessageResource {
    sid: String,
    body: String,
    status: String,
    /// RFC 2822.
    date_created: String,
}

impl MessageResource {
    /// Whether the message has this body, was created at or after `since`, and did not fail.
    fn matches(&self, body: &str, since: DateTime<Utc>) -> bool {
        let failed = matches!(self.status.as_str(), "failed" | "undelivered" | "canceled");
        let created = DateTime::parse_from_rfc2822(&self.date_created);
        // Twilio prepends a sentence to the messages of trial accounts.
        !failed && self.body.ends_with(body) && created.is_ok_and(|created| created >= since)
    }
}

/// A success status means that the message is sent, even if the body is invalid.
async fn parse_created(response: Response) -> SendResult {
    #[derive(Deserialize)]
    struct CreatedMessage {
        sid: String,
    }
    let http_status = Some(response.status().as_u16());
    let json = body::read_limited(response, MAX_RESPONSE_BYTES).await;
    let created: Option<CreatedMessage> = json.and_then(|json| serde_json::from_slice(&json).ok());
    SendResult {
        http_status,
        message_id: created.map(|created| created.sid),
        ..SendResult::new(SendOutcome::Sent, None)
    }
}

async fn parse_error(response: Response) -> SendResult {
    #[derive(Deserialize)]
    struct TwilioError {
        code: Option<i32>,
    }
    let status = response.status().as_u16();
    let wait = http_result::retry_after(&response);
    let json = body::read_limited(response, MAX_RESPONSE_BYTES).await;
    let refusal_body: Option<TwilioError> =
        json.and_then(|json| serde_json::from_slice(&json).ok());
    classify_error(status, refusal_body.and_then(|body| body.code), wait)
}
