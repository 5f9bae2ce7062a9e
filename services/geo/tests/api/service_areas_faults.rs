//! Replicas, a database that is away, and none at all.

use common::clock::Clock;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::service_areas::{ask, london, make, read, replica};
use crate::support::{answer, eventually, problem, start, start_with};

const CHECK: &str = "/service-areas/check?latitude=51.5&longitude=-0.1&country_code=GB";

#[sqlx::test(migrations = false)]
async fn every_replica_follows_and_the_one_that_was_asked_knows_at_once(pool: PgPool) {
    let (here, there) = (replica(&pool).await, replica(&pool).await);
    let made = make(&here, &london()).await;
    assert_eq!(read(&here, CHECK).await["verdict"], "inside");
    let follows = async |verdict: &str| {
        eventually("the other replica follows", async || {
            let (status, body) =
                answer(ask(&there, Method::GET, CHECK).send().await.unwrap()).await;
            status == 200 && body["verdict"] == verdict
        })
        .await;
    };
    follows("inside").await;
    let path = format!("/service-areas/{}", made["id"].as_str().unwrap());
    let elsewhere = json!({"name": "Paris", "countries": ["FR"]});
    let changed = ask(&there, Method::PUT, &path)
        .json(&elsewhere)
        .send()
        .await
        .unwrap();
    assert_eq!(changed.status(), 200);
    assert_eq!(read(&there, CHECK).await["verdict"], "outside");
    make(&there, &london()).await;
    assert_eq!(read(&there, CHECK).await["verdict"], "inside");
    let gone = ask(&here, Method::DELETE, &path).send().await.unwrap();
    assert_eq!(gone.status(), 204);
    assert_eq!(read(&here, CHECK).await["verdict"], "inside");
}

#[sqlx::test(migrations = false)]
async fn changes_at_the_same_time_all_arrive(pool: PgPool) {
    let (here, there) = (replica(&pool).await, replica(&pool).await);
    let area = |n: usize| json!({"name": format!("area {n}"), "countries": ["FR"]});
    let makes = (0..40).map(async |n| {
        make(if n % 2 == 0 { &here } else { &there }, &area(n)).await;
    });
    futures::future::join_all(makes).await;
    for geo in [&here, &there] {
        eventually("both know all", async || {
            let found = read(geo, "/service-areas/check?country_code=FR").await;
            found["areas"].as_array().unwrap().len() == 40
        })
        .await;
    }
}

#[sqlx::test(migrations = false)]
async fn while_the_database_is_away_the_last_areas_answer(pool: PgPool) {
    let geo = replica(&pool).await;
    let made = make(&geo, &london()).await;
    pool.close().await;
    assert_eq!(read(&geo, CHECK).await["verdict"], "inside");
    let one = format!("/service-areas/{}", made["id"].as_str().unwrap());
    let requests = [
        ask(&geo, Method::GET, "/service-areas"),
        ask(&geo, Method::GET, &one),
        ask(&geo, Method::POST, "/service-areas").json(&london()),
        ask(&geo, Method::PUT, &one).json(&london()),
        ask(&geo, Method::DELETE, &one),
    ];
    for request in requests {
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["retry-after"], "1");
        let (status, body) = answer(response).await;
        assert_eq!(
            (status, &body["code"]),
            (503, &json!("SERVICE_AREAS_UNAVAILABLE"))
        );
    }
    let (status, health) = health(&geo).await;
    assert_eq!((status, &health["status"]), (200, &json!("degraded")));
    assert_eq!(health["checks"]["service-areas"]["status"], "degraded");
    assert_eq!(
        read(&geo, "/geolocate?ip=81.2.69.142").await["city"],
        "London"
    );
}

#[sqlx::test(migrations = false)]
async fn a_database_without_the_schema_is_told_and_waited_for(pool: PgPool) {
    let geo = crate::support::start_on(&pool, &[]).await;
    let check = || ask(&geo, Method::GET, CHECK);
    let (status, code, _) = problem(check()).await;
    assert_eq!((status, code.as_str()), (503, "SERVICE_AREAS_UNAVAILABLE"));
    let (status, body) = health(&geo).await;
    let detail = body["checks"]["service-areas"]["detail"].as_str().unwrap();
    assert!(status == 200 && detail.contains("`migrate`"), "{detail}");
    let migrated = chassis::database::migrate(&pool, geo::SERVICE_NAME, geo::migrator()).await;
    migrated.unwrap();
    eventually("the areas are read", async || {
        check().send().await.unwrap().status() == 200
    })
    .await;
}

#[tokio::test]
async fn without_a_database_geo_locates_and_says_that_areas_are_off() {
    let geo = start(&["GeoIP2-City-Test.mmdb"]).await;
    let id = "/service-areas/019ab3a0-6c00-7000-8000-000000000001";
    let requests = [
        ask(&geo, Method::GET, CHECK),
        ask(&geo, Method::GET, "/service-areas"),
        ask(&geo, Method::GET, id),
        ask(&geo, Method::POST, "/service-areas").json(&london()),
        ask(&geo, Method::PUT, id).json(&london()),
        ask(&geo, Method::DELETE, id),
    ];
    for request in requests {
        let (status, code, _) = problem(request).await;
        assert_eq!((status, code.as_str()), (503, "SERVICE_AREAS_UNAVAILABLE"));
    }
    let (status, health) = health(&geo).await;
    assert_eq!(
        (status, &health["checks"]["service-areas"]["status"]),
        (200, &json!("ok"))
    );
    assert_eq!(
        read(&geo, "/geolocate?ip=81.2.69.142").await["city"],
        "London"
    );
}

async fn health(geo: &crate::support::Geo) -> (u16, Value) {
    let response = geo.http.get(format!("{}/health", geo.base)).send().await;
    answer(response.unwrap()).await
}

#[tokio::test]
async fn without_its_database_geo_is_degraded_and_serves() {
    // Nobody listens there; a connection is refused.
    let unreachable = ["--database-url=postgres://nobody@127.0.0.1:1/none".to_owned()];
    let geo = start_with(&["GeoIP2-City-Test.mmdb"], &unreachable, Clock::system()).await;
    let health = geo.http.get(format!("{}/health", geo.base)).send().await;
    let health = health.unwrap();
    assert_eq!(health.status(), 200);
    let body: serde_json::Value = health.json().await.unwrap();
    assert_eq!(body["status"], "degraded", "{body}");
    let found = geo.get("/geolocate?ip=81.2.69.142").send().await.unwrap();
    assert_eq!(found.status(), 200);
}
