//! Segments.

use common::jwt::Scope;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{TestSystem, answer, problem, token};
use crate::workload::{Random, send, with_zones};

pub async fn with_visits(pool: PgPool, seed: u64, count: usize) -> TestSystem {
    let mut system = with_zones(pool).await;
    send(&[&system], &Random(seed).visits(count)).await;
    let all = [Scope::Admin, Scope::VisitsRead, Scope::VisitsWrite];
    system.token = token(&system.clock, &all, 86_400);
    system
}

pub async fn add(system: &TestSystem, path: &str, body: &Value) -> Value {
    let sent = system.post_to(path).json(body).send().await.unwrap();
    let (status, body) = answer(sent).await;
    assert_eq!(status, 201, "{body}");
    body
}

fn patch(system: &TestSystem, id: &str, body: &Value) -> reqwest::RequestBuilder {
    let request = system.http.patch(format!("{}/segments/{id}", system.base));
    request.bearer_auth(&system.token).json(body)
}

#[sqlx::test(migrations = false)]
async fn a_segment_is_its_filters(pool: PgPool) {
    let system = with_visits(pool, 37, 200).await;
    let filters = json!({"country": ["GB", ""], "page": ["!/3", "!/4"]});
    let added = add(
        &system,
        "/segments",
        &json!({"name": " British ", "filters": filters}),
    )
    .await;
    assert_eq!(
        (&added["name"], &added["filters"]),
        (&json!("British"), &filters)
    );
    let id = added["id"].as_str().unwrap();
    let written = "country=GB&country=&page=!/3&page=!/4";
    let days = "site=berlin.example&from=2026-10-20&to=2026-11-20";
    for path in [
        "/analytics/summary?",
        "/analytics/breakdown?by=page&",
        "/analytics/timeseries?interval=week&",
        "/analytics/journeys?",
        "/analytics/retention?interval=month&",
    ] {
        let plainly = system.read(&format!("{path}{days}&{written}")).await;
        for named in ["British", id] {
            let segment = system.read(&format!("{path}{days}&segment={named}")).await;
            assert_eq!(without_time(&segment), without_time(&plainly), "{path}");
        }
        // Other filters apply in addition, even those of the same dimension.
        let narrower = system
            .read(&format!("{path}{days}&segment=British&page=/1&page=/3"))
            .await;
        let plainly = system
            .read(&format!("{path}{days}&country=GB&country=&page=/1"))
            .await;
        assert_eq!(without_time(&narrower), without_time(&plainly), "{path}");
    }
    for list in ["/visits", "/sessions"] {
        let plainly = system.read(&format!("{list}?{written}")).await;
        let segment = system.read(&format!("{list}?segment={id}")).await;
        assert_eq!(segment["data"], plainly["data"], "{list}");
        assert!(!plainly["data"].as_array().unwrap().is_empty());
    }
    let file = async |which: &str| {
        let answer = system.get(&format!("/export/visits?format=ndjson&{which}"));
        answer.send().await.unwrap().text().await.unwrap()
    };
    let of_segment = file(&format!("segment={id}")).await;
    assert_eq!(of_segment, file(written).await);
    assert!(!of_segment.is_empty());
}

/// Removes the time of the request, and cursors, which are bound to their request.
fn without_time(body: &Value) -> Value {
    let mut body = body.clone();
    let fields = body.as_object_mut().unwrap();
    fields.retain(|name, _| name != "as_of" && name != "next_cursor");
    body
}

#[sqlx::test(migrations = false)]
async fn segments_are_kept_changed_and_removed(pool: PgPool) {
    let mut system = with_visits(pool, 41, 1).await;
    let phones = json!({"name": "Phones", "filters": {"device_type": ["smartphone"]}});
    let phones = add(&system, "/segments", &phones).await;
    let other = json!({"name": "Other", "filters": {"page": ["/a*"]}});
    let other = add(&system, "/segments", &other).await;
    let id = phones["id"].as_str().unwrap();
    let changed = answer(
        patch(&system, id, &json!({"name": "Small"}))
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!((changed.0, &changed.1["name"]), (200, &json!("Small")));
    assert_eq!(changed.1["filters"], phones["filters"]);
    let filters = json!({"filters": {"device_type": ["tablet"]}});
    let changed = answer(patch(&system, id, &filters).send().await.unwrap()).await;
    assert_eq!(changed.1["filters"], filters["filters"]);
    let list = system.read("/segments").await;
    let names: Vec<&Value> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["name"])
        .collect();
    assert_eq!(names, ["Other", "Small"]);

    let taken = (409, "NAME_TAKEN".to_owned(), "name".to_owned());
    assert_eq!(
        problem(patch(&system, id, &json!({"name": "Other"}))).await,
        taken
    );
    let again = json!({"name": "Other", "filters": {"page": ["/"]}});
    assert_eq!(
        problem(system.post_to("/segments").json(&again)).await,
        taken
    );
    for (body, field) in [
        (json!({"name": "", "filters": {"page": ["/"]}}), "name"),
        (json!({"name": "a\nb", "filters": {"page": ["/"]}}), "name"),
        (
            json!({"name": "x".repeat(101), "filters": {"page": ["/"]}}),
            "name",
        ),
        (json!({"name": "a", "filters": {}}), "filters"),
        (json!({"name": "a", "filters": {"page": []}}), "filters"),
        (
            json!({"name": "a", "filters": {"colour": ["red"]}}),
            "filters",
        ),
        (
            json!({"name": "a", "filters": {"page": ["/a", "!/a"]}}),
            "filters",
        ),
        (
            json!({"name": "a", "filters": {"page": ["\u{0}"]}}),
            "filters",
        ),
        (
            json!({"name": "a", "filters": {"page": vec!["/"; 101]}}),
            "filters",
        ),
    ] {
        let (status, _, named) = problem(system.post_to("/segments").json(&body)).await;
        assert_eq!((status, named.as_str()), (422, field), "{body}");
    }

    let path = format!("/segments/{id}");
    assert_eq!(system.delete(&path).send().await.unwrap().status(), 204);
    assert_eq!(problem(system.delete(&path)).await.0, 404);
    assert_eq!(problem(patch(&system, id, &json!({}))).await.0, 404);
    let gone = problem(system.get("/analytics/summary?site=utc.example&segment=Small")).await;
    assert_eq!((gone.0, gone.2.as_str()), (400, "segment"));
    // A read scope does not permit changes.
    system.token = token(&system.clock, &[Scope::VisitsRead], 86_400);
    let path = format!("/segments/{}", other["id"].as_str().unwrap());
    assert_eq!(problem(system.delete(&path)).await.0, 403);
    assert_eq!(
        system.read("/segments").await["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}
