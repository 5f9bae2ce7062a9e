//! Rollups equal the visits, with late visits and concurrent writers.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use rollups::aggregate_codec::{self, MetricSums};
use rollups::day::LocalDay;
use rollups::dimension::Dimension;
use serde_json::json;
use sqlx::PgPool;
use visitor_analytics::app::verify::{self, VerifyReport};
use visitor_analytics::config::VerifyArgs;
use visitor_analytics::store::{RollupRow, Store};

use crate::support::{answer, noon, start, start_replica, until, visit};
use crate::workload::{Random, fold_all, send, set_zone, with_zones};

async fn compare(pool: &PgPool) -> VerifyReport {
    let args = VerifyArgs::default();
    verify::verify_days(&Store::new(pool.clone()), &args)
        .await
        .unwrap()
}

#[sqlx::test(migrations = false)]
async fn rollups_equal_the_visits_whatever_comes_late(pool: PgPool) {
    let mut one = with_zones(pool.clone()).await;
    let (geo, notification) = (one.geo.clone(), one.notification.clone());
    let mut other = start_replica(pool.clone(), geo, notification).await;
    let mut random = Random(7);
    send(&[&one, &other], &random.visits(500)).await;
    let report = compare(&pool).await;
    assert_eq!(
        (report.compared_days, report.mismatches),
        (0, 0),
        "{report}"
    );
    assert!(report.dirty_days >= 12, "{report}");

    fold_all(&mut [&mut one, &mut other], TimeDelta::days(2)).await;
    let folded = compare(&pool).await;
    assert_eq!((folded.dirty_days, folded.mismatches), (0, 0), "{folded}");
    assert_eq!(folded.compared_days, report.dirty_days);
    assert!(folded.compared_numbers > 5_000, "{folded}");
    assert!(folded.to_string().ends_with("all equal\n"), "{folded}");

    // Late visits extend and join sessions of folded days. Each round arrives while the previous
    // one is being folded.
    for _ in 0..3 {
        send(&[&one, &other], &random.visits(100)).await;
        assert!(one.count("unfolded_day").await > 0);
        for replica in [&one, &other] {
            replica.clock.advance(TimeDelta::minutes(11));
        }
    }
    fold_all(&mut [&mut one, &mut other], TimeDelta::days(1)).await;
    let again = compare(&pool).await;
    assert_eq!((again.dirty_days, again.mismatches), (0, 0), "{again}");
    assert!(again.compared_numbers > folded.compared_numbers);
}

#[sqlx::test(migrations = false)]
async fn a_difference_is_found_and_shown(pool: PgPool) {
    let mut system = with_zones(pool.clone()).await;
    send(&[&system], &Random(3).visits(50)).await;
    fold_all(&mut [&mut system], TimeDelta::days(2)).await;
    let tamper = "
        update visitor_analytics.rollup_day r set numbers = other.numbers
        from visitor_analytics.rollup_day other, visitor_analytics.site s
        where r.site_id = s.id and s.domain = 'kolkata.example' and r.day = '2026-10-25'
          and r.dimension = 2 and other.dimension = 2 and other.site_id = s.id
          and other.day = '2026-11-20';
        delete from visitor_analytics.rollup_day where dimension = 24 and day = '2026-11-20';
        update visitor_analytics.rollup_month m set numbers = other.numbers
        from visitor_analytics.rollup_month other
        where other.site_id = m.site_id and m.dimension = 0 and other.dimension = 22;
        update visitor_analytics.visit_pack set times = set_byte(times, 0, 1 + get_byte(times, 0) % 255)
        where site_id = (select id from visitor_analytics.site where domain = 'berlin.example');
        update visitor_analytics.rollup_clock c set quarters = other.quarters
        from visitor_analytics.rollup_clock other
        where other.site_id = c.site_id and c.day = '2026-11-01' and other.day = '2026-10-31';
        update visitor_analytics.rollup_ways w set ways = other.ways
        from visitor_analytics.rollup_ways other
        where other.site_id = w.site_id and other.depth = w.depth and not other.is_month
          and w.day = '2026-11-01' and other.day = '2026-10-25';";
    sqlx::raw_sql(tamper).execute(&pool).await.unwrap();
    let text = compare(&pool).await.to_string();
    let words: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        words[0],
        [
            "site",
            "day",
            "dimension",
            "value",
            "number",
            "rollup",
            "visits"
        ]
    );
    let found = words
        .iter()
        .find(|words| words[0] == "kolkata.example")
        .unwrap();
    assert_eq!(&found[..2], ["kolkata.example", "2026-10-25"], "{text}");
    for what in [
        "hour",
        "month",
        "column blocks",
        "quarter hours",
        "paths",
        "paths of the month",
        "adjacent pages",
    ] {
        assert!(text.contains(what), "{what}: {text}");
    }
    assert!(text.trim_end().ends_with("differ"), "{text}");
}

