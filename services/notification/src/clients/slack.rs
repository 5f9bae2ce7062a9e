//! Slack incoming webhooks:
//! <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::json;

use super::public_http_client::PublicHttpClient;
use super::{Provider, http_result, title_and_body, truncate};
use crate::domain::attempt::{ClaimedDelivery, SendOutcome, SendResult};

const MAX_MESSAGE_CHARS: usize = 3_000;

/// Sends to Slack channels.
pub struct SlackProvider {
    pub http: PublicHttpClient,
}

impl SlackProvider {
    async fn post(&self, delivery: &ClaimedDelivery) -> SendResult {
        let text = escape_entities(&truncate(&title_and_body(delivery), MAX_MESSAGE_CHARS));
        let url = delivery.address.unmasked_value();
        let body = json!({"text": text, "mrkdwn": false,
            "unfurl_links": false, "unfurl_media": false});
        let posted = self.http.post(url, |request| request.json(&body));
        let response = match posted.await {
            Ok(response) => response,
            Err(answer) => return answer,
        };
        let wait = http_result::retry_after(&response);
        let status = response.status().as_u16();
        let (outcome, words) = match status {
            200 => (SendOutcome::Sent, None),
            403 => (
                SendOutcome::Permanent,
                Some("the workspace does not permit this message"),
            ),
            404 => (
                SendOutcome::Gone,
                Some("the webhook or channel does not exist"),
            ),
            410 => (SendOutcome::Gone, Some("the channel is archived")),
            429 | 500.. => (SendOutcome::Transient(wait), None),
            _ => (SendOutcome::Permanent, None),
        };
        http_result::from_status(status, outcome, words)
    }
}

/// `&`, `<` and `>` start links, mentions and entities.
fn escape_entities(text: &str) -> String {
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
