//! Removal of old visits.

use chrono::{DateTime, TimeDelta, Utc};
use common::jwt::Scope;
use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::PgPool;
use visitor_analytics::app::retention::report;
use visitor_analytics::domain::privacy::RetentionPeriod;
use visitor_analytics::store::{ExpiredData, Store};

use crate::support::{TestSystem, answer, noon, problem, start, start_with, token, until, visit};
use crate::workload::fold_all;

/// With a retention of 30 days, data before 1 October are removed on 20 November.
fn days() -> RetentionPeriod {
    RetentionPeriod::from_days(Some(30))
}

fn border() -> chrono::NaiveDate {
    days().first_kept_day(noon()).unwrap()
}

async fn record(system: &TestSystem, moments: &[&str]) {
    for moment in moments {
        let moment: DateTime<Utc> = moment.parse().unwrap();
        let sent = json!({"timestamp": moment, "visitor_id": "me"});
        system.record(&visit(&sent)).await;
    }
}

/// Visits of 2019, of August, of a session at the end of September, and of today.
async fn filled(pool: PgPool) -> TestSystem {
    let system = start(pool).await;
    let moments = [
        "2019-05-01T12:00:00Z",
        "2026-08-31T23:59:59Z",
        "2026-09-30T23:40:00Z",
        "2026-09-30T23:50:00Z",
        "2026-10-01T00:10:00Z",
        "2026-10-01T00:20:00Z",
        "2026-11-20T11:59:00Z",
    ];
    record(&system, &moments).await;
    system
}

/// The stored visits, and the sessions with their start and number of visits.
async fn left(pool: &PgPool) -> (Vec<String>, Vec<String>) {
    let all = async |statement: &'static str| -> Vec<String> {
        sqlx::query_scalar(statement).fetch_all(pool).await.unwrap()
    };
    let visits = "select to_char(timestamp at time zone 'UTC', 'YYYY-MM-DD HH24:MI')
                  from visitor_analytics.visit order by timestamp";
    // The first visit of the session must exist.
    let sessions = "select to_char(s.started_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI')
                           || ' ' || s.visits
                    from visitor_analytics.session s join visitor_analytics.visit v
                      on v.id = s.entry_visit_id and v.timestamp = s.started_at
                    order by s.started_at";
    (all(visits).await, all(sessions).await)
}

async fn partitions(pool: &PgPool) -> Vec<String> {
    let all = Store::new(pool.clone())
        .retention
        .partitions()
        .await
        .unwrap();
    all.into_iter().map(|partition| partition.name).collect()
}

#[sqlx::test(migrations = false)]
async fn whole_months_go_and_a_session_is_cut_where_they_end(pool: PgPool) {
    let system = filled(pool).await;
    assert_eq!(left(&system.pool).await.1.len(), 4);
    let copies = "insert into visitor_analytics.visit_copy
                  select id, timestamp, 1, timestamp from visitor_analytics.visit";
    sqlx::query(copies).execute(&system.pool).await.unwrap();
    let store = Store::new(system.pool.clone());
    let expired = store.retention.expire(border(), noon()).await.unwrap();
    assert_eq!(
        expired.partitions.join(" "),
        "session_2026_08 session_2026_09 visit_2026_08 visit_2026_09 session_past visit_past"
    );
    assert_eq!((expired.rows, expired.postponed), (0, vec![]));
    let (visits, sessions) = left(&system.pool).await;
    assert_eq!(system.count("visit_copy").await, 3);
    assert_eq!(
        visits,
        ["2026-10-01 00:10", "2026-10-01 00:20", "2026-11-20 11:59"]
    );
    assert_eq!(sessions, ["2026-10-01 00:10 2", "2026-11-20 11:59 1"]);
    assert_eq!(
        store.retention.expire(border(), noon()).await.unwrap(),
        ExpiredData::default()
    );
    let known = "select kept_since::date::text from visitor_analytics.visit_horizon";
    let known: String = sqlx::query_scalar(known)
        .fetch_one(&system.pool)
        .await
        .unwrap();
    assert_eq!(known, "2026-10-01");
    // The cut session continues, and its visitor can be erased completely.
    record(&system, &["2026-10-01T00:30:00Z"]).await;
    assert_eq!(left(&system.pool).await.1[0], "2026-10-01 00:10 3");
    let erased = system.delete("/visitors/me").send().await.unwrap();
    assert_eq!(answer(erased).await.1["visits"], 4);
}

