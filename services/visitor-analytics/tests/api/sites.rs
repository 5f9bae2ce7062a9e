//! Sites and their settings.

use chrono::TimeDelta;
use common::jwt::Scope;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{TestSystem, answer, noon, problem, start, token, visit};

async fn admin(pool: PgPool) -> TestSystem {
    let mut system = start(pool).await;
    system.token = token(&system.clock, &[Scope::Admin], 86_400);
    system
}

impl TestSystem {
    pub fn patch(&self, domain: &str, body: &Value) -> reqwest::RequestBuilder {
        let request = self.http.patch(format!("{}/sites/{domain}", self.base));
        request.bearer_auth(&self.token).json(body)
    }
}

#[sqlx::test(migrations = false)]
async fn sites_are_added_changed_and_listed(pool: PgPool) {
    let system = admin(pool).await;
    let sent = json!({"domain": "Shop.Example", "time_zone": "Europe/Berlin",
                      "aliases": ["www.shop.example"]});
    let (status, body) = answer(system.post_to("/sites").json(&sent).send().await.unwrap()).await;
    assert_eq!(status, 201, "{body}");
    assert_eq!(body["domain"], "shop.example");
    assert_eq!(body["aliases"], json!(["www.shop.example"]));
    let again = system.post_to("/sites").json(&sent);
    assert_eq!(
        problem(again).await,
        (409, "SITE_EXISTS".into(), "domain".into())
    );
    // A domain belongs to one site.
    let alias = system
        .post_to("/sites")
        .json(&json!({"domain": "www.shop.example"}));
    assert_eq!(problem(alias).await.2, "domain");
    for alias in ["shop.example", "www.shop.example"] {
        let other = json!({"domain": "blog.example", "aliases": [alias]});
        let (status, _, field) = problem(system.post_to("/sites").json(&other)).await;
        assert_eq!((status, field.as_str()), (409, "aliases"), "{alias}");
    }
    // Visits for an alias are recorded for the site.
    let recorded = system
        .record(&visit(&json!({"site": "www.shop.example"})))
        .await;
    let path = format!("/visits/{}", recorded["id"].as_str().unwrap());
    assert_eq!(system.read(&path).await["site"], "shop.example");
    system.record(&visit(&json!({"site": "a.example"}))).await;

    let page = system.read("/sites?limit=1").await;
    assert_eq!(page["data"][0]["domain"], "a.example");
    assert_eq!(page["data"][0]["time_zone"], "UTC");
    let cursor = page["next_cursor"].as_str().unwrap();
    let page = system
        .read(&format!("/sites?limit=1&cursor={cursor}"))
        .await;
    assert_eq!(page["data"][0]["domain"], "shop.example");
    assert_eq!(page["next_cursor"], Value::Null);

    let (status, body) = answer(
        system
            .patch("shop.example", &json!({"aliases": []}))
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!((status, &body["aliases"]), (200, &json!([])));
    assert_eq!(body["time_zone"], "Europe/Berlin");
}

/// Reports use the new days immediately, folded or not.
#[sqlx::test(migrations = false)]
async fn another_time_zone_makes_other_days(pool: PgPool) {
    let system = admin(pool).await;
    let timestamp = "2026-11-18T23:30:00Z";
    system
        .record(&visit(&json!({"timestamp": timestamp})))
        .await;
    let day = async |date: &str| {
        let path = format!("/analytics/summary?from={date}&to={date}");
        system.read(&path).await["visits"].clone()
    };
    assert_eq!([day("2026-11-18").await, day("2026-11-19").await], [1, 0]);
    let zone = json!({"time_zone": "Europe/Berlin"});
    let done = system.patch("shop.example", &zone).send().await.unwrap();
    assert_eq!(done.status(), 200);
    assert_eq!([day("2026-11-18").await, day("2026-11-19").await], [0, 1]);
    assert!(
        noon() - TimeDelta::days(2) < timestamp.parse::<chrono::DateTime<chrono::Utc>>().unwrap()
    );
}

#[sqlx::test(migrations = false)]
async fn bad_settings_are_named(pool: PgPool) {
    let mut system = admin(pool).await;
    let many: Vec<String> = (0..101).map(|n| format!("s{n}.example")).collect();
    for (body, field) in [
        (json!({"domain": "?"}), "domain"),
        (
            json!({"domain": "a.example", "time_zone": "Mars/Olympus"}),
            "time_zone",
        ),
        (json!({"domain": "a.example", "aliases": ["?"]}), "aliases"),
        (
            json!({"domain": "a.example", "aliases": ["a.example"]}),
            "aliases",
        ),
        (json!({"domain": "a.example", "aliases": many}), "aliases"),
    ] {
        let (status, _, named) = problem(system.post_to("/sites").json(&body)).await;
        assert_eq!((status, named.as_str()), (422, field), "{body}");
    }
    let missing = system.patch("no.example", &json!({}));
    assert_eq!(problem(missing).await.0, 404);
    assert_eq!(problem(system.get("/sites?cursor=%2B")).await.2, "cursor");
    system.token = token(
        &system.clock,
        &[Scope::VisitsWrite, Scope::VisitsRead],
        86_400,
    );
    let body = json!({"domain": "a.example"});
    assert_eq!(problem(system.post_to("/sites").json(&body)).await.0, 403);
}
