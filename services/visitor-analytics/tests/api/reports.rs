//! Compares reports with a naive computation, before and after the days are folded.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use common::jwt::Scope;
use rollups::day::LocalDay;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::naive_reports::{self, Numbers, Visit};
use crate::rollups::{Random, SITES, fold_all, send, with_zones};
use crate::support::{TestSystem, noon, problem, start, token, visit};

const DIMENSIONS: [&str; 27] = [
    "page",
    "title",
    "entry_page",
    "exit_page",
    "referrer",
    "source",
    "medium",
    "channel",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_term",
    "utm_content",
    "country",
    "region",
    "city",
    "browser",
    "browser_version",
    "os",
    "os_version",
    "device_type",
    "brand",
    "language",
    "status_code",
    "bot_name",
    "bot_category",
    "bot_reason",
];

/// Query parameters, and the equivalent input of the naive computation.
struct ReportCase {
    parameters: &'static str,
    zone: Option<Tz>,
    class: Option<bool>,
    passes: fn(&Visit) -> bool,
}

fn one<'a>(visit: &'a Visit, name: &str) -> Option<&'a str> {
    visit.values[name][0].as_deref()
}

const REPORT_CASES: [ReportCase; 13] = [
    ReportCase {
        parameters: "&property:plan=p*&property:seats=!3",
        zone: None,
        class: Some(false),
        passes: |v| {
            one(v, "plan").is_some_and(|p| p.starts_with('p')) && one(v, "seats") != Some("3")
        },
    },
    ReportCase {
        parameters: "&property:plan=&include_bots=true",
        zone: None,
        class: None,
        passes: |v| one(v, "plan").is_none(),
    },
    ReportCase {
        parameters: "",
        zone: None,
        class: Some(false),
        passes: |_| true,
    },
    ReportCase {
        parameters: "&include_bots=true",
        zone: None,
        class: None,
        passes: |_| true,
    },
    ReportCase {
        parameters: "&include_bots=only",
        zone: None,
        class: Some(true),
        passes: |_| true,
    },
    ReportCase {
        parameters: "&time_zone=America/Los_Angeles",
        zone: Some(Tz::America__Los_Angeles),
        class: Some(false),
        passes: |_| true,
    },
    ReportCase {
        parameters: "&time_zone=Asia/Tokyo&include_bots=true",
        zone: Some(Tz::Asia__Tokyo),
        class: None,
        passes: |_| true,
    },
    ReportCase {
        parameters: "&time_zone=Australia/Lord_Howe",
        zone: Some(Tz::Australia__Lord_Howe),
        class: Some(false),
        passes: |_| true,
    },
    ReportCase {
        parameters: "&time_zone=Asia/Tokyo&path=/1&path=/2&include_bots=true",
        zone: Some(Tz::Asia__Tokyo),
        class: None,
        passes: |v| matches!(one(v, "page"), Some("/1" | "/2")),
    },
    ReportCase {
        parameters: "&device_type=!smartphone&utm_source=",
        zone: None,
        class: Some(false),
        passes: |v| one(v, "device_type") != Some("smartphone") && one(v, "utm_source").is_none(),
    },
    ReportCase {
        parameters: "&referrer=https://news*&exit_page=!/3&include_bots=true",
        zone: None,
        class: None,
        passes: |v| {
            let news = one(v, "referrer").is_some_and(|r| r.starts_with("https://news"));
            news && one(v, "exit_page") != Some("/3")
        },
    },
    ReportCase {
        parameters: "&status_code=404&country_code=GB&include_bots=true",
        zone: None,
        class: None,
        passes: |v| one(v, "status_code") == Some("404") && one(v, "country") == Some("GB"),
    },
    ReportCase {
        parameters: "&bot_reason=*&include_bots=only&browser=!Firefox",
        zone: None,
        class: Some(true),
        passes: |v| {
            let reasons = v.values["bot_reason"].iter().flatten().count();
            reasons > 0 && one(v, "browser") != Some("Firefox")
        },
    },
];

