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
/// Messages per page of a lookup.
const PAGE_SIZE: &str = "200";
/// Pages per lookup; they are requested until messages are older than the delivery's first attempt.
const MAX_PAGES: usize = 10;
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
    /// Time-out of sending a message, and of a lookup with all its pages.
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

    /// Returns the ids of messages to the recipient with the same text, created at or after `since`.
    async fn find_messages(
        &self,
        delivery: &ClaimedDelivery,
        since: DateTime<Utc>,
    ) -> Result<Vec<String>, SendResult> {
        let since = since - CLOCK_SKEW;
        let mut url = self.messages_url.clone();
        url.query_pairs_mut()
            .append_pair("To", delivery.address.unmasked())
            // The name of the parameter ends in `>`; the query then contains `DateSent>=`.
            .append_pair("DateSent>", &since.format("%Y-%m-%d").to_string())
            .append_pair("PageSize", PAGE_SIZE);
        let mut found = vec![];
        for _ in 0..MAX_PAGES {
            let page = self.get_page(url.clone()).await?;
            let passed = page
                .messages
                .iter()
                .any(|message| !message.created_after(since));
            let same = page.messages.into_iter();
            let same = same.filter(|message| message.matches(&delivery.body, since));
            found.extend(same.map(|message| message.sid));
            // The newest messages come first.
            let Some(next) = page.next_page_uri.filter(|_| !passed) else {
                return Ok(found);
            };
            url.set_query(next.split_once('?').map(|(_, query)| query));
        }
        Err(unknown("there are too many messages to look through"))
    }

    async fn get_page(&self, url: Url) -> Result<MessagePage, SendResult> {
        let response = self.send_request(self.http.get(url)).await;
        let response = response.map_err(|_| unknown("the lookup got no answer"))?;
        if response.status() != StatusCode::OK {
            let refused = parse_error(response).await;
            let outcome = match refused.outcome {
                outcome @ (SendOutcome::Permanent
                | SendOutcome::Gone
                | SendOutcome::Config
                | SendOutcome::Suppressed
                | SendOutcome::Transient(_)) => outcome,
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
        page.and_then(|json| serde_json::from_slice(&json).ok())
            .ok_or_else(|| unknown("the answer to the lookup is invalid"))
    }
}

fn unknown(detail: &str) -> SendResult {
    SendResult::new(SendOutcome::Unknown, Some(detail))
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
        let pages =
            tokio::time::timeout(self.settings.timeout, self.find_messages(delivery, since));
        pages
            .map(|found| found.unwrap_or_else(|_| Err(unknown("the lookup got no answer"))))
            .boxed()
    }
}

#[derive(Deserialize)]
struct MessagePage {
    messages: Vec<MessageResource>,
    /// Path and query of the next page.
    next_page_uri: Option<String>,
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
        // Twilio prepends a sentence to the messages of trial accounts.
        !failed && self.body.ends_with(body) && self.created_after(since)
    }

    fn created_after(&self, since: DateTime<Utc>) -> bool {
        let created = DateTime::parse_from_rfc2822(&self.date_created);
        created.is_ok_and(|created| created >= since)
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
