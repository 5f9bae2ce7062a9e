//! Rate limits of channels, and the circuit breaker of a provider.

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Service, clock, until};
use crate::twilio::{Reply, Twilio};

async fn send_messages(service: &Service, count: usize) {
    let list: Vec<_> = (0..count)
        .map(|n| json!({"event": "e", "message": format!("number {n}")}))
        .collect();
    assert_eq!(service.notify(json!(list)).await.0, 200);
}

async fn wait_for_posts(twilio: &Twilio, count: usize) {
    until(async || (twilio.posts().len() >= count).then_some(())).await;
    assert_eq!(twilio.posts().len(), count);
}

async fn wait_for_status(pool: &PgPool, status: &str, count: i64) {
    let counted = "select count(*) from notification.delivery where status = $1";
    until(async || {
        let query = sqlx::query_scalar::<_, i64>(counted).bind(status);
        let found = query.fetch_one(pool).await.unwrap();
        (found == count).then_some(())
    })
    .await;
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn no_more_begin_in_a_second_than_the_rate_allows(pool: PgPool) {
    let clock = clock();
    let twilio = Twilio::start(&clock, &[]).await;
    let mut args = twilio.args();
    args.push("--channel-rate=sms=3,email=1".into());
    let service = Service::with(&pool, &clock, &args).await;
    send_messages(&service, 8).await;
    for sent in [3, 6, 8] {
        wait_for_posts(&twilio, sent).await;
        wait_for_status(&pool, "sent", i64::try_from(sent).unwrap()).await;
        clock.advance(TimeDelta::seconds(1));
    }
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn no_more_are_on_their_way_than_may_be(pool: PgPool) {
    let clock = clock();
    let twilio = Twilio::start(&clock, &[Reply::AcceptWhenReleased; 5]).await;
    let mut args = twilio.args();
    args.push("--channel-concurrency=sms=2".into());
    let service = Service::with(&pool, &clock, &args).await;
    send_messages(&service, 5).await;
    for sent in [2, 3, 4, 5] {
        wait_for_posts(&twilio, sent).await;
        wait_for_status(&pool, "sending", 2).await;
        twilio.release();
    }
    twilio.release();
    wait_for_status(&pool, "sent", 5).await;
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn what_a_breaker_holds_back_uses_up_no_try(pool: PgPool) {
    let clock = clock();
    let refusals = [Reply::Refuse(429, 20429); 6];
    let twilio = Twilio::start(&clock, &refusals).await;
    let mut args = twilio.args();
    args.push("--channel-concurrency=sms=5".into());
    let service = Service::with(&pool, &clock, &args).await;
    send_messages(&service, 5).await;
    wait_for_posts(&twilio, 5).await;
    wait_for_status(&pool, "pending", 5).await;
    send_messages(&service, 4).await;
    clock.advance(TimeDelta::seconds(29));
    let health = || service.http.get(format!("{}/health", service.base)).send();
    health().await.unwrap();
    wait_for_posts(&twilio, 5).await;
    // The first probe fails, the second one succeeds.
    clock.advance(TimeDelta::seconds(1));
    wait_for_posts(&twilio, 6).await;
    wait_for_status(&pool, "pending", 9).await;
    clock.advance(TimeDelta::seconds(30));
    wait_for_status(&pool, "sent", 9).await;
    let (_, list) = service.get("/notifications").await;
    let mut tries = 0;
    for one in list["data"].as_array().unwrap() {
        let story = service.read_notification(&one["id"]).await;
        let attempts = story["deliveries"][0]["attempts"]
            .as_array()
            .unwrap()
            .clone();
        let numbers: Vec<_> = attempts.iter().map(|a| a["number"].clone()).collect();
        let expected: Vec<Value> = (1..=attempts.len()).map(|n| json!(n)).collect();
        assert_eq!(numbers, expected);
        tries += attempts.len();
    }
    assert_eq!(
        tries, 15,
        "each answer of the provider is one attempt, and nothing else"
    );
}
