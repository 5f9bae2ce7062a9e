//! Visitors who come on several days.

use chrono::{NaiveDate, TimeDelta};
use rollups::cohort::encode_visitors;
use rollups::column_block::{BlockBuilder, BlockRow};
use rollups::distinct_visitors::encode_sketches;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{TestSystem, start, start_with, until, visit};
use crate::workload::fold_all;

const SITE: &str = "shop.example";
/// Monday and the Tuesday and Sunday after, and the Monday after that.
const DAYS: [&str; 4] = ["2026-11-02", "2026-11-03", "2026-11-08", "2026-11-09"];

async fn record(system: &TestSystem, day: &str, fields: Value) {
    let mut sent = json!({"timestamp": format!("{day}T10:00:00Z"), "site": SITE});
    sent.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    system.record(&visit(&sent)).await;
}

/// Anna comes on four days and reads two pages on the first; Ben comes on two days.
async fn record_own_ids(system: &TestSystem) {
    for day in DAYS {
        record(
            system,
            day,
            json!({"visitor_id": "anna", "url": "https://shop.example/a"}),
        )
        .await;
    }
    record(
        system,
        DAYS[0],
        json!({"visitor_id": "anna", "url": "https://shop.example/b"}),
    )
    .await;
    for day in &DAYS[2..] {
        record(
            system,
            day,
            json!({"visitor_id": "ben", "url": "https://shop.example/b"}),
        )
        .await;
    }
}

async fn read(system: &TestSystem, report: &str, parameters: &str) -> Value {
    let path = format!("/analytics/{report}?site={SITE}&from=2026-11-01&to=2026-11-09{parameters}");
    system.read(&path).await
}

fn visitors(list: &Value, label: &str) -> Vec<(String, i64)> {
    let lines = list["data"].as_array().unwrap().iter();
    let line = |line: &Value| {
        let label = line[label].as_str().unwrap_or_default();
        (label.to_owned(), line["visitors"].as_i64().unwrap())
    };
    lines.map(line).collect()
}

fn pairs(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    let pairs = expected
        .iter()
        .map(|(label, count)| ((*label).to_owned(), *count));
    pairs.collect()
}

async fn check_own_ids(system: &TestSystem) {
    let summary = read(system, "summary", "&compare=previous_period").await;
    assert_eq!(summary["visitors"], 2);
    assert_eq!(summary["visitor_ids"], "own");
    assert_eq!(summary["estimated"], false);
    assert_eq!(summary["estimated_error"], Value::Null);
    assert_eq!(summary["previous"]["visitors"], 0);
    let filtered = read(system, "summary", "&page=/b").await;
    assert_eq!(filtered["visitors"], 2);
    let in_tokyo = read(system, "summary", "&time_zone=Asia/Tokyo").await;
    assert_eq!(in_tokyo["visitors"], 2);
    let days = read(system, "timeseries", "").await;
    let by_day: i64 = visitors(&days, "start")
        .iter()
        .map(|(_, visitors)| visitors)
        .sum();
    assert_eq!(by_day, 6);
    let weeks = read(system, "timeseries", "&interval=week").await;
    let expected = [
        ("2026-10-26T00:00:00Z", 0),
        ("2026-11-02T00:00:00Z", 2),
        ("2026-11-09T00:00:00Z", 2),
    ];
    assert_eq!(visitors(&weeks, "start"), pairs(&expected));
    let months = read(system, "timeseries", "&interval=month").await;
    assert_eq!(
        visitors(&months, "start"),
        pairs(&[("2026-11-01T00:00:00Z", 2)])
    );
    for (dimension, expected) in [
        ("page", &[("/b", 2), ("/a", 1)][..]),
        ("country", &[("GB", 2)]),
        ("weekday", &[("1", 2), ("7", 2), ("2", 1)]),
        ("hour", &[("10", 2)]),
    ] {
        let breakdown = read(system, "breakdown", &format!("&by={dimension}")).await;
        assert_eq!(
            visitors(&breakdown, "value"),
            pairs(expected),
            "{dimension}"
        );
        assert_eq!(breakdown["visitor_ids"], "own");
    }
}

#[sqlx::test(migrations = false)]
async fn a_visitor_with_an_id_of_the_site_counts_once_in_the_period(pool: PgPool) {
    let mut system = start(pool).await;
    record_own_ids(&system).await;
    check_own_ids(&system).await;
    fold_all(&mut [&mut system], TimeDelta::days(2)).await;
    check_own_ids(&system).await;
}

