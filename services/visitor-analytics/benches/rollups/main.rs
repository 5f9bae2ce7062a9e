//! `./dev bench rollups`: CPU time per visit of marking and folding days, and the disk space of
//! rollups.
//!
//! Records 200,000 visits on five days, folds the days, and finally compares the rollups with the
//! visits. `DATABASE_URL` must name a database that is used for nothing else.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark is run by hand, prints its results and may panic"
)]

#[path = "../ingest/visits.rs"]
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod visits;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bench::{CpuTime, SeededRandom, parent_pid};
use chrono::{DateTime, TimeDelta, Utc};
use common::geo::Location;
use serde_json::{Value, json};
use sqlx::PgPool;
use visitor_analytics::app::verify;
use visitor_analytics::config::VerifyArgs;
use visitor_analytics::domain::enriched_visit::{EnrichedVisit, LocationStatus};
use visitor_analytics::domain::privacy::PrivacyPolicy;
use visitor_analytics::domain::session::{NotifyPolicy, NotifyTrigger};
use visitor_analytics::domain::visit::NewVisit;
use visitor_analytics::domain::visit_enricher::VisitEnricher;
use visitor_analytics::store::Store;

const DAYS: i64 = 5;
const VISITS_PER_DAY: usize = 40_000;
/// Time between visits; they fill the first 12 hours of a day.
const VISIT_INTERVAL: TimeDelta = TimeDelta::milliseconds(1_080);
const VISITS_PER_TRANSACTION: usize = 500;

#[tokio::main]
async fn main() {
    let database = std::env::var("DATABASE_URL").expect("start this with ./dev bench rollups");
    let pool = chassis::database::request_pool(database.parse().unwrap(), 10);
    let history = visitor_analytics::migrator();
    chassis::database::migrate(&pool, visitor_analytics::SCHEMA_NAME, history)
        .await
        .unwrap();
    let postgres = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&pool);
    let postgres = parent_pid(postgres.await.map(i32::cast_unsigned).unwrap()).unwrap();
    let used = || {
        (
            Instant::now(),
            CpuTime::of_process(std::process::id()).total(),
            CpuTime::of_process_tree(postgres).total(),
        )
    };

    let store = Store::new(pool.clone());
    let telling = NotifyPolicy {
        max_age: TimeDelta::zero(),
        trigger: NotifyTrigger::default(),
    };
    let now: DateTime<Utc> = "2026-11-20T12:00:00Z".parse().unwrap();
    let visits = visits(now - TimeDelta::days(DAYS));
    let months = visits.iter().map(|visit| visit.visit.timestamp);
    store.partitions.ensure(months).await.unwrap();
    let sites = visits.iter().map(|visit| &*visit.visit.site).collect();
    store.sites.add_discovered(&sites, 1, now).await.unwrap();
    let before = used();
    for batch in visits.chunks(VISITS_PER_TRANSACTION) {
        store.writer.record(batch, now, telling).await.unwrap();
    }
    print_usage("recording, days closed", before, used(), visits.len());
    sqlx::raw_sql("vacuum analyze")
        .execute(&pool)
        .await
        .unwrap();

    let later = now + TimeDelta::days(2);
    for name in ["folding", "folding again"] {
        let before = used();
        let mut rows = 0;
        for due in store.rollups.claim_days(later, 100).await.unwrap() {
            rows += store.rollups.fold_claimed_day(&due).await.unwrap().unwrap();
        }
        print_usage(name, before, used(), visits.len());
        println!("  {rows} rows");
        print_table_sizes(&pool, visits.len()).await;
        sqlx::query(
            "insert into visitor_analytics.unfolded_day (site_id, day, due_at)
                       select distinct site_id, day, $1 from visitor_analytics.rollup_day",
        )
        .bind(later)
        .execute(&pool)
        .await
        .unwrap();
    }
    sqlx::raw_sql("delete from visitor_analytics.unfolded_day")
        .execute(&pool)
        .await
        .unwrap();
    let before = used();
    let report = verify::verify_days(&store, &VerifyArgs::default())
        .await
        .unwrap();
    print_usage("verifying", before, used(), visits.len());
    print!("{report}");
}

type Usage = (Instant, Duration, Duration);

fn print_usage(what: &str, before: Usage, after: Usage, visits: usize) {
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / visits as f64;
    println!(
        "{what:<24} {:>6.2} s, CPU µs a visit: own {:.2}, PostgreSQL {:.2}",
        (after.0 - before.0).as_secs_f64(),
        micros(after.1.saturating_sub(before.1)),
        micros(after.2.saturating_sub(before.2)),
    );
}

async fn print_table_sizes(pool: &PgPool, visits: usize) {
    let tables = ["visit", "rollup_day", "rollup_value"];
    for table in tables {
        let bytes = "select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint from pg_class c
                     where c.relnamespace = 'visitor_analytics'::regnamespace
                       and c.relkind = 'r' and c.relname ~ ('^' || $1 || '(_[0-9_]+|_past)?$')";
        let bytes: i64 = sqlx::query_scalar(bytes)
            .bind(table)
            .fetch_one(pool)
            .await
            .unwrap();
        let millions = visits as f64 / 1e6;
        println!(
            "  {table:<13} {:>7.1} MB for a million visits",
            bytes as f64 / 1e6 / millions
        );
    }
}

fn visits(start: DateTime<Utc>) -> Vec<EnrichedVisit> {
    let classifier = VisitEnricher::new();
    let mut random = SeededRandom(11);
    let mut visits = vec![];
    for day in 0..DAYS {
        let seed = 20 + day.cast_unsigned();
        let sent = visits::generate(visits::VisitorMix::Mixed, VISITS_PER_DAY, seed);
        let mut moment = start
            .date_naive()
            .and_time(chrono::NaiveTime::MIN)
            .and_utc();
        moment += TimeDelta::days(day);
        for text in sent {
            moment += VISIT_INTERVAL;
            let mut visit: Value = serde_json::from_str(&text).unwrap();
            visit["timestamp"] = json!(moment);
            let visitor = format!("{day}-{}", visit["ip"].as_str().unwrap());
            let visit = serde_json::from_value(visit).unwrap();
            let visit = NewVisit::accept(visit, &PrivacyPolicy::default(), moment).unwrap();
            let place = LocationStatus::Known(Arc::new(random_location(&mut random)));
            visits.push(classifier.enrich(visit, visitor, place));
        }
    }
    visits
}

/// One of 3,000 cities with a skewed distribution.
fn random_location(random: &mut SeededRandom) -> Location {
    let city = random.below(3_000) * random.below(3_000) / 3_000;
    let (region, country) = (city / 10, city / 60);
    serde_json::from_value(json!({
        "ip": "81.2.69.142", "network": null, "continent_code": null,
        "country_code": format!("C{country}"), "country": format!("Country {country}"),
        "is_in_european_union": null, "region_code": format!("R{region}"), "region": null,
        "city": format!("City {city}"), "postal_code": null, "latitude": 1.0, "longitude": 1.0,
        "accuracy_radius_km": null, "time_zone": null, "asn": random.below(500),
        "as_organization": format!("Network {}", random.below(500)), "is_anonymous": null,
        "is_hosting_provider": null, "sources": []
    }))
    .unwrap()
}