#[sqlx::test(migrations = false)]
async fn a_day_that_is_touched_while_it_is_folded_stays_unfolded(pool: PgPool) {
    let system = start(pool.clone()).await;
    let at = |minute| noon() - TimeDelta::days(3) + TimeDelta::minutes(minute);
    let sent = |minute| visit(&json!({"timestamp": at(minute), "visitor_id": "v"}));
    system.record(&sent(0)).await;

    // This clock is ahead, so the system itself does not fold the day yet.
    let store = Store::new(pool.clone());
    let later = noon() + TimeDelta::minutes(11);
    let due = store.rollups.claim_days(later, 10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert!(
        store
            .rollups
            .claim_days(later, 10)
            .await
            .unwrap()
            .is_empty(),
        "it is taken"
    );
    let rows = store
        .rollups
        .fold_day(due[0].site_id, due[0].date)
        .await
        .unwrap();
    system.record(&sent(5)).await;
    assert_eq!(
        store.rollups.replace_day(&due[0], &rows).await.unwrap(),
        None
    );
    assert_eq!(system.count("rollup_day").await, 0);

    let later = noon() + TimeDelta::minutes(22);
    let due = store.rollups.claim_days(later, 10).await.unwrap();
    assert!(
        store
            .rollups
            .fold_claimed_day(&due[0])
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(
        store.rollups.fold_claimed_day(&due[0]).await.unwrap(),
        None,
        "it is folded already"
    );
    let report = compare(&pool).await;
    assert_eq!(
        (report.compared_days, report.mismatches),
        (1, 0),
        "{report}"
    );

    system.record(&sent(40)).await;
    assert_eq!(system.count("unfolded_day").await, 1);
    let report = compare(&pool).await;
    assert_eq!(
        (report.compared_days, report.dirty_days),
        (0, 1),
        "{report}"
    );
}

#[sqlx::test(migrations = false)]
async fn owed_places_reach_the_rollups(pool: PgPool) {
    let mut system = start(pool.clone()).await;
    system.geo.go_offline();
    let yesterday = noon() - TimeDelta::days(1);
    system
        .record(&visit(&json!({"timestamp": yesterday})))
        .await;
    fold_all(&mut [&mut system], TimeDelta::hours(3)).await;
    assert_eq!(countries(&pool).await, [None]);
    system.geo.go_online();
    until("the place", async || {
        (system.count("owed_location").await == 0).then_some(())
    })
    .await;
    fold_all(&mut [&mut system], TimeDelta::hours(3)).await;
    assert_eq!(countries(&pool).await, [Some("GB".to_owned())]);
    assert_eq!(compare(&pool).await.mismatches, 0);
}

async fn countries(pool: &PgPool) -> Vec<Option<String>> {
    let statement = "select numbers from visitor_analytics.rollup_day where dimension = $1";
    let statement = sqlx::query_scalar(statement).bind(Dimension::Country.code());
    let numbers: Vec<Vec<u8>> = statement.fetch_all(pool).await.unwrap();
    let mut sums = <[MetricSums; 2]>::default();
    for bytes in numbers {
        aggregate_codec::add_encoded(&mut sums, &bytes, None).unwrap();
    }
    let mut texts = vec![];
    for (value, _) in sums[0].entries() {
        let text = "select text from visitor_analytics.rollup_value where id = $1";
        let text = sqlx::query_scalar(text).bind(value.cast_signed());
        texts.push(text.fetch_optional(pool).await.unwrap());
    }
    texts
}

#[sqlx::test(migrations = false)]
async fn another_time_zone_makes_other_days(pool: PgPool) {
    let mut system = with_zones(pool.clone()).await;
    send(&[&system], &Random(5).visits(200)).await;
    fold_all(&mut [&mut system], TimeDelta::days(2)).await;
    let store = Store::new(pool.clone());
    let zone = Tz::America__Los_Angeles;
    store
        .rollups
        .set_time_zone(2, zone, system.clock.now())
        .await
        .unwrap();
    // The service still caches the old time zone.
    send(&[&system], &Random(6).visits(50)).await;
    let report = compare(&pool).await;
    assert_eq!(report.mismatches, 0, "{report}");
    fold_all(&mut [&mut system], TimeDelta::days(1)).await;
    let report = compare(&pool).await;
    assert_eq!((report.dirty_days, report.mismatches), (0, 0), "{report}");
    let hours = "select count(*) from visitor_analytics.rollup_value where text like '__-08:00'";
    let hours: i64 = sqlx::query_scalar(hours).fetch_one(&pool).await.unwrap();
    assert!(hours > 0);
}

/// A day that a failed transaction marked dirty is not remembered as marked.
#[sqlx::test(migrations = false)]
async fn a_transaction_that_fails_marks_nothing(pool: PgPool) {
    let system = start(pool.clone()).await;
    let refuse = "create function refuse() returns trigger language plpgsql as $$
                      begin raise exception 'no' using errcode = '23514'; end $$;
                  create constraint trigger refuse after insert on visitor_analytics.unfolded_day
                      deferrable initially deferred for each row execute function refuse();";
    sqlx::raw_sql(refuse).execute(&pool).await.unwrap();
    let (status, body) = answer(system.post(&visit(&json!({}))).send().await.unwrap()).await;
    assert_ne!(status, 201, "{body}");
    sqlx::raw_sql("drop function refuse cascade")
        .execute(&pool)
        .await
        .unwrap();
    system.record(&visit(&json!({}))).await;
    assert_eq!(system.count("unfolded_day").await, 1);
    // The day is marked, so the next visit of the day does not mark it again.
    sqlx::raw_sql(refuse).execute(&pool).await.unwrap();
    system.record(&visit(&json!({}))).await;
}

/// Late visits make other days dirty besides their own.
#[sqlx::test(migrations = false)]
async fn a_late_visit_changes_the_days_beside_its_own(pool: PgPool) {
    let mut system = start(pool.clone()).await;
    let at = |moment: &str, page: &str| {
        let url = format!("https://shop.example/{page}");
        visit(&json!({"timestamp": moment, "url": url, "visitor_id": "v"}))
    };
    system.record(&at("2026-11-17T23:50:00Z", "a")).await;
    system.record(&at("2026-11-18T00:30:00Z", "c")).await;
    fold_all(&mut [&mut system], TimeDelta::hours(1)).await;
    let late = [
        // Between two sessions; after their end; before their beginning.
        ("2026-11-18T00:10:00Z", "b"),
        ("2026-11-18T00:50:00Z", "d"),
        ("2026-11-17T23:30:00Z", "e"),
    ];
    for (moment, page) in late {
        system.record(&at(moment, page)).await;
        assert_eq!(system.count("unfolded_day").await, 2, "{page}");
        fold_all(&mut [&mut system], TimeDelta::hours(1)).await;
        let report = compare(&pool).await;
        assert_eq!(
            (report.compared_days, report.mismatches),
            (2, 0),
            "{report}"
        );
    }
}

#[sqlx::test(migrations = false)]
async fn a_session_over_midnight_is_counted_once(pool: PgPool) {
    use Dimension::{EntryPage, ExitPage, Hour, Page, Total};
    let mut system = start(pool.clone()).await;
    let kolkata = "kolkata.example";
    set_zone(&system, kolkata, "Asia/Kolkata").await;
    // Midnight in that time zone is 18:30 UTC.
    for (moment, page) in [("18:10:00", "a"), ("18:29:58.9", "b"), ("18:40:00.1", "a")] {
        let timestamp = format!("2026-11-18T{moment}Z");
        let url = format!("https://{kolkata}/{page}");
        let sent = json!({"timestamp": timestamp, "url": url, "visitor_id": "v"});
        system.record(&visit(&sent)).await;
    }
    fold_all(&mut [&mut system], TimeDelta::hours(1)).await;
    let store = Store::new(pool.clone());
    let numbers = async |day: u32, dimension: Dimension, value: Option<&str>| {
        let date = NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
        let rows = store.rollups.fold_day(1, date).await.unwrap().rows;
        let is_it = |row: &&RollupRow| row.dimension == dimension && row.value.as_deref() == value;
        let n = rows.iter().find(is_it).unwrap().metrics;
        [n.visits, n.visitors, n.sessions, n.bounces, n.seconds]
    };
    assert_eq!(numbers(18, Total, None).await, [2, 1, 1, 0, 1_800]);
    assert_eq!(numbers(19, Total, None).await, [1, 1, 0, 0, 0]);
    assert_eq!(numbers(18, Page, Some("/b")).await, [1, 1, 1, 0, 602]);
    assert_eq!(numbers(19, Page, Some("/a")).await, [1, 1, 0, 0, 0]);
    assert_eq!(numbers(18, ExitPage, Some("/a")).await, [2, 1, 1, 0, 1_800]);
    assert_eq!(numbers(19, EntryPage, Some("/a")).await, [1, 1, 0, 0, 0]);
    assert_eq!(numbers(19, Hour, Some("00+05:30")).await, [1, 1, 1, 0, 0]);
    assert_eq!(compare(&pool).await.mismatches, 0);
}

#[sqlx::test(migrations = false)]
async fn days_begin_where_postgresql_says(pool: PgPool) {
    let zones = [
        Tz::UTC,
        Tz::Europe__Berlin,
        Tz::Asia__Kolkata,
        Tz::America__Sao_Paulo,
        Tz::America__St_Johns,
        Tz::Australia__Lord_Howe,
        Tz::Pacific__Apia,
        Tz::Africa__Cairo,
        Tz::Asia__Beirut,
    ];
    for zone in zones {
        let statement = "select day::date, day at time zone $1 from generate_series(
                         '1990-01-02'::timestamp, '2026-01-01', interval '1 day') day";
        let statement = sqlx::query_as(statement).bind(zone.name());
        let days: Vec<(NaiveDate, DateTime<Utc>)> = statement.fetch_all(&pool).await.unwrap();
        for (date, start) in days {
            assert_eq!(LocalDay::new(zone, date).from, start, "{zone} {date}");
        }
    }
}
