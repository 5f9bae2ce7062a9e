//! `POST /notify` with a list.

use futures::future::{join, join_all};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{MASKED, PHONE, Service, clock, count_rows, until};

fn keyed(key: &str, message: &str) -> Value {
    json!({"event": "e", "message": message, "idempotency_key": key})
}

async fn results(service: &Service, list: Value) -> Vec<Value> {
    let (status, body) = service.notify(list).await;
    assert_eq!(status, 200, "{body}");
    body["results"].as_array().unwrap().clone()
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn each_is_answered_in_its_place_and_a_bad_one_does_not_cost_the_others(pool: PgPool) {
    let service = Service::start(&pool).await;
    let list = json!([
        {"event": "e", "message": "one", "idempotency_key": "a"},
        {"event": "Bad Event"},
        {"event": "e", "message": "two", "to": ["log", PHONE]},
        7,
        {"event": "e", "text": "m"},
        {"event": "e", "idempotency_key": "schlüssel"},
        {"event": "e"},
    ]);
    let results = results(&service, list).await;
    let codes: Vec<_> = results.iter().map(|r| r["error"]["code"].clone()).collect();
    let expected = json!([
        null,
        "EVENT_INVALID",
        null,
        "BODY_INVALID",
        "BODY_INVALID",
        "IDEMPOTENCY_KEY_INVALID",
        null
    ]);
    assert_eq!(json!(codes), expected);
    let detail = results[1]["error"]["detail"].as_str().unwrap();
    assert!(detail.starts_with("event: "), "{detail}");
    let refused = json!({"id": null, "status": null, "reason": null, "deliveries": [],
        "error": results[1]["error"]});
    assert_eq!(results[1], refused);
    assert_eq!(results[0]["status"], "queued");
    assert_eq!(results[0]["deliveries"][0]["recipient"], MASKED);
    assert_eq!(results[2]["deliveries"].as_array().unwrap().len(), 2);
    assert_eq!(results[6]["status"], "suppressed");
    assert_eq!(results[6]["reason"], "no rule matches");
    assert_eq!(count_rows(&pool, "notification").await, 3);
    assert_eq!(count_rows(&pool, "delivery").await, 3);

    let id = results[2]["id"].as_str().unwrap();
    until(async || {
        let (_, detail) = service.get(&format!("/notifications/{id}")).await;
        let deliveries = detail["deliveries"].as_array().unwrap();
        let sent = |d: &Value| d["status"] == "sent" && d["text"] == "two";
        deliveries.iter().all(sent).then_some(())
    })
    .await;
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_list_sent_again_gets_the_same_answers(pool: PgPool) {
    let service = Service::start(&pool).await;
    let list = || json!([keyed("b", "m"), keyed("a", "m"), {"event": "e", "idempotency_key": "c"}]);
    let first = results(&service, list()).await;
    service
        .notify_with_key("d", json!({"event": "e", "message": "m"}))
        .await;
    assert_eq!(results(&service, list()).await, first);
    let longer = json!([
        keyed("d", "m"),
        keyed("a", "m"),
        keyed("new", "m"),
        keyed("b", "other")
    ]);
    let answers = results(&service, longer).await;
    assert_eq!(answers[1], first[1]);
    assert_eq!(answers[3]["error"]["code"], "IDEMPOTENCY_KEY_REUSED");
    // The header and the field contain the same key.
    assert_ne!(answers[0]["id"], answers[2]["id"]);
    assert_eq!(count_rows(&pool, "notification").await, 5);
    assert_eq!(count_rows(&pool, "delivery").await, 4);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_key_twice_in_one_list_is_one_notification(pool: PgPool) {
    let service = Service::start(&pool).await;
    let list = json!([
        keyed("k", "m"),
        keyed("k", "m"),
        keyed("k", "other"),
        keyed("k", "m")
    ]);
    let results = results(&service, list).await;
    assert_eq!(results[0]["status"], "queued");
    assert_eq!(results[1], results[0]);
    assert_eq!(results[2]["error"]["code"], "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(results[3], results[0]);
    assert_eq!(count_rows(&pool, "notification").await, 1);
    assert_eq!(count_rows(&pool, "delivery").await, 1);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn what_is_kept_counts_not_what_comes_first_in_the_list(pool: PgPool) {
    let service = Service::start(&pool).await;
    let (_, first) = service.notify(keyed("k", "m")).await;
    let results = results(&service, json!([keyed("k", "other"), keyed("k", "m")])).await;
    assert_eq!(results[0]["error"]["code"], "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(results[1]["id"], first["id"]);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn lists_with_the_same_keys_at_the_same_moment_are_one(pool: PgPool) {
    let one = Service::with(&pool, &clock(), &[]).await;
    let two = Service::with(&pool, &clock(), &[]).await;
    let mut list: Vec<_> = (0..200).map(|n| keyed(&n.to_string(), "m")).collect();
    let forward = Value::from(list.clone());
    list.reverse();
    let backward = Value::from(list);
    let forward = (0..4).map(async |_| results(&one, forward.clone()).await);
    let backward = (0..4).map(async |_| {
        let mut results = results(&two, backward.clone()).await;
        results.reverse();
        results
    });
    let (forward, backward) = join(join_all(forward), join_all(backward)).await;
    let answers = [forward, backward].concat();
    for answer in &answers {
        assert_eq!(answer, &answers[0]);
    }
    assert!(answers[0].iter().all(|answer| answer["error"].is_null()));
    assert_eq!(count_rows(&pool, "notification").await, 200);
    assert_eq!(count_rows(&pool, "delivery").await, 200);
    until(async || (count_rows(&pool, "attempt").await == 200).then_some(())).await;
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn the_key_of_one_may_be_a_header_or_a_field_but_not_two_keys(pool: PgPool) {
    let service = Service::start(&pool).await;
    let by_field = service.notify(keyed("k", "m")).await;
    assert_eq!(by_field.0, 202);
    assert_eq!(
        service.notify_with_key("k", keyed("k", "m")).await,
        by_field
    );
    let plain = json!({"event": "e", "message": "m"});
    assert_eq!(service.notify_with_key("k", plain).await, by_field);

    let refused = async |key: Option<&str>, body: Value| {
        let (status, problem) = match key {
            Some(key) => service.notify_with_key(key, body).await,
            None => service.notify(body).await,
        };
        let text = |name: &str| problem[name].as_str().unwrap().to_owned();
        (status, text("code"), text("field"))
    };
    let expected = |status, code: &str, field: &str| (status, code.to_owned(), field.to_owned());
    assert_eq!(
        refused(Some("other"), keyed("k", "m")).await,
        expected(422, "IDEMPOTENCY_KEY_CONFLICT", "idempotency_key")
    );
    assert_eq!(
        refused(None, keyed("k", "other")).await,
        expected(422, "IDEMPOTENCY_KEY_REUSED", "idempotency_key")
    );
    assert_eq!(
        refused(None, keyed("", "m")).await,
        expected(422, "IDEMPOTENCY_KEY_INVALID", "idempotency_key")
    );
    assert_eq!(
        refused(Some("k"), json!([keyed("k", "m")])).await,
        expected(400, "IDEMPOTENCY_KEY_INVALID", "idempotency-key")
    );
    assert_eq!(count_rows(&pool, "notification").await, 1);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_list_has_a_thousand_at_most_and_may_be_empty(pool: PgPool) {
    let service = Service::start(&pool).await;
    let list = |length| Value::from(vec![json!({"event": "e"}); length]);
    let (status, problem) = service.notify(list(1_001)).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (422, Some("TOO_MANY_NOTIFICATIONS"))
    );
    assert_eq!(count_rows(&pool, "notification").await, 0);
    assert_eq!(results(&service, list(1_000)).await.len(), 1_000);
    assert_eq!(count_rows(&pool, "notification").await, 1_000);
    assert_eq!(service.notify(json!([])).await.1, json!({"results": []}));
    let token = service.token(&[common::jwt::Scope::NotifySend]);
    let broken = service.http.post(format!("{}/notify", service.base));
    let broken = broken
        .bearer_auth(token)
        .header("content-type", "application/json")
        .body("[{\"event\":\"e\"},");
    assert_eq!(crate::support::answer(broken).await.0, 400);
}
