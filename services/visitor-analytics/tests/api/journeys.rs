//! Journeys, funnels and retention.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::naive_reports::{self, Visit};
use crate::support::{TestSystem, answer, noon, problem, start, visit};
use crate::workload::{Random, fold_all, send, with_zones};

const SITE: &str = "berlin.example";
const PERIOD: &str = "from=2026-10-24&to=2026-11-20";

type Sessions<'a> = Vec<Vec<&'a Visit>>;

/// People's sessions that begin in the period, with their visits.
fn sessions(visits: &[Visit]) -> Sessions<'_> {
    let from: DateTime<Utc> = "2026-10-23T22:00:00Z".parse().unwrap();
    let sessions = visits.chunk_by(|a, b| a.session == b.session);
    let people = sessions.filter(|session| !session[0].is_bot && session[0].at >= from);
    people.map(|session| session.iter().collect()).collect()
}

fn page(visit: &Visit) -> String {
    visit.values["page"][0].clone().unwrap()
}

fn stops(session: &[&Visit]) -> Vec<String> {
    let mut pages: Vec<String> = session.iter().map(|visit| page(visit)).collect();
    pages.dedup();
    pages
}

async fn check_ways(
    system: &TestSystem,
    sessions: &Sessions<'_>,
    filter: &str,
    page: Option<&str>,
) {
    for depth in [1, 3, 5] {
        let mut right: BTreeMap<(Vec<String>, bool), i64> = BTreeMap::new();
        let passes = |session: &&Vec<&Visit>| {
            page.is_none_or(|page| session.iter().any(|v| self::page(v) == page))
        };
        for session in sessions.iter().filter(passes) {
            let pages = stops(session);
            let is_whole = pages.len() <= depth;
            let way = (pages.into_iter().take(depth).collect(), is_whole);
            *right.entry(way).or_default() += 1;
        }
        let path =
            format!("/analytics/journeys?site={SITE}&{PERIOD}&depth={depth}&limit=200{filter}");
        let body = system.read(&path).await;
        assert_eq!(body["total"], right.values().sum::<i64>(), "{path}");
        let ways = body["data"].as_array().unwrap();
        assert_eq!(ways.len(), right.len().min(200), "{path}");
        for way in ways {
            let pages = way["pages"].as_array().unwrap().iter();
            let pages: Vec<String> = pages.map(|p| p.as_str().unwrap().to_owned()).collect();
            let key = (pages, way["is_whole"].as_bool().unwrap());
            assert_eq!(
                right.get(&key),
                way["sessions"].as_i64().as_ref(),
                "{path} {key:?}"
            );
        }
    }
}

/// A period that cuts its first and last day, in another time zone; and the pages around any page.
async fn check_some(system: &TestSystem, sessions: &Sessions<'_>) {
    let [from, to] = ["2026-10-24T23:10:00Z", "2026-11-19T21:45:30Z"];
    let cut = format!("from={from}&to={to}&time_zone=America/New_York");
    let [from, to] = [from, to].map(|text| text.parse::<DateTime<Utc>>().unwrap());
    let mut right: BTreeMap<Vec<String>, i64> = BTreeMap::new();
    let begun = |session: &&Vec<&Visit>| from <= session[0].at && session[0].at < to;
    for session in sessions.iter().filter(begun) {
        *right
            .entry(stops(session).into_iter().take(2).collect())
            .or_default() += 1;
    }
    let path = format!("/analytics/journeys?site={SITE}&{cut}&depth=2&limit=200");
    let body = system.read(&path).await;
    let mut told: BTreeMap<Vec<String>, i64> = BTreeMap::new();
    for way in body["data"].as_array().unwrap() {
        let pages = way["pages"].as_array().unwrap().iter();
        let pages = pages.map(|page| page.as_str().unwrap().to_owned());
        *told.entry(pages.collect()).or_default() += way["sessions"].as_i64().unwrap();
    }
    assert_eq!(told, right, "{path}");
    let path = format!("/analytics/journeys?site={SITE}&{cut}&around=/*&limit=200");
    let body = system.read(&path).await;
    let visits = sessions.iter().flat_map(|session| {
        let mut visits = session.clone();
        visits.dedup_by_key(|visit| page(visit));
        visits.into_iter().map(|visit| visit.at).collect::<Vec<_>>()
    });
    let visits = visits.filter(|at| from <= *at && *at < to).count();
    assert_eq!(body["total"], visits, "{path}");
}

