//! Throttles, duplicates, digests and quiet hours.

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Service, clock, count_rows, until};

fn rule(more: &Value) -> Value {
    let mut rule = json!({"name": "All", "event": "e", "recipients": ["log"],
        "templates": [{"text": "{% if digest %}{{ digest.count }} in {{ digest.window }}: \
            {{ digest.texts|join(',') }}{% else %}n{{ data.n }}{% endif %}"}]});
    for (name, value) in more.as_object().unwrap() {
        rule[name] = value.clone();
    }
    rule
}

fn event(n: i32, who: &str) -> Value {
    json!({"event": "e", "data": {"n": n, "who": who}})
}

async fn statuses(service: &Service, events: Vec<Value>) -> Vec<String> {
    let (_, answer) = service.notify(Value::from(events)).await;
    let results = answer["results"].as_array().unwrap().iter();
    results
        .map(|r| r["status"].as_str().unwrap().to_owned())
        .collect()
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_throttle_lets_so_many_through_for_each_of_a_kind(pool: PgPool) {
    let service = Service::start(&pool).await;
    let throttle = json!({"throttle": {"limit": 2, "seconds": 60, "by": "data.who"}});
    service.create("/rules", rule(&throttle)).await;
    let list = vec![event(1, "a"), event(2, "a"), event(3, "b"), event(4, "a")];
    let expected = ["queued", "queued", "queued", "suppressed"];
    assert_eq!(statuses(&service, list).await, expected);
    let (_, held) = service.notify(event(5, "a")).await;
    assert_eq!(
        held["reason"],
        "throttled after 2 messages; the window ends at 2026-11-20T12:01:00Z"
    );
    let story = service.read_notification(&held["id"]).await;
    assert_eq!(story["rules"][0]["outcome"], "throttled");
    service.clock.advance(TimeDelta::seconds(60));
    assert_eq!(service.notify(event(6, "a")).await.1["status"], "queued");
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_throttle_holds_over_processes_at_the_same_moment(pool: PgPool) {
    let clock = clock();
    let one = Service::with(&pool, &clock, &[]).await;
    let two = Service::with(&pool, &clock, &[]).await;
    one.create(
        "/rules",
        rule(&json!({"throttle": {"limit": 7, "seconds": 60}})),
    )
    .await;
    until(async || (two.notify(event(0, "a")).await.1["status"] == "queued").then_some(())).await;
    let both = [&one, &two];
    let sent = (0..40).map(async |n| {
        let service = both[usize::from(n % 2 == 0)];
        service.notify(event(n, "a")).await.1["status"] == "queued"
    });
    let sent = join_all(sent)
        .await
        .into_iter()
        .filter(|sent| *sent)
        .count();
    assert_eq!(sent, 6);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn the_same_is_said_once_and_a_request_sent_again_is_not_counted(pool: PgPool) {
    let service = Service::start(&pool).await;
    service
        .create("/rules", rule(&json!({"dedupe": {"seconds": 60}})))
        .await;
    let first = service.notify_with_key("k", event(1, "a")).await;
    assert_eq!(first.1["status"], "queued");
    assert_eq!(service.notify_with_key("k", event(1, "a")).await, first);
    let (_, again) = service.notify(event(1, "a")).await;
    assert_eq!(again["status"], "suppressed");
    assert_eq!(
        again["reason"],
        "duplicate of a recent message; the window ends at 2026-11-20T12:01:00Z"
    );
    assert_eq!(service.notify(event(2, "a")).await.1["status"], "queued");
    let mut keyed = event(3, "a");
    keyed["dedupe_key"] = json!("x");
    assert_eq!(service.notify(keyed.clone()).await.1["status"], "queued");
    keyed["data"]["n"] = json!(4);
    assert_eq!(service.notify(keyed).await.1["status"], "suppressed");
    let counted: i64 = sqlx::query_scalar("select sum(count) from notification.tally")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(counted, 5);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_digest_tells_together_what_came(pool: PgPool) {
    let service = Service::start(&pool).await;
    let digest = json!({"digest": {"seconds": 3600, "by": "data.who"}});
    service.create("/rules", rule(&digest)).await;
    let list = vec![event(1, "a"), event(2, "a"), event(3, "b"), event(4, "a")];
    assert_eq!(statuses(&service, list).await, ["digested"; 4]);
    let (_, held) = service.notify(event(5, "a")).await;
    let reason = held["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("sent in a digest at 2026-11-20T13:00:00Z"),
        "{reason}"
    );
    let mut urgent = event(6, "a");
    urgent["priority"] = json!("urgent");
    assert_eq!(service.notify(urgent).await.1["status"], "queued");

    service.clock.advance(TimeDelta::seconds(3600));
    until(async || (count_rows(&pool, "digest").await == 0).then_some(())).await;
    let id = json!(reason.rsplit(' ').next().unwrap());
    let story = service.read_notification(&id).await;
    assert_eq!(story["deliveries"][0]["text"], "4 in hour: n1,n2,n4,n5");
    assert_eq!(story["data"], json!({"digest": {"count": 4}}));
    assert_eq!(count_rows(&pool, "notification").await, 8);
    assert_eq!(count_rows(&pool, "digest_item").await, 0);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn visitors_are_told_together_in_plain_words(pool: PgPool) {
    let service = Service::start(&pool).await;
    let (_, list) = service.write(reqwest::Method::GET, "/rules", None).await;
    let path = format!("/rules/{}", list["data"][0]["id"].as_str().unwrap());
    let rule = json!({"name": "Visitors", "event": "visitor.arrived", "recipients": ["log"],
        "digest": {"seconds": 900}});
    service.write(reqwest::Method::PUT, &path, Some(rule)).await;
    let mut reason = String::new();
    for n in 0..7 {
        let data = json!({"visit": {"site": "example.com", "city": format!("City {n}")}});
        let body = json!({"event": "visitor.arrived", "data": data});
        reason = service.notify(body).await.1["reason"]
            .as_str()
            .unwrap()
            .to_owned();
    }
    service.clock.advance(TimeDelta::seconds(900));
    until(async || (count_rows(&pool, "digest").await == 0).then_some(())).await;
    let story = service
        .read_notification(&json!(reason.rsplit(' ').next().unwrap()))
        .await;
    let text = story["deliveries"][0]["text"].as_str().unwrap();
    assert!(
        text.starts_with("7 visitors in the last 15 minutes:\n- Visitor on example.com: City 0\n"),
        "{text}"
    );
    assert!(text.ends_with("\nand 2 more"), "{text}");
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn quiet_hours_hold_or_drop_and_let_urgent_through(pool: PgPool) {
    let service = Service::start(&pool).await;
    // The time is 12:00.
    let hold = json!({"quiet_hours": [{"from": "11:00", "to": "13:00"}]});
    service.create("/rules", rule(&hold)).await;
    let (_, held) = service.notify(event(1, "a")).await;
    assert_eq!(held["status"], "queued");
    assert_eq!(
        held["reason"],
        "quiet hours: held until 2026-11-20T13:00:00Z"
    );
    let mut urgent = event(2, "a");
    urgent["priority"] = json!("urgent");
    let (_, urgent) = service.notify(urgent).await;
    until(async || {
        let story = service.read_notification(&urgent["id"]).await;
        (story["deliveries"][0]["status"] == "sent").then_some(())
    })
    .await;
    let story = service.read_notification(&held["id"]).await;
    assert_eq!(story["deliveries"][0]["status"], "pending");
    assert_eq!(story["deliveries"][0]["due_at"], "2026-11-20T13:00:00Z");
    service.clock.advance(TimeDelta::hours(1));
    until(async || {
        let story = service.read_notification(&held["id"]).await;
        (story["deliveries"][0]["status"] == "sent").then_some(())
    })
    .await;

    let drop =
        json!({"event": "d", "quiet_hours": [{"from": "00:00", "to": "24:00", "mode": "drop"}]});
    service.create("/rules", rule(&drop)).await;
    let (_, dropped) = service.notify(json!({"event": "d"})).await;
    assert_eq!(dropped["status"], "suppressed");
    assert_eq!(dropped["reason"], "quiet hours: dropped");
    assert_eq!(dropped["deliveries"][0]["status"], "suppressed");
}