/// Periods as query parameters and as times. The last one cuts a day, at a quarter of an hour or
/// elsewhere.
fn periods(zone: Tz, at_quarters: bool) -> Vec<(String, DateTime<Utc>, DateTime<Utc>)> {
    let date = |text: &str| text.parse::<NaiveDate>().unwrap();
    let days = [("2026-10-24", "2026-10-25"), ("2026-10-20", "2026-11-20")];
    let days = days.map(|(from, to)| {
        let (start, end) = (
            LocalDay::new(zone, date(from)),
            LocalDay::new(zone, date(to)),
        );
        (format!("from={from}&to={to}"), start.from, end.to)
    });
    let cut = if at_quarters {
        ["2026-10-24T17:45:00Z", "2026-11-20T03:00:00Z"]
    } else {
        ["2026-10-24T23:10:00Z", "2026-11-20T03:30:00Z"]
    };
    let [from, to] = cut.map(|text| text.parse().unwrap());
    let cut = (format!("from={}&to={}", cut[0], cut[1]), from, to);
    days.into_iter().chain([cut]).collect()
}

fn numbers_of(line: &Value) -> Numbers {
    let number = |name: &str| line[name].as_i64().unwrap();
    // Rates have four digits, and there are few sessions.
    #[expect(clippy::cast_possible_truncation, reason = "of few sessions")]
    let times =
        |rate: &str, of: i64| (line[rate].as_f64().unwrap_or(0.0) * of as f64).round() as i64;
    let (visits, sessions) = (number("visits"), number("sessions"));
    let seconds = if line["average_seconds"].is_null() {
        times("average_session_seconds", sessions)
    } else {
        times("average_seconds", visits)
    };
    [
        visits,
        number("visitors"),
        sessions,
        times("bounce_rate", sessions),
        seconds,
    ]
}

/// Averages are rounded to tenths of a second.
fn assert_close(told: Numbers, right: Numbers, what: &str) {
    assert_eq!(told[..4], right[..4], "{what}");
    let off = (told[4] - right[4]).abs();
    // An interval in which no session begins has no average.
    assert!(
        off <= right[0] / 20 + 1 || right[2] == 0,
        "{what} {told:?} {right:?}"
    );
}

async fn check_all(system: &TestSystem, site: &str, zone: Tz) {
    let visits = naive_reports::visits(&system.pool, site).await;
    let mut turn = site.len();
    let of_site = zone;
    for (place, asked) in REPORT_CASES.iter().enumerate() {
        let zone = asked.zone.unwrap_or(zone);
        for (period, from, to) in periods(zone, place % 2 == 0) {
            let question = format!("site={site}&{period}{}", asked.parameters);
            let right = |days: Tz, values: &dyn Fn(&Visit) -> Vec<Option<String>>| {
                naive_reports::numbers(
                    &visits,
                    days,
                    (from, to),
                    asked.class,
                    &asked.passes,
                    values,
                )
            };
            let total = right(zone, &|_| vec![None])
                .remove(&None)
                .unwrap_or_default();
            let body = system.read(&format!("/analytics/summary?{question}")).await;
            assert_close(numbers_of(&body), total, &question);
            let bots = naive_reports::numbers(
                &visits,
                zone,
                (from, to),
                Some(true),
                &asked.passes,
                &|_| vec![None],
            );
            let bots = bots.get(&None).copied().unwrap_or_default()[0];
            assert_eq!(body["bot_visits"], bots, "{question}");
            // Each dimension with some of the requests, and each request with some dimensions.
            for dimension in DIMENSIONS.iter().skip(turn % 4).step_by(4) {
                turn += 1;
                // A visitor counts once per day of the site, whatever the requested time zone.
                let right = right(of_site, &|visit| visit.values[*dimension].clone());
                breakdown(system, &question, dimension, right).await;
            }
            let mut right = right(of_site, &|visit| visit.values["seats"].clone());
            right.remove(&None);
            breakdown(system, &question, "property:seats", right).await;
            series(system, &question, zone, (from, to), &visits, asked).await;
        }
    }
}

