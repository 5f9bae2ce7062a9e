//! Unknown outcomes at providers other than Twilio: Vonage is asked. Providers without a lookup are
//! not asked to send again, and the delivery becomes `unknown`.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::fake_provider::{FakeProvider, Reply};
use crate::support::{PHONE, Service, clock, initial_time, until};

async fn send_message(service: &Service, to: &str) -> Value {
    let body = json!({"event": "e", "message": "hello", "to": [to]});
    service.notify(body).await.1["id"].clone()
}

async fn delivery(service: &Service, id: &Value, status: &str) -> Value {
    until(async || {
        let delivery = service.read_notification(id).await["deliveries"][0].clone();
        (delivery["status"] == status).then_some(delivery)
    })
    .await
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn vonage_is_asked_for_the_message_and_may_be_late(pool: PgPool) {
    let sent = json!({"messages": [{"status": "0", "message-id": "second"}]});
    let played = FakeProvider::start(Reply::json(200, &sent)).await;
    let args = [
        "--sms-provider=vonage".to_owned(),
        "--sms-from=+15550100001".to_owned(),
        "--vonage-api-key=key".to_owned(),
        "--vonage-api-secret=secret".to_owned(),
        format!("--vonage-base-url={}", played.base),
        format!("--vonage-reports-url={}", played.base),
    ];
    let service = Service::with(&pool, &clock(), &args).await;
    played.push_reply(Reply::text(502, "<html>"));
    let id = send_message(&service, PHONE).await;
    let first = service.wait_for_attempts(1).await;
    assert_eq!(first["attempts"][0]["outcome"], "unknown");

    played.push_reply(Reply::json(200, &json!({"records": []})));
    service.clock.advance(TimeDelta::seconds(5));
    let second = service.wait_for_attempts(2).await;
    assert_eq!(
        second["last_error"],
        "the message may not be in the provider's reports yet"
    );
    let other = json!({"message_id": "other", "client_ref": "another", "status": "delivered"});
    let own = json!({"message_id": "first", "client_ref": first["id"], "status": "delivered"});
    played.push_reply(Reply::json(200, &json!({"records": [other, own]})));
    service.clock.advance(TimeDelta::seconds(30));
    let found = delivery(&service, &id, "sent").await;
    assert_eq!(found["attempts"][2]["outcome"], "found");
    assert_eq!(found["provider_message_id"], "first");
    let look_up = played.last_call();
    assert_eq!(look_up.method, Method::GET);
    let asked = format!(
        "account_id=key&product=SMS&direction=outbound&to=15550100067\
        &client_ref={}&date_start=2026-11-20T11%3A59%3A00Z&date_end=2026-11-21T11%3A59%3A00Z",
        first["id"].as_str().unwrap()
    );
    assert_eq!(look_up.path, format!("/v2/reports/records?{asked}"));
    assert_eq!(look_up.header("authorization"), "Basic a2V5OnNlY3JldA==");

    // A message that Vonage does not report after ten minutes was never sent.
    played.push_reply(Reply::text(502, "<html>"));
    let id = send_message(&service, PHONE).await;
    for (tries, wait) in [5, 30, 120, 600].into_iter().enumerate() {
        until(async || {
            let delivery = service.read_notification(&id).await["deliveries"][0].clone();
            let ended = delivery["attempts"].as_array()?.len() == tries + 1;
            (ended && delivery["status"] == "pending").then_some(())
        })
        .await;
        played.push_reply(Reply::json(200, &json!({"records": []})));
        service.clock.advance(TimeDelta::seconds(wait));
    }
    let sent = delivery(&service, &id, "sent").await;
    assert_eq!(sent["attempts"][4]["outcome"], "sent");
    assert_eq!(sent["provider_message_id"], "second");
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn what_nobody_can_look_up_is_not_sent_again_unless_by_hand(pool: PgPool) {
    let played = FakeProvider::start(Reply::json(200, &json!({"id": "abc"}))).await;
    let args = [format!("--ntfy-url={}", played.base)];
    let service = Service::with(&pool, &clock(), &args).await;
    played.push_reply(Reply::text(500, ""));
    let id = send_message(&service, "ntfy:visitors").await;
    let lost = delivery(&service, &id, "unknown").await;
    assert_eq!(
        (&lost["due_at"], &lost["last_error"]),
        (&Value::Null, &json!("HTTP 500"))
    );
    assert_eq!(lost["unknown_since"], json!(initial_time()));
    service.clock.advance(TimeDelta::days(2));
    let (_, dead) = service.get("/dead-letters").await;
    assert_eq!(dead["data"][0]["id"], lost["id"]);
    assert_eq!(played.calls().len(), 1);

    assert_eq!(service.retry(id.as_str().unwrap()).await.0, 202);
    let sent = delivery(&service, &id, "sent").await;
    assert_eq!(
        (played.calls().len(), &sent["unknown_since"]),
        (2, &Value::Null)
    );
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn after_a_kill_only_a_webhook_is_called_again_unasked(pool: PgPool) {
    let played = FakeProvider::start(Reply::json(200, &json!({"id": "abc"}))).await;
    let args = [
        format!("--ntfy-url={}", played.base),
        "--webhook-private-networks=127.0.0.0/8".to_owned(),
    ];
    let service = Service::with(&pool, &clock(), &args).await;
    let hook = json!({"url": played.base});
    let (_, hook) = service.write(Method::POST, "/webhooks", Some(hook)).await;
    let topic = send_message(&service, "ntfy:visitors").await;
    let hook = send_message(&service, hook["address"].as_str().unwrap()).await;
    delivery(&service, &topic, "sent").await;
    delivery(&service, &hook, "sent").await;
    // The state that a process leaves when it is killed while sending.
    let lost = "update notification.delivery
        set status = 'sending', sent_at = null, leased_until = $1";
    let now = service.clock.now();
    sqlx::query(lost).bind(now).execute(&pool).await.unwrap();
    sqlx::query("delete from notification.attempt")
        .execute(&pool)
        .await
        .unwrap();

    service.clock.advance(TimeDelta::seconds(1));
    delivery(&service, &hook, "sent").await;
    let unknown = delivery(&service, &topic, "unknown").await;
    let error = "the message may have been sent before, and the provider has no lookup";
    assert_eq!(unknown["last_error"], error);
    assert_eq!(played.calls().len(), 3);
    let ids: Vec<_> = played
        .calls()
        .iter()
        .filter_map(|call| Some(call.headers.get("webhook-id")?.to_str().unwrap().to_owned()))
        .collect();
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]));
}
