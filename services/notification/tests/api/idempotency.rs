//! Idempotency keys.

use chrono::TimeDelta;
use common::jwt::Scope;
use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;

use crate::support::{Service, count_rows};

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn the_same_key_and_body_get_the_same_answer(pool: PgPool) {
    let service = Service::start(&pool).await;
    let body = json!({"event": "e", "message": "m", "data": {"a": 1, "b": 2}});
    let first = service.notify_with_key("k", body).await;
    assert_eq!(first.0, 202);
    service.wait_for_delivery(|d| d["status"] == "sent").await;
    let reordered = json!({"data": {"b": 2, "a": 1}, "message": "m", "event": "e"});
    assert_eq!(service.notify_with_key("k", reordered).await, first);
    assert_eq!(count_rows(&pool, "notification").await, 1);
    assert_eq!(count_rows(&pool, "delivery").await, 1);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn the_same_key_with_another_body_is_refused(pool: PgPool) {
    let service = Service::start(&pool).await;
    let say = |message| json!({"event": "e", "message": message});
    service.notify_with_key("k", say("one")).await;
    let (status, problem) = service.notify_with_key("k", say("two")).await;
    assert_eq!(status, 422);
    assert_eq!(problem["code"], "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(problem["field"], "idempotency-key");
    assert_eq!(count_rows(&pool, "notification").await, 1);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn many_at_the_same_moment_are_one(pool: PgPool) {
    let service = Service::start(&pool).await;
    let body = || json!({"event": "e", "message": "m"});
    let answers = join_all((0..24).map(|_| service.notify_with_key("k", body()))).await;
    for answer in &answers {
        assert_eq!(answer, &answers[0]);
    }
    assert_eq!(answers[0].0, 202);
    assert_eq!(count_rows(&pool, "notification").await, 1);
    assert_eq!(count_rows(&pool, "delivery").await, 1);
    assert_eq!(count_rows(&pool, "idempotency_key").await, 1);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn callers_do_not_share_keys_and_a_key_is_kept_for_a_day(pool: PgPool) {
    let service = Service::start(&pool).await;
    let body = || json!({"event": "e", "message": "m"});
    let send = async |subject: &str| {
        let token = service.token_of(subject, &[Scope::NotifySend]);
        let key = [("idempotency-key", "k")];
        let answer = service.call(Method::POST, "/notify", &token, Some(body()), &key);
        answer.await.1["id"].clone()
    };
    let first = send("one").await;
    assert_ne!(send("two").await, first);
    service
        .clock
        .advance(TimeDelta::hours(24) - TimeDelta::seconds(1));
    assert_eq!(send("one").await, first);
    service.clock.advance(TimeDelta::seconds(1));
    assert_ne!(send("one").await, first);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_key_that_is_none_is_refused(pool: PgPool) {
    let service = Service::start(&pool).await;
    for key in ["", &"k".repeat(256), "schlüssel"] {
        let (status, problem) = service.notify_with_key(key, json!({"event": "e"})).await;
        assert_eq!(status, 400, "{key}");
        assert_eq!(problem["code"], "IDEMPOTENCY_KEY_INVALID");
        assert_eq!(problem["field"], "idempotency-key");
    }
    assert_eq!(count_rows(&pool, "notification").await, 0);
    let (status, _) = service
        .notify_with_key(&"k".repeat(255), json!({"event": "e"}))
        .await;
    assert_eq!(status, 202);
}
