//! Text messages: the statuses of Vonage, and failover between Twilio and Vonage.

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::assert_outcomes;
use crate::fake_provider::{FakeProvider, Reply};
use crate::support::{PHONE, Service, clock, until};
use crate::twilio::{self, Twilio};

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
