//! Tokens that are limited to sites, and ignored visits.

use common::jwt::Scope;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{TestSystem, answer, problem, start, token, token_for_sites, until, visit};

const BOTH: [Scope; 2] = [Scope::VisitsWrite, Scope::VisitsRead];

fn of(site: &str) -> Value {
    visit(&json!({"site": site, "timestamp": "2026-11-20T11:00:00Z"}))
}

async fn refused(request: reqwest::RequestBuilder) -> bool {
    let found = problem(request).await;
    found == (403, "SITE_FORBIDDEN".into(), "site".into())
}

#[sqlx::test(migrations = false)]
async fn a_limited_token_is_about_its_sites_only(pool: PgPool) {
    let mut system = start(pool).await;
    let other = system.record(&of("other.example")).await;
    system.record(&of("own.example")).await;
    let line = of("other.example").to_string();
    let import = system
        .post_to("/import?format=ndjson&site=other.example")
        .body(line);
    let (_, import) = answer(import.send().await.unwrap()).await;
    system.token = token_for_sites(&system.clock, &BOTH, &["own.example"]);
    let own = system.record(&of("own.example")).await;
    let id = |answer: &Value, name: &str| answer[name].as_str().unwrap().to_owned();

    assert!(refused(system.post(&of("other.example"))).await);
    let both = system.post(&json!([of("other.example"), of("own.example")]));
    let (status, both) = answer(both.send().await.unwrap()).await;
    assert_eq!(status, 200);
    assert_eq!(both["results"][0]["error"]["code"], "SITE_FORBIDDEN");
    assert_eq!(both["results"][1]["status"], "recorded");
    // Such a token creates no site, not even one that it names.
    system.token = token_for_sites(&system.clock, &BOTH, &["own.example", "new.example"]);
    let found = problem(system.post(&of("new.example"))).await;
    assert_eq!(found, (422, "SITE_UNKNOWN".into(), "site".into()));
    system.token = token_for_sites(&system.clock, &BOTH, &["own.example"]);
    let event = |site: &str| json!({"event_type": "a", "site": site, "user_id": "u"});
    let events = system.post_to("/analytics/events");
    assert!(refused(events.json(&event("other.example"))).await);
    let events = system
        .post_to("/analytics/events")
        .json(&event("own.example"));
    assert_eq!(events.send().await.unwrap().status(), 201);

    let (visit, session) = (id(&other, "id"), id(&other, "session_id"));
    for path in [
        "/visits?site=other.example".to_owned(),
        "/visits?site=own.example&site=other.example".to_owned(),
        "/analytics/summary?site=other.example".to_owned(),
        "/export/visits?site=other.example".to_owned(),
        "/visits/live?site=other.example".to_owned(),
        "/imports?site=other.example".to_owned(),
        format!("/visitors/{}?site=other.example", id(&other, "visitor_id")),
        format!("/visits/{visit}"),
        format!("/visits/{visit}/explain"),
        format!("/sessions/{session}"),
        format!("/imports/{}", id(&import, "id")),
    ] {
        assert!(refused(system.get(&path)).await, "{path}");
    }
    let engagement = system.post_to(&format!("/visits/{visit}/engagement"));
    let engagement = engagement.json(&json!({"engagement_seconds": 1, "scroll_depth": 1}));
    assert!(refused(engagement).await);
    assert!(refused(system.delete(&format!("/imports/{}", id(&import, "id")))).await);
    let funnel = json!({"site": "other.example", "steps": [{"page": "/"}]});
    assert!(refused(system.post_to("/analytics/funnel").json(&funnel)).await);

    // Requests without a site concern the only site of the token.
    let list = system.read("/visits").await;
    let sites = list["data"].as_array().unwrap().iter();
    assert!(
        sites
            .map(|visit| &visit["site"])
            .all(|site| site == "own.example")
    );
    assert_eq!(
        system.read("/analytics/summary").await["site"],
        "own.example"
    );
    assert_eq!(system.read("/imports").await["data"], json!([]));
    let sites = system.read("/sites").await;
    assert_eq!(sites["data"].as_array().unwrap().len(), 1);
    system.read(&format!("/visits/{}", id(&own, "id"))).await;
    assert_eq!(
        problem(system.get("/visits/019a0000-0000-7000-8000-000000000001"))
            .await
            .0,
        404
    );
    system.token = token_for_sites(&system.clock, &BOTH, &["own.example", "third.example"]);
    assert!(refused(system.get("/visits")).await);
    // Not even with the scope `admin`.
    system.token = token_for_sites(&system.clock, &[Scope::Admin], &["own.example"]);
    let add = system
        .post_to("/sites")
        .json(&json!({"domain": "new.example"}));
    assert!(refused(add).await);
}

