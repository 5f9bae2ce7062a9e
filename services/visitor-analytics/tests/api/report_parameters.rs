//! The parameters of reports: properties, intervals, comparisons, pages, and invalid values.

use chrono::TimeDelta;
use common::jwt::Scope;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{noon, problem, start, token, visit};
use crate::workload::{Random, fold_all, send, with_zones};

#[sqlx::test(migrations = false)]
async fn a_site_counts_the_properties_that_it_names(pool: PgPool) {
    let mut system = start(pool).await;
    for (plan, visitor) in [("pro", "a"), ("pro", "b"), ("free", "c")] {
        let properties = json!({"plan": plan, "theme": "dark"});
        system
            .record(&visit(
                &json!({"visitor_id": visitor, "properties": properties}),
            ))
            .await;
    }
    fold_all(&mut [&mut system], TimeDelta::days(2)).await;
    let days = "from=2026-11-20&to=2026-11-20";
    let by_plan = format!("/analytics/breakdown?{days}&by=property:plan");
    let filtered = format!("/analytics/summary?{days}&property:plan=free");
    for (path, field) in [(&by_plan, "by"), (&filtered, "property:plan")] {
        let (status, _, named) = problem(system.get(path)).await;
        assert_eq!((status, named.as_str()), (400, field));
    }
    // In lists each visit has its own verdict.
    let listed = system
        .read("/visits?property:theme=d*&property:plan=!free")
        .await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
    let named = json!({"properties": ["plan", "theme"]});
    let reader = std::mem::replace(&mut system.token, token(&system.clock, &[Scope::Admin], 60));
    let changed = system.patch("shop.example", &named).send().await.unwrap();
    assert_eq!(changed.status(), 200);
    system.token = reader;
    assert!(system.count("unfolded_day").await > 0);
    for _ in 0..2 {
        let lines = system.read(&by_plan).await;
        assert_eq!(lines["by"], "property:plan");
        let visits = |line: &Value| (line["value"].clone(), line["visits"].clone());
        let lines: Vec<_> = lines["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(visits)
            .collect();
        assert_eq!(lines, [(json!("pro"), json!(2)), (json!("free"), json!(1))]);
        assert_eq!(system.read(&filtered).await["visits"], 1);
        let all = system
            .read(&format!("/analytics/breakdown?{days}&by=property"))
            .await;
        let first = &all["data"][0];
        assert_eq!(
            (&first["value"], &first["visits"]),
            (&json!("theme=dark"), &json!(3))
        );
        fold_all(&mut [&mut system], TimeDelta::days(1)).await;
    }
    let nameless = format!("/analytics/summary?{days}&property=x");
    assert_eq!(problem(system.get(&nameless)).await.2, "property");
}

#[sqlx::test(migrations = false)]
async fn clocks_and_minutes_are_told(pool: PgPool) {
    let system = with_zones(pool.clone()).await;
    let site = "berlin.example";
    for (moment, visitor) in [
        ("2026-10-25T00:30:00Z", "a"),
        ("2026-10-25T00:30:40Z", "a"),
        ("2026-10-25T01:30:00Z", "b"),
        ("2026-10-26T09:00:00Z", "c"),
    ] {
        let changes = json!({"timestamp": moment, "site": site, "visitor_id": visitor});
        system.record(&visit(&changes)).await;
    }
    let ask = async |path: &str| system.read(&format!("/analytics/{path}&site={site}")).await;
    let days = "from=2026-10-25&to=2026-10-26";
    let hours = ask(&format!("breakdown?by=hour&{days}&sort=value")).await;
    let lines = |body: &Value| -> Vec<(String, i64)> {
        let lines = body["data"].as_array().unwrap().iter();
        let pair = |line: &Value| {
            let value = line["value"].as_str().unwrap().to_owned();
            (value, line["visits"].as_i64().unwrap())
        };
        lines.map(pair).collect()
    };
    assert_eq!(lines(&hours), [("02".to_owned(), 3), ("10".to_owned(), 1)]);
    let weekdays = ask(&format!("breakdown?by=weekday&{days}&sort=value")).await;
    assert_eq!(lines(&weekdays), [("1".to_owned(), 1), ("7".to_owned(), 3)]);
    let at_two = ask(&format!("summary?hour=02&weekday=7&{days}")).await;
    assert_eq!(at_two["visits"], 3);
    let series = ask("timeseries?interval=hour&from=2026-10-25&to=2026-10-25").await;
    let parts = series["data"].as_array().unwrap();
    assert_eq!(parts.len(), 25);
    assert_eq!(parts[2]["local"], "2026-10-25T02:00:00+02:00");
    assert_eq!(parts[3]["local"], "2026-10-25T02:00:00+01:00");
    assert_eq!([&parts[2]["visits"], &parts[3]["visits"]], [2, 1]);
    let minutes = "timeseries?interval=minute&from=2026-10-25T00:29:30Z&to=2026-10-25T00:32:00Z";
    let minutes = ask(minutes).await;
    let parts = minutes["data"].as_array().unwrap();
    let numbers: Vec<i64> = parts
        .iter()
        .map(|part| part["visits"].as_i64().unwrap())
        .collect();
    assert_eq!(numbers, [0, 2, 0]);
}

#[sqlx::test(migrations = false)]
async fn periods_are_compared(pool: PgPool) {
    let system = start(pool).await;
    for (days, visitor) in [(0, "a"), (0, "b"), (7, "a"), (365, "a"), (365, "a")] {
        let timestamp = noon() - TimeDelta::days(days);
        let changes = json!({"timestamp": timestamp, "visitor_id": visitor});
        system.record(&visit(&changes)).await;
    }
    // Without parameters: the last seven days of the only site.
    let body = system
        .read("/analytics/summary?compare=previous_period")
        .await;
    assert_eq!((&body["visits"], &body["visitors"]), (&json!(2), &json!(2)));
    assert_eq!(body["bounce_rate"], 1.0);
    assert_eq!(body["from"], "2026-11-14T00:00:00Z");
    assert_eq!(body["previous"]["from"], "2026-11-07T00:00:00Z");
    assert_eq!(body["previous"]["visits"], 1);
    let body = system
        .read("/analytics/summary?compare=previous_year")
        .await;
    assert_eq!(body["previous"]["visits"], 2);
    let body = system
        .read("/analytics/summary?from=2020-01-01&to=2020-01-02")
        .await;
    assert_eq!(
        (&body["visits"], &body["bounce_rate"]),
        (&json!(0), &Value::Null)
    );
}

#[sqlx::test(migrations = false)]
async fn pages_of_a_breakdown_make_a_whole(pool: PgPool) {
    let system = with_zones(pool.clone()).await;
    send(&[&system], &Random(23).visits(200)).await;
    let question = "/analytics/breakdown?site=utc.example&by=page&from=2026-10-20&limit=2";
    for sort in ["visits", "value", "bounce_rate", "average_seconds"] {
        let question = format!("{question}&sort={sort}");
        let (mut met, mut path) = (vec![], question.clone());
        loop {
            let body = system.read(&path).await;
            let lines = body["data"].as_array().unwrap();
            met.extend(lines.iter().map(|line| line["value"].to_string()));
            let Some(cursor) = body["next_cursor"].as_str() else {
                break;
            };
            path = format!("{question}&cursor={cursor}");
        }
        assert_eq!(met.len(), 6, "{met:?}");
        assert!(sort != "value" || met.is_sorted());
        met.sort();
        met.dedup();
        assert_eq!(met.len(), 6);
        let other = path.replace("page", "title");
        assert_eq!(problem(system.get(&other)).await.2, "cursor");
    }
}

#[sqlx::test(migrations = false)]
async fn hostile_questions_are_named(pool: PgPool) {
    let system = with_zones(pool).await;
    let many = format!("page=/{}", "1&page=/".repeat(1_000));
    let long = format!("page={}", "x".repeat(1_025));
    for (path, field) in [
        ("summary?colour=red", "colour"),
        ("summary?from=yesterday", "from"),
        ("summary?from=2026-11-20&to=2026-11-19", "from"),
        ("summary?from=1000-01-01", "from"),
        ("summary?from=2001-01-01&to=2026-01-01", "from"),
        ("summary?to=99999-01-01", "to"),
        ("summary?time_zone=Mars/Olympus", "time_zone"),
        ("summary?include_bots=maybe", "include_bots"),
        ("summary?compare=tomorrow", "compare"),
        ("summary?page=/a&page=!/a", "page"),
        (&many, "page"),
        (&long, "page"),
        ("summary?site=utc.example&site=b.example", "site"),
        ("summary?site=no.example", "site"),
        ("summary?site=?", "site"),
        ("summary", "site"),
        ("timeseries?interval=second", "interval"),
        ("timeseries?interval=minute&from=2026-01-01", "interval"),
        ("timeseries?interval=hour&from=2025-01-01", "interval"),
        ("breakdown?site=utc.example", "by"),
        ("breakdown?by=total", "by"),
        ("breakdown?by=page&limit=0", "limit"),
        ("breakdown?by=page&limit=1001", "limit"),
        ("breakdown?by=page&sort=size", "sort"),
        ("breakdown?by=page&cursor=x", "cursor"),
        ("summary?page=%00", "page"),
    ] {
        let path = if path.contains('?') || path == "summary" {
            path.to_owned()
        } else {
            format!("summary?{path}")
        };
        let site = if field == "site" {
            ""
        } else {
            "&site=utc.example"
        };
        let site = if path.contains("site=") { "" } else { site };
        let (status, _, named) = problem(system.get(&format!("/analytics/{path}{site}"))).await;
        assert!([400, 404].contains(&status), "{path} {status}");
        assert_eq!(named, field, "{path}");
    }
}