#[sqlx::test(migrations = false)]
async fn of_the_years_before_the_months_only_what_is_old_goes(pool: PgPool) {
    let system = start(pool).await;
    let moments = [
        "2015-01-31T23:50:00Z",
        "2015-02-01T00:05:00Z",
        "2019-05-01T12:00:00Z",
        "2026-11-20T11:59:00Z",
    ];
    record(&system, &moments).await;
    let store = Store::new(system.pool.clone());
    let expired = store
        .retention
        .expire("2015-02-01".parse().unwrap(), noon())
        .await
        .unwrap();
    assert_eq!((expired.rows, expired.partitions), (1, vec![]));
    let (visits, sessions) = left(&system.pool).await;
    assert_eq!(visits.len(), 3);
    assert_eq!(sessions[0], "2015-02-01 00:05 1");
    assert_eq!(sessions.len(), 3);
}

#[sqlx::test(migrations = false)]
async fn what_would_have_gone_already_is_refused(pool: PgPool) {
    let system = start_with(pool, &["--retention-days=30"]).await;
    let last = noon() - TimeDelta::days(30);
    let old = visit(&json!({"timestamp": last - TimeDelta::microseconds(1)}));
    let refused = problem(system.post(&old)).await;
    let code = "TIMESTAMP_BEYOND_RETENTION";
    assert_eq!(refused, (422, code.into(), "timestamp".into()));
    // The time in a UUIDv7 counts as well.
    let id = common::clock::Clock::new_id_at(last - TimeDelta::seconds(1));
    let list = json!([
        old,
        visit(&json!({"id": id})),
        visit(&json!({"timestamp": last}))
    ]);
    let (_, body) = answer(system.post(&list).send().await.unwrap()).await;
    let found = body["results"].as_array().unwrap().iter();
    let found: Vec<_> = found.map(|r| (&r["status"], &r["error"]["code"])).collect();
    assert_eq!(
        json!(found),
        json!([["rejected", code], ["rejected", code], ["recorded", null]])
    );
}

#[sqlx::test(migrations = false)]
async fn the_service_lets_old_months_go_by_itself(pool: PgPool) {
    let system = filled(pool.clone()).await;
    let other = start_with(pool, &["--retention-days=30"]).await;
    until("the old months' end", async || {
        let left = partitions(&other.pool).await;
        (!left.iter().any(|name| name.contains("2026_08"))).then_some(())
    })
    .await;
    // A replica without retention recreates a partition that was dropped.
    let store = Store::new(system.pool.clone());
    let august = noon() - TimeDelta::days(90);
    store.partitions.ensure([august].into_iter()).await.unwrap();
    assert!(
        partitions(&other.pool)
            .await
            .contains(&"visit_2026_08".into())
    );
}

#[sqlx::test(migrations = false)]
async fn a_month_that_is_being_read_is_not_waited_for(pool: PgPool) {
    let system = filled(pool.clone()).await;
    let store = Store::new(system.pool.clone());
    let mut reader = pool.begin().await.unwrap();
    sqlx::query("select count(*) from visitor_analytics.visit")
        .execute(&mut *reader)
        .await
        .unwrap();
    let expired = store.retention.expire(border(), noon()).await.unwrap();
    // The sessions are not read. Partitions after the first one in use wait as well.
    assert_eq!(expired.partitions, ["session_2026_08", "session_2026_09"]);
    assert_eq!(expired.postponed[0], "visit_2026_08");
    // Visits do not wait for the reader, whether their month has a partition or not.
    record(&system, &["2026-11-20T11:58:00Z", "2025-03-04T05:06:07Z"]).await;
    reader.commit().await.unwrap();
    let at_once = join_all((0..4).map(|_| store.retention.expire(border(), noon()))).await;
    assert!(at_once.iter().all(Result::is_ok), "{at_once:?}");
    let expired = store.retention.expire(border(), noon()).await.unwrap();
    assert_eq!(expired.postponed, Vec::<String>::new());
    assert_eq!(left(&system.pool).await.0.len(), 4);
}

