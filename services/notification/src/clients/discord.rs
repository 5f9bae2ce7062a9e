//! Discord's webhooks: <https://discord.com/developers/docs/resources/webhook#execute-webhook>.

use chrono::TimeDelta;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use reqwest::Response;
use serde::Deserialize;
use serde_json::json;

use super::guarded::Guarded;
use super::{Provider, answer, body, cut, whole};
use crate::domain::attempt::{Answer, Claimed, Outcome};

/// The longest message, in characters.
const LONGEST: usize = 2_000;
/// A longer answer, in bytes, is not read.
const LONGEST_ANSWER: usize = 1 << 16;

/// Writes to channels of Discord.
pub struct Discord {
    /// Reaches the public internet only.
    pub http: Guarded,
}

#[derive(Default, Deserialize)]
struct Said {
    id: Option<String>,
    code: Option<i32>,
    /// In seconds.
    retry_after: Option<f64>,
}

impl Discord {
    async fn post(&self, delivery: &Claimed) -> Answer {
        // No text of ours calls everybody.
        let body = json!({"content": cut(&whole(delivery), LONGEST),
            "allowed_mentions": {"parse": []}});
        let url = delivery.target.value();
        let posted = self.http.post(url, |request| {
            request.query(&[("wait", "true")]).json(&body)
        });
        match posted.await {
            Ok(response) => read(response).await,
            Err(answer) => answer,
        }
    }
}

async fn read(response: Response) -> Answer {
    let status = response.status().as_u16();
    let header = answer::retry_after(&response);
    let json = body::read(response, LONGEST_ANSWER).await;
    let said: Option<Said> = json.and_then(|json| serde_json::from_slice(&json).ok());
    let said = said.unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, reason = "a cast to i64 saturates")]
    let seconds = said.retry_after.map(|seconds| (seconds * 1_000.0) as i64);
    let wait = seconds.and_then(TimeDelta::try_milliseconds).or(header);
    let (outcome, words) = match status {
        200..=299 => (Outcome::Sent, None),
        401 | 404 => (Outcome::Gone, Some("there is no such webhook")),
        403 => (Outcome::Permanent, Some("the server does not allow it")),
        429 | 500.. => (Outcome::Transient(wait), None),
        _ => (Outcome::Permanent, None),
    };
    Answer {
        code: said.code,
        message_id: said.id,
        ..answer::by_status(status, outcome, words)
    }
}

impl Provider for Discord {
    fn name(&self) -> &'static str {
        "discord"
    }

    fn send<'a>(&'a self, delivery: &'a Claimed) -> BoxFuture<'a, Answer> {
        self.post(delivery).boxed()
    }
}
