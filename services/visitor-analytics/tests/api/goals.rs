//! Compares the conversions of goals with a naive computation.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::naive_reports::{self, Visit};
use crate::segments::{add, with_visits};
use crate::support::{TestSystem, problem};

const SITE: &str = "utc.example";
const DAYS: &str = "site=utc.example&from=2026-10-20&to=2026-11-20";

/// Sends events of some visitors during and after their visits. Returns visitors and times.
async fn events(system: &TestSystem, visits: &[Visit]) -> Vec<(String, DateTime<Utc>)> {
    let mut caused = vec![];
    for (visit, minutes) in visits.iter().step_by(5).zip((0..=90).step_by(15).cycle()) {
        let at = visit.at + TimeDelta::minutes(minutes);
        let event = json!({"event_type": "signup", "site": SITE, "visitor_id": visit.visitor,
                           "timestamp": at});
        let sent = system
            .post_to("/analytics/events")
            .json(&event)
            .send()
            .await;
        assert_eq!(sent.unwrap().status(), 201);
        caused.push((visit.visitor.clone(), at));
    }
    caused
}

/// The sessions with an event during them or within half an hour after their end.
fn with_event(visits: &[Visit], events: &[(String, DateTime<Utc>)]) -> BTreeSet<Uuid> {
    let mut sessions: BTreeMap<Uuid, (&str, i64, i64)> = BTreeMap::new();
    for visit in visits {
        let at = visit.at.timestamp();
        let session = sessions
            .entry(visit.session)
            .or_insert((&visit.visitor, at, at));
        session.2 = at;
    }
    let reaches = |(visitor, first, last): &(&str, i64, i64)| {
        events
            .iter()
            .any(|(who, at)| who == visitor && (*first..last + 1_800).contains(&at.timestamp()))
    };
    let reaching = sessions.into_iter().filter(|(_, session)| reaches(session));
    reaching.map(|(id, _)| id).collect()
}

#[sqlx::test(migrations = false)]
async fn conversions_are_sessions_that_reach_the_goal(pool: PgPool) {
    let system = with_visits(pool.clone(), 43, 600).await;
    let visits = naive_reports::visits(&pool, SITE).await;
    let caused = events(&system, &visits).await;
    let page = json!({"site": SITE, "name": "Third", "page": "/*3", "value": 2.5});
    let event = json!({"site": SITE, "name": "Signup", "event_type": "signup"});
    let page = add(&system, "/goals", &page).await;
    assert_eq!(page["event_type"], Value::Null);
    add(&system, "/goals", &event).await;
    let on_page = |visit: &&Visit| visit.values["page"][0].as_deref() == Some("/3");
    let by_page: BTreeSet<Uuid> = visits.iter().filter(on_page).map(|v| v.session).collect();
    let by_event = with_event(&visits, &caused);
    assert!(
        by_page.len() > 10 && by_event.len() > 5,
        "{}",
        by_event.len()
    );

    let from: DateTime<Utc> = "2026-10-20T00:00:00Z".parse().unwrap();
    let period = (from, from + TimeDelta::days(32));
    for (goal, reached) in [("Third", &by_page), ("Signup", &by_event)] {
        for (filter, passes) in [
            ("", (|_| true) as fn(&Visit) -> bool),
            ("&page=!/1", |v| {
                v.values["page"][0].as_deref() != Some("/1")
            }),
        ] {
            for by in ["country", "entry_page", "source", "page"] {
                let values = |visit: &Visit| visit.values[by].clone();
                let both = |visit: &Visit| passes(visit) && reached.contains(&visit.session);
                let utc = chrono_tz::Tz::UTC;
                let class = Some(false);
                let all = naive_reports::numbers(&visits, utc, period, class, &passes, &values);
                let right = naive_reports::numbers(&visits, utc, period, class, &both, &values);
                let path = format!("/analytics/breakdown?{DAYS}&by={by}&goal={goal}{filter}");
                let body = system.read(&path).await;
                let lines = body["data"].as_array().unwrap();
                assert_eq!(lines.len(), all.len(), "{path}");
                for line in lines {
                    let value = line["value"].as_str().map(str::to_owned);
                    let sessions = right.get(&value).map_or(0, |numbers| numbers[2]);
                    assert_eq!(line["conversions"], sessions, "{path} {line}");
                    #[expect(clippy::cast_precision_loss, reason = "few sessions")]
                    let worth = 2.5 * sessions as f64;
                    let is_page = goal == "Third";
                    let told = line["conversion_value"].as_f64();
                    assert_eq!(told, is_page.then_some(worth), "{path} {line}");
                }
            }
        }
        let summary = system
            .read(&format!("/analytics/summary?{DAYS}&goal={goal}"))
            .await;
        let series = format!("/analytics/timeseries?{DAYS}&interval=week&goal={goal}");
        let series = system.read(&series).await;
        let parts = series["data"].as_array().unwrap().iter();
        let of_parts: i64 = parts
            .map(|part| part["conversions"].as_i64().unwrap())
            .sum();
        assert_eq!(summary["conversions"], of_parts);
        let by_goal = system
            .read(&format!("/analytics/breakdown?{DAYS}&by=goal"))
            .await;
        let lines = by_goal["data"].as_array().unwrap();
        let line = lines.iter().find(|line| line["value"] == goal).unwrap();
        assert_eq!(line["conversions"], summary["conversions"]);
        assert_eq!(line["conversion_rate"], summary["conversion_rate"]);
    }
    let without = system.read(&format!("/analytics/summary?{DAYS}")).await;
    assert_eq!(without["conversions"], Value::Null);
}