async fn check_around(system: &TestSystem, sessions: &Sessions<'_>) {
    let mut right = [BTreeMap::new(), BTreeMap::new()];
    for session in sessions {
        let stops = stops(session);
        for (place, _) in stops.iter().enumerate().filter(|(_, page)| *page == "/2") {
            let before = place.checked_sub(1).map(|place| stops[place].clone());
            *right[0].entry(before).or_insert(0) += 1;
            *right[1].entry(stops.get(place + 1).cloned()).or_insert(0) += 1;
        }
    }
    let path = format!("/analytics/journeys?site={SITE}&{PERIOD}&around=/2&limit=200");
    let body = system.read(&path).await;
    for (side, right) in ["before", "after"].into_iter().zip(&right) {
        let told = body[side].as_array().unwrap().iter().map(|neighbour| {
            let page = neighbour["page"].as_str().map(str::to_owned);
            (page, neighbour["visits"].as_i64().unwrap())
        });
        assert_eq!(&told.collect::<BTreeMap<_, _>>(), right, "{side}");
    }
    assert_eq!(body["total"], right[0].values().sum::<i64>());
}

async fn check_retention(system: &TestSystem, visits: &[Visit]) {
    let zone = chrono_tz::Tz::Europe__Berlin;
    let date = |visit: &Visit| visit.at.with_timezone(&zone).date_naive();
    let first: chrono::NaiveDate = "2026-10-24".parse().unwrap();
    let mut came: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for visit in visits
        .iter()
        .filter(|visit| !visit.is_bot && date(visit) >= first)
    {
        let day = usize::try_from((date(visit) - first).num_days()).unwrap();
        came.entry(&visit.visitor).or_default().insert(day);
    }
    let path = format!("/analytics/retention?site={SITE}&{PERIOD}&interval=day");
    let body = system.read(&path).await;
    let cohorts = body["data"].as_array().unwrap();
    assert_eq!(cohorts.len(), 28);
    for (day, cohort) in cohorts.iter().enumerate() {
        let mine = came.values().filter(|days| days.first() == Some(&day));
        let mine: Vec<_> = mine.collect();
        assert_eq!(cohort["visitors"], mine.len(), "{day}");
        for (later, count) in cohort["retained"].as_array().unwrap().iter().enumerate() {
            let right = mine
                .iter()
                .filter(|days| days.contains(&(day + later)))
                .count();
            assert_eq!(count, right, "{day} {later}");
        }
    }
}

async fn check_all(system: &TestSystem) {
    let visits = naive_reports::visits(&system.pool, SITE).await;
    let sessions = sessions(&visits);
    check_ways(system, &sessions, "", None).await;
    check_some(system, &sessions).await;
    check_ways(system, &sessions, "&page=/3", Some("/3")).await;
    check_around(system, &sessions).await;
    check_retention(system, &visits).await;
}

#[sqlx::test(migrations = false)]
async fn ways_are_those_of_the_visits(pool: PgPool) {
    let mut system = with_zones(pool).await;
    let mut random = Random(29);
    send(&[&system], &random.visits(500)).await;
    check_all(&system).await;
    fold_all(&mut [&mut system], TimeDelta::days(2)).await;
    check_all(&system).await;
    send(&[&system], &random.visits(40)).await;
    assert!(system.count("unfolded_day").await > 0);
    check_all(&system).await;
    let other = format!("/analytics/journeys?site={SITE}&{PERIOD}&limit=200");
    let here = system.read(&other).await;
    // The same instants give the same sessions in every time zone.
    let there = "from=2026-10-23T22:00:00Z&to=2026-11-20T23:00:00Z&time_zone=Asia/Tokyo";
    let there = format!("/analytics/journeys?site={SITE}&{there}&limit=200");
    assert_eq!(system.read(&there).await["data"], here["data"]);
}

async fn funnel(system: &TestSystem, body: &Value) -> Vec<i64> {
    let sent = system
        .post_to("/analytics/funnel")
        .json(body)
        .send()
        .await
        .unwrap();
    let (status, body) = answer(sent).await;
    assert_eq!(status, 200, "{body}");
    let steps = body["steps"].as_array().unwrap().iter();
    steps
        .map(|step| step["visitors"].as_i64().unwrap())
        .collect()
}

#[sqlx::test(migrations = false)]
async fn a_funnel_counts_visitors_step_by_step(pool: PgPool) {
    let mut system = start(pool).await;
    let at = |minute| noon() - TimeDelta::days(3) + TimeDelta::minutes(minute);
    for (visitor, minute, page) in [
        ("a", 0, "pricing"),
        ("a", 1, "about"),
        ("a", 2, "checkout/1"),
        ("b", 0, "pricing"),
        ("b", 1, "checkout/2"),
        // Two days later, in another session.
        ("c", 0, "pricing"),
        ("c", 2_880, "checkout/3"),
        ("d", 0, "checkout/4"),
        ("d", 1, "pricing"),
    ] {
        let url = format!("https://shop.example/{page}");
        let sent = json!({"timestamp": at(minute), "url": url, "visitor_id": visitor});
        system.record(&visit(&sent)).await;
    }
    for (visitor, minute) in [("a", 5), ("c", 2_885), ("d", 5)] {
        let event = json!({"event_type": "purchase", "site": "shop.example",
                           "visitor_id": visitor, "timestamp": at(minute)});
        let sent = system
            .post_to("/analytics/events")
            .json(&event)
            .send()
            .await
            .unwrap();
        assert_eq!(sent.status(), 201);
    }
    let steps = json!([{"page": "/pricing"}, {"page": "/checkout/*"}, {"event": "purchase"}]);
    for folded in [false, true] {
        if folded {
            fold_all(&mut [&mut system], TimeDelta::days(2)).await;
        }
        let asked = |more: Value| {
            let mut asked = json!({"from": "2026-11-10", "to": "2026-11-20", "steps": steps});
            let fields = asked.as_object_mut().unwrap();
            fields.extend(more.as_object().unwrap().clone());
            asked
        };
        assert_eq!(funnel(&system, &asked(json!({}))).await, [4, 3, 2]);
        let hour = asked(json!({"window_seconds": 3_600}));
        assert_eq!(funnel(&system, &hour).await, [4, 2, 1]);
        let strict = asked(json!({"order": "strict"}));
        assert_eq!(funnel(&system, &strict).await, [4, 2, 1]);
        let filtered = asked(json!({"filters": {"page": ["!/checkout/1"]}}));
        assert_eq!(funnel(&system, &filtered).await, [4, 2, 1]);
    }
}

