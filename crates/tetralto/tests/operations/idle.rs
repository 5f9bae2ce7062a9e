//! The load of an idle service on PostgreSQL.

use std::time::Duration;

use common::clock::Clock;
use sqlx::PgPool;

use crate::running::{
    database_url, record_visits, send_notifications, start_geo, start_notification,
    start_visitor_analytics,
};

/// Time for a service to become idle: its workers poll less often, and idle connections are closed.
const SETTLE_TIME: Duration = Duration::from_secs(20);
/// Duration of the measurement.
const MEASURE_TIME: Duration = Duration::from_secs(24);
/// Maximum number of transactions in that time: 60 statements per minute, each followed by the
/// empty query with which the pool checks a returned connection, and a margin for PostgreSQL's own
/// transactions.
const MAX_TRANSACTIONS: i64 = 60;
/// Maximum number of connections of an idle service.
const MAX_CONNECTIONS: i64 = 5;

async fn transactions(pool: &PgPool) -> i64 {
    // PostgreSQL publishes the statistics of a session at most one second after it becomes idle.
    let question = "select xact_commit + xact_rollback from pg_stat_database
         where datname = current_database()";
    sqlx::query_scalar(question).fetch_one(pool).await.unwrap()
}

/// Windows of measurement: autovacuum and the work of a full hour count, too, but not in each.
const WINDOWS: usize = 3;

/// Fails if the service exceeds the limits in every window. The test itself has one connection.
async fn check_idle_load(pool: &PgPool, name: &str) {
    tokio::time::sleep(SETTLE_TIME).await;
    let mut seen = vec![];
    for _ in 0..WINDOWS {
        let before = transactions(pool).await;
        tokio::time::sleep(MEASURE_TIME).await;
        let made = transactions(pool).await - before;
        let question = "select count(*) from pg_stat_activity
             where datname = current_database() and application_name = $1";
        let connections: i64 = sqlx::query_scalar(question)
            .bind(name)
            .fetch_one(pool)
            .await
            .unwrap();
        if made <= MAX_TRANSACTIONS && connections <= MAX_CONNECTIONS {
            return;
        }
        seen.push((made, connections));
    }
    panic!("{name}: transactions and connections in windows of {MEASURE_TIME:?}: {seen:?}");
}

#[sqlx::test(migrations = false)]
async fn geo_rests(pool: PgPool) {
    let service = start_geo(Some(&database_url(&pool)), &Clock::system()).await;
    for _ in 0..30 {
        service.text("/service-areas").await;
    }
    check_idle_load(&pool, geo::SERVICE_NAME).await;
}

#[sqlx::test(migrations = false)]
async fn visitor_analytics_rests(pool: PgPool) {
    let geo = start_geo(None, &Clock::system()).await;
    let service = start_visitor_analytics(&database_url(&pool), &geo, &Clock::system()).await;
    record_visits(&service).await;
    check_idle_load(&pool, visitor_analytics::SERVICE_NAME).await;
}

#[sqlx::test(migrations = false)]
async fn notification_rests(pool: PgPool) {
    let service = start_notification(&database_url(&pool), &Clock::system()).await;
    send_notifications(&service).await;
    check_idle_load(&pool, notification::SERVICE_NAME).await;
}
