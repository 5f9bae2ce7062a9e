//! The initial rule `Visitors`, with any number of visitors.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Service, count_rows, until};

const RULE: &str = "/rules/01900000-0000-7000-8000-000000000001";

fn visitor(n: u32, network: &Value) -> Value {
    json!({"event": "visitor.arrived", "data": {
        "visit": {"site": "example.com", "city": "London", "path": format!("/{n}")},
        "session": {"id": format!("s{n}")},
        "visitor": {"id": format!("v{n}"), "network": network},
    }})
}

async fn arrive(service: &Service, visitors: Vec<Value>) -> Vec<Value> {
    let (status, answer) = service.notify(Value::from(visitors)).await;
    assert_eq!(status, 200, "{answer}");
    answer["results"].as_array().unwrap().clone()
}

fn count(results: &[Value], status: &str) -> usize {
    results.iter().filter(|one| one["status"] == status).count()
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn one_network_makes_five_texts_an_hour_and_a_notice(pool: PgPool) {
    let service = Service::start(&pool).await;
    let network = json!("203.0.113.0/24");
    let crowd = (0..60).map(|n| visitor(n, &network)).collect();
    let results = arrive(&service, crowd).await;
    assert_eq!(
        (count(&results, "queued"), count(&results, "digested")),
        (5, 55)
    );
    let reason = results[59]["reason"].as_str().unwrap();
    let throttled = "throttled after 5 messages; the window ends at 2026-11-20T13:00:00Z; sent \
        in a digest at 2026-11-20T13:00:00Z, as notification ";
    assert!(reason.starts_with(throttled), "{reason}");
    let story = service.read_notification(&results[59]["id"]).await;
    assert_eq!(story["rules"][0]["outcome"], "throttled");
    // Other networks are not affected.
    let other = arrive(&service, vec![visitor(60, &json!("198.51.100.0/24"))]).await;
    assert_eq!(count(&other, "queued"), 1);

    service.clock.advance(TimeDelta::hours(1));
    until(async || (count_rows(&pool, "digest").await == 0).then_some(())).await;
    let notice = service
        .read_notification(&json!(reason.rsplit(' ').next().unwrap()))
        .await;
    let text = notice["deliveries"][0]["text"].as_str().unwrap();
    assert!(
        text.starts_with("55 more visitors since 12:00 UTC:\n- Visitor on example.com: London\n"),
        "{text}"
    );
    assert!(text.ends_with("\nand 50 more"), "{text}");
    assert_eq!(notice["deliveries"].as_array().unwrap().len(), 1);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn all_networks_together_make_twenty(pool: PgPool) {
    let service = Service::start(&pool).await;
    // Without a network, each visitor counts separately.
    let crowd = (0..60).map(|n| visitor(n, &Value::Null)).collect();
    let results = arrive(&service, crowd).await;
    assert_eq!(
        (count(&results, "queued"), count(&results, "digested")),
        (20, 40)
    );
    let reason = results[59]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("throttled after 20 messages in total; the window ends at "),
        "{reason}"
    );
    assert_eq!(count_rows(&pool, "digest").await, 1);
    // Held back notifications are counted, too, but do not extend the window.
    let counted: i32 =
        sqlx::query_scalar("select count from notification.tally where kind = 'total'")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(counted, 60);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn by_provider_and_city_where_no_network_is_told(pool: PgPool) {
    let service = Service::start(&pool).await;
    let crowd = (0..9).map(|n| {
        let mut one = visitor(n, &Value::Null);
        one["data"]["visit"]["asn"] = json!(64_496);
        one
    });
    let results = arrive(&service, crowd.collect()).await;
    assert_eq!(
        (count(&results, "queued"), count(&results, "digested")),
        (5, 4)
    );
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_rule_that_somebody_changed_is_left_alone(pool: PgPool) {
    let service = Service::start(&pool).await;
    let (_, rule) = service.write(Method::GET, RULE, None).await;
    let throttle = &rule["throttle"];
    assert_eq!(
        (
            &throttle["limit"],
            &throttle["seconds"],
            &throttle["total"],
            &throttle["notice"]
        ),
        (&json!(5), &json!(3_600), &json!(20), &json!(true)),
        "{rule}"
    );
    let plain = json!({"name": "Visitors", "event": "visitor.arrived"});
    let (_, changed) = service.write(Method::PUT, RULE, Some(plain.clone())).await;
    assert_eq!(changed["throttle"], Value::Null, "{changed}");
    let crowd = (0..60)
        .map(|n| visitor(n, &json!("203.0.113.0/24")))
        .collect();
    assert_eq!(count(&arrive(&service, crowd).await, "queued"), 60);
    drop(service);

    // The rule of an older version, changed by an operator.
    let spec = sqlx::types::Json(json!({"name": "Visitors", "event": "visitor.arrived"}));
    sqlx::query(
        "update notification.rule set spec = $1, updated_at = created_at + interval '1 day'",
    )
    .bind(spec)
    .execute(&pool)
    .await
    .unwrap();
    let service = Service::start(&pool).await;
    let (_, rule) = service.write(Method::GET, RULE, None).await;
    assert_eq!(rule["throttle"], Value::Null, "{rule}");
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn what_older_versions_do_not_know_is_not_written(pool: PgPool) {
    let service = Service::start(&pool).await;
    let rule = json!({"name": "All", "event": "e", "throttle": {"limit": 2, "seconds": 60}});
    let id = service.create("/rules", rule).await;
    let kept = "select spec::jsonb -> 'throttle' from notification.rule where id = $1::uuid";
    let kept: Value = sqlx::query_scalar(kept)
        .bind(&id)
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(kept, json!({"limit": 2, "seconds": 60, "by": null}));
    let untouched = "select spec::text from notification.rule where id <> $1::uuid";
    let untouched: String = sqlx::query_scalar(untouched)
        .bind(&id)
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(
        untouched,
        r#"{"name": "Visitors", "event": "visitor.arrived"}"#
    );
    for (field, value) in [("limit", 0), ("total", 0), ("total", 1_000_001)] {
        let mut rule =
            json!({"name": "All", "event": "e", "throttle": {"limit": 2, "seconds": 60}});
        rule["throttle"][field] = json!(value);
        let (status, problem) = service.write(Method::POST, "/rules", Some(rule)).await;
        let found = (status, &problem["field"], &problem["code"]);
        let field = json!(format!("throttle.{field}"));
        assert_eq!(found, (422, &field, &json!("LIMIT_INVALID")), "{problem}");
    }
}