impl TestSystem {
    async fn ignoring(&mut self, settings: &Value) {
        let body = self.post_to("/sites").json(settings);
        let (status, body) = answer(body.send().await.unwrap()).await;
        assert_eq!(status, 201, "{body}");
    }
}

#[sqlx::test(migrations = false)]
async fn what_a_site_does_not_want_is_counted_and_not_stored(pool: PgPool) {
    let mut system = start(pool).await;
    system.token = token(&system.clock, &[Scope::Admin], 86_400);
    let settings = json!({"domain": "shop.example", "aliases": ["www.shop.example"],
        "ignored_addresses": ["198.51.100.0/24"], "ignored_paths": ["/admin*"]});
    system.ignoring(&settings).await;
    let from = |changes: Value| visit(&changes);
    let office = from(json!({"ip": "198.51.100.7"}));
    let answered = system.record(&office).await;
    assert_eq!(answered["status"], "ignored");
    assert_eq!(answered["session_id"], Value::Null);
    let alias = from(json!({"ip": "198.51.100.7", "site": "www.shop.example"}));
    let admin = from(json!({"url": "https://shop.example/admin/users"}));
    let other = from(json!({"url": "https://b.example/admin/users"}));
    let many = system.post(&json!([alias, admin, other, {}]));
    let (_, many) = answer(many.send().await.unwrap()).await;
    let status = |place: usize| many["results"][place]["status"].as_str().unwrap();
    let statuses = [0, 1, 2, 3].map(status);
    assert_eq!(statuses, ["ignored", "ignored", "recorded", "rejected"]);
    let line = from(json!({"ip": "198.51.100.7", "timestamp": "2026-11-20T11:00:00Z"}));
    let import = system
        .post_to("/import?format=ndjson")
        .body(line.to_string());
    let (_, import) = answer(import.send().await.unwrap()).await;
    assert_eq!(
        [&import["ignored"], &import["recorded"]],
        [1, 0],
        "{import}"
    );
    assert_eq!(system.count("visit").await, 1);
    until("they are counted", async || {
        let sites = system.read("/sites").await;
        let sites = sites["data"].as_array().unwrap().clone();
        let site = sites
            .into_iter()
            .find(|site| site["domain"] == "shop.example");
        (site.unwrap()["ignored_visits"] == 4).then_some(())
    })
    .await;
    let change = system
        .http
        .patch(format!("{}/sites/shop.example", system.base));
    let change = change.bearer_auth(&system.token);
    let changed = change
        .json(&json!({"ignored_addresses": []}))
        .send()
        .await
        .unwrap();
    let (_, changed) = answer(changed).await;
    assert_eq!(
        [&changed["ignored_addresses"], &changed["ignored_paths"]],
        [&json!([]), &json!(["/admin*"])]
    );
    assert_eq!(system.record(&office).await["status"], "recorded");
    for (settings, field) in [
        (
            json!({"domain": "c.example", "ignored_addresses": ["10.0.0.0/40"]}),
            "ignored_addresses",
        ),
        (
            json!({"domain": "c.example", "ignored_paths": ["admin"]}),
            "ignored_paths",
        ),
    ] {
        let (status, _, named) = problem(system.post_to("/sites").json(&settings)).await;
        assert_eq!((status, named.as_str()), (422, field));
    }
}