async fn breakdown(
    system: &TestSystem,
    question: &str,
    dimension: &str,
    mut right: BTreeMap<Option<String>, Numbers>,
) {
    let path = format!("/analytics/breakdown?{question}&by={dimension}&limit=1000");
    let body = system.read(&path).await;
    let lines = body["data"].as_array().unwrap();
    for line in lines {
        let value = line["value"].as_str().map(str::to_owned);
        let what = format!("{path} {value:?}");
        let right = right
            .remove(&value)
            .unwrap_or_else(|| panic!("{what} is not there"));
        assert_close(numbers_of(line), right, &what);
    }
    assert!(right.is_empty(), "{path} lacks {right:?}");
    let ranks: Vec<i64> = lines
        .iter()
        .map(|line| line["visitors"].as_i64().unwrap())
        .collect();
    assert!(ranks.is_sorted_by(|a, b| a >= b), "{path}");
}

async fn series(
    system: &TestSystem,
    question: &str,
    zone: Tz,
    period: (DateTime<Utc>, DateTime<Utc>),
    visits: &[Visit],
    asked: &ReportCase,
) {
    let formats = [
        ("hour", "%Y-%m-%d %H %:z"),
        ("day", "%Y-%m-%d"),
        ("week", "%G-%V"),
        ("month", "%Y-%m"),
    ];
    for (interval, format) in formats {
        let name = |at: DateTime<Utc>| at.with_timezone(&zone).format(format).to_string();
        // A session counts in each hour with a visit, but only in the first of longer intervals.
        let of = |visit: &Visit| vec![(interval == "hour").then(|| name(visit.at))];
        let mut right: BTreeMap<String, Numbers> = BTreeMap::new();
        if interval == "hour" {
            let found =
                naive_reports::numbers(visits, zone, period, asked.class, &asked.passes, &of);
            right.extend(
                found
                    .into_iter()
                    .map(|(name, numbers)| (name.unwrap(), numbers)),
            );
        } else {
            let last = period.1 - TimeDelta::microseconds(1);
            for day in LocalDay::between(zone, period.0, last) {
                let cut = (day.from.max(period.0), day.to.min(period.1));
                let found =
                    naive_reports::numbers(visits, zone, cut, asked.class, &asked.passes, &of);
                let part = right.entry(name(day.from)).or_default();
                for numbers in found.values() {
                    for (sum, number) in part.iter_mut().zip(numbers) {
                        *sum += number;
                    }
                }
            }
        }
        let path = format!("/analytics/timeseries?{question}&interval={interval}");
        let body = system.read(&path).await;
        for part in body["data"].as_array().unwrap() {
            let start: DateTime<Utc> = part["start"].as_str().unwrap().parse().unwrap();
            let right = right.remove(&name(start)).unwrap_or_default();
            assert_close(numbers_of(part), right, &format!("{path} {start}"));
        }
        right.retain(|_, numbers| numbers[0] > 0);
        assert!(right.is_empty(), "{path} lacks {right:?}");
    }
}

#[sqlx::test(migrations = false)]
async fn reports_say_what_the_visits_say(pool: PgPool) {
    let mut system = with_zones(pool.clone()).await;
    let mut random = Random(19);
    send(&[&system], &random.visits(400)).await;
    for (site, zone) in SITES {
        check_all(&system, site, zone.parse().unwrap()).await;
    }
    fold_all(&mut [&mut system], TimeDelta::days(2)).await;
    for (site, zone) in SITES {
        check_all(&system, site, zone.parse().unwrap()).await;
    }
    // Some days become dirty: late visits, and an erased visitor.
    send(&[&system], &random.visits(40)).await;
    system.delete("/visitors/v-3").send().await.unwrap();
    assert!(system.count("unfolded_day").await > 0);
    for (site, zone) in SITES {
        check_all(&system, site, zone.parse().unwrap()).await;
    }
}

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