#[sqlx::test(migrations = false)]
async fn a_dry_run_says_what_would_go_and_when(pool: PgPool) {
    let system = filled(pool).await;
    let store = Store::new(system.pool.clone());
    let before = left(&system.pool).await;
    let text = report(&store, days(), noon(), true).await.unwrap();
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    let line = |name: &str| lines.iter().find(|line| line[0] == name).unwrap();
    assert_eq!(
        line("visit_2026_09")[1..].join(" ").split(' ').next(),
        Some("2")
    );
    assert_eq!(line("visit_2026_09")[3..], ["now"]);
    assert_eq!(line("visit_past")[3..], ["now"]);
    assert_eq!(line("visit_2026_10")[3..], ["2026-12-01", "00:30"]);
    assert!(line("visit_2026_10")[2].parse::<u64>().unwrap() > 0);
    assert!(text.contains("Data before 2026-10-01 expires"), "{text}");
    assert_eq!(left(&system.pool).await, before);

    let forever = report(&store, RetentionPeriod::default(), noon(), false)
        .await
        .unwrap();
    assert!(forever.contains("all data is kept"), "{forever}");
    assert!(
        forever.lines().nth(1).unwrap().ends_with("never"),
        "{forever}"
    );
    assert_eq!(left(&system.pool).await, before);

    let done = report(&store, days(), noon(), false).await.unwrap();
    assert!(
        done.contains("Removed: session_2026_08, session_2026_09"),
        "{done}"
    );
    assert_eq!(left(&system.pool).await.0.len(), 3);
}

#[sqlx::test(migrations = false)]
async fn a_site_keeps_its_visits_for_less_long_than_others(pool: PgPool) {
    let mut system = filled(pool).await;
    let other = json!({"timestamp": "2026-08-31T23:59:59Z", "site": "other.example"});
    system.record(&visit(&other)).await;
    fold_all(&mut [&mut system], TimeDelta::days(2)).await;
    let days = "/analytics/summary?site=shop.example&from=2026-08-01&to=2026-11-20";
    let counted = system.read(days).await;
    let reader = system.token.clone();
    system.token = token(&system.clock, &[Scope::Admin], 60);
    for days in [0, 36_501] {
        let refused = problem(system.patch("shop.example", &json!({"retention_days": days}))).await;
        assert_eq!((refused.0, refused.2.as_str()), (422, "retention_days"));
    }
    let wanted = json!({"retention_days": 30});
    let site = answer(system.patch("shop.example", &wanted).send().await.unwrap())
        .await
        .1;
    assert_eq!(site["retention_days"], 30);
    system.token = reader;

    let store = Store::new(system.pool.clone());
    let text = report(&store, RetentionPeriod::default(), noon(), false)
        .await
        .unwrap();
    // Four visits in three sessions; the third session is cut.
    assert!(
        text.contains("Data of shop.example before 2026-10-01 expires."),
        "{text}"
    );
    assert!(text.contains("Removed: 6 rows of shop.example."), "{text}");
    let (visits, sessions) = left(&system.pool).await;
    assert_eq!(
        visits,
        [
            "2026-08-31 23:59",
            "2026-10-01 00:10",
            "2026-10-01 00:20",
            "2026-11-20 11:59"
        ]
    );
    assert_eq!(
        sessions,
        [
            "2026-08-31 23:59 1",
            "2026-10-01 00:10 2",
            "2026-11-20 11:59 1"
        ]
    );
    assert_eq!(store.retention.expiring_sites(noon()).await.unwrap(), []);
    // Rollups are kept, and late visits do not replace them.
    let late = visit(&json!({"timestamp": "2026-08-31T12:00:00Z"}));
    until("the late visit ignored", async || {
        let (_, body) = answer(system.post(&late).send().await.unwrap()).await;
        (body["status"] == "ignored").then_some(())
    })
    .await;
    fold_all(&mut [&mut system], TimeDelta::days(1)).await;
    let now = system.read(days).await;
    let number = |of: &Value, name: &str| of[name].as_i64().unwrap();
    assert_eq!(number(&now, "visits"), number(&counted, "visits"));
    // The cut session, too, begins on the first day that is kept.
    assert_eq!(number(&now, "sessions"), number(&counted, "sessions") + 1);
    system.token = token(&system.clock, &[Scope::Admin], 60);
    let own = json!({"retention_days": null});
    let site = answer(system.patch("shop.example", &own).send().await.unwrap())
        .await
        .1;
    assert!(site["retention_days"].is_null());
}
