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
use crate::domain::attempt::{ClaimedDelivery, SendOutcome, SendResult, UnknownOutcomePolicy};
use crate::domain::sms::SmsEncoding;
use crate::domain::vonage::meaning;

/// A longer answer, in bytes, is not read.
const MAX_RESPONSE_BYTES: usize = 1 << 18;
/// Vonage's clock and ours may differ by this.
const CLOCK_SKEW: TimeDelta = TimeDelta::seconds(60);
/// The longest time that one report tells of.
const MAX_REPORT_PERIOD: TimeDelta = TimeDelta::hours(24);
/// How late a message may be in the reports.
const REPORT_DELAY: TimeDelta = TimeDelta::minutes(10);

/// What Vonage needs.
#[derive(Clone, Debug)]
pub struct VonageSettings {
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
pub struct VonageProvider {
    http: Client,
    settings: VonageSettings,
    clock: Clock,
}

#[derive(Deserialize)]
struct VonageResponse {
    messages: Vec<MessagePart>,
}

#[derive(Deserialize)]
struct MessagePart {
    status: String,
    #[serde(rename = "message-id")]
    message_id: Option<String>,
}

impl VonageProvider {
    /// A client for these settings.
    #[must_use]
    pub fn new(http: Client, settings: VonageSettings, clock: Clock) -> Self {
        Self {
            http,
            settings,
            clock,
        }
    }

    async fn post(&self, delivery: &ClaimedDelivery) -> SendResult {
        let settings = &self.settings;
        let base = settings.base.as_str().trim_end_matches('/');
        let kind = match SmsEncoding::of(&delivery.body) {
            SmsEncoding::Gsm7 => "text",
            SmsEncoding::Ucs2 => "unicode",
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

impl VonageProvider {
    /// The ids of messages that carry the delivery's id.
    async fn reported(
        &self,
        delivery: &ClaimedDelivery,
        since: DateTime<Utc>,
    ) -> Result<Vec<String>, SendResult> {
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
            ("date_start", &moment(since - CLOCK_SKEW)),
            ("date_end", &moment(since - CLOCK_SKEW + MAX_REPORT_PERIOD)),
        ];
        let request = self.http.get(format!("{base}/v2/reports/records"));
        let request = request.query(&query).timeout(settings.patience);
        let request = request.basic_auth(&settings.key, Some(settings.secret.expose_secret()));
        let unknown = |words| SendResult::plain(SendOutcome::Unknown, Some(words));
        let response = request.send().await;
        let response = response.map_err(|_| unknown("the look-up brought no answer"))?;
        let status = response.status().as_u16();
        if status != 200 {
            let outcome = match status {
                401 | 403 => SendOutcome::Config,
                429 => SendOutcome::Transient(answer::retry_after(&response)),
                _ => SendOutcome::Unknown,
            };
            return Err(answer::by_status(
                status,
                outcome,
                Some("the look-up is refused"),
            ));
        }
        let json = body::read(response, MAX_RESPONSE_BYTES).await;
        let report: Option<ReportResponse> =
            json.and_then(|json| serde_json::from_slice(&json).ok());
        let records = report.ok_or(unknown("the look-up cannot be read"))?.records;
        let own = records.into_iter().filter(|record| record.is(&reference));
        let ids: Vec<_> = own.map(|record| record.message_id).collect();
        // Records come a few minutes late.
        if ids.is_empty() && self.clock.now() < since + REPORT_DELAY {
            return Err(unknown("the look-up cannot tell yet"));
        }
        Ok(ids)
    }
}

#[derive(Deserialize)]
struct ReportResponse {
    records: Vec<ReportRecord>,
}

#[derive(Deserialize)]
struct ReportRecord {
    message_id: String,
    client_ref: Option<String>,
    status: Option<String>,
}

impl ReportRecord {
    /// Whether it is that message, and was not refused.
    fn is(&self, reference: &str) -> bool {
        let failed = matches!(self.status.as_deref(), Some("failed" | "rejected"));
        !failed && self.client_ref.as_deref() == Some(reference)
    }
}

/// Errors are told part by part, with the status 200; the first that failed counts.
async fn read(response: Response) -> SendResult {
    let status = response.status().as_u16();
    let wait = answer::retry_after(&response);
    let ok = response.status().is_success();
    let json = body::read(response, MAX_RESPONSE_BYTES).await;
    let said: Option<VonageResponse> = json.and_then(|json| serde_json::from_slice(&json).ok());
    let parts = said.map(|said| said.messages).unwrap_or_default();
    let id = parts.iter().find_map(|part| part.message_id.clone());
    if parts.is_empty() {
        let outcome = match status {
            401 | 403 => SendOutcome::Config,
            429 => SendOutcome::Transient(wait),
            _ if ok || status >= 500 => SendOutcome::Unknown,
            _ => SendOutcome::Permanent,
        };
        return answer::by_status(status, outcome, Some("no answer that can be read"));
    }
    let failed = parts.iter().find(|part| part.status != "0");
    let sent = parts.iter().any(|part| part.status == "0");
    let code = failed.and_then(|part| part.status.parse().ok());
    let (outcome, words) = match failed {
        None => (SendOutcome::Sent, None),
        // Sent again, the parts that went out would come twice.
        Some(_) if sent => (SendOutcome::Permanent, Some("a part of it was refused")),
        Some(_) => {
            let (outcome, words) = meaning(code.unwrap_or_default());
            (outcome, Some(words))
        }
    };
    SendResult {
        code,
        message_id: id.filter(|_| sent),
        ..answer::by_status(status, outcome, words)
    }
}

impl Provider for VonageProvider {
    fn name(&self) -> &'static str {
        "vonage"
    }

    fn doubt(&self) -> UnknownOutcomePolicy {
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
        self.reported(delivery, since).boxed()
    }
}
