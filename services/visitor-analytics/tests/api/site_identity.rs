//! An id belongs to the site that recorded it first. Requests for another site neither read nor
//! change its data.

use common::jwt::Scope;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{TestSystem, answer, problem, start, token_for_sites, visit};

/// A `UUIDv7` with the time noon of 2026-11-20, as the Django client creates it.
const ID: &str = "01a1f8d3-ea00-7000-8000-00000000000b";
const AT: &str = "2026-11-20T12:00:00Z";

fn of(site: &str, changes: &Value) -> Value {
    let mut visit = visit(&json!({"site": site, "url": format!("https://{site}/"), "id": ID}));
    let fields = visit.as_object_mut().unwrap();
    fields.extend(changes.as_object().unwrap().clone());
    visit
}

/// Creates two sites, one with a visit that has [`ID`]. Returns the response for the visit.
async fn two_sites(system: &mut TestSystem) -> Value {
    system.record(&visit(&json!({"site": "a.example"}))).await;
    let moment = common::clock::timestamp_of(ID.parse().unwrap());
    assert_eq!(moment, AT.parse().ok(), "the id carries the time");
    system.record(&of("b.example", &json!({}))).await
}

fn for_a(system: &TestSystem) -> String {
    let scopes = [Scope::VisitsWrite, Scope::VisitsRead];
    token_for_sites(&system.clock, &scopes, &["a.example"])
}

#[sqlx::test(migrations = false)]
async fn an_id_of_another_site_is_refused_and_nothing_is_told(pool: PgPool) {
    let mut system = start(pool).await;
    let other = two_sites(&mut system).await;
    let unlimited = system.token.clone();
    let taken = (409, "VISIT_ID_TAKEN".to_owned(), "id".to_owned());
    for token in [for_a(&system), unlimited.clone()] {
        system.token = token;
        for timestamp in [
            AT,
            "2026-11-20T12:00:00.001Z",
            "2026-11-20T11:59:59.999999Z",
            "2026-09-01T00:00:00Z",
        ] {
            let again = of("a.example", &json!({"timestamp": timestamp}));
            assert_eq!(problem(system.post(&again)).await, taken, "{timestamp}");
            let list = json!([again, visit(&json!({"site": "a.example"}))]);
            let (_, list) = answer(system.post(&list).send().await.unwrap()).await;
            let refused = &list["results"][0];
            assert_eq!(refused["status"], "rejected", "{list}");
            assert_eq!(refused["error"]["code"], "VISIT_ID_TAKEN");
            assert_eq!(list["results"][1]["status"], "recorded");
            let text = refused.to_string();
            for own in ["visitor_id", "session_id"] {
                assert!(!text.contains(other[own].as_str().unwrap()), "{text}");
            }
        }
    }
    system.token = unlimited;
    // The visit is unchanged, and the refused ones do not count as duplicates.
    let explained = system.read(&format!("/visits/{ID}/explain")).await;
    assert_eq!(explained["visit"]["site"], "b.example");
    assert_eq!(explained["copies"], 0);
    assert_eq!(explained["session"]["visits"], 1);
    let again = system.record(&of("b.example", &json!({}))).await;
    assert_eq!(again["status"], "duplicate");
    assert_eq!(again["session_id"], other["session_id"]);
}

#[sqlx::test(migrations = false)]
async fn of_two_sites_in_one_list_the_first_has_the_id(pool: PgPool) {
    let system = start(pool).await;
    let list = json!([
        of("a.example", &json!({})),
        of("b.example", &json!({})),
        of("a.example", &json!({}))
    ]);
    let (_, list) = answer(system.post(&list).send().await.unwrap()).await;
    let status = |place: usize| list["results"][place]["status"].as_str().unwrap();
    assert_eq!([0, 1, 2].map(status), ["recorded", "rejected", "duplicate"]);
    assert_eq!(system.count("visit").await, 1);
    let explained = system.read(&format!("/visits/{ID}/explain")).await;
    assert_eq!(explained["copies"], 1);
}

#[sqlx::test(migrations = false)]
async fn an_events_id_of_another_site_is_refused(pool: PgPool) {
    let mut system = start(pool).await;
    two_sites(&mut system).await;
    let event = |site: &str| json!({"id": ID, "event_type": "a", "site": site, "user_id": "u"});
    let post = |site: &str| system.post_to("/analytics/events").json(&event(site));
    assert_eq!(post("b.example").send().await.unwrap().status(), 201);
    let taken = (409, "EVENT_ID_TAKEN".to_owned(), "id".to_owned());
    assert_eq!(problem(post("a.example")).await, taken);
    let both = system.post_to("/analytics/events");
    let both = both.json(&json!([event("a.example"), event("b.example")]));
    let (_, both) = answer(both.send().await.unwrap()).await;
    assert_eq!(both["results"][0]["status"], "rejected");
    assert_eq!(both["results"][1]["status"], "duplicate");
    assert_eq!(system.count("event").await, 1);
}

