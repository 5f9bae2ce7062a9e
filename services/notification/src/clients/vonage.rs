//! Vonage SMS API (<https://developer.vonage.com/en/api/sms>), and Reports API for lookups
//! (<https://developer.vonage.com/en/api/reports>).

pub mod callback;
mod status;

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use common::clock::Clock;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use reqwest::{Client, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use self::status::classify_status;
use super::{Provider, body, http_result};
use crate::domain::attempt::{ClaimedDelivery, SendOutcome, SendResult, UnknownOutcomePolicy};
use crate::domain::sms::SmsEncoding;

const MAX_RESPONSE_BYTES: usize = 1 << 18;
/// Tolerated difference from Vonage's clock.
const CLOCK_SKEW: TimeDelta = TimeDelta::seconds(60);
/// Longest period of a report.
const MAX_REPORT_PERIOD: TimeDelta = TimeDelta::hours(24);
/// Time until a message appears in the reports.
const REPORT_DELAY: TimeDelta = TimeDelta::minutes(10);

#[derive(Clone, Debug)]
pub struct VonageSettings {
    /// URL of the SMS API.
    pub base_url: Url,
    /// URL of the Reports API.
    pub reports_url: Url,
    /// API key of the account.
    pub api_key: String,
    /// API secret of the account.
    pub api_secret: SecretString,
    /// Sender: a number or a name.
    pub from: String,
    /// URL to which Vonage reports the status of messages.
    pub callback_url: Option<Url>,
    /// Time-out of a request.
    pub timeout: Duration,
}

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
        let base = settings.base_url.as_str().trim_end_matches('/');
        let kind = match SmsEncoding::for_text(&delivery.body) {
            SmsEncoding::Gsm7 => "text",
            SmsEncoding::Ucs2 => "unicode",
        };
        let reference = delivery.id.to_string();
        let mut form = vec![
            ("api_key", settings.api_key.as_str()),
            ("api_secret", settings.api_secret.expose_secret()),
            ("from", settings.from.trim_start_matches('+')),
            ("to", delivery.address.unmasked().trim_start_matches('+')),
            ("text", &delivery.body),
            ("type", kind),
            ("client-ref", &reference),
        ];
        if let Some(callback) = &settings.callback_url {
            form.push(("callback", callback.as_str()));
        }
        let request = self.http.post(format!("{base}/sms/json")).form(&form);
        match request.timeout(settings.timeout).send().await {
            Ok(response) => parse_response(response).await,
            Err(error) => http_result::transport_error(&error),
        }
    }
}

impl VonageProvider {
    /// Returns the ids of messages whose reference is the delivery's id.
    async fn find_messages(
        &self,
        delivery: &ClaimedDelivery,
        since: DateTime<Utc>,
    ) -> Result<Vec<String>, SendResult> {
        let settings = &self.settings;
        let base = settings.reports_url.as_str().trim_end_matches('/');
        let moment = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let reference = delivery.id.to_string();
        let query = [
            ("account_id", settings.api_key.as_str()),
            ("product", "SMS"),
            ("direction", "outbound"),
            ("to", delivery.address.unmasked().trim_start_matches('+')),
            ("client_ref", &reference),
            ("date_start", &moment(since - CLOCK_SKEW)),
            ("date_end", &moment(since - CLOCK_SKEW + MAX_REPORT_PERIOD)),
        ];
        let request = self.http.get(format!("{base}/v2/reports/records"));
        let request = request.query(&query).timeout(settings.timeout);
        let request =
            request.basic_auth(&settings.api_key, Some(settings.api_secret.expose_secret()));
        let unknown = |words| SendResult::new(SendOutcome::Unknown, Some(words));
        let response = request.send().await;
        let response = response.map_err(|_| unknown("the lookup got no answer"))?;
        let status = response.status().as_u16();
        if status != 200 {
            let outcome = match status {
                401 | 403 => SendOutcome::Config,
                429 => SendOutcome::Transient(http_result::retry_after(&response)),
                _ => SendOutcome::Unknown,
            };
            return Err(http_result::from_status(
                status,
                outcome,
                Some("the provider refused the lookup"),
            ));
        }
        let json = body::read_limited(response, MAX_RESPONSE_BYTES).await;
        let report: Option<ReportResponse> =
            json.and_then(|json| serde_json::from_slice(&json).ok());
        let records = report
            .ok_or(unknown("the answer to the lookup is invalid"))?
            .records;
        let own = records
            .into_iter()
            .filter(|record| record.matches(&reference));
        let ids: Vec<_> = own.map(|record| record.message_id).collect();
        // Records appear with a delay of a few minutes.
        if ids.is_empty() && self.clock.now() < since + REPORT_DELAY {
            return Err(unknown(
                "the message may not be in the provider's reports yet",
            ));
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
    /// Whether the message has this reference and was not refused.
    fn matches(&self, reference: &str) -> bool {
        let failed = matches!(self.status.as_deref(), Some("failed" | "rejected"));
        !failed && self.client_ref.as_deref() == Some(reference)
    }
}

/// Vonage reports errors for each message part, with the HTTP status 200. The first part that
/// failed determines the outcome.
async fn parse_response(response: Response) -> SendResult {
    let status = response.status().as_u16();
    let wait = http_result::retry_after(&response);
    let ok = response.status().is_success();
    let json = body::read_limited(response, MAX_RESPONSE_BYTES).await;
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
        return http_result::from_status(status, outcome, Some("the answer is invalid"));
    }
    let failed = parts.iter().find(|part| part.status != "0");
    let sent = parts.iter().any(|part| part.status == "0");
    let code = failed.and_then(|part| part.status.parse().ok());
    let (outcome, words) = match failed {
        None => (SendOutcome::Sent, None),
        // A retry would send the accepted parts twice.
        Some(_) if sent => (
            SendOutcome::Permanent,
            Some("a part of the message was refused"),
        ),
        Some(_) => {
            let (outcome, words) = classify_status(code.unwrap_or_default());
            (outcome, Some(words))
        }
    };
    SendResult {
        code,
        message_id: id.filter(|_| sent),
        ..http_result::from_status(status, outcome, words)
    }
}

impl Provider for VonageProvider {
    fn name(&self) -> &'static str {
        "vonage"
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
