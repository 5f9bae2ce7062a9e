//! Vonage's SMS API: <https://developer.vonage.com/en/api/sms>; and its Reports API, where it is
//! looked up what became of a message: <https://developer.vonage.com/en/api/reports>.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use common::clock::Clock;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use reqwest::{Client, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use super::{Provider, answer, body};
use crate::domain::attempt::{Answer, Claimed, Doubt, Outcome};
use crate::domain::sms::Encoding;
use crate::domain::vonage::meaning;

/// A longer answer, in bytes, is not read.
const LONGEST_ANSWER: usize = 1 << 18;
/// Vonage's clock and ours may differ by this.
const SKEW: TimeDelta = TimeDelta::seconds(60);
/// The longest time that one report tells of.
const LONGEST_REPORT: TimeDelta = TimeDelta::hours(24);
/// How late a message may be in the reports.
const LATE: TimeDelta = TimeDelta::minutes(10);

/// What Vonage needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where its API is.
    pub base: Url,
    /// Where its reports are.
    pub reports: Url,
    /// The account's key.
    pub key: String,
    /// The account's secret.
    pub secret: SecretString,
    /// Who sends: a number or a name.
    pub from: String,
    /// Where Vonage tells what became of messages.
    pub callback: Option<Url>,
    /// How long a call may take.
    pub patience: Duration,
}

/// Sends text messages through Vonage.
pub struct Vonage {
    http: Client,
    settings: Settings,
    clock: Clock,
}

#[derive(Deserialize)]
struct Said {
    messages: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    status: String,
    #[serde(rename = "message-id")]
    message_id: Option<String>,
}

impl Vonage {
    /// A client for these settings.
    #[must_use]
    pub fn new(http: Client, settings: Settings, clock: Clock) -> Self {
        Self {
            http,
            settings,
            clock,
        }
    }

    async fn post(&self, delivery: &Claimed) -> Answer {
        let settings = &self.settings;
        let base = settings.base.as_str().trim_end_matches('/');
        let kind = match Encoding::of(&delivery.body) {
            Encoding::Gsm7 => "text",
            Encoding::Ucs2 => "unicode",
        };
        let reference = delivery.id.to_string();
        let mut form = vec![
            ("api_key", settings.key.as_str()),
            ("api_secret", settings.secret.expose_secret()),
            ("from", settings.from.trim_start_matches('+')),
            ("to", delivery.target.address().trim_start_matches('+')),
            ("text", &delivery.body),
            ("type", kind),
            ("client-ref", &reference),
        ];
        if let Some(callback) = &settings.callback {
            form.push(("callback", callback.as_str()));
        }
        let request = self.http.post(format!("{base}/sms/json")).form(&form);
        match request.timeout(settings.patience).send().await {
            Ok(response) => read(response).await,
            Err(error) => answer::broken(&error),
        }
    }
}

impl Vonage {
    /// The ids of messages that carry the delivery's id.
    async fn reported(
        &self,
        delivery: &Claimed,
        since: DateTime<Utc>,
    ) -> Result<Vec<String>, Answer> {
        let settings = &self.settings;
        let base = settings.reports.as_str().trim_end_matches('/');
        let moment = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let reference = delivery.id.to_string();
        let query = [
            ("account_id", settings.key.as_str()),
            ("product", "SMS"),
            ("direction", "outbound"),
            ("to", delivery.target.address().trim_start_matches('+')),
            ("client_ref", &reference),
            ("date_start", &moment(since - SKEW)),
            ("date_end", &moment(since - SKEW + LONGEST_REPORT)),
        ];
        let request = self.http.get(format!("{base}/v2/reports/records"));
        let request = request.query(&query).timeout(settings.patience);
        let request = request.basic_auth(&settings.key, Some(settings.secret.expose_secret()));
        let unknown = |words| Answer::plain(Outcome::Unknown, Some(words));
        let response = request.send().await;
        let response = response.map_err(|_| unknown("the look-up brought no answer"))?;
        let status = response.status().as_u16();
        if status != 200 {
            let outcome = match status {
                401 | 403 => Outcome::Config,
                429 => Outcome::Transient(answer::retry_after(&response)),
                _ => Outcome::Unknown,
            };
            return Err(answer::by_status(
                status,
                outcome,
                Some("the look-up is refused"),
            ));
        }
        let json = body::read(response, LONGEST_ANSWER).await;
        let report: Option<Report> = json.and_then(|json| serde_json::from_slice(&json).ok());
        let records = report.ok_or(unknown("the look-up cannot be read"))?.records;
        let own = records.into_iter().filter(|record| record.is(&reference));
        let ids: Vec<_> = own.map(|record| record.message_id).collect();
        // Records come a few minutes late.
        if ids.is_empty() && self.clock.now() < since + LATE {
            return Err(unknown("the look-up cannot tell yet"));
        }
        Ok(ids)
    }
}

#[derive(Deserialize)]
struct Report {
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    message_id: String,
    client_ref: Option<String>,
    status: Option<String>,
}

impl Record {
    /// Whether it is that message, and was not refused.
    fn is(&self, reference: &str) -> bool {
        let failed = matches!(self.status.as_deref(), Some("failed" | "rejected"));
        !failed && self.client_ref.as_deref() == Some(reference)
    }
}

/// Errors are told part by part, with the status 200; the first that failed counts.
async fn read(response: Response) -> Answer {
    let status = response.status().as_u16();
    let wait = answer::retry_after(&response);
    let ok = response.status().is_success();
    let json = body::read(response, LONGEST_ANSWER).await;
    let said: Option<Said> = json.and_then(|json| serde_json::from_slice(&json).ok());
    let parts = said.map(|said| said.messages).unwrap_or_default();
    let id = parts.iter().find_map(|part| part.message_id.clone());
    if parts.is_empty() {
        let outcome = match status {
            401 | 403 => Outcome::Config,
            429 => Outcome::Transient(wait),
            _ if ok || status >= 500 => Outcome::Unknown,
            _ => Outcome::Permanent,
        };
        return answer::by_status(status, outcome, Some("no answer that can be read"));
    }
    let failed = parts.iter().find(|part| part.status != "0");
    let sent = parts.iter().any(|part| part.status == "0");
    let code = failed.and_then(|part| part.status.parse().ok());
    let (outcome, words) = match failed {
        None => (Outcome::Sent, None),
        // Sent again, the parts that went out would come twice.
        Some(_) if sent => (Outcome::Permanent, Some("a part of it was refused")),
        Some(_) => {
            let (outcome, words) = meaning(code.unwrap_or_default());
            (outcome, Some(words))
        }
    };
    Answer {
        code,
        message_id: id.filter(|_| sent),
        ..answer::by_status(status, outcome, words)
    }
}

impl Provider for Vonage {
    fn name(&self) -> &'static str {
        "vonage"
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
        self.reported(delivery, since).boxed()
    }
}
