//! `GET /health` and `GET /metrics`.

use chrono::TimeDelta;
use serde_json::json;
use sqlx::PgPool;

use crate::support::{Service, answer, clock};
use crate::twilio::{Reply, Twilio};

#[sqlx::test(migrations = false)]
async fn health_tells_the_schema_the_queue_and_the_provider(pool: PgPool) {
    let service = Service::start(&pool).await;
    let health = async || answer(service.http.get(format!("{}/health", service.base))).await;
    let (status, report) = health().await;
    assert_eq!(status, 503);
    let detail = report["checks"]["database"]["detail"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(detail.contains("migrate"), "{detail}");

    chassis::database::migrate(&pool, notification::SERVICE_NAME, notification::migrator())
        .await
        .unwrap();
    let (status, report) = health().await;
    assert_eq!(
        (status, report["status"].as_str()),
        (200, Some("ok")),
        "{report}"
    );
    assert_eq!(report["checks"]["sms"]["detail"], "log");
    assert_eq!(
        report["checks"]["delivery"]["detail"],
        "0 waiting, oldest overdue by 0 s"
    );
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_queue_that_is_late_is_degraded(pool: PgPool) {
    let clock = clock();
    let twilio = Twilio::start(&clock, &[Reply::Refuse(429, 20429)]).await;
    let service = Service::with(&pool, &clock, &twilio.args()).await;
    service.notify(json!({"event": "e", "message": "m"})).await;
    service.wait_for_attempts(1).await;
    // A row that another transaction locks cannot be claimed.
    let mut holder = pool.begin().await.unwrap();
    sqlx::query("select id from notification.delivery for update")
        .execute(&mut *holder)
        .await
        .unwrap();
    clock.advance(TimeDelta::seconds(5 + 61));
    let (_, report) = answer(service.http.get(format!("{}/health", service.base))).await;
    let finding = json!({"status": "degraded", "detail": "1 waiting, oldest overdue by 61 s"});
    assert_eq!(report["checks"]["delivery"], finding);
    assert_eq!(report["checks"]["sms"]["detail"], "twilio");

    holder.rollback().await.unwrap();
    service.wait_for_delivery(|d| d["status"] == "sent").await;
    let (_, metrics) = answer(service.http.get(format!("{}/metrics", service.base))).await;
    let metrics = metrics.as_str().unwrap();
    for outcome in ["transient", "sent"] {
        let line =
            format!("notification_deliveries_total{{channel=\"sms\",outcome=\"{outcome}\"}}");
        assert!(metrics.contains(&line), "{line}");
    }
}
