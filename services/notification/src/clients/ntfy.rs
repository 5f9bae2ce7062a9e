//! ntfy: <https://docs.ntfy.sh/publish/#publish-as-json>.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use reqwest::{Client, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::{Provider, answer, body, cut};
use crate::domain::attempt::{Answer, Claimed, Outcome};

/// The longest message, in characters; a server takes 4,096 bytes.
const LONGEST: usize = 1_300;
/// A longer answer, in bytes, is not read.
const LONGEST_ANSWER: usize = 1 << 16;

/// Publishes to topics of ntfy.
pub struct Ntfy {
    /// Calls with limits.
    pub http: Client,
    /// Where the server is.
    pub base: Url,
    /// An access token, where the server wants one.
    pub token: Option<SecretString>,
}

#[derive(Default, Deserialize)]
struct Said {
    id: Option<String>,
    code: Option<i32>,
}

impl Ntfy {
    async fn post(&self, delivery: &Claimed) -> Answer {
        let body = json!({"topic": delivery.target.value(), "title": delivery.title,
            "message": cut(&delivery.body, LONGEST)});
        let request = self.http.post(self.base.clone()).json(&body);
        let request = match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        };
        match request.send().await {
            Ok(response) => read(response).await,
            Err(error) => answer::broken(&error),
        }
    }
}

async fn read(response: Response) -> Answer {
    let status = response.status().as_u16();
    let wait = answer::retry_after(&response);
    let json = body::read(response, LONGEST_ANSWER).await;
    let said: Option<Said> = json.and_then(|json| serde_json::from_slice(&json).ok());
    let said = said.unwrap_or_default();
    let (outcome, words) = match status {
        200..=299 => (Outcome::Sent, None),
        401 | 403 => (Outcome::Config, Some("the token is not accepted")),
        429 | 507 => (Outcome::Transient(wait), Some("so many are not taken")),
        500.. => (Outcome::Unknown, None),
        _ => (Outcome::Permanent, None),
    };
    Answer {
        code: said.code,
        message_id: said.id,
        ..answer::by_status(status, outcome, words)
    }
}

impl Provider for Ntfy {
    fn name(&self) -> &'static str {
        "ntfy"
    }

    fn send<'a>(&'a self, delivery: &'a Claimed) -> BoxFuture<'a, Answer> {
        self.post(delivery).boxed()
    }
}
