//! A program that is older than the schema, as after a rollback; clocks with a skew.

use chassis::database::{DatabaseCheck, check_clock_skew, migrate, newest_version};
use chassis::health::HealthStatus;
use chrono::TimeDelta;
use common::clock::Clock;
use sqlx::PgPool;
use sqlx::migrate::Migrator;

use crate::running::services;

/// The first half of the SHA-256 of `spoofed_crawler` and the byte 254.
const RULE_CODE_KEY: &str = "30c8b1f6-3f6c-bf56-b266-786a3af9ee84";

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

#[sqlx::test(migrations = false)]
async fn stored_codes_of_bot_rules_are_renamed(pool: PgPool) {
    let migrator = visitor_analytics::migrator();
    let known = migrator.iter().filter(|known| known.version < 30);
    let older = Migrator::with_migrations(known.cloned().collect());
    migrate(&pool, visitor_analytics::SCHEMA_NAME, older)
        .await
        .unwrap();
    for statement in [
        "insert into visitor_analytics.verdict (key, is_bot, score, reasons, ruleset)
         values (gen_random_uuid(), true, 90, '{no_accept,never_existed,strange_ending}', 4),
                (gen_random_uuid(), false, 0, '{}', 4)",
        "insert into visitor_analytics.rollup_value (key, text)
         values (gen_random_uuid(), 'crawler_pretender'), (gen_random_uuid(), '/never_existed')",
        r#"insert into visitor_analytics.segment (id, name, filters, created_at) values
           (gen_random_uuid(), 'a', '{"bot_reason": ["!unlike_a_browser", "no_accept"]}', now()),
           (gen_random_uuid(), 'b', '{"page": ["never_existed"]}', now())"#,
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    migrate(&pool, visitor_analytics::SCHEMA_NAME, migrator)
        .await
        .unwrap();
    let texts = async |query: &'static str| {
        let rows: Vec<String> = sqlx::query_scalar(query).fetch_all(&pool).await.unwrap();
        rows
    };
    assert_eq!(
        texts("select reasons::text from visitor_analytics.verdict order by score").await,
        ["{}", "{no_accept,impossible_version,unknown_suffix}"]
    );
    assert_eq!(
        texts("select text from visitor_analytics.rollup_value order by text collate \"C\"").await,
        ["/never_existed", "spoofed_crawler"]
    );
    // The key that the program computes for the text.
    assert_eq!(
        texts(
            "select key::text from visitor_analytics.rollup_value where text = 'spoofed_crawler'"
        )
        .await,
        [RULE_CODE_KEY]
    );
    assert_eq!(
        texts("select filters::text from visitor_analytics.segment order by name").await,
        [
            r#"{"bot_reason": ["!malformed_user_agent", "no_accept"]}"#,
            r#"{"page": ["never_existed"]}"#
        ]
    );
}
