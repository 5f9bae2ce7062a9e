//! Firebase Cloud Messaging, HTTP v1: <https://firebase.google.com/docs/cloud-messaging/send/v1-api>.

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

use super::{Provider, answer, body, cut};
use crate::domain::attempt::{Answer, Claimed, Outcome};

const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// The longest text, in characters; a message has 4,096 bytes.
const LONGEST: usize = 1_000;
/// A longer answer, in bytes, is not read.
const LONGEST_ANSWER: usize = 1 << 16;
/// A token is renewed so long before it ends.
const EARLY: TimeDelta = TimeDelta::seconds(60);

/// A service account, as Google gives it out.
#[derive(Clone, Deserialize)]
pub struct Credentials {
    project_id: String,
    client_email: String,
    private_key: String,
    token_uri: Url,
}

/// Sends to apps on phones.
pub struct Fcm {
    http: Client,
    base: Url,
    credentials: Credentials,
    key: EncodingKey,
    clock: Clock,
    token: Mutex<Option<(String, DateTime<Utc>)>>,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
    expires_in: u32,
}

#[derive(Default, Deserialize)]
struct Said {
    name: Option<String>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    status: Option<String>,
    #[serde(default)]
    details: Vec<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(rename = "errorCode")]
    error_code: Option<String>,
}

impl Fcm {
    /// A client for this account; the error says that its key cannot be used.
    pub fn new(
        http: Client,
        base: Url,
        credentials: Credentials,
        clock: Clock,
    ) -> Result<Self, jsonwebtoken::errors::Error> {
        let key = EncodingKey::from_rsa_pem(credentials.private_key.as_bytes())?;
        Ok(Self {
            http,
            base,
            credentials,
            key,
            clock,
            token: Mutex::new(None),
        })
    }

    async fn post(&self, delivery: &Claimed) -> Answer {
        let token = match self.token().await {
            Ok(token) => token,
            Err(answer) => return answer,
        };
        let base = self.base.as_str().trim_end_matches('/');
        let project = &self.credentials.project_id;
        let url = format!("{base}/v1/projects/{project}/messages:send");
        let body = json!({"message": {
            "token": delivery.target.value(),
            "notification": {"title": delivery.title, "body": cut(&delivery.body, LONGEST)},
            "data": {"event": delivery.event, "notification_id": delivery.notification.to_string()},
        }});
        let request = self.http.post(url).bearer_auth(token).json(&body);
        match request.send().await {
            Ok(response) => {
                let answer = read(response).await;
                if answer.http_status == Some(401) {
                    *self.token.lock().await = None;
                }
                answer
            }
            Err(error) => answer::broken(&error),
        }
    }

    /// A token that holds; one is asked for at a time (RFC 7523).
    async fn token(&self) -> Result<String, Answer> {
        let mut kept = self.token.lock().await;
        let now = self.clock.now();
        if let Some((token, until)) = kept.as_ref()
            && *until > now
        {
            return Ok(token.clone());
        }
        let wrong = |words| Answer::plain(Outcome::Config, Some(words));
        let assertion = self.assertion(now);
        let assertion = assertion.map_err(|_| wrong("the account's key cannot be used"))?;
        let form = [("grant_type", GRANT), ("assertion", &assertion)];
        let request = self
            .http
            .post(self.credentials.token_uri.clone())
            .form(&form);
        // Nothing was sent yet, whatever became of it.
        let lost = |_| Answer::plain(Outcome::Transient(None), Some("no token in time"));
        let response = request.send().await.map_err(lost)?;
        let status = response.status().as_u16();
        let wait = answer::retry_after(&response);
        let json = body::read(response, LONGEST_ANSWER).await;
        let token: Option<Token> = json.and_then(|json| serde_json::from_slice(&json).ok());
        match (status, token) {
            (200, Some(token)) => {
                let until = now + TimeDelta::seconds(token.expires_in.into()) - EARLY;
                *kept = Some((token.access_token.clone(), until));
                Ok(token.access_token)
            }
            (429 | 500.., _) => Err(answer::by_status(
                status,
                Outcome::Transient(wait),
                Some("no token"),
            )),
            _ => Err(answer::by_status(
                status,
                Outcome::Config,
                Some("the account is not accepted"),
            )),
        }
    }

    fn assertion(&self, now: DateTime<Utc>) -> jsonwebtoken::errors::Result<String> {
        #[derive(Serialize)]
        struct Claims<'a> {
            iss: &'a str,
            scope: &'a str,
            aud: &'a str,
            iat: i64,
            exp: i64,
        }
        let claims = Claims {
            iss: &self.credentials.client_email,
            scope: SCOPE,
            aud: self.credentials.token_uri.as_str(),
            iat: now.timestamp(),
            exp: now.timestamp() + 3_600,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key)
    }
}

async fn read(response: Response) -> Answer {
    let status = response.status().as_u16();
    let wait = answer::retry_after(&response);
    let json = body::read(response, LONGEST_ANSWER).await;
    let said: Option<Said> = json.and_then(|json| serde_json::from_slice(&json).ok());
    let said = said.unwrap_or_default();
    let error = said.error.and_then(|error| {
        let code = error
            .details
            .into_iter()
            .find_map(|detail| detail.error_code);
        code.or(error.status)
    });
    let (outcome, words) = match (status, error.as_deref()) {
        (200, _) => (Outcome::Sent, None),
        (_, Some("UNREGISTERED")) => (Outcome::Gone, Some("the app is gone from the phone")),
        (_, Some("SENDER_ID_MISMATCH")) => {
            (Outcome::Permanent, Some("the token is another sender's"))
        }
        (401 | 403, _) => (Outcome::Config, Some("the account is not accepted")),
        (404, _) => (Outcome::Permanent, Some("there is no such project or app")),
        (429, _) => (Outcome::Transient(wait), Some("so many are not taken")),
        (500, _) => (Outcome::Unknown, None),
        (501.., _) => (Outcome::Transient(wait), None),
        _ => (
            Outcome::Permanent,
            Some("the message or the token is not accepted"),
        ),
    };
    Answer {
        message_id: said.name,
        ..answer::by_status(status, outcome, words)
    }
}

impl Provider for Fcm {
    fn name(&self) -> &'static str {
        "fcm"
    }

    fn send<'a>(&'a self, delivery: &'a Claimed) -> BoxFuture<'a, Answer> {
        self.post(delivery).boxed()
    }
}
