//! Slack's incoming webhooks: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::json;

use super::guarded::Guarded;
use super::{Provider, answer, cut, whole};
use crate::domain::attempt::{Answer, Claimed, Outcome};

/// The longest message, in characters.
const LONGEST: usize = 3_000;

/// Writes to channels of Slack.
pub struct Slack {
    /// Reaches the public internet only.
    pub http: Guarded,
}

impl Slack {
    async fn post(&self, delivery: &Claimed) -> Answer {
        let text = escape(&cut(&whole(delivery), LONGEST));
        let url = delivery.target.value();
        let body = json!({"text": text, "mrkdwn": false,
            "unfurl_links": false, "unfurl_media": false});
        let posted = self.http.post(url, |request| request.json(&body));
        let response = match posted.await {
            Ok(response) => response,
            Err(answer) => return answer,
        };
        let wait = answer::retry_after(&response);
        let status = response.status().as_u16();
        let (outcome, words) = match status {
            200 => (Outcome::Sent, None),
            403 => (Outcome::Permanent, Some("the workspace does not allow it")),
            404 => (Outcome::Gone, Some("there is no such webhook or channel")),
            410 => (Outcome::Gone, Some("the channel is archived")),
            429 | 500.. => (Outcome::Transient(wait), None),
            _ => (Outcome::Permanent, None),
        };
        answer::by_status(status, outcome, words)
    }
}

/// `&`, `<` and `>` begin what is not text.
fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

impl Provider for Slack {
    fn name(&self) -> &'static str {
        "slack"
    }

    fn send<'a>(&'a self, delivery: &'a Claimed) -> BoxFuture<'a, Answer> {
        self.post(delivery).boxed()
    }
}
