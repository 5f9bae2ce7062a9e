//! Daily limits on the number and cost of messages.

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Service, clock, until};
use crate::twilio::Twilio;

async fn start(pool: &PgPool, twilio: &Twilio, more: &[&str]) -> Service {
    let mut args = twilio.args();
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    Service::with(pool, &clock(), &args).await
}

/// Sends a message to each address. Returns the deliveries once none is pending.
async fn send_and_wait(service: &Service, message: &str, to: &[&str]) -> Vec<Value> {
    let mut all = vec![];
    for to in to {
        let body = json!({"event": "e", "message": message, "to": [to]});
        let (_, told) = service.notify(body).await;
        let story = until(async || {
            let story = service.read_notification(&told["id"]).await;
            let status = story["deliveries"][0]["status"].clone();
            (status != "pending" && status != "sending").then_some(story)
        });
        all.push(story.await["deliveries"][0].clone());
    }
    all
}

const A: &str = "+15550100011";
const B: &str = "+15550100012";

fn notices(twilio: &Twilio) -> Vec<String> {
    let all = twilio.messages();
    let text = |m: &Value| m["body"].as_str().unwrap().to_owned();
    let texts = all.iter().map(text);
    texts.filter(|text| text.contains("limit")).collect()
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_limit_is_told_once_and_then_there_is_silence(pool: PgPool) {
    let twilio = Twilio::start(&clock(), &[]).await;
    let service = start(&pool, &twilio, &["--limit-per-channel=sms=3,email=9"]).await;
    let statuses = |all: Vec<Value>| all.iter().map(|d| d["status"].clone()).collect::<Vec<_>>();
    let made = send_and_wait(&service, "m", &[A, B, A, B, A]).await;
    let why = "suppressed: the daily limit of 3 messages on sms is reached";
    assert_eq!(
        (&made[3]["reason"], &made[4]["reason"]),
        (&json!(why), &json!(why))
    );
    assert_eq!(made[3]["attempts"][0]["outcome"], "suppressed");
    assert_eq!(
        statuses(made),
        ["sent", "sent", "sent", "suppressed", "suppressed"]
    );
    until(async || (twilio.messages().len() == 4).then_some(())).await;
    assert_eq!(notices(&twilio).len(), 1);
    service.clock.advance(TimeDelta::hours(12));
    assert_eq!(statuses(send_and_wait(&service, "m", &[A]).await), ["sent"]);
    assert_eq!(notices(&twilio).len(), 1);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn each_recipient_and_what_texts_cost_may_be_limited(pool: PgPool) {
    let twilio = Twilio::start(&clock(), &[]).await;
    let args = [
        "--limit-per-recipient=2",
        "--sms-cost-cap=0.05",
        "--sms-segment-price=0.01",
    ];
    let service = start(&pool, &twilio, &args).await;
    let made = send_and_wait(&service, "m", &[A, A, A, B]).await;
    assert_eq!(
        made[2]["reason"],
        "suppressed: the daily limit of 2 messages to one recipient is reached"
    );
    assert_eq!(made[3]["status"], "sent");
    // Two segments, when four of five are used.
    let made = send_and_wait(&service, &"x".repeat(200), &["+15550100013"]).await;
    let why = "suppressed: the daily limit of 5 text message segments is reached";
    assert_eq!(made[0]["reason"], why);
    until(async || (notices(&twilio).len() == 2).then_some(())).await;
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn the_notice_is_nobody_elses(pool: PgPool) {
    let service = Service::start(&pool).await;
    let (status, problem) = service
        .notify(json!({"event": "limit.reached", "message": "m"}))
        .await;
    assert_eq!((status, &problem["code"]), (422, &json!("EVENT_INVALID")));
}
