//! Discord webhooks: <https://discord.com/developers/docs/resources/webhook#execute-webhook>.

use chrono::TimeDelta;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use reqwest::Response;
use serde::Deserialize;
use serde_json::json;

use super::public_http_client::PublicHttpClient;
use super::{Provider, body, http_result, title_and_body};
use crate::domain::attempt::{ClaimedDelivery, SendOutcome, SendResult};

const MAX_MESSAGE_CHARS: usize = 2_000;
const MAX_RESPONSE_BYTES: usize = 1 << 16;
/// Message flag that disables link previews.
const SUPPRESS_EMBEDS: u32 = 1 << 2;
/// Characters that start formatting, links, mentions or emoji.
const INLINE_MARKUP: &str = "\\*_~`|[]()<>@";
/// Characters that start a heading, quote or list at the beginning of a line.
const LINE_MARKUP: &str = "#>-+";

/// Sends to Discord channels.
pub struct DiscordProvider {
    pub http: PublicHttpClient,
}

#[derive(Default, Deserialize)]
struct DiscordResponse {
    id: Option<String>,
    code: Option<i32>,
    /// Seconds.
    retry_after: Option<f64>,
}

impl DiscordProvider {
    async fn post(&self, delivery: &ClaimedDelivery) -> SendResult {
        let body = json!({"content": escape_markdown(&title_and_body(delivery)), "flags": SUPPRESS_EMBEDS,
            // Disables mentions such as `@everyone`.
            "allowed_mentions": {"parse": []}});
        let url = delivery.address.unmasked_value();
        let posted = self.http.post(url, |request| {
            request.query(&[("wait", "true")]).json(&body)
        });
        match posted.await {
            Ok(response) => parse_response(response).await,
            Err(answer) => answer,
        }
    }
}

/// Escapes Markdown, because a visitor's page may be named `[login](http://…)`. Truncates the text,
/// but not within an escape sequence.
fn escape_markdown(text: &str) -> String {
    let (mut escaped, mut length, mut begins) = (String::new(), 0, true);
    for c in text.chars() {
        let is_markup = INLINE_MARKUP.contains(c) || (begins && LINE_MARKUP.contains(c));
        // Reserves one character for the ellipsis.
        let units = if is_markup { 2 } else { 1 };
        if length + units >= MAX_MESSAGE_CHARS {
            escaped.push('…');
            break;
        }
        if is_markup {
            escaped.push('\\');
        }
        escaped.push(c);
        length += units;
        begins = c == '\n' || (begins && c == ' ');
    }
    escaped
}

async fn parse_response(response: Response) -> SendResult {
    let status = response.status().as_u16();
    let header = http_result::retry_after(&response);
    let json = body::read_limited(response, MAX_RESPONSE_BYTES).await;
    let said: Option<DiscordResponse> = json.and_then(|json| serde_json::from_slice(&json).ok());
    let said = said.unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, reason = "a cast to i64 saturates")]
    let seconds = said.retry_after.map(|seconds| (seconds * 1_000.0) as i64);
    let wait = seconds.and_then(TimeDelta::try_milliseconds).or(header);
    let (outcome, words) = match status {
        200..=299 => (SendOutcome::Sent, None),
        401 | 404 => (SendOutcome::Gone, Some("the webhook does not exist")),
        403 => (
            SendOutcome::Permanent,
            Some("the Discord server does not permit this message"),
        ),
        429 | 500.. => (SendOutcome::Transient(wait), None),
        _ => (SendOutcome::Permanent, None),
    };
    SendResult {
        code: said.code,
        message_id: said.id,
        ..http_result::from_status(status, outcome, words)
    }
}

impl Provider for DiscordProvider {
    fn name(&self) -> &'static str {
        "discord"
    }

    fn send<'a>(&'a self, delivery: &'a ClaimedDelivery) -> BoxFuture<'a, SendResult> {
        self.post(delivery).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_shown_as_it_is() {
        assert_eq!(
            escape_markdown(
                "Page: /[login](http://evil.example) @everyone <@1> **b** a_b `c` ||d||"
            ),
            r"Page: /\[login\]\(http://evil.example\) \@everyone \<\@1\> \*\*b\*\* a\_b \`c\` \|\|d\|\|"
        );
        assert_eq!(
            escape_markdown("# a-b #c\n> d\n  - e"),
            "\\# a-b #c\n\\> d\n  \\- e"
        );
        let long = escape_markdown(&"*".repeat(3_000));
        assert!(
            long.chars().count() <= MAX_MESSAGE_CHARS && long.ends_with("\\*…"),
            "{long}"
        );
        assert_eq!(
            escape_markdown(&"a".repeat(3_000)).chars().count(),
            MAX_MESSAGE_CHARS
        );
    }
}
