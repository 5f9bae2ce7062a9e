//! Slack, Discord, Telegram and ntfy.

use serde_json::{Value, json};
use sqlx::PgPool;

use super::{assert_outcomes, with_local_webhooks};
use crate::fake_provider::{FakeProvider, Reply};
use crate::support::{Service, clock, until};

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn slack_and_discord_speak_their_own_formats(pool: PgPool) {
    let played = FakeProvider::start(Reply::text(200, "ok")).await;
    let service = Service::with(&pool, &clock(), &with_local_webhooks(&[])).await;
    let slack = format!("slack:{}/services/T0/B0/secret", played.base);
    let answers = vec![
        (Reply::text(200, "ok"), "sent"),
        (Reply::text(400, "invalid_payload"), "permanent"),
        (Reply::text(403, "action_prohibited"), "permanent"),
        (Reply::text(404, "no_service"), "gone"),
        (Reply::text(410, "channel_is_archived"), "gone"),
        (
            Reply::text(429, "").header("retry-after", "30"),
            "transient",
        ),
        (Reply::text(500, "rollup_error"), "transient"),
    ];
    assert_outcomes(&service, &played, &slack, answers).await;
    let message = json!({"event": "e", "message": "a <b> & c", "title": "T", "to": [slack]});
    service.notify(message).await;
    until(async || (played.calls().len() == 8).then_some(())).await;
    assert_eq!(
        played.last_call().json(),
        json!({"text": "T\na &lt;b&gt; &amp; c", "mrkdwn": false,
            "unfurl_links": false, "unfurl_media": false})
    );

    let discord = format!("discord:{}/api/webhooks/1/token", played.base);
    let answers = vec![
        (
            Reply::json(401, &json!({"code": 50027, "message": "Invalid token"})),
            "gone",
        ),
        (
            Reply::json(404, &json!({"code": 10015, "message": "Unknown Webhook"})),
            "gone",
        ),
        (Reply::json(400, &json!({"code": 50006})), "permanent"),
        (
            Reply::json(429, &json!({"retry_after": 2.5, "global": false})),
            "transient",
        ),
        (Reply::text(502, "<html>"), "transient"),
        (Reply::json(200, &json!({"id": "77"})), "sent"),
    ];
    assert_outcomes(&service, &played, &discord, answers).await;
    let call = played.last_call();
    assert_eq!(call.path, "/api/webhooks/1/token?wait=true");
    let expected = json!({"content": "hello", "flags": 4, "allowed_mentions": {"parse": []}});
    assert_eq!(call.json(), expected);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn telegram_and_ntfy_speak_their_own_formats(pool: PgPool) {
    let played = FakeProvider::start(Reply::json(
        200,
        &json!({"ok": true, "result": {"message_id": 5}}),
    ))
    .await;
    let args = [
        "--telegram-bot-token=12:token".to_owned(),
        format!("--telegram-base-url={}", played.base),
        format!("--ntfy-url={}", played.base),
        "--ntfy-token=tk_secret".to_owned(),
    ];
    let service = Service::with(&pool, &clock(), &args).await;
    let refused = |code: u16, more: Value| {
        let mut body = json!({"ok": false, "error_code": code, "description": "chat 42 …"});
        body["parameters"] = more;
        Reply::json(code, &body)
    };
    let answers = vec![
        (refused(400, json!({})), "permanent"),
        (refused(403, json!({})), "gone"),
        (refused(429, json!({"retry_after": 7})), "transient"),
        (refused(401, json!({})), "config"),
        (Reply::text(500, ""), "unknown"),
        (
            Reply::json(200, &json!({"ok": true, "result": {"message_id": 5}})),
            "sent",
        ),
    ];
    assert_outcomes(&service, &played, "telegram:42", answers).await;
    let call = played.last_call();
    assert_eq!(call.path, "/bot12:token/sendMessage");
    let expected = json!({"chat_id": "42", "text": "hello",
        "link_preview_options": {"is_disabled": true}});
    assert_eq!(call.json(), expected);

    let answers = vec![
        (Reply::json(401, &json!({"code": 40101})), "config"),
        (Reply::json(413, &json!({"code": 41301})), "permanent"),
        (Reply::json(429, &json!({"code": 42901})), "transient"),
        (Reply::json(200, &json!({"id": "abc"})), "sent"),
    ];
    assert_outcomes(&service, &played, "ntfy:visitors", answers).await;
    let call = played.last_call();
    assert_eq!(call.header("authorization"), "Bearer tk_secret");
    let expected = json!({"topic": "visitors", "title": null, "message": "hello"});
    assert_eq!(call.json(), expected);
}
