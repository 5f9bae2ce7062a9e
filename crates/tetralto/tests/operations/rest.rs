//! The load of an idle service on PostgreSQL.

use std::time::Duration;

use common::clock::Clock;
use sqlx::PgPool;

use crate::running::{geo, notification, notify, url, visit, visitor_analytics};

/// Time for a service to become idle: its workers poll less often, and idle connections are closed.
const SETTLE: Duration = Duration::from_secs(20);
/// Duration of the measurement.
const WATCH: Duration = Duration::from_secs(24);
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

/// Fails if the service exceeds the limits. The test itself has one connection.
async fn is_at_rest(pool: &PgPool, name: &str) {
    tokio::time::sleep(SETTLE).await;
    let before = transactions(pool).await;
    tokio::time::sleep(WATCH).await;
    let made = transactions(pool).await - before;
    let question = "select count(*) from pg_stat_activity
         where datname = current_database() and application_name = $1";
    let connections: i64 = sqlx::query_scalar(question)
        .bind(name)
        .fetch_one(pool)
        .await
        .unwrap();
    assert!(
        made <= MAX_TRANSACTIONS,
        "{name}: {made} transactions in {WATCH:?}"
    );
    assert!(
        connections <= MAX_CONNECTIONS,
        "{name}: {connections} connections are open"
    );
}

#[sqlx::test(migrations = false)]
async fn geo_rests(pool: PgPool) {
    let service = geo(Some(&url(&pool)), &Clock::system()).await;
    for _ in 0..30 {
        service.text("/service-areas").await;
    }
    is_at_rest(&pool, geo::SERVICE_NAME).await;
}

#[sqlx::test(migrations = false)]
async fn visitor_analytics_rests(pool: PgPool) {
    let geo = geo(None, &Clock::system()).await;
    let service = visitor_analytics(&url(&pool), &geo, &Clock::system()).await;
    visit(&service).await;
    is_at_rest(&pool, visitor_analytics::SERVICE_NAME).await;
}

#[sqlx::test(migrations = false)]
async fn notification_rests(pool: PgPool) {
    let service = notification(&url(&pool), &Clock::system()).await;
    notify(&service).await;
    is_at_rest(&pool, notification::SERVICE_NAME).await;
}
