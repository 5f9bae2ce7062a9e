//! Twilio's Messages resource: <https://www.twilio.com/docs/messaging/api/message-resource>.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use reqwest::{RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use super::{Provider, answer, body};
use crate::domain::attempt::{Answer, Claimed, Doubt, Outcome};
use crate::domain::phone::PhoneNumber;
use crate::domain::twilio::refusal;

/// A longer answer, in bytes, is not read.
const LONGEST_ANSWER: usize = 1 << 20;
/// Messages on the one page that is looked at, the newest first.
const PAGE: &str = "200";
/// Twilio's clock and ours may differ by this, and its times have no fractions of a second.
const SKEW: TimeDelta = TimeDelta::seconds(60);

/// Who sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A number of the account.
    Number(PhoneNumber),
    /// A messaging service (`MG…`), which chooses a number.
    Service(String),
}

/// What Twilio needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where its API is.
    pub base: Url,
    /// The account's SID (`AC…`).
    pub account: String,
    /// An API key's SID (`SK…`); without one `secret` is the account's auth token.
    pub api_key: Option<String>,
    /// The API key's secret, or the account's auth token.
    pub secret: SecretString,
    /// Where Twilio tells what became of messages.
    pub callback: Option<Url>,
    /// Who sends.
    pub sender: Sender,
    /// How long a call may take.
    pub patience: Duration,
}

/// Sends text messages through Twilio.
pub struct Twilio {
    http: reqwest::Client,
    settings: Settings,
    messages: Url,
}

impl Twilio {
    /// A client for these settings.
    #[must_use]
    pub fn new(http: reqwest::Client, settings: Settings) -> Self {
        let path = format!("2010-04-01/Accounts/{}/Messages.json", settings.account);
        let mut messages = settings.base.clone();
        let before = messages.path().trim_end_matches('/').to_owned();
        messages.set_path(&format!("{before}/{path}"));
        Self {
            http,
            settings,
            messages,
        }
    }

    async fn call(&self, request: RequestBuilder) -> reqwest::Result<Response> {
        let Settings {
            account,
            api_key,
            secret,
            ..
        } = &self.settings;
        request
            .basic_auth(
                api_key.as_ref().unwrap_or(account),
                Some(secret.expose_secret()),
            )
            .timeout(self.settings.patience)
            .send()
            .await
    }

    async fn post(&self, delivery: &Claimed) -> Answer {
        let sender = match &self.settings.sender {
            Sender::Number(number) => ("From", number.as_str()),
            Sender::Service(sid) => ("MessagingServiceSid", sid.as_str()),
        };
        let mut form = vec![
            ("To", delivery.target.address()),
            sender,
            ("Body", &delivery.body),
        ];
        if let Some(callback) = &self.settings.callback {
            form.push(("StatusCallback", callback.as_str()));
        }
        let request = self.http.post(self.messages.clone()).form(&form);
        match self.call(request).await {
            Ok(response) if response.status().is_success() => sent(response).await,
            Ok(response) => refused(response).await,
            Err(error) => answer::broken(&error),
        }
    }

    async fn list(&self, delivery: &Claimed, since: DateTime<Utc>) -> Result<Vec<String>, Answer> {
        let since = since - SKEW;
        let day = since.format("%Y-%m-%d").to_string();
        let query = [
            ("To", delivery.target.address()),
            // The parameter's name ends in `>`, which reads `DateSent>=`.
            ("DateSent>", &day),
            ("PageSize", PAGE),
        ];
        let request = self.http.get(self.messages.clone()).query(&query);
        let failed = |_| Answer::plain(Outcome::Unknown, Some("the look-up brought no answer"));
        let response = self.call(request).await.map_err(failed)?;
        if response.status() != StatusCode::OK {
            let refused = refused(response).await;
            let outcome = match refused.outcome {
                outcome @ (Outcome::Permanent
                | Outcome::Gone
                | Outcome::Config
                | Outcome::Suppressed) => outcome,
                Outcome::Transient(wait) => Outcome::Transient(wait),
                Outcome::Sent | Outcome::Found | Outcome::Unknown => Outcome::Unknown,
            };
            let detail = refused.detail.map(|detail| format!("look-up: {detail}"));
            return Err(Answer {
                outcome,
                detail,
                ..refused
            });
        }
        let page = body::read(response, LONGEST_ANSWER).await;
        let page: Option<Page> = page.and_then(|json| serde_json::from_slice(&json).ok());
        let unreadable = Answer::plain(Outcome::Unknown, Some("the look-up cannot be read"));
        let messages = page.ok_or(unreadable)?.messages.into_iter();
        let same = messages.filter(|message| message.is(&delivery.body, since));
        Ok(same.map(|message| message.sid).collect())
    }
}

impl Provider for Twilio {
    fn name(&self) -> &'static str {
        "twilio"
    }

    fn doubt(&self) -> Doubt {
        Doubt::LookUp
    }

    fn send<'a>(&'a self, delivery: &'a Claimed) -> BoxFuture<'a, Answer> {
        self.post(delivery).boxed()
    }

    fn look_up<'a>(
        &'a self,
        delivery: &'a Claimed,
        since: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<Vec<String>, Answer>> {
        self.list(delivery, since).boxed()
    }
}

#[derive(Deserialize)]
struct Page {
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    sid: String,
    body: String,
    status: String,
    /// RFC 2822.
    date_created: String,
}

impl Message {
    /// Whether it says `body`, came into being after `since`, and did not fail.
    fn is(&self, body: &str, since: DateTime<Utc>) -> bool {
        let failed = matches!(self.status.as_str(), "failed" | "undelivered" | "canceled");
        let created = DateTime::parse_from_rfc2822(&self.date_created);
        // Trial accounts have a sentence of Twilio's put before the message.
        !failed && self.body.ends_with(body) && created.is_ok_and(|created| created >= since)
    }
}

/// Once the status says so it is sent, whether or not the rest can be read.
async fn sent(response: Response) -> Answer {
    #[derive(Deserialize)]
    struct Created {
        sid: String,
    }
    let http_status = Some(response.status().as_u16());
    let json = body::read(response, LONGEST_ANSWER).await;
    let created: Option<Created> = json.and_then(|json| serde_json::from_slice(&json).ok());
    Answer {
        http_status,
        message_id: created.map(|created| created.sid),
        ..Answer::plain(Outcome::Sent, None)
    }
}

async fn refused(response: Response) -> Answer {
    #[derive(Deserialize)]
    struct Refusal {
        code: Option<i32>,
    }
    let status = response.status().as_u16();
    let wait = answer::retry_after(&response);
    let json = body::read(response, LONGEST_ANSWER).await;
    let refusal_body: Option<Refusal> = json.and_then(|json| serde_json::from_slice(&json).ok());
    refusal(status, refusal_body.and_then(|body| body.code), wait)
}