#[sqlx::test(migrations = false)]
async fn generated_ids_last_as_long_as_the_service_says(pool: PgPool) {
    let expected = [("daily", 4), ("monthly", 1), ("persistent", 1)];
    for (lifetime, visitors) in expected {
        let setting = format!("--visitor-id={lifetime}");
        let system = start_with(pool.clone(), &[&setting]).await;
        for day in DAYS {
            record(&system, day, json!({"site": format!("{lifetime}.example")})).await;
        }
        let path =
            format!("/analytics/summary?site={lifetime}.example&from=2026-11-01&to=2026-11-09");
        let summary = system.read(&path).await;
        assert_eq!(summary["visitor_ids"], lifetime);
        assert_eq!(summary["visitors"], visitors, "{lifetime}");
    }
}

#[sqlx::test(migrations = false)]
async fn visitors_with_and_without_an_id_are_mixed(pool: PgPool) {
    let system = start(pool).await;
    record_own_ids(&system).await;
    for day in &DAYS[..2] {
        record(&system, day, json!({})).await;
    }
    let summary = read(&system, "summary", "").await;
    assert_eq!(summary["visitor_ids"], "mixed");
    assert_eq!(
        summary["visitors"], 4,
        "Anna, Ben, and somebody on each of two days"
    );
}

/// A previous version stored the lists of visitors, but neither kinds of ids nor sketches.
#[sqlx::test(migrations = false)]
async fn days_of_an_earlier_version_are_completed(pool: PgPool) {
    let mut system = start(pool).await;
    record_own_ids(&system).await;
    fold_all(&mut [&mut system], TimeDelta::days(2)).await;
    let forget = "update visitor_analytics.column_block set visitor_ids = null";
    sqlx::query(forget).execute(&system.pool).await.unwrap();
    let summary = read(&system, "summary", "").await;
    assert_eq!(summary["visitors"], 2);
    let later = start(system.pool.clone()).await;
    let left = "select count(*) from visitor_analytics.column_block where visitor_ids is null";
    until("completed days", async || {
        let left: i64 = sqlx::query_scalar(left)
            .fetch_one(&later.pool)
            .await
            .unwrap();
        (left == 0).then_some(())
    })
    .await;
    check_own_ids(&system).await;
}

/// The visitors of a day, as a fold stores them: one in ten of `all` is absent.
fn visitor_list(day: u64, all: u64) -> Vec<u8> {
    let mut builder = BlockBuilder::new(0);
    for visitor in (0..all).filter(|visitor| !(visitor + day).is_multiple_of(10)) {
        let hash = (visitor + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let hash = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let id = Uuid::from_u128(visitor.into());
        builder.add(&visitor.to_string(), id, BlockRow::default(), |_| hash);
    }
    encode_visitors(&builder.finish()[0], &(0..1))
}

#[sqlx::test(migrations = false)]
async fn many_visitors_are_estimated_within_two_percent(pool: PgPool) {
    const VISITORS: u64 = 20_000;
    let mut system = start(pool).await;
    record_own_ids(&system).await;
    fold_all(&mut [&mut system], TimeDelta::days(2)).await;
    let insert = "insert into visitor_analytics.column_block
        (site_id, day, part, start, runs, times, page, agent, verdict, place, network, language,
         status, origin, entry, exit, visitors, visitor_ids, people_sketch, bots_sketch)
        select site_id, $1, 0, $1::timestamp at time zone 'UTC', '', '', '', '', '', '', '', '', '', '',
               '', '', $2, 8, $3, $4
        from visitor_analytics.column_block limit 1";
    let first: NaiveDate = "2026-08-01".parse().unwrap();
    for day in 0..40_u64 {
        let list = visitor_list(day, VISITORS);
        let [people_sketch, bots_sketch] = encode_sketches(&list).unwrap();
        let insert = sqlx::query(insert)
            .bind(first + chrono::Days::new(day))
            .bind(list)
            .bind(people_sketch)
            .bind(bots_sketch);
        insert.execute(&system.pool).await.unwrap();
    }
    let path = format!("/analytics/summary?site={SITE}&from=2026-08-01&to=2026-11-09");
    let summary = system.read(&path).await;
    let (found, exact) = (
        summary["visitors"].as_i64().unwrap(),
        VISITORS.cast_signed() + 2,
    );
    assert!((found - exact).abs() * 50 <= exact, "{found}");
    assert_eq!(summary["estimated"], true);
    let all = system.read(&format!("{path}&include_bots=true")).await;
    assert_eq!(all["visitors"], summary["visitors"], "there are no bots");
    assert_eq!(summary["estimated_error"], 0.0113);
    let path = format!("/analytics/summary?site={SITE}&from=2026-08-01&to=2026-08-20");
    let summary = system.read(&path).await;
    assert_eq!(summary["visitors"], VISITORS);
    assert_eq!(summary["estimated"], false);
}
