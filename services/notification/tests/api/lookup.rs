//! Unknown outcomes: the message is looked up before it is sent again.

use chrono::TimeDelta;
use common::notification::NotifyRequest;
use notification::domain::attempt::{
    CompletedAttempt, NextState, SendOutcome, SendResult, UnknownOutcomePolicy,
};
use notification::domain::channel_address::DeliveryChannel;
use notification::domain::notification::Notification;
use notification::domain::notify_command::NotifyCommand;
use notification::domain::planner::plan_deliveries;
use notification::domain::recipient::DefaultRecipient;
use notification::domain::routing_table::RoutingTable;
use notification::store::accept::{NewNotification, accept};
use notification::store::queue::{self, AttemptOutcome};
use notification::store::{attempt, delivery};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{PHONE, Service, clock, initial_time, killable_runtime, until};
use crate::twilio::{Reply, Twilio};

fn hello() -> Value {
    json!({"event": "e", "message": "hello"})
}

/// Twilio accepts the message, but the response is lost: the message is found and not sent twice.
async fn found_not_sent_twice(pool: PgPool, reply: Reply, error: &str) {
    let clock = clock();
    let twilio = Twilio::start(&clock, &[reply]).await;
    let mut args = twilio.args();
    args.push("--sms-timeout=1".into());
    let service = Service::with(&pool, &clock, &args).await;
    service.notify(hello()).await;
    let delivery = service.wait_for_attempts(1).await;
    assert_eq!(delivery["status"], "pending");
    assert_eq!(delivery["attempts"][0]["outcome"], "unknown");
    assert_eq!(delivery["last_error"], error);
    assert_eq!(delivery["unknown_since"], json!(initial_time()));

    clock.advance(TimeDelta::seconds(5));
    let delivery = service.wait_for_delivery(|d| d["status"] == "sent").await;
    assert_eq!(delivery["attempts"][1]["outcome"], "found");
    assert_eq!(delivery["unknown_since"], Value::Null);
    assert_eq!(delivery["provider_message_id"], twilio.messages()[0]["sid"]);
    assert_eq!(twilio.posts().len(), 1);
    let [lookup] = &twilio.lookups()[..] else {
        panic!("expected one lookup");
    };
    assert_eq!(lookup["To"], PHONE);
    let day = (initial_time() - TimeDelta::seconds(60)).format("%Y-%m-%d");
    assert_eq!(lookup["DateSent>"], day.to_string());
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn after_a_500(pool: PgPool) {
    found_not_sent_twice(pool, Reply::AcceptThenFail(500), "HTTP 500").await;
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn after_a_503(pool: PgPool) {
    found_not_sent_twice(pool, Reply::AcceptThenFail(503), "HTTP 503").await;
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn after_a_broken_connection(pool: PgPool) {
    found_not_sent_twice(pool, Reply::AcceptThenBreak, "the connection broke").await;
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn after_a_time_out(pool: PgPool) {
    found_not_sent_twice(pool, Reply::AcceptThenSilence, "no answer in time").await;
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn what_is_not_found_is_sent(pool: PgPool) {
    let clock = clock();
    let twilio = Twilio::start(&clock, &[Reply::Fail(500)]).await;
    let service = Service::with(&pool, &clock, &twilio.args()).await;
    service.notify(hello()).await;
    service.wait_for_attempts(1).await;
    clock.advance(TimeDelta::seconds(5));
    service.wait_for_delivery(|d| d["status"] == "sent").await;
    assert_eq!((twilio.posts().len(), twilio.lookups().len()), (2, 1));
    assert_eq!(twilio.messages().len(), 1);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn the_same_text_for_another_notification_is_not_mistaken_for_it(pool: PgPool) {
    let clock = clock();
    let twilio = Twilio::start(&clock, &[Reply::Accept, Reply::Fail(500)]).await;
    let service = Service::with(&pool, &clock, &twilio.args()).await;
    service.notify(hello()).await;
    service.wait_for_delivery(|d| d["status"] == "sent").await;
    service.notify(hello()).await;
    service
        .wait_for_delivery(|d| d["attempts"][0]["outcome"] == "unknown")
        .await;
    clock.advance(TimeDelta::seconds(5));
    let delivery = service.wait_for_delivery(|d| d["status"] == "sent").await;
    assert_eq!(delivery["attempts"][1]["outcome"], "sent");
    assert_eq!(twilio.messages().len(), 2);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_process_killed_while_sending_leaves_nothing_lost_or_doubled(pool: PgPool) {
    let clock = clock();
    let twilio = Twilio::start(&clock, &[Reply::AcceptThenSilence]).await;
    let (runtime, own_pool) = killable_runtime(&pool);
    let args = twilio.args();
    let victim = Service::start_on(runtime.handle(), &own_pool, &clock, &args).await;
    let (status, _) = victim.notify(hello()).await;
    assert_eq!(status, 202);
    until(async || (twilio.messages().len() == 1).then_some(())).await;
    runtime.shutdown_background();

    let successor = Service::with(&pool, &clock, &args).await;
    clock.advance(TimeDelta::seconds(60));
    let delivery = successor.wait_for_delivery(|d| d["status"] == "sent").await;
    assert_eq!(delivery["attempts"][0]["outcome"], "unknown");
    assert_eq!(delivery["attempts"][0]["provider"], Value::Null);
    assert_eq!(delivery["attempts"][1]["outcome"], "found");
    assert_eq!((twilio.posts().len(), twilio.lookups().len()), (1, 1));
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn an_outcome_that_comes_after_the_lease_does_not_undo_the_next_claim(pool: PgPool) {
    let now = initial_time();
    let request = serde_json::from_value::<NotifyRequest>(hello()).unwrap();
    let command = NotifyCommand::try_from(request).unwrap();
    let phone = Some(PHONE.parse().unwrap());
    let defaults = DefaultRecipient { phone };
    let decision = plan_deliveries(&command, &RoutingTable::default(), &defaults, now).unwrap();
    let new = Notification::new(command, decision, &clock());
    let id = new.id;
    let asked = NewNotification {
        notification: new,
        idempotency_key: None,
    };
    accept(&pool, &mut [asked], &clock()).await.unwrap();

    let claim = async |at| queue::claim(&pool, DeliveryChannel::Sms, at, 9).await;
    let slow = claim(now).await.unwrap().remove(0);
    assert_eq!(claim(now).await.unwrap(), []);
    let later = now + queue::LEASE_DURATION;
    let next = claim(later).await.unwrap().remove(0);
    assert_eq!((next.attempt_number, next.unknown_since), (2, Some(now)));

    let refused = AttemptOutcome {
        attempt: CompletedAttempt {
            delivery: slow,
            started_at: now,
            latency_ms: 60_000,
            provider: "twilio",
            unknown_outcome_policy: UnknownOutcomePolicy::LookUp,
            result: SendResult::new(SendOutcome::Permanent, Some("too late")),
        },
        next_state: NextState::DeadLetter,
    };
    queue::record_outcomes(&pool, &[refused], later)
        .await
        .unwrap();
    let [delivery] = &delivery::list_for_notifications(&pool, &[id])
        .await
        .unwrap()[..]
    else {
        panic!("expected one delivery");
    };
    assert_eq!(
        (delivery.status.as_str(), delivery.attempts),
        ("sending", 2)
    );
    let [attempt] = &attempt::list_for_deliveries(&pool, &[delivery.id])
        .await
        .unwrap()[..]
    else {
        panic!("expected one finished attempt");
    };
    assert_eq!((attempt.number, attempt.outcome.as_str()), (1, "permanent"));
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn what_another_process_did_not_come_back_with_is_told_to_the_log(pool: PgPool) {
    let clock = clock();
    let service = Service::with(&pool, &clock, &[]).await;
    service.notify(hello()).await;
    service.wait_for_delivery(|d| d["status"] == "sent").await;
    // The state that a process leaves when it ends while sending.
    let lost =
        "update notification.delivery set status = 'sending', sent_at = null, leased_until = $1";
    let lease = initial_time() + queue::LEASE_DURATION;
    sqlx::query(lost).bind(lease).execute(&pool).await.unwrap();
    sqlx::query("delete from notification.attempt")
        .execute(&pool)
        .await
        .unwrap();
    clock.advance(queue::LEASE_DURATION);
    let delivery = service.wait_for_delivery(|d| d["status"] == "sent").await;
    let told = |n: usize| {
        (
            &delivery["attempts"][n]["outcome"],
            &delivery["attempts"][n]["provider"],
        )
    };
    assert_eq!(told(0), (&json!("unknown"), &Value::Null));
    assert_eq!(told(1), (&json!("sent"), &json!("log")));
    assert_eq!(delivery["attempts"][0]["started_at"], json!(initial_time()));
    assert_eq!(delivery["unknown_since"], Value::Null);
}