#[sqlx::test(migrations = false)]
async fn goals_are_kept_and_removed(pool: PgPool) {
    let system = with_visits(pool, 47, 5).await;
    let order = json!({"site": SITE, "name": "Order", "page": "/thanks*", "event_type": null,
                       "value": 40.0});
    let order = add(&system, "/goals", &order).await;
    // A goal of another site may have the same name.
    add(
        &system,
        "/goals",
        &json!({"site": "berlin.example", "name": "Order", "page": "/danke"}),
    )
    .await;
    let list = system.read(&format!("/goals?site={SITE}")).await;
    assert_eq!(list["data"], json!([order]));
    assert_eq!(
        system.read("/goals").await["data"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    for (body, status, field) in [
        (
            json!({"site": SITE, "name": "Order", "page": "/"}),
            409,
            "name",
        ),
        (
            json!({"site": "no.example", "name": "A", "page": "/"}),
            404,
            "",
        ),
        (json!({"site": "?", "name": "A", "page": "/"}), 422, "site"),
        (json!({"site": SITE, "name": " ", "page": "/"}), 422, "name"),
        (json!({"site": SITE, "name": "A"}), 422, "page"),
        (
            json!({"site": SITE, "name": "A", "page": "/", "event_type": "x"}),
            422,
            "page",
        ),
        (json!({"site": SITE, "name": "A", "page": ""}), 422, "page"),
        (
            json!({"site": SITE, "name": "A", "page": "\u{0}"}),
            422,
            "page",
        ),
        (
            json!({"site": SITE, "name": "A", "event_type": "x".repeat(129)}),
            422,
            "event_type",
        ),
        (
            json!({"site": SITE, "name": "A", "page": "/", "value": -1.0}),
            422,
            "value",
        ),
    ] {
        let found = problem(system.post_to("/goals").json(&body)).await;
        assert_eq!((found.0, found.2.as_str()), (status, field), "{body}");
    }
    for (query, field) in [
        ("summary?goal=Nothing", "goal"),
        ("breakdown?by=page&goal=Nothing", "goal"),
        ("breakdown?by=goal&goal=Order", "goal"),
        ("breakdown?by=goal&sort=value", "sort"),
        ("timeseries?goal=Nothing", "goal"),
        ("journeys?goal=Order", "goal"),
    ] {
        let path = format!("/analytics/{query}&site={SITE}");
        let found = problem(system.get(&path)).await;
        assert_eq!((found.0, found.2.as_str()), (400, field), "{query}");
    }
    let path = format!("/goals/{}", order["id"].as_str().unwrap());
    assert_eq!(system.delete(&path).send().await.unwrap().status(), 204);
    assert_eq!(problem(system.delete(&path)).await.0, 404);
}
