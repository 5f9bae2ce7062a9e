//! Slack's incoming webhooks: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::json;

use super::guarded::PublicHttpClient;
use super::{Provider, answer, cut, whole};
use crate::domain::attempt::{ClaimedDelivery, SendOutcome, SendResult};

/// The longest message, in characters.
const MAX_MESSAGE_CHARS: usize = 3_000;

/// Writes to channels of Slack.
pub struct SlackProvider {
    /// Reaches the public internet only.
    pub http: PublicHttpClient,
}

impl SlackProvider {
    async fn post(&self, delivery: &ClaimedDelivery) -> SendResult {
        let text = escape(&cut(&whole(delivery), MAX_MESSAGE_CHARS));
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
            200 => (SendOutcome::Sent, None),
            403 => (
                SendOutcome::Permanent,
                Some("the workspace does not allow it"),
            ),
            404 => (
                SendOutcome::Gone,
                Some("there is no such webhook or channel"),
            ),
            410 => (SendOutcome::Gone, Some("the channel is archived")),
            429 | 500.. => (SendOutcome::Transient(wait), None),
            _ => (SendOutcome::Permanent, None),
        };
        answer::by_status(status, outcome, words)
    }
}

/// `&`, `<` and `>` begin what is not text.
fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

impl Provider for SlackProvider {
    fn name(&self) -> &'static str {
        "slack"
    }

    fn send<'a>(&'a self, delivery: &'a ClaimedDelivery) -> BoxFuture<'a, SendResult> {
        self.post(delivery).boxed()
    }
}