/// Two sites may use the same id without a time if the visits are more than a day apart.
#[sqlx::test(migrations = false)]
async fn two_visits_with_one_id_are_each_their_sites_own(pool: PgPool) {
    let mut system = start(pool).await;
    let id = "7b0a2c4e-1f6d-4c3b-9a58-0e1d2c3b4a59";
    for (site, timestamp) in [
        ("b.example", "2026-11-20T11:00:00Z"),
        ("a.example", "2026-11-10T11:00:00Z"),
    ] {
        let visit = of(site, &json!({"id": id, "timestamp": timestamp}));
        system.record(&visit).await;
        system.clock.advance(chrono::TimeDelta::seconds(1));
    }
    let unlimited = system.token.clone();
    let engage = async |system: &TestSystem, seconds: u32| {
        let path = format!("/visits/{id}/engagement");
        let report = json!({"engagement_seconds": seconds, "scroll_depth": 1});
        let (status, body) =
            answer(system.post_to(&path).json(&report).send().await.unwrap()).await;
        assert_eq!(status, 200, "{body}");
        body["engagement_seconds"].as_u64().unwrap()
    };
    system.token = for_a(&system);
    assert_eq!(engage(&system, 7).await, 7);
    assert_eq!(
        system.read(&format!("/visits/{id}")).await["site"],
        "a.example"
    );
    system.token = unlimited;
    // Lookups always return the visit that was recorded first.
    for seconds in [5, 5, 6] {
        assert_eq!(engage(&system, seconds).await, u64::from(seconds));
    }
    let visit = system.read(&format!("/visits/{id}")).await;
    assert_eq!(
        [&visit["site"], &visit["engagement_seconds"]],
        [&json!("b.example"), &json!(6)]
    );
    let explained = system.read(&format!("/visits/{id}/explain")).await;
    assert_eq!(explained["visit"]["site"], "b.example");
}

#[sqlx::test(migrations = false)]
async fn an_import_changes_nothing_of_another_site(pool: PgPool) {
    let mut system = start(pool).await;
    two_sites(&mut system).await;
    let exported = system.get("/export/visits?format=ndjson&site=b.example");
    let line = exported.send().await.unwrap().text().await.unwrap();
    let mut line: Value = serde_json::from_str(&line).unwrap();
    line["engagement_seconds"] = json!(4_000);
    line["scroll_depth"] = json!(100);
    let import = system.post_to("/import?format=ndjson&site=b.example");
    let theirs = import.body("{\"secret\":1}\n").send().await.unwrap();
    let (_, theirs) = answer(theirs).await;
    let unlimited = system.token.clone();
    system.token = for_a(&system);

    let fresh = visit(&json!({"timestamp": "2026-11-20T11:00:00Z"}));
    let shifted = of("a.example", &json!({"timestamp": "2026-11-20T11:30:00Z"}));
    let lines = format!("{line}\n{shifted}\n{fresh}\n");
    let import = system.post_to("/import?format=ndjson").body(lines);
    let (status, import) = answer(import.send().await.unwrap()).await;
    assert_eq!(status, 200, "{import}");
    assert_eq!(
        [
            &import["recorded"],
            &import["duplicates"],
            &import["rejected"]
        ],
        [1, 0, 2]
    );
    for (place, line) in [(0, 1), (1, 2)] {
        let error = &import["errors"][place];
        assert_eq!(error["code"], "VISIT_ID_TAKEN", "{import}");
        assert_eq!(error["line"], line, "{import}");
    }

    // An import of another site is neither resumed nor shown.
    let id = theirs["id"].as_str().unwrap();
    let path = format!("/import?format=ndjson&site=a.example&id={id}");
    let found = problem(system.post_to(&path).body("{}\n")).await;
    assert_eq!(found, (409, "IMPORT_DIFFERS".into(), "id".into()));

    let path = format!("/imports/{}", import["id"].as_str().unwrap());
    let (status, removed) = answer(system.delete(&path).send().await.unwrap()).await;
    assert_eq!((status, &removed["visits"]), (200, &json!(1)));
    system.token = unlimited;
    let visit = system.read(&format!("/visits/{ID}")).await;
    assert_eq!(
        [&visit["site"], &visit["engagement_seconds"]],
        [&json!("b.example"), &Value::Null]
    );
    assert_eq!(system.read(&format!("/imports/{id}")).await, theirs);
}
