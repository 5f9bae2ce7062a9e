//! Replays 1,000 real page views with current timestamps; checks the counts and notifications.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use common::clock::Clock;
use serde_json::{Value, json};

use crate::running::{RunningSystem, data_folder, json as answer, start, wait_for};
use crate::twilio::TwilioStub;

/// Number of page views by bots, counted by hand from the user agents in the file: crawlers, feed
/// readers and programs (668), requests without a user agent (23), and one without a browser,
/// `Mozilla/4.0 (compatible;)`, which filtering proxies send.
const BOTS: usize = 692;

struct PageView {
    timestamp: DateTime<Utc>,
    visit: Value,
}

/// The page views with ids. The last one is a minute old.
fn page_views() -> Vec<PageView> {
    let lines = include_str!("../data/page_views.jsonl").lines();
    let visits: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let moment = |v: &Value| {
        v["timestamp"]
            .as_str()
            .unwrap()
            .parse::<DateTime<Utc>>()
            .unwrap()
    };
    let last = visits.iter().map(moment).max().unwrap();
    let shift = Clock::system().now() - TimeDelta::minutes(1) - last;
    let moved = visits.into_iter().map(|mut visit| {
        let timestamp = moment(&visit) + shift;
        visit["timestamp"] = json!(timestamp);
        visit["id"] = json!(Clock::new_id_at(timestamp));
        PageView { timestamp, visit }
    });
    moved.collect()
}

async fn send(system: &RunningSystem, views: &[PageView]) -> Vec<Value> {
    let mut results = vec![];
    for batch in views.chunks(100) {
        let visits: Vec<_> = batch.iter().map(|view| &view.visit).collect();
        let body = answer(system.post(1, "/visits", &json!(visits))).await;
        results.extend(body["results"].as_array().unwrap().clone());
    }
    results
}

fn count(results: &[Value], status: &str) -> usize {
    results
        .iter()
        .filter(|result| result["status"] == status)
        .count()
}

/// Computes sessions by definition: a visitor is an address with a user agent on a day, and gaps of
/// 30 minutes separate sessions. Each session is the set of the ids of its visits.
fn sessions(views: &[PageView]) -> BTreeSet<BTreeSet<String>> {
    type Visitor = (NaiveDate, String, String);
    let mut visitors: BTreeMap<Visitor, Vec<&PageView>> = BTreeMap::new();
    for view in views {
        let text = |name: &str| view.visit[name].as_str().unwrap_or_default().to_owned();
        let key = (view.timestamp.date_naive(), text("ip"), text("user_agent"));
        visitors.entry(key).or_default().push(view);
    }
    let mut sessions = BTreeSet::new();
    for mut visits in visitors.into_values() {
        visits.sort_by_key(|view| view.timestamp);
        let gap = TimeDelta::minutes(30);
        for session in visits.chunk_by(|a, b| b.timestamp - a.timestamp < gap) {
            let id = |view: &&PageView| view.visit["id"].as_str().unwrap().to_owned();
            sessions.insert(session.iter().map(id).collect());
        }
    }
    sessions
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_real_page_views() {
    let twilio = TwilioStub::start().await;
    let mut settings = twilio.settings();
    settings.push(("NOTIFY_MAX_AGE", "2d".into()));
    let folder = data_folder();
    let system = start(folder.path(), &settings).await;
    system.remove_throttle().await;
    let views = page_views();

    assert_eq!(count(&send(&system, &views).await, "recorded"), 1_000);
    let visits = system.visits().await;
    assert_eq!(visits.len(), 1_000);
    let bots = visits
        .iter()
        .filter(|visit| visit["is_bot"] == true)
        .count();
    assert_eq!(bots, BOTS);

    let mut found: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for visit in &visits {
        let session = found
            .entry(visit["session_id"].as_str().unwrap())
            .or_default();
        session.insert(visit["id"].as_str().unwrap().to_owned());
    }
    let found: BTreeSet<_> = found.into_values().collect();
    assert_eq!(found, sessions(&views));

    let ips: BTreeSet<_> = views
        .iter()
        .map(|view| view.visit["ip"].as_str().unwrap())
        .collect();
    let places = answer(system.post(0, "/geolocate", &json!({"ips": ips}))).await;
    let country: BTreeMap<&str, &Value> = places["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["ip"].as_str().unwrap(), &r["location"]["country_code"]))
        .collect();
    let by_id: BTreeMap<_, _> = visits
        .iter()
        .map(|visit| (visit["id"].clone().to_string(), visit))
        .collect();
    for view in &views {
        let stored = by_id[&view.visit["id"].to_string()];
        assert_eq!(
            &stored["country_code"],
            country[view.visit["ip"].as_str().unwrap()]
        );
    }
    let located = visits
        .iter()
        .filter(|visit| visit["country_code"].is_string())
        .count();
    assert!(located > 990, "{located}");

    let is_bot = |id: &String| by_id[&json!(id).to_string()]["is_bot"] == true;
    let genuine = found
        .iter()
        .filter(|session| !session.iter().any(is_bot))
        .count();
    wait_for("a message for each genuine session", async || {
        (twilio.messages().len() >= genuine).then_some(())
    })
    .await;

    // Sending everything again changes nothing and notifies nobody.
    assert_eq!(count(&send(&system, &views).await, "duplicate"), 1_000);
    wait_for("an empty outbox", async || {
        let health = answer(system.get(1, "/health")).await;
        let outbox = health["checks"]["outbox"]["detail"].as_str()?.to_owned();
        outbox.starts_with("0 announcements pending").then_some(())
    })
    .await;
    assert_eq!(system.visits().await, visits);
    let messages = twilio.messages();
    assert_eq!(messages.len(), genuine);
    assert!(messages.iter().all(|(to, _)| to == "+15550100002"));
    let visitor = |text: &str| text.contains(" on www.semicomplete.com");
    assert!(
        messages.iter().all(|(_, text)| visitor(text)),
        "{messages:?}"
    );

    let output = system.output();
    assert!(
        !output.contains("+15550100002"),
        "a phone number is in the log"
    );
    let leaked: Vec<_> = ips.iter().filter(|ip| output.contains(**ip)).collect();
    assert!(leaked.is_empty(), "the log contains addresses: {leaked:?}");
    assert!(!output.contains(&system.token), "the log contains a token");
    assert!(system.stop().await.success());
}
