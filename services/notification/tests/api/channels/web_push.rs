//! Web Push to browsers.

use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;

use super::{assert_outcomes, with_local_webhooks};
use crate::fake_provider::{FakeProvider, Reply};
use crate::support::{Service, clock, count_rows, until};

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_browser_is_told_encrypted_and_forgotten_when_it_is_gone(pool: PgPool) {
    let played = FakeProvider::start(Reply::text(201, "")).await;
    let key = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";
    let args = with_local_webhooks(&[
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
