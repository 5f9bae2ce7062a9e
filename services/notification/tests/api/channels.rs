//! Webhooks, browsers, chats and apps: the protocol of each provider, with errors.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use notification::domain::webhook::signature_header;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::fake_provider::{FakeProvider, Reply};
use crate::support::{PHONE, Service, clock, count_rows, delete_suppression, first_attempt, until};
use crate::twilio::{self, Twilio};

fn local(more: &[String]) -> Vec<String> {
    let mut args = vec!["--webhook-private-networks=127.0.0.0/8".to_owned()];
    args.extend_from_slice(more);
    args
}

/// Checks the outcome for each reply of the provider.
async fn assert_outcomes(
    service: &Service,
    played: &FakeProvider,
    to: &str,
    rows: Vec<(Reply, &str)>,
) {
    for (reply, outcome) in rows {
        let told = format!("{reply:?}");
        played.push_reply(reply);
        let made = first_attempt(service, to).await;
        assert_eq!(made["outcome"], outcome, "{told}: {made}");
        // Webhooks are disabled and subscriptions deleted instead.
        let endpoint = to.starts_with("webhook:") || to.starts_with("push:");
        if outcome == "gone" && !endpoint {
            delete_suppression(service).await;
        }
    }
}

async fn webhook(service: &Service, url: &str) -> Value {
    let body = Some(json!({"url": url}));
    let (status, made) = service.write(Method::POST, "/webhooks", body).await;
    assert_eq!(status, 201, "{made}");
    made
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_webhook_is_signed_and_its_secret_can_be_rotated(pool: PgPool) {
    let sink = FakeProvider::start(Reply::text(204, "")).await;
    let service = Service::with(&pool, &clock(), &local(&[])).await;
    let made = webhook(&service, &format!("{}/hook", sink.base)).await;
    let to = made["address"].as_str().unwrap();
    assert_eq!(first_attempt(&service, to).await["outcome"], "sent");
    let call = sink.last_call();
    assert_eq!(
        (call.path.as_str(), call.method.as_str()),
        ("/hook", "POST")
    );
    let body = call.json();
    assert_eq!(body["type"], "e");
    assert_eq!(body["timestamp"], "2026-11-20T12:00:00Z");
    assert_eq!(body["data"]["text"], "hello");
    assert_eq!(body["data"]["data"], json!({"n": 1}));
    let secret = made["secret"].as_str().unwrap().to_owned();
    let sign = |secrets: &[String]| {
        let time = call.header("webhook-timestamp").parse().unwrap();
        signature_header(secrets, call.header("webhook-id"), time, &call.body)
    };
    assert_eq!(
        call.header("webhook-signature"),
        sign(std::slice::from_ref(&secret))
    );

    let id = made["id"].as_str().unwrap();
    let path = format!("/webhooks/{id}/rotate");
    let (_, rotated) = service.write(Method::POST, &path, None).await;
    let newer = rotated["secret"].as_str().unwrap().to_owned();
    assert_ne!(newer, secret);
    first_attempt(&service, to).await;
    let call = sink.last_call();
    let time = call.header("webhook-timestamp").parse().unwrap();
    let both = signature_header(
        &[newer, secret],
        call.header("webhook-id"),
        time,
        &call.body,
    );
    assert_eq!(call.header("webhook-signature"), both);
    let (_, list) = service.write(Method::GET, "/webhooks", None).await;
    assert_eq!(list["data"][0]["secret"], Value::Null);
    let (status, _) = service
        .write(Method::DELETE, &format!("/webhooks/{id}"), None)
        .await;
    assert_eq!(status, 204);
    assert_eq!(first_attempt(&service, to).await["outcome"], "permanent");
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn each_answer_to_a_webhook_means_something_and_410_disables_it(pool: PgPool) {
    let sink = FakeProvider::start(Reply::text(200, "ok")).await;
    let service = Service::with(&pool, &clock(), &local(&[])).await;
    let made = webhook(&service, &sink.base).await;
    let to = made["address"].as_str().unwrap();
    let elsewhere = Reply::text(302, "").header("location", "http://169.254.169.254/");
    let answers = vec![
        (Reply::text(200, &"x".repeat(10_000_000)), "sent"),
        (Reply::text(500, ""), "transient"),
        (
            Reply::text(503, "").header("retry-after", "120"),
            "transient",
        ),
        (Reply::text(400, ""), "permanent"),
        (elsewhere, "permanent"),
        (Reply::text(410, ""), "gone"),
    ];
    assert_outcomes(&service, &sink, to, answers).await;
    assert_eq!(sink.calls().len(), 6);
    let disabled = until(async || {
        let (_, list) = service.write(Method::GET, "/webhooks", None).await;
        let one = list["data"][0].clone();
        (one["enabled"] == false).then_some(one)
    })
    .await;
    assert_eq!(
        disabled["disabled_reason"],
        "the receiver answered 410 Gone"
    );
    assert_eq!(first_attempt(&service, to).await["outcome"], "permanent");
    assert_eq!(sink.calls().len(), 6);
    let path = format!("/webhooks/{}", made["id"].as_str().unwrap());
    let body = json!({"url": sink.base, "enabled": true});
    service.write(Method::PUT, &path, Some(body)).await;
    assert_eq!(first_attempt(&service, to).await["outcome"], "sent");
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn private_addresses_are_never_reached(pool: PgPool) {
    let sink = FakeProvider::start(Reply::text(200, "ok")).await;
    let service = Service::with(&pool, &clock(), &[]).await;
    let port = sink.base.rsplit(':').next().unwrap().to_owned();
    for host in [
        "127.0.0.1",
        "localhost",
        "169.254.169.254",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0x7f.1",
    ] {
        let made = webhook(&service, &format!("http://{host}:{port}/")).await;
        let made = first_attempt(&service, made["address"].as_str().unwrap()).await;
        let expected = (&json!("permanent"), &json!("the address is not public"));
        assert_eq!((&made["outcome"], &made["detail"]), expected, "{host}");
    }
    let made = first_attempt(&service, &format!("slack:{}/x", sink.base)).await;
    assert_eq!(made["detail"], "the address is not public");
    assert!(sink.calls().is_empty());
    for url in [
        "ftp://example.com",
        "http://",
        "https://user@example.com/",
        "x",
    ] {
        let body = Some(json!({"url": url}));
        let (status, problem) = service.write(Method::POST, "/webhooks", body).await;
        assert_eq!(
            (status, &problem["code"]),
            (422, &json!("URL_INVALID")),
            "{url}"
        );
    }
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn slack_and_discord_speak_their_own_formats(pool: PgPool) {
    let played = FakeProvider::start(Reply::text(200, "ok")).await;
    let service = Service::with(&pool, &clock(), &local(&[])).await;
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

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_browser_is_told_encrypted_and_forgotten_when_it_is_gone(pool: PgPool) {
    let played = FakeProvider::start(Reply::text(201, "")).await;
    let key = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";
    let args = local(&[
        format!("--vapid-private-key={key}"),
        "--vapid-subject=mailto:ops@example.com".to_owned(),
    ]);
    let service = Service::with(&pool, &clock(), &args).await;
    let (_, public) = service.write(Method::GET, "/push/key", None).await;
    let public = public["public_key"].as_str().unwrap().to_owned();
    let p256dh =
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    let subscription = |auth: &str| {
        json!({"endpoint": format!("{}/send/abc", played.base), "expirationTime": null,
            "keys": {"p256dh": p256dh, "auth": auth}})
    };
    let id = service
        .create(
            "/push/subscriptions",
            subscription("BTBZMqHH6r4Tts7J_aSIgg"),
        )
        .await;
    let again = service
        .create(
            "/push/subscriptions",
            subscription("BTBZMqHH6r4Tts7J_aSIgg"),
        )
        .await;
    assert_eq!(again, id);
    let to = format!("push:{id}");
    let answers = vec![
        (
            Reply::text(201, "").header("location", "https://push.example/m/1"),
            "sent",
        ),
        (Reply::text(202, ""), "sent"),
        (
            Reply::text(429, "").header("retry-after", "60"),
            "transient",
        ),
        (Reply::text(500, ""), "transient"),
        (Reply::text(413, ""), "permanent"),
        (Reply::text(400, ""), "config"),
        (Reply::text(401, ""), "config"),
        (Reply::text(403, ""), "config"),
    ];
    assert_outcomes(&service, &played, &to, answers).await;
    let call = played.last_call();
    assert_eq!(call.path, "/send/abc");
    assert_eq!(call.header("content-encoding"), "aes128gcm");
    assert_eq!(call.header("ttl"), "86400");
    let authorization = call.header("authorization");
    assert!(authorization.starts_with("vapid t="), "{authorization}");
    assert!(
        authorization.ends_with(&format!(", k={public}")),
        "{authorization}"
    );
    assert_eq!(&call.body[16..21], [0, 0, 16, 0, 65]);
    assert_eq!(count_rows(&pool, "endpoint").await, 1);

    assert_outcomes(&service, &played, &to, vec![(Reply::text(410, ""), "gone")]).await;
    until(async || (count_rows(&pool, "endpoint").await == 0).then_some(())).await;
    let (status, problem) = service
        .write(
            Method::POST,
            "/push/subscriptions",
            Some(subscription("AAAA")),
        )
        .await;
    assert_eq!((status, &problem["code"]), (422, &json!("KEYS_INVALID")));
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn an_app_is_told_with_a_token_that_is_asked_for_once(pool: PgPool) {
    let played =
        FakeProvider::start(Reply::json(200, &json!({"name": "projects/p/messages/1"}))).await;
    let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der = pair.as_der().unwrap();
    let key = STANDARD.encode(der.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n");
    let account = json!({"type": "service_account", "project_id": "p", "private_key": pem,
        "client_email": "s@p.iam.gserviceaccount.com", "token_uri": format!("{}/token", played.base)});
    let args = [
        format!("--fcm-credentials={account}"),
        format!("--fcm-base-url={}", played.base),
    ];
    let service = Service::with(&pool, &clock(), &args).await;
    played.push_reply(Reply::json(400, &json!({"error": "invalid_grant"})));
    assert_eq!(
        first_attempt(&service, "fcm:app-token").await["outcome"],
        "config"
    );
    let token = Reply::json(
        200,
        &json!({"access_token": "ya29", "expires_in": 3599, "token_type": "Bearer"}),
    );
    played.push_reply(token.clone());
    assert_eq!(
        first_attempt(&service, "fcm:app-token").await["outcome"],
        "sent"
    );
    let calls = &played.calls()[1..];
    assert_eq!(calls[0].path, "/token");
    let form = String::from_utf8(calls[0].body.to_vec()).unwrap();
    assert!(
        form.starts_with(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=ey"
        ),
        "{form}"
    );
    assert_eq!(calls[1].path, "/v1/projects/p/messages:send");
    assert_eq!(calls[1].header("authorization"), "Bearer ya29");
    let message = calls[1].json();
    assert_eq!(message["message"]["token"], "app-token");
    assert_eq!(message["message"]["notification"]["body"], "hello");
    let refused = |status: u16, state: &str, code: Option<&str>| {
        let details: Vec<_> = code.iter().map(|code| json!({"errorCode": code})).collect();
        Reply::json(
            status,
            &json!({"error": {"code": status, "status": state, "details": details}}),
        )
    };
    let answers = vec![
        (refused(404, "NOT_FOUND", Some("UNREGISTERED")), "gone"),
        (refused(400, "INVALID_ARGUMENT", None), "permanent"),
        (
            refused(403, "PERMISSION_DENIED", Some("SENDER_ID_MISMATCH")),
            "permanent",
        ),
        (
            refused(429, "RESOURCE_EXHAUSTED", Some("QUOTA_EXCEEDED")),
            "transient",
        ),
        (refused(503, "UNAVAILABLE", None), "transient"),
        (refused(500, "INTERNAL", None), "unknown"),
        (refused(401, "UNAUTHENTICATED", None), "config"),
    ];
    assert_outcomes(&service, &played, "fcm:app-token", answers).await;
    // A refused access token is not used again.
    played.push_reply(token);
    assert_eq!(
        first_attempt(&service, "fcm:app-token").await["outcome"],
        "sent"
    );
    assert_eq!(
        played
            .calls()
            .iter()
            .filter(|call| call.path == "/token")
            .count(),
        3
    );
}

fn part(status: &str) -> Reply {
    let part = json!({"status": status, "message-id": "0A", "error-text": PHONE});
    Reply::json(200, &json!({"message-count": "1", "messages": [part]}))
}

fn vonage(base: &str) -> Vec<String> {
    vec![
        "--vonage-api-key=key".into(),
        "--vonage-api-secret=secret".into(),
        format!("--vonage-base-url={base}"),
        format!("--vonage-reports-url={base}"),
    ]
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn vonage_tells_errors_in_its_statuses(pool: PgPool) {
    let played = FakeProvider::start(part("0")).await;
    let mut args = vonage(&played.base);
    args.push("--sms-provider=vonage".into());
    args.push("--sms-from=+15550100001".into());
    let service = Service::with(&pool, &clock(), &args).await;
    let answers = vec![
        (part("1"), "transient"),
        (part("5"), "transient"),
        (part("6"), "permanent"),
        (part("9"), "config"),
        (part("4"), "config"),
        (Reply::text(502, "<html>"), "unknown"),
        (part("0"), "sent"),
    ];
    assert_outcomes(&service, &played, PHONE, answers).await;
    let form = String::from_utf8(played.last_call().body.to_vec()).unwrap();
    let expected = "api_key=key&api_secret=secret&from=15550100001&to=15550100067&text=hello\
        &type=text&client-ref=";
    assert!(form.starts_with(expected), "{form}");
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn the_second_provider_sends_what_the_first_cannot(pool: PgPool) {
    let played = FakeProvider::start(part("0")).await;
    let clock = clock();
    let script = [
        twilio::Reply::Refuse(401, 20003),
        twilio::Reply::Refuse(429, 20429),
        twilio::Reply::Refuse(400, 21211),
        twilio::Reply::Fail(500),
    ];
    let first = Twilio::start(&clock, &script).await;
    let mut args = first.args();
    args.extend(vonage(&played.base));
    args.push("--sms-provider=twilio,vonage".into());
    let service = Service::with(&pool, &clock, &args).await;
    let send = async || {
        let (_, sent) = service
            .notify(json!({"event": "e", "message": "hello"}))
            .await;
        until(async || {
            let story = service.read_notification(&sent["id"]).await;
            let delivery = story["deliveries"][0].clone();
            let ended = delivery["status"] != "sending" && delivery["provider"] != Value::Null;
            // A delivery that is due now is about to go to the other provider.
            let waits = delivery["due_at"] == json!(clock.now());
            (ended && !waits).then_some(delivery)
        })
        .await
    };
    for _ in 0..2 {
        let delivery = send().await;
        assert_eq!(
            (&delivery["status"], &delivery["provider"]),
            (&json!("sent"), &json!("vonage"))
        );
        assert_eq!(delivery["attempts"].as_array().unwrap().len(), 2);
    }
    // No other provider is asked about an invalid number, or after an unknown outcome.
    let delivery = send().await;
    assert_eq!(
        (&delivery["status"], &delivery["provider"]),
        (&json!("dead"), &json!("twilio"))
    );
    let delivery = send().await;
    assert_eq!(delivery["attempts"][0]["outcome"], "unknown");
    assert_eq!(played.calls().len(), 2);
    clock.advance(TimeDelta::seconds(5));
    until(async || (played.calls().len() == 3).then_some(())).await;
    assert_eq!(first.lookups().len(), 1);
}
