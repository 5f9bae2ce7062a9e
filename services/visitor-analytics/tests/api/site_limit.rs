//! The limit on new sites.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use common::jwt::Scope;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{
    TestSystem, answer, problem, start, start_replica, start_with, token, until, visit,
};

fn on(number: usize) -> Value {
    visit(&json!({"url": format!("https://host-{number}.example/")}))
}

fn reached() -> (u16, String, String) {
    (429, "SITE_LIMIT_REACHED".into(), "site".into())
}

impl TestSystem {
    async fn sites_check(&self) -> Value {
        let health = self.http.get(format!("{}/health", self.base));
        let (_, health) = answer(health.send().await.unwrap()).await;
        health["checks"]["sites"].clone()
    }
}

#[sqlx::test(migrations = false)]
async fn visits_bring_twenty_sites_a_day(pool: PgPool) {
    let mut system = start(pool.clone()).await;
    let many: Vec<Value> = (0..60).map(on).collect();
    let (_, many) = answer(system.post(&json!(many)).send().await.unwrap()).await;
    let results = many["results"].as_array().unwrap();
    let of = |status: &str| results.iter().filter(|one| one["status"] == status).count();
    assert_eq!([of("recorded"), of("rejected")], [20, 40], "{many}");
    let refused = results
        .iter()
        .find(|one| one["status"] == "rejected")
        .unwrap();
    assert_eq!(refused["error"]["code"], "SITE_LIMIT_REACHED");
    assert_eq!(system.count("site").await, 20);

    assert_eq!(problem(system.post(&on(100))).await, reached());
    let event = json!({"event_type": "a", "site": "host-101.example", "user_id": "u"});
    let events = system.post_to("/analytics/events");
    assert_eq!(problem(events.json(&event)).await, reached());
    let line = visit(&json!({"site": "host-102.example", "timestamp": "2026-11-20T11:00:00Z"}));
    let import = system
        .post_to("/import?format=ndjson")
        .body(line.to_string());
    assert_eq!(problem(import).await, reached());
    // Known sites are not affected.
    let known = results
        .iter()
        .position(|one| one["status"] == "recorded")
        .unwrap();
    system.record(&on(known)).await;

    let check = system.sites_check().await;
    assert_eq!(check["status"], "degraded", "{check}");
    // A second replica has the same limit, and one of the two announces it, once.
    let beside = start_replica(pool, system.geo.clone(), system.notification.clone()).await;
    assert_eq!(problem(beside.post(&on(103))).await, reached());
    let told = || {
        let asked = system.notification.requests();
        let items = asked
            .into_iter()
            .flat_map(|(_, body)| body.as_array().cloned().unwrap());
        let about = items.filter(|item| item["event"] == "sites.limit_reached");
        let keys = about.map(|item| item["idempotency_key"].as_str().unwrap().to_owned());
        keys.collect::<BTreeSet<_>>()
    };
    let keys = until("it is told", async || {
        Some(told()).filter(|keys| !keys.is_empty())
    })
    .await;
    assert_eq!(
        keys,
        BTreeSet::from(["sites.limit_reached:2026-11-20".to_owned()])
    );

    // `POST /sites` has no limit.
    system.token = token(&system.clock, &[Scope::Admin], 10 * 86_400);
    for number in [100, 102] {
        let domain = json!({"domain": format!("host-{number}.example")});
        let added = system.post_to("/sites").json(&domain).send().await.unwrap();
        assert_eq!(added.status(), 201);
    }
    system.record(&on(100)).await;
    let import = system
        .post_to("/import?format=ndjson")
        .body(line.to_string());
    let (status, import) = answer(import.send().await.unwrap()).await;
    assert_eq!(
        (status, &import["recorded"]),
        (200, &json!(1)),
        "nothing was lost: {import}"
    );
    assert_eq!(problem(system.post(&on(101))).await, reached());
    system.clock.advance(TimeDelta::hours(24));
    system.record(&on(101)).await;
    assert_eq!(system.sites_check().await["status"], "ok");
}

#[sqlx::test(migrations = false)]
async fn replicas_together_stay_within_the_limit(pool: PgPool) {
    let first = start_with(pool.clone(), &["--max-new-sites-per-day=5"]).await;
    let second = start_with(pool, &["--max-new-sites-per-day=5"]).await;
    let sent = (0..40).map(|number| {
        let system = if number % 2 == 0 { &first } else { &second };
        async move {
            system
                .post(&on(number))
                .send()
                .await
                .unwrap()
                .status()
                .as_u16()
        }
    });
    let statuses = futures::future::join_all(sent).await;
    let recorded = statuses.iter().filter(|status| **status == 201).count();
    assert!(
        statuses.iter().all(|status| matches!(status, 201 | 429)),
        "{statuses:?}"
    );
    assert_eq!((recorded, first.count("site").await), (5, 5));
}

#[sqlx::test(migrations = false)]
async fn with_none_allowed_no_visit_brings_a_site(pool: PgPool) {
    let system = start_with(pool, &["--max-new-sites-per-day=0"]).await;
    assert_eq!(problem(system.post(&on(0))).await, reached());
    assert_eq!(system.count("site").await, 0);
    assert_eq!(system.sites_check().await["status"], "ok");
}
