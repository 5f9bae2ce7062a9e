//! Webhooks: signatures, outcomes, and the addresses that are refused.

use notification::clients::webhook::signature::signature_header;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{assert_outcomes, with_local_webhooks};
use crate::fake_provider::{FakeProvider, Reply};
use crate::support::{Service, clock, first_attempt, until};

async fn webhook(service: &Service, url: &str) -> Value {
    let body = Some(json!({"url": url}));
    let (status, made) = service.write(Method::POST, "/webhooks", body).await;
    assert_eq!(status, 201, "{made}");
    made
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_webhook_is_signed_and_its_secret_can_be_rotated(pool: PgPool) {
    let sink = FakeProvider::start(Reply::text(204, "")).await;
    let service = Service::with(&pool, &clock(), &with_local_webhooks(&[])).await;
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
    let service = Service::with(&pool, &clock(), &with_local_webhooks(&[])).await;
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
