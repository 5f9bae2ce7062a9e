//! Firebase Cloud Messaging, HTTP v1:
//! <https://firebase.google.com/docs/cloud-messaging/send/v1-api>.

use chrono::{DateTime, TimeDelta, Utc};
use common::clock::Clock;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Client, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Mutex;
use url::Url;

use super::{Provider, body, http_result, truncate};
use crate::domain::attempt::{ClaimedDelivery, SendOutcome, SendResult};

const OAUTH_SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
const JWT_BEARER_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// FCM accepts 4,096 bytes.
const MAX_MESSAGE_CHARS: usize = 1_000;
const MAX_RESPONSE_BYTES: usize = 1 << 16;
const TOKEN_RENEWAL_MARGIN: TimeDelta = TimeDelta::seconds(60);

/// A service account in Google's JSON format.
#[derive(Clone, Deserialize)]
pub struct ServiceAccount {
    project_id: String,
    client_email: String,
    private_key: String,
    token_uri: Url,
}

/// Sends to mobile apps.
pub struct FcmProvider {
    http: Client,
    base_url: Url,
    credentials: ServiceAccount,
    signing_key: EncodingKey,
    clock: Clock,
    cached_token: Mutex<Option<(String, DateTime<Utc>)>>,
}

#[derive(Deserialize)]
struct AccessTokenResponse {
    access_token: String,
    expires_in: u32,
}

#[derive(Default, Deserialize)]
struct FcmResponse {
    name: Option<String>,
    error: Option<FcmError>,
}

#[derive(Deserialize)]
struct FcmError {
    status: Option<String>,
    #[serde(default)]
    details: Vec<FcmErrorDetail>,
}

#[derive(Deserialize)]
struct FcmErrorDetail {
    #[serde(rename = "errorCode")]
    error_code: Option<String>,
}

impl FcmProvider {
    /// Fails if the private key of the account is invalid.
    pub fn new(
        http: Client,
        base: Url,
        credentials: ServiceAccount,
        clock: Clock,
    ) -> Result<Self, jsonwebtoken::errors::Error> {
        let key = EncodingKey::from_rsa_pem(credentials.private_key.as_bytes())?;
        Ok(Self {
            http,
            base_url: base,
            credentials,
            signing_key: key,
            clock,
            cached_token: Mutex::new(None),
        })
    }

    async fn post(&self, delivery: &ClaimedDelivery) -> SendResult {
        let token = match self.access_token().await {
            Ok(token) => token,
            Err(answer) => return answer,
        };
        let base = self.base_url.as_str().trim_end_matches('/');
        let project = &self.credentials.project_id;
        let url = format!("{base}/v1/projects/{project}/messages:send");
        let body = json!({"message": {
            "token": delivery.address.unmasked_value(),
            "notification": {"title": delivery.title,
                "body": truncate(&delivery.body, MAX_MESSAGE_CHARS)},
            "data": {"event": delivery.event, "notification_id": delivery.notification_id.to_string()},
        }});
        let request = self.http.post(url).bearer_auth(token).json(&body);
        match request.send().await {
            Ok(response) => {
                let answer = parse_response(response).await;
                if answer.http_status == Some(401) {
                    *self.cached_token.lock().await = None;
                }
                answer
            }
            Err(error) => http_result::transport_error(&error),
        }
    }

    /// Returns a valid access token. The lock ensures that only one is requested at a time
    /// (RFC 7523).
    async fn access_token(&self) -> Result<String, SendResult> {
        let mut kept = self.cached_token.lock().await;
        let now = self.clock.now();
        if let Some((token, until)) = kept.as_ref()
            && *until > now
        {
            return Ok(token.clone());
        }
        let wrong = |words| SendResult::new(SendOutcome::Config, Some(words));
        let assertion = self.sign_assertion(now);
        let assertion =
            assertion.map_err(|_| wrong("the private key of the service account is invalid"))?;
        let form = [("grant_type", JWT_BEARER_GRANT), ("assertion", &assertion)];
        let request = self
            .http
            .post(self.credentials.token_uri.clone())
            .form(&form);
        // The message has not been sent, so a retry is safe.
        let lost = |_| {
            SendResult::new(
                SendOutcome::Transient(None),
                Some("no access token in time"),
            )
        };
        let response = request.send().await.map_err(lost)?;
        let status = response.status().as_u16();
        let wait = http_result::retry_after(&response);
        let json = body::read_limited(response, MAX_RESPONSE_BYTES).await;
        let token: Option<AccessTokenResponse> =
            json.and_then(|json| serde_json::from_slice(&json).ok());
        match (status, token) {
            (200, Some(token)) => {
                let until =
                    now + TimeDelta::seconds(token.expires_in.into()) - TOKEN_RENEWAL_MARGIN;
                *kept = Some((token.access_token.clone(), until));
                Ok(token.access_token)
            }
            (429 | 500.., _) => Err(http_result::from_status(
                status,
                SendOutcome::Transient(wait),
                Some("no access token"),
            )),
            _ => Err(http_result::from_status(
                status,
                SendOutcome::Config,
                Some("the service account is not authorized"),
            )),
        }
    }

    fn sign_assertion(&self, now: DateTime<Utc>) -> jsonwebtoken::errors::Result<String> {
        #[derive(Serialize)]
        struct AssertionClaims<'a> {
            iss: &'a str,
            scope: &'a str,
            aud: &'a str,
            iat: i64,
            exp: i64,
        }
        let claims = AssertionClaims {
            iss: &self.credentials.client_email,
            scope: OAUTH_SCOPE,
            aud: self.credentials.token_uri.as_str(),
            iat: now.timestamp(),
            exp: now.timestamp() + 3_600,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.signing_key)
    }
}

async fn parse_response(response: Response) -> SendResult {
    let status = response.status().as_u16();
    let wait = http_result::retry_after(&response);
    let json = body::read_limited(response, MAX_RESPONSE_BYTES).await;
    let said: Option<FcmResponse> = json.and_then(|json| serde_json::from_slice(&json).ok());
    let said = said.unwrap_or_default();
    let error = said.error.and_then(|error| {
        let code = error
            .details
            .into_iter()
            .find_map(|detail| detail.error_code);
        code.or(error.status)
    });
    let (outcome, words) = match (status, error.as_deref()) {
        (200, _) => (SendOutcome::Sent, None),
        (_, Some("UNREGISTERED")) => (SendOutcome::Gone, Some("the app is no longer installed")),
        (_, Some("SENDER_ID_MISMATCH")) => (
            SendOutcome::Permanent,
            Some("the token belongs to another sender"),
        ),
        (401 | 403, _) => (
            SendOutcome::Config,
            Some("the service account is not authorized"),
        ),
        (404, _) => (
            SendOutcome::Permanent,
            Some("the project or app does not exist"),
        ),
        (429, _) => (
            SendOutcome::Transient(wait),
            Some("the rate limit is exceeded"),
        ),
        (500, _) => (SendOutcome::Unknown, None),
        (501.., _) => (SendOutcome::Transient(wait), None),
        _ => (
            SendOutcome::Permanent,
            Some("the message or the token is invalid"),
        ),
    };
    SendResult {
        message_id: said.name,
        ..http_result::from_status(status, outcome, words)
    }
}

impl Provider for FcmProvider {
    fn name(&self) -> &'static str {
        "fcm"
    }

    fn send<'a>(&'a self, delivery: &'a ClaimedDelivery) -> BoxFuture<'a, SendResult> {
        self.post(delivery).boxed()
    }
}
