//! `/metrics` follows the naming conventions of Prometheus.

use common::clock::Clock;
use sqlx::PgPool;

use crate::running::{
    Service, database_url, record_visits, send_notifications, start_geo, start_notification,
    start_visitor_analytics,
};

/// Checks that the metrics of the process and the database exist, and that each metric has a
/// description and a valid name.
async fn check_metrics(service: &Service, name: &str, own: &[&str]) {
    let rendered = service.text("/metrics").await;
    let faults = chassis::metrics::naming_violations(&rendered);
    assert!(faults.is_empty(), "{faults:#?}");
    let common = [
        "http_request_duration_seconds_bucket",
        "database_pool_connections",
        "database_pool_max_connections",
        "database_oldest_transaction_seconds",
        "build_info",
    ];
    let of_service = format!("service=\"{name}\"");
    for metric in common {
        let mut lines = rendered.lines();
        assert!(
            lines.any(|line| line.starts_with(metric) && line.contains(&of_service)),
            "{metric}"
        );
    }
    #[cfg(target_os = "linux")]
    for metric in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
    ] {
        let mut lines = rendered.lines();
        let value = lines.find_map(|line| line.strip_prefix(metric)?.trim().parse::<f64>().ok());
        assert!(value.unwrap() >= 0.0, "{metric}");
    }
    for metric in own {
        let mut lines = rendered.lines();
        assert!(lines.any(|line| line.starts_with(metric)), "{metric}");
    }
}

#[sqlx::test(migrations = false)]
async fn those_of_geo_are_described(pool: PgPool) {
    let service = start_geo(Some(&database_url(&pool)), &Clock::system()).await;
    let ask = service.post("/geolocate");
    let body = serde_json::json!({"ips": ["81.2.69.142"]});
    ask.json(&body).send().await.unwrap();
    check_metrics(&service, geo::SERVICE_NAME, &["geo_lookups_total"]).await;
}

#[sqlx::test(migrations = false)]
async fn those_of_visitor_analytics_are_described(pool: PgPool) {
    let geo = start_geo(None, &Clock::system()).await;
    let service = start_visitor_analytics(&database_url(&pool), &geo, &Clock::system()).await;
    record_visits(&service).await;
    let own = [
        "visits_commit_size_bucket",
        "visits_recorder_waiting",
        "visits_outbox_waiting",
    ];
    check_metrics(&service, visitor_analytics::SERVICE_NAME, &own).await;
}

#[sqlx::test(migrations = false)]
async fn those_of_notification_are_described(pool: PgPool) {
    let service = start_notification(&database_url(&pool), &Clock::system()).await;
    send_notifications(&service).await;
    let own = [
        "notification_commit_size_bucket",
        "notification_queue_depth",
    ];
    check_metrics(&service, notification::SERVICE_NAME, &own).await;
}

#[sqlx::test(migrations = false)]
async fn errors_of_the_database_are_counted_by_their_code(pool: PgPool) {
    let service = start_notification(&database_url(&pool), &Clock::system()).await;
    let broken = "alter table notification.rule rename to renamed";
    sqlx::query(broken).execute(&pool).await.unwrap();
    service.text("/rules").await;
    let rendered = service.text("/metrics").await;
    assert!(
        rendered.contains("database_errors_total{sqlstate=\"42P01\"}"),
        "{rendered}"
    );
}
