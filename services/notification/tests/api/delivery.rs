//! Deliveries that the provider refuses.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{MASKED, PHONE, Service, clock, initial_time, until};
use crate::twilio::{Reply, Twilio, args};

fn hello() -> Value {
    json!({"event": "e", "message": "hello"})
}

fn due_at(delivery: &Value) -> DateTime<Utc> {
    delivery["due_at"].as_str().unwrap().parse().unwrap()
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_permanent_refusal_makes_a_dead_letter_that_can_be_sent_again(pool: PgPool) {
    let twilio = Twilio::start(&clock(), &[Reply::Refuse(400, 21614)]).await;
    let service = Service::with(&pool, &clock(), &twilio.args()).await;
    let (_, sent) = service.notify(hello()).await;
    let id = sent["id"].as_str().unwrap();
    let delivery = service.wait_for_delivery(|d| d["status"] == "dead").await;
    let error = "HTTP 400, code 21614: the recipient's number is not a mobile one";
    assert_eq!(delivery["last_error"], error);
    assert_eq!(delivery["due_at"], Value::Null);
    assert_eq!(delivery["attempts"][0]["outcome"], "permanent");
    assert_eq!(delivery["attempts"][0]["provider_code"], 21614);

    let (status, dead) = service.get("/dead-letters").await;
    assert_eq!(status, 200);
    let [letter] = &dead["data"].as_array().unwrap()[..] else {
        panic!("expected one dead letter");
    };
    assert_eq!(letter["notification_id"], id);
    assert_eq!(letter["recipient"], MASKED);
    assert_eq!(letter["attempts"], 1);
    assert_eq!(letter["last_error"], error);

    let (status, _) = service.retry(id).await;
    assert_eq!(status, 202);
    let delivery = service.wait_for_delivery(|d| d["status"] == "sent").await;
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 2);
    assert_eq!(delivery["last_error"], Value::Null);
    assert_eq!(service.get("/dead-letters").await.1["data"], json!([]));
    let (status, problem) = service.retry(id).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (409, Some("NOTHING_DEAD"))
    );
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn every_final_refusal_is_dead_after_one_attempt(pool: PgPool) {
    let rows = [
        (400, 21211),
        (400, 21606),
        (400, 21614),
        (401, 20003),
        (403, 20403),
        (404, 20404),
    ];
    let script = rows.map(|(status, code)| Reply::Refuse(status, code));
    let twilio = Twilio::start(&clock(), &script).await;
    let service = Service::with(&pool, &clock(), &twilio.args()).await;
    for _ in rows {
        service.notify(hello()).await;
    }
    let dead = until(async || {
        let (_, dead) = service.get("/dead-letters").await;
        let dead = dead["data"].as_array()?.clone();
        (dead.len() == rows.len()).then_some(dead)
    });
    for letter in dead.await {
        assert_eq!(letter["attempts"], 1);
    }
    assert_eq!(twilio.posts().len(), rows.len());
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn what_may_pass_is_tried_again_on_schedule_until_it_is_given_up(pool: PgPool) {
    let twilio = Twilio::start(&clock(), &[Reply::Refuse(429, 20429); 8]).await;
    let service = Service::with(&pool, &clock(), &twilio.args()).await;
    service.notify(hello()).await;
    for (tries, seconds) in [5, 30, 120, 600, 3_600, 21_600, 86_400]
        .into_iter()
        .enumerate()
    {
        let delivery = service.wait_for_attempts(tries + 1).await;
        assert_eq!(delivery["status"], "pending");
        let wait = TimeDelta::seconds(seconds);
        assert_eq!(due_at(&delivery), service.clock.now() + wait);
        service.clock.advance(wait);
    }
    let delivery = service.wait_for_attempts(8).await;
    assert_eq!(delivery["status"], "dead");
    assert_eq!(twilio.posts().len(), 8);
    assert_eq!(twilio.lookups().len(), 0, "429 was never processed");

    let (_, list) = service.get("/dead-letters").await;
    let id = list["data"][0]["notification_id"].as_str().unwrap();
    // After these failures the circuit breaker is open for a while.
    service.clock.advance(TimeDelta::seconds(30));
    service.retry(id).await;
    service.wait_for_delivery(|d| d["status"] == "sent").await;
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn retry_after_is_honoured(pool: PgPool) {
    let twilio = Twilio::start(&clock(), &[Reply::Wait(77)]).await;
    let service = Service::with(&pool, &clock(), &twilio.args()).await;
    service.notify(hello()).await;
    let delivery = service.wait_for_attempts(1).await;
    assert_eq!(due_at(&delivery), initial_time() + TimeDelta::seconds(77));
    assert_eq!(delivery["attempts"][0]["outcome"], "transient");
    service.clock.advance(TimeDelta::seconds(77));
    service.wait_for_delivery(|d| d["status"] == "sent").await;
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn what_never_reached_twilio_is_sent_again_without_looking(pool: PgPool) {
    // Bound, so that the port is reserved, but not listening yet.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let service = Service::with(&pool, &clock(), &args(&format!("http://{address}"))).await;
    service.notify(hello()).await;
    let delivery = service.wait_for_attempts(1).await;
    assert_eq!(delivery["attempts"][0]["outcome"], "transient");
    assert_eq!(delivery["last_error"], "no connection");
    assert_eq!(delivery["unknown_since"], Value::Null);

    let listener = socket.listen(16).unwrap();
    let twilio = Twilio::start_on(listener, &service.clock, &[]);
    service.clock.advance(TimeDelta::seconds(5));
    service.wait_for_delivery(|d| d["status"] == "sent").await;
    assert_eq!((twilio.posts().len(), twilio.lookups().len()), (1, 0));
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn no_answer_shows_a_number(pool: PgPool) {
    let twilio = Twilio::start(&clock(), &[Reply::Refuse(400, 21211)]).await;
    let service = Service::with(&pool, &clock(), &twilio.args()).await;
    let (_, accepted) = service.notify(hello()).await;
    let delivery = service.wait_for_delivery(|d| d["status"] == "dead").await;
    let id = accepted["id"].as_str().unwrap();
    let (_, detail) = service.get(&format!("/notifications/{id}")).await;
    let (_, list) = service.get("/notifications").await;
    let (_, dead) = service.get("/dead-letters").await;
    for answer in [accepted.clone(), delivery, detail, list, dead] {
        let text = answer.to_string();
        assert!(
            text.contains(MASKED) && !text.contains(&PHONE[1..]),
            "{text}"
        );
    }
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn what_is_on_its_way_is_finished_before_the_service_stops(pool: PgPool) {
    let twilio = Twilio::start(&clock(), &[Reply::AcceptWhenReleased]).await;
    let service = Service::with(&pool, &clock(), &twilio.args()).await;
    service.notify(hello()).await;
    until(async || (twilio.posts().len() == 1).then_some(())).await;
    drop(service);
    twilio.release();
    let sent = "select count(*) from notification.delivery where status = 'sent'";
    until(async || {
        let sent: i64 = sqlx::query_scalar(sent).fetch_one(&pool).await.unwrap();
        (sent == 1).then_some(())
    })
    .await;
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn two_services_beside_each_other_send_each_message_once(pool: PgPool) {
    let twilio = Twilio::start(&clock(), &[]).await;
    let one = Service::with(&pool, &clock(), &twilio.args()).await;
    let two = Service::with(&pool, &clock(), &twilio.args()).await;
    let messages: BTreeSet<_> = (0..100).map(|n| format!("message {n}")).collect();
    let sends = messages.iter().enumerate().map(async |(n, message)| {
        let service = if n % 2 == 0 { &one } else { &two };
        service
            .notify(json!({"event": "e", "message": message}))
            .await
            .0
    });
    let statuses = futures::future::join_all(sends).await;
    assert_eq!(statuses, [202; 100]);
    until(async || {
        let (_, health) =
            crate::support::answer(one.http.get(format!("{}/health", one.base))).await;
        let detail = health["checks"]["delivery"]["detail"].as_str()?.to_owned();
        detail.starts_with("0 waiting").then_some(())
    })
    .await;
    let sent = twilio.messages();
    let texts: BTreeSet<_> = sent
        .iter()
        .map(|m| m["body"].as_str().unwrap().into())
        .collect();
    assert_eq!((sent.len(), texts), (100, messages));
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn dead_letters_are_sent_again_by_filter(pool: PgPool) {
    let twilio = Twilio::start(&clock(), &[Reply::Refuse(400, 21211); 3]).await;
    let service = Service::with(&pool, &clock(), &twilio.args()).await;
    for event in ["a", "a", "b"] {
        let body = json!({"event": event, "message": "m"});
        service.notify(body).await;
    }
    let dead = async |count: usize| {
        until(async || {
            let (_, dead) = service.get("/dead-letters").await;
            (dead["data"].as_array()?.len() == count).then_some(())
        })
        .await;
    };
    dead(3).await;
    let again = async |filter: Value| {
        let path = "/dead-letters/retry";
        let answer = service
            .write(reqwest::Method::POST, path, Some(filter))
            .await;
        (answer.0, answer.1["count"].clone())
    };
    assert_eq!(again(json!({"channel": "email"})).await, (202, json!(0)));
    assert_eq!(
        again(json!({"event": "a", "provider": "twilio"})).await,
        (202, json!(2))
    );
    dead(1).await;
    assert_eq!(again(json!({})).await, (202, json!(1)));
    dead(0).await;
    until(async || (twilio.messages().len() == 3).then_some(())).await;
    assert_eq!(again(json!({"colour": "red"})).await.0, 422);
    assert_eq!(again(json!({"channel": "pigeon"})).await.0, 422);
}
