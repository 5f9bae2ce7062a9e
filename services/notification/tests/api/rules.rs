//! `/rules`, the effects of rules, and `POST /rules/test`.

use chrono::TimeDelta;
use common::jwt::Scope;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{MASKED, Service, count_rows, until};

fn orders() -> Value {
    json!({"name": "Orders", "event": "order.*", "condition": "data.total > 100",
        "recipients": ["+15550100002"],
        "templates": [{"text": "{{ data.name }} ordered for {{ data.total }}"}]})
}

fn order(total: i32) -> Value {
    json!({"event": "order.paid", "data": {"total": total, "name": "Ann"}})
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_rule_is_followed_changed_and_deleted(pool: PgPool) {
    let service = Service::start(&pool).await;
    let id = service.create("/rules", orders()).await;
    let (_, told) = service.notify(order(120)).await;
    assert_eq!(told["deliveries"][0]["recipient"], "+1555•••02");
    let story = service.read_notification(&told["id"]).await;
    assert_eq!(story["deliveries"][0]["text"], "Ann ordered for 120");
    let finding = json!([{"rule_id": id, "rule": "Orders", "outcome": "matched", "detail": null}]);
    assert_eq!(story["rules"], finding);

    let (_, small) = service.notify(order(20)).await;
    assert_eq!(
        (&small["status"], &small["reason"]),
        (&json!("suppressed"), &json!("no rule matches"))
    );
    let story = service.read_notification(&small["id"]).await;
    assert_eq!(story["rules"][0]["outcome"], "condition_false");
    let (_, odd) = service.notify(json!({"event": "order.paid"})).await;
    let story = service.read_notification(&odd["id"]).await;
    assert_eq!(story["rules"][0]["outcome"], "condition_failed");
    assert_eq!(story["reason"], story["rules"][0]["detail"]);

    let path = format!("/rules/{id}");
    let mut off = orders();
    off["active"] = json!(false);
    assert_eq!(service.write(Method::PUT, &path, Some(off)).await.0, 200);
    assert_eq!(service.notify(order(120)).await.1["status"], "suppressed");
    assert_eq!(
        service.write(Method::PUT, &path, Some(orders())).await.0,
        200
    );
    assert_eq!(service.notify(order(120)).await.1["status"], "queued");
    let (_, list) = service.write(Method::GET, "/rules", None).await;
    assert_eq!(list["data"][0]["condition"], "data.total > 100");
    assert_eq!(service.write(Method::DELETE, &path, None).await.0, 204);
    assert_eq!(service.notify(order(120)).await.1["status"], "suppressed");
    assert_eq!(service.write(Method::GET, &path, None).await.0, 404);
    assert_eq!(
        service.write(Method::PUT, &path, Some(orders())).await.0,
        404
    );
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn another_process_sees_a_change_soon(pool: PgPool) {
    let one = Service::start(&pool).await;
    let two = Service::start(&pool).await;
    assert_eq!(two.notify(order(120)).await.1["status"], "suppressed");
    one.create("/rules", orders()).await;
    until(async || (two.notify(order(120)).await.1["status"] == "queued").then_some(())).await;
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn the_default_rule_may_be_changed_and_is_not_needed(pool: PgPool) {
    let service = Service::start(&pool).await;
    let arrived = || json!({"event": "visitor.arrived", "data": {"visit": {"country_code": "GB"}}});
    assert_eq!(
        service.notify(arrived()).await.1["deliveries"][0]["recipient"],
        MASKED
    );
    let (_, list) = service.write(Method::GET, "/rules", None).await;
    let mut rule = list["data"][0].clone();
    let path = format!("/rules/{}", rule["id"].as_str().unwrap());
    for read_only in ["id", "created_at", "updated_at"] {
        rule.as_object_mut().unwrap().remove(read_only);
    }
    rule["condition"] = json!("data.visit.country_code == 'DE'");
    let (status, answer) = service.write(Method::PUT, &path, Some(rule)).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(service.notify(arrived()).await.1["status"], "suppressed");
    assert_eq!(service.write(Method::DELETE, &path, None).await.0, 204);
    assert_eq!(
        service.notify(arrived()).await.1["reason"],
        "no rule matches"
    );
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn what_is_no_rule_is_refused_by_name_with_the_position(pool: PgPool) {
    let service = Service::start(&pool).await;
    let bomb = "[1,2].map(x, data.a)";
    let cases = [
        ("name", json!(""), "name", "NAME_INVALID"),
        ("event", json!("Order"), "event", "EVENT_INVALID"),
        (
            "condition",
            json!("data.total >"),
            "condition",
            "EXPRESSION_INVALID",
        ),
        ("condition", json!(bomb), "condition", "EXPRESSION_INVALID"),
        (
            "channels",
            json!(["pigeon"]),
            "channels[0]",
            "CHANNEL_UNKNOWN",
        ),
        (
            "recipients",
            json!(["log", "x"]),
            "recipients[1]",
            "RECIPIENT_INVALID",
        ),
        ("recipients", json!([]), "recipients", "LIST_EMPTY"),
        (
            "recipients",
            json!(vec!["log"; 21]),
            "recipients",
            "LIST_TOO_LONG",
        ),
        (
            "templates",
            json!([{"text": "{{ a"}]),
            "templates[0].text",
            "TEMPLATE_INVALID",
        ),
        (
            "templates",
            json!([{"text": "{{ 'a' * 9 }}"}]),
            "templates[0].text",
            "TEMPLATE_INVALID",
        ),
        (
            "throttle",
            json!({"limit": 0, "seconds": 1}),
            "throttle.limit",
            "LIMIT_INVALID",
        ),
        (
            "throttle",
            json!({"limit": 1, "seconds": 0}),
            "throttle.seconds",
            "SECONDS_INVALID",
        ),
        (
            "dedupe",
            json!({"seconds": 1, "by": "("}),
            "dedupe.by",
            "EXPRESSION_INVALID",
        ),
        (
            "digest",
            json!({"seconds": 9_999_999}),
            "digest.seconds",
            "SECONDS_INVALID",
        ),
        (
            "quiet_hours",
            json!([{"from": "9", "to": "10:00"}]),
            "quiet_hours[0].from",
            "TIME_INVALID",
        ),
        (
            "quiet_hours",
            json!([{"from": "09:00", "to": "10:00", "time_zone": "X"}]),
            "quiet_hours[0].time_zone",
            "TIME_ZONE_UNKNOWN",
        ),
        (
            "sms_segments",
            json!(11),
            "sms_segments",
            "SEGMENTS_INVALID",
        ),
        (
            "escalation",
            json!([{"after_seconds": 0, "recipients": ["log"]}]),
            "escalation[0].after_seconds",
            "SECONDS_INVALID",
        ),
        (
            "escalation",
            json!([{"after_seconds": 9, "recipients": ["log"]},
            {"after_seconds": 9, "recipients": ["log"]}]),
            "escalation[1].after_seconds",
            "ORDER_INVALID",
        ),
        ("colour", json!("red"), "colour", "BODY_INVALID"),
    ];
    for (name, value, field, code) in cases {
        let mut body = orders();
        body[name] = value;
        let (status, problem) = service.write(Method::POST, "/rules", Some(body)).await;
        let found = (status, &problem["field"], &problem["code"]);
        assert_eq!(found, (422, &json!(field), &json!(code)), "{problem}");
    }
    let mut body = orders();
    body["condition"] = json!("data.a ==\n && true");
    let (_, problem) = service.write(Method::POST, "/rules", Some(body)).await;
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with("line 2, column 2"), "{detail}");
    assert_eq!(count_rows(&pool, "rule").await, 1);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn rules_need_the_scope_to_write(pool: PgPool) {
    let service = Service::start(&pool).await;
    let token = service.token(&[Scope::NotifyRead, Scope::NotifySend]);
    for path in ["/rules", "/recipients"] {
        let (status, _) = service.call(Method::GET, path, &token, None, &[]).await;
        assert_eq!(status, 403, "{path}");
    }
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn trying_a_rule_tells_what_would_be_said_and_sends_nothing(pool: PgPool) {
    let service = Service::start(&pool).await;
    let ann = json!({"name": "ann", "addresses": ["+15550100002"], "language": "de",
        "time_zone": "Asia/Tokyo"});
    service.create("/recipients", ann).await;
    let mut rule = orders();
    rule["recipients"] = json!(["recipient:ann", "log"]);
    rule["templates"] = json!([{"text": "Order {{ data.total }}"},
        {"channel": "sms", "language": "de", "text": "Bestellung {{ data.total }} ж"}]);
    rule["quiet_hours"] = json!([{"from": "22:00", "to": "07:00"}]);
    rule["throttle"] = json!({"limit": 5, "seconds": 60, "by": "data.name"});
    // 22:30 in Tokyo.
    let trial = json!({"notification": order(120), "rule": rule, "at": "2026-11-20T13:30:00Z"});
    let (status, verdict) = service
        .write(Method::POST, "/rules/test", Some(trial))
        .await;
    assert_eq!(status, 200, "{verdict}");
    assert_eq!(verdict["status"], "queued");
    assert_eq!(verdict["rules"][0]["outcome"], "matched");
    assert_eq!(verdict["gates"][0]["key"], "Ann");
    assert_eq!(verdict["gates"][0]["shut"], false);
    let [sms, log] = &verdict["deliveries"].as_array().unwrap()[..] else {
        panic!("{verdict}");
    };
    assert_eq!(sms["text"], "Bestellung 120 ж");
    assert_eq!(sms["sms"], json!({"encoding": "UCS-2", "segments": 1}));
    assert_eq!(sms["due_at"], "2026-11-20T22:00:00Z");
    assert_eq!(
        sms["reason"],
        "quiet hours: held until 2026-11-20T22:00:00Z"
    );
    assert_eq!(
        (&log["text"], &log["sms"]),
        (&json!("Order 120"), &Value::Null)
    );
    assert_eq!(log["due_at"], "2026-11-20T13:30:00Z");
    assert_eq!(count_rows(&pool, "notification").await, 0);
    assert_eq!(count_rows(&pool, "tally").await, 0);

    let (_, stored) = service.notify(order(120)).await;
    service.create("/rules", orders()).await;
    let trial = json!({"notification_id": stored["id"]});
    let (_, verdict) = service
        .write(Method::POST, "/rules/test", Some(trial))
        .await;
    assert_eq!(verdict["deliveries"][0]["text"], "Ann ordered for 120");
    let (status, problem) = service
        .write(Method::POST, "/rules/test", Some(json!({})))
        .await;
    assert_eq!(
        (status, &problem["code"]),
        (422, &json!("NOTIFICATION_REQUIRED"))
    );
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn who_does_not_acknowledge_is_followed_by_the_next(pool: PgPool) {
    let service = Service::start(&pool).await;
    let mut rule = orders();
    rule["recipients"] = json!(["log"]);
    rule["escalation"] = json!([{"after_seconds": 600, "recipients": ["+15550100002", "log"]}]);
    service.create("/rules", rule).await;
    let (_, seen) = service.notify(order(120)).await;
    let (_, unseen) = service.notify(order(130)).await;
    assert_eq!(seen["deliveries"].as_array().unwrap().len(), 1);
    let path = format!(
        "/notifications/{}/acknowledge",
        seen["id"].as_str().unwrap()
    );
    let (status, story) = service.write(Method::POST, &path, None).await;
    assert_eq!(status, 200, "{story}");
    assert_eq!(story["acknowledged_at"], "2026-11-20T12:00:00Z");
    service.clock.advance(TimeDelta::seconds(600));
    until(async || {
        let story = service.read_notification(&unseen["id"]).await;
        let all = story["deliveries"].as_array().unwrap();
        (all.len() == 3 && all.iter().all(|d| d["status"] == "sent")).then_some(())
    })
    .await;
    let story = service.read_notification(&seen["id"]).await;
    let canceled = |d: &Value| d["status"] == "canceled" && d["step"] == 1;
    let all = story["deliveries"].as_array().unwrap();
    assert_eq!(all.iter().filter(|d| canceled(d)).count(), 2, "{story}");
    let missing = format!("/notifications/{}/acknowledge", uuid::Uuid::nil());
    assert_eq!(service.write(Method::POST, &missing, None).await.0, 404);
}