#[sqlx::test(migrations = false)]
async fn what_was_told_changes_with_its_days(pool: PgPool) {
    let mut system = start(pool).await;
    let period = "from=2026-11-10&to=2026-11-19";
    let steps = json!({"from": "2026-11-10", "to": "2026-11-19",
                       "steps": [{"page": "/a"}, {"page": "/b"}]});
    for (minute, page, reached) in [(0, "a", [1, 0]), (5, "b", [1, 1]), (9, "c", [1, 1])] {
        let at = noon() - TimeDelta::days(3) + TimeDelta::minutes(minute);
        let url = format!("https://shop.example/{page}");
        let sent = json!({"timestamp": at, "url": url, "visitor_id": "v"});
        system.record(&visit(&sent)).await;
        // Requested before the day is folded, and twice afterwards.
        for times in [1, 2] {
            for _ in 0..times {
                let pages = format!("/analytics/breakdown?{period}&by=page&page=/*");
                let pages = system.read(&pages).await;
                let pages = pages["data"].as_array().unwrap().len();
                assert_eq!(pages, usize::try_from(minute).unwrap() / 4 + 1);
                let days = format!("/analytics/timeseries?{period}&interval=week&page=!/b");
                let days = system.read(&days).await;
                let visits = days["data"].as_array().unwrap().iter();
                let visits: i64 = visits.map(|part| part["visits"].as_i64().unwrap()).sum();
                assert_eq!(visits, 1 + i64::from(minute == 9));
                assert_eq!(funnel(&system, &steps).await, reached);
                let weeks = format!("/analytics/retention?{period}&page=/{page}");
                let weeks = system.read(&weeks).await;
                assert_eq!(weeks["data"][1]["visitors"], 1);
            }
            fold_all(&mut [&mut system], TimeDelta::hours(3)).await;
        }
    }
}

#[sqlx::test(migrations = false)]
async fn hostile_questions_are_named(pool: PgPool) {
    let system = start(pool).await;
    system.record(&visit(&json!({}))).await;
    for (path, field) in [
        ("journeys?depth=6", "depth"),
        ("journeys?depth=0", "depth"),
        ("journeys?limit=201", "limit"),
        ("journeys?colour=red", "colour"),
        ("retention?interval=hour", "interval"),
        ("retention?interval=day&from=2026-01-01", "interval"),
    ] {
        let (status, _, named) = problem(system.get(&format!("/analytics/{path}"))).await;
        assert_eq!((status, named.as_str()), (400, field), "{path}");
    }
    let step = json!({"page": "/"});
    for (body, status, field) in [
        (json!({"steps": []}), 422, "steps"),
        (json!({"steps": vec![&step; 11]}), 422, "steps"),
        (json!({"steps": [{}]}), 422, "steps[0]"),
        (
            json!({"steps": [&step, {"page": "/", "event": "x"}]}),
            422,
            "steps[1]",
        ),
        (json!({"steps": [{"event": ""}]}), 422, "steps[0].event"),
        (
            json!({"steps": [{"page": "x".repeat(1_025)}]}),
            422,
            "steps[0].page",
        ),
        (
            json!({"steps": [&step], "window_seconds": 0}),
            422,
            "window_seconds",
        ),
        (json!({"steps": [&step], "order": "any"}), 422, "order"),
        (
            json!({"steps": [&step], "filters": {"colour": ["red"]}}),
            400,
            "colour",
        ),
        (
            json!({"steps": [&step], "filters": {"site": ["a.example"]}, "site": "shop.example"}),
            400,
            "site",
        ),
        (json!({"steps": [&step], "from": "x"}), 400, "from"),
    ] {
        let (told, _, named) = problem(system.post_to("/analytics/funnel").json(&body)).await;
        assert_eq!((told, named.as_str()), (status, field), "{body}");
    }
}
