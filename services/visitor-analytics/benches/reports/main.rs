//! `./dev bench reports [VISITS] [QUERY]`: the duration of reports over 10 million visits (or
//! `VISITS`) on 90 days and three sites, compared with a tenth of the visits, with the same queries
//! in plain SQL over the visits, and with `DuckDB` over an export.
//!
//! Creates databases on the server of `DATABASE_URL`; existing ones are reused. To keep them, set
//! `REPORTS_DATABASE_URL` to a permanent server, which `./dev` then uses. `DUCKDB_PYTHON` is a
//! Python interpreter with `DuckDB`; without it, that column stays empty. `QUERY` is a part of a
//! query's name: only matching queries run, without plain SQL and `DuckDB`.
//!
//! `REPORTS_VISITOR_IDS=own` generates ids that last: each visitor comes on most days. By default,
//! ids last for a day.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark is run by hand, prints its results and may panic"
)]

mod duckdb;
mod queries;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bench::{CpuTime, parent_pid};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use visitor_analytics::app::reports::ReportEngine;
use visitor_analytics::domain::visitor_id::VisitorIdLifetime;
use visitor_analytics::store::Store;

const FILL_SQL: &str = include_str!("fill.sql");
/// Names of visitor ids, and the expression that generates them.
const DAILY_IDS: (&str, &str) = (
    "daily",
    "lpad(to_hex(started_at::date - date '1970-01-01'), 4, '0')
         || left(md5(site_id || started_at::date::text || who), 28)",
);
const OWN_IDS: (&str, &str) = ("own", "'visitor ' || md5(site_id::text || who)");

/// A database with visits of three sites, and the time at which reports run.
struct Dataset {
    pool: PgPool,
    store: Store,
    reports: ReportEngine,
    now: DateTime<Utc>,
    visits: i64,
}

#[tokio::main]
async fn main() {
    let words = || std::env::args().skip(1).filter(|word| word != "--bench");
    let visits = words().find_map(|text| text.parse().ok());
    let visits: u32 = visits.unwrap_or(10_000_000);
    let only = words().find(|word| word.parse::<u32>().is_err());
    let only = only.unwrap_or_default();
    let small = prepare_dataset(visits / 10).await;
    let large = prepare_dataset(visits).await;
    let duck = match only.as_str() {
        "" => duckdb::run_queries(&large).await,
        _ => HashMap::new(),
    };
    queries::run_all(&small, &large, &duck, &only).await;
}

async fn prepare_dataset(visits: u32) -> Dataset {
    let database = std::env::var("DATABASE_URL").expect("start this with ./dev bench reports");
    let options: PgConnectOptions = database.parse().unwrap();
    let ids = match std::env::var("REPORTS_VISITOR_IDS").as_deref() {
        Ok("own") => OWN_IDS,
        _ => DAILY_IDS,
    };
    let name = format!("reports_{}_{visits}", ids.0);
    let created = format!("create database {name}");
    let server = chassis::database::request_pool(options.clone(), 1);
    // The database may exist already.
    let _ = sqlx::raw_sql(AssertSqlSafe(created)).execute(&server).await;
    let pool = chassis::database::request_pool(options.database(&name), 10);
    let history = visitor_analytics::migrator();
    let migrated = chassis::database::migrate(&pool, visitor_analytics::SCHEMA_NAME, history);
    migrated.await.unwrap();
    let store = Store::new(pool.clone());
    // The last day with visits is still open.
    let now: DateTime<Utc> = "2026-11-20T22:30:00Z".parse().unwrap();
    if count_rows(&pool, "site").await == 0 {
        let months = (0..5).map(|month| now - TimeDelta::days(30 * month));
        store
            .partitions
            .ensure(months.chain([now + TimeDelta::days(2)]))
            .await
            .unwrap();
        let begun = Instant::now();
        let fill = FILL_SQL
            .replace(":visits", &visits.to_string())
            .replace(":visitor_id", ids.1);
        let mut connection = unlimited_connection(&pool).await;
        for statement in [fill, "vacuum analyze".to_owned()] {
            let statement = sqlx::raw_sql(AssertSqlSafe(statement));
            statement.execute(&mut connection).await.unwrap();
        }
        println!(
            "generated the visits in {:.0} s",
            begun.elapsed().as_secs_f64()
        );
    }
    let visits = count_rows(&pool, "visit").await;
    println!("{visits} visits");
    fold_days(&pool, &store, now, visits).await;
    print_table_sizes(&pool, visits).await;
    Dataset {
        pool,
        reports: ReportEngine::new(store.clone(), VisitorIdLifetime::Daily),
        store,
        now,
        visits,
    }
}

/// A connection whose statements may take any time.
async fn unlimited_connection(pool: &PgPool) -> PgConnection {
    let mut connection = pool.acquire().await.unwrap().detach();
    let unlimited = sqlx::raw_sql("set statement_timeout = 0");
    unlimited.execute(&mut connection).await.unwrap();
    connection
}

async fn count_rows(pool: &PgPool, table: &str) -> i64 {
    let statement = AssertSqlSafe(format!("select count(*) from visitor_analytics.{table}"));
    sqlx::query_scalar(statement).fetch_one(pool).await.unwrap()
}

/// Folds the completed days.
async fn fold_days(pool: &PgPool, store: &Store, now: DateTime<Utc>, visits: i64) {
    // The SQL script marks all days as dirty; two of them are still open.
    let due = "update visitor_analytics.unfolded_day
               set due_at = (day + 1)::timestamp at time zone 'UTC' + interval '6 hours'";
    sqlx::raw_sql(due).execute(pool).await.unwrap();
    let postgres = sqlx::query_scalar("select pg_backend_pid()").fetch_one(pool);
    let postgres = parent_pid(postgres.await.map(i32::cast_unsigned).unwrap()).unwrap();
    let used = || {
        (
            CpuTime::of_process(std::process::id()).total(),
            CpuTime::of_process_tree(postgres).total(),
        )
    };
    let (begun, before, mut days) = (Instant::now(), used(), 0);
    loop {
        let due = store.rollups.claim_days(now, 10).await.unwrap();
        if due.is_empty() {
            break;
        }
        for day in &due {
            store.rollups.fold_claimed_day(day).await.unwrap();
            days += 1;
        }
    }
    if days == 0 {
        return;
    }
    let after = used();
    let micros =
        |after: Duration, before| after.saturating_sub(before).as_secs_f64() * 1e6 / visits as f64;
    println!(
        "{days} days folded in {:.0} s, CPU µs a visit: own {:.1}, PostgreSQL {:.1}",
        begun.elapsed().as_secs_f64(),
        micros(after.0, before.0),
        micros(after.1, before.1),
    );
    sqlx::raw_sql("vacuum analyze").execute(pool).await.unwrap();
}

async fn print_table_sizes(pool: &PgPool, visits: i64) {
    for table in [
        "visit",
        "session",
        "rollup_day",
        "rollup_month",
        "rollup_quarter_hour",
        "rollup_path",
        "rollup_value",
        "column_block",
    ] {
        let bytes = "select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint from pg_class c
                     where c.relnamespace = 'visitor_analytics'::regnamespace
                       and c.relkind = 'r' and c.relname ~ ('^' || $1 || '(_[0-9_]+|_past)?$')";
        let bytes: i64 = sqlx::query_scalar(bytes)
            .bind(table)
            .fetch_one(pool)
            .await
            .unwrap();
        let each = bytes as f64 / visits as f64;
        println!("  {table:<13} {each:>7.1} MB for a million visits");
    }
}
