//! Encryption of secrets, and retention.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::fake_provider::{FakeProvider, Reply};
use crate::support::{Service, clock, count_rows, first_attempt, until};

fn keyed(byte: char) -> Vec<String> {
    // 32 bytes in base64.
    let key: String = std::iter::repeat_n(byte, 43).collect();
    vec![
        "--webhook-private-networks=127.0.0.0/8".to_owned(),
        format!("--webhook-secrets-key={key}="),
    ]
}

async fn keys(pool: &PgPool) -> Vec<String> {
    let keys = "select keys from notification.endpoint";
    sqlx::query_scalar(keys).fetch_one(pool).await.unwrap()
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn the_secrets_of_webhooks_are_sealed(pool: PgPool) {
    let sink = FakeProvider::start(Reply::text(204, "")).await;
    let plain = Service::with(&pool, &clock(), &keyed('A')[..1]).await;
    let hook = json!({"url": sink.base});
    let (_, hook) = plain.write(Method::POST, "/webhooks", Some(hook)).await;
    let to = hook["address"].as_str().unwrap();
    assert_eq!(json!(keys(&pool).await), json!([hook["secret"]]));
    first_attempt(&plain, to).await;
    drop(plain);

    // Secrets that were stored before the key was set are encrypted.
    let sealing = Service::with(&pool, &clock(), &keyed('A')).await;
    let sealed = |keys: &[String]| keys.iter().all(|key| key.starts_with("aes256gcm:"));
    until(async || sealed(&keys(&pool).await).then_some(())).await;
    assert_eq!(first_attempt(&sealing, to).await["outcome"], "sent");
    let path = format!("/webhooks/{}/rotate", hook["id"].as_str().unwrap());
    sealing.write(Method::POST, &path, None).await;
    let kept = keys(&pool).await;
    assert!(kept.len() == 2 && sealed(&kept), "{kept:?}");
    assert_eq!(first_attempt(&sealing, to).await["outcome"], "sent");
    let signed: Vec<_> = sink
        .calls()
        .iter()
        .map(|call| call.header("webhook-signature").split(' ').count())
        .collect();
    assert_eq!(signed, [1, 1, 2]);
    drop(sealing);

    let other = Service::with(&pool, &clock(), &keyed('E')).await;
    let made = first_attempt(&other, to).await;
    let error = "the webhook's secret cannot be decrypted with WEBHOOK_SECRETS_KEY";
    assert_eq!(
        (&made["outcome"], &made["detail"]),
        (&json!("config"), &json!(error))
    );
    assert_eq!(sink.calls().len(), 3);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn old_notifications_are_deleted_with_all_that_belongs_to_them(pool: PgPool) {
    let clock = clock();
    let later = clock.now() + TimeDelta::days(40);
    let service = Service::with(&pool, &clock, &[]).await;
    let rule = json!({"name": "Held", "event": "held", "recipients": ["log"],
        "escalation": [{"after_seconds": 2_592_000, "recipients": ["ntfy:later"]}]});
    service.create("/rules", rule).await;
    let digest = json!({"name": "Digested", "event": "digested", "recipients": ["log"],
        "digest": {"seconds": 2_592_000}});
    service.create("/rules", digest).await;
    let (_, old) = service
        .notify_with_key("k", json!({"event": "e", "message": "m"}))
        .await;
    service.wait_for_delivery(|d| d["status"] == "sent").await;
    let (_, held) = service.notify(json!({"event": "held"})).await;
    let (_, digested) = service.notify(json!({"event": "digested"})).await;
    assert_eq!(digested["status"], "digested");
    let said = "insert into notification.receipt
        (provider, message_id, status, rank, received_at, open)
        values ('twilio', 'stranger', 'sent', 1, $1, false)";
    sqlx::query(said)
        .bind(clock.now())
        .execute(&pool)
        .await
        .unwrap();
    drop(service);

    clock.advance(TimeDelta::days(10));
    let args = ["--notification-retention-days=7".to_owned()];
    let service = Service::with(&pool, &clock, &args).await;
    let (_, new) = service
        .notify(json!({"event": "e", "message": "new"}))
        .await;
    let story = async |of: &Value| {
        let path = format!("/notifications/{}", of["id"].as_str().unwrap());
        service.get(&path).await.0
    };
    until(async || (story(&old).await == 404).then_some(())).await;
    // Notifications with pending deliveries are kept.
    for kept in [&new, &held, &digested] {
        assert_eq!(story(kept).await, 200);
    }
    until(async || (count_rows(&pool, "receipt").await == 0).then_some(())).await;
    let orphans = "select count(*) from notification.attempt a where not exists
        (select from notification.delivery d where d.id = a.delivery_id)";
    let orphans: i64 = sqlx::query_scalar(orphans).fetch_one(&pool).await.unwrap();
    assert_eq!(orphans, 0);
    assert!(clock.now() < later);
}
