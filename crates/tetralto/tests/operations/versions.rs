//! A program that is older than the schema, as after a rollback; clocks with a skew.

use chassis::database::{DatabaseCheck, check_clock_skew, migrate, newest_version};
use chassis::health::HealthStatus;
use chrono::TimeDelta;
use common::clock::Clock;
use sqlx::PgPool;
use sqlx::migrate::Migrator;

use crate::running::services;

/// The migrations of the previous version.
fn previous_migrations(migrator: &Migrator) -> Migrator {
    let last = newest_version(migrator);
    let known = migrator.iter().filter(|known| known.version < last);
    Migrator::with_migrations(known.cloned().collect())
}

#[sqlx::test(migrations = false)]
async fn an_older_program_works_with_a_newer_schema(pool: PgPool) {
    for (_, schema, migrator) in services() {
        let older = previous_migrations(&migrator);
        let (known, last) = (newest_version(&older), newest_version(&migrator));
        migrate(&pool, schema, older).await.unwrap();
        let found = DatabaseCheck::new(&pool, schema, last).run().await;
        assert_eq!(found.status, HealthStatus::Unavailable, "{}", found.detail);

        let older = previous_migrations(&migrator);
        migrate(&pool, schema, migrator).await.unwrap();
        migrate(&pool, schema, older).await.unwrap();
        let found = DatabaseCheck::new(&pool, schema, known).run().await;
        assert_eq!(found.status, HealthStatus::Ok);
        assert!(
            found.detail.contains("newer than this program"),
            "{}",
            found.detail
        );
        let found = DatabaseCheck::new(&pool, schema, last).run().await;
        assert!(!found.detail.contains("newer"), "{}", found.detail);
    }
}

#[sqlx::test(migrations = false)]
async fn a_clock_that_differs_from_the_databases_is_told(pool: PgPool) {
    let now = Clock::system().now();
    let skew = async |seconds| {
        let clock = Clock::manual(now + TimeDelta::seconds(seconds));
        check_clock_skew(pool.clone(), clock).await
    };
    assert_eq!(skew(0).await.status, HealthStatus::Ok);
    let ahead = skew(600).await;
    assert_eq!(ahead.status, HealthStatus::Degraded);
    assert!(ahead.detail.contains("ahead of"), "{}", ahead.detail);
    let behind = skew(-600).await;
    assert_eq!(behind.status, HealthStatus::Degraded);
    assert!(behind.detail.contains("behind"), "{}", behind.detail);
}
