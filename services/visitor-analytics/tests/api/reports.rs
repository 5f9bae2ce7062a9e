//! Compares reports with a naive computation, before and after the days are folded.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use rollups::day::LocalDay;
use serde_json::Value;
use sqlx::PgPool;

use crate::naive_reports::{self, Numbers, Visit};
use crate::support::TestSystem;
use crate::workload::{Random, SITES, fold_all, send, with_zones};

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
            for dimension in naive_reports::dimensions().skip(turn % 8).step_by(8) {
                turn += 1;
                let right = right(of_site, &|visit| visit.values[dimension].clone());
                breakdown(system, &question, dimension, right).await;
            }
            let mut seats = right(of_site, &|visit| visit.values["seats"].clone());
            seats.remove(&None);
            breakdown(system, &question, "property:seats", seats).await;
            series(system, &question, zone, (from, to), &visits, asked).await;
            let by_time = [("weekday", "%u"), ("hour", "%H")];
            for (dimension, format) in by_time.into_iter().filter(|_| place % 3 == 0) {
                let right = right(zone, &|visit: &Visit| {
                    let local = visit.at.with_timezone(&zone);
                    vec![Some(local.format(format).to_string())]
                });
                visits_and_visitors(system, &question, dimension, right).await;
            }
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

/// Compares only these, because a session counts in each hour with a visit.
async fn visits_and_visitors(
    system: &TestSystem,
    question: &str,
    dimension: &str,
    right: BTreeMap<Option<String>, Numbers>,
) {
    let path = format!("/analytics/breakdown?{question}&by={dimension}");
    let body = system.read(&path).await;
    let lines = body["data"].as_array().unwrap().iter();
    let told = lines.map(|line| {
        let value = line["value"].as_str().map(str::to_owned);
        (value, [0, 1].map(|n| numbers_of(line)[n]))
    });
    let right = right.into_iter().map(|(value, n)| (value, [n[0], n[1]]));
    assert_eq!(
        told.collect::<BTreeMap<_, _>>(),
        right.collect::<BTreeMap<_, _>>(),
        "{path}"
    );
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
            let of = |visit: &Visit| vec![Some(name(visit.at))];
            let once =
                naive_reports::numbers(visits, zone, period, asked.class, &asked.passes, &of);
            for (name, numbers) in once {
                right.entry(name.unwrap()).or_default()[1] = numbers[1];
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
