//! Making, reading, changing and removing service areas.

use common::jwt::Scope;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Geo, answer, database, eventually, problem, start_on, token};

/// A replica on a migrated database.
pub async fn replica(pool: &PgPool) -> Geo {
    let migrated = chassis::database::migrate(pool, geo::SERVICE_NAME, geo::migrator()).await;
    migrated.unwrap();
    let geo = start_on(pool, &[database("GeoIP2-City-Test.mmdb")]).await;
    eventually("the areas are read", async || {
        let check = ask(&geo, Method::GET, "/service-areas/check?country_code=FR");
        check.send().await.unwrap().status() == 200
    })
    .await;
    geo
}

pub fn ask(geo: &Geo, method: Method, path: &str) -> RequestBuilder {
    let request = geo.http.request(method, format!("{}{path}", geo.base));
    request.bearer_auth(token(&[Scope::GeoRead, Scope::GeoWrite], 60))
}

/// Makes an area and returns it.
pub async fn make(geo: &Geo, area: &Value) -> Value {
    let request = ask(geo, Method::POST, "/service-areas").json(area);
    let (status, body) = answer(request.send().await.unwrap()).await;
    assert_eq!(status, 201, "{body}");
    body
}

pub async fn read(geo: &Geo, path: &str) -> Value {
    let (status, body) = answer(ask(geo, Method::GET, path).send().await.unwrap()).await;
    assert_eq!(status, 200, "{body}");
    body
}

pub fn london() -> Value {
    json!({
        "name": "London", "enabled": true, "geometry": {"type": "Polygon", "coordinates":
            [[[-0.5, 51.3], [0.3, 51.3], [0.3, 51.7], [-0.5, 51.7], [-0.5, 51.3]]]},
        "center": {"latitude": 51.5, "longitude": -0.1}, "radius_km": 25.5,
        "postal_codes": ["GB:SE10", "94107"], "regions": ["US-TX"], "countries": ["FR"]
    })
}

#[sqlx::test(migrations = false)]
async fn an_area_is_kept_as_it_was_sent(pool: PgPool) {
    let geo = replica(&pool).await;
    let request = ask(&geo, Method::POST, "/service-areas").json(&london());
    let response = request.send().await.unwrap();
    let place = response.headers()["location"].to_str().unwrap().to_owned();
    let (status, made) = answer(response).await;
    assert_eq!(status, 201);
    let mut expected = london();
    for field in ["id", "created_at", "updated_at"] {
        expected[field] = made[field].clone();
        assert!(made[field].is_string());
    }
    assert_eq!(made, expected);
    assert_eq!(
        place,
        format!("/service-areas/{}", made["id"].as_str().unwrap())
    );
    assert_eq!(read(&geo, &place).await, made);

    // Only what is said is left; spaces and members that nobody knows are not.
    let bare = json!({"name": " All of France ", "countries": ["FR"], "geometry": null});
    let request = ask(&geo, Method::PUT, &place).json(&bare);
    let (status, changed) = answer(request.send().await.unwrap()).await;
    assert_eq!((status, &changed["name"]), (200, &json!("All of France")));
    assert_eq!(changed["created_at"], made["created_at"]);
    assert_ne!(changed["updated_at"], made["updated_at"]);
    assert_eq!(changed["geometry"], Value::Null);
    assert_eq!(read(&geo, &place).await, changed);

    let gone = ask(&geo, Method::DELETE, &place).send().await.unwrap();
    assert_eq!(gone.status(), 204);
    for method in [Method::GET, Method::DELETE] {
        let (status, code, _) = problem(ask(&geo, method, &place)).await;
        assert_eq!((status, code.as_str()), (404, "NOT_FOUND"));
    }
    let (status, ..) = problem(ask(&geo, Method::PUT, &place).json(&bare)).await;
    assert_eq!(status, 404);
}

#[sqlx::test(migrations = false)]
async fn the_list_has_pages_the_newest_first(pool: PgPool) {
    let geo = replica(&pool).await;
    for n in 0..5 {
        make(
            &geo,
            &json!({"name": format!("area {n}"), "countries": ["FR"]}),
        )
        .await;
    }
    let (mut names, mut path) = (vec![], "/service-areas?limit=2".to_owned());
    loop {
        let page = read(&geo, &path).await;
        let areas = page["data"].as_array().unwrap();
        names.extend(
            areas
                .iter()
                .map(|area| area["name"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/service-areas?limit=2&cursor={cursor}");
    }
    assert_eq!(names, ["area 4", "area 3", "area 2", "area 1", "area 0"]);
    let (status, code, field) = problem(ask(&geo, Method::GET, "/service-areas?limit=0")).await;
    assert_eq!(
        (status, code.as_str(), field.as_str()),
        (400, "QUERY_INVALID", "limit")
    );
}

#[sqlx::test(migrations = false)]
async fn what_is_no_area_is_refused_with_its_field(pool: PgPool) {
    let geo = replica(&pool).await;
    let bow_tie = json!([[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]);
    let cases = [
        (json!({"countries": ["FR"]}), "BODY_INVALID", "name"),
        (json!({"name": "a"}), "CRITERION_REQUIRED", "body"),
        (
            json!({"name": "a", "radius_km": "1"}),
            "BODY_INVALID",
            "radius_km",
        ),
        (
            json!({"name": "a", "countries": ["UK"]}),
            "COUNTRY_UNKNOWN",
            "countries[0]",
        ),
        (
            json!({"name": "a", "geometry": {"type": "Polygon", "coordinates": bow_tie}}),
            "EDGES_CROSS",
            "geometry.coordinates",
        ),
        (
            json!({"name": "a", "geometry": {"type": "Polygon", "coordinates": [[[0]]]}}),
            "RING_TOO_SHORT",
            "geometry.coordinates[0]",
        ),
        (
            json!({"name": "a", "geometry": {"type": "Feature", "geometry": null}}),
            "BODY_INVALID",
            "geometry.type",
        ),
    ];
    for (body, code, field) in cases {
        let request = ask(&geo, Method::POST, "/service-areas").json(&body);
        assert_eq!(
            problem(request).await,
            (422, code.into(), field.into()),
            "{body}"
        );
    }
    let strange = json!({"name": "odd", "geometry": {"type": "Polygon", "note": "\u{0}",
        "coordinates": [[[0.0, 0.5, 12.0], [1.0, 0.0, 12.0], [1.0, 1.0, 12.0], [0.0, 0.5, 12.0]]]}});
    let made = make(&geo, &strange).await;
    assert_eq!(
        made["geometry"]["coordinates"],
        strange["geometry"]["coordinates"]
    );
    assert_eq!(made["geometry"].as_object().unwrap().len(), 2);
}

#[sqlx::test(migrations = false)]
async fn reading_and_changing_take_different_scopes(pool: PgPool) {
    let geo = replica(&pool).await;
    let made = make(&geo, &london()).await;
    let one = format!("/service-areas/{}", made["id"].as_str().unwrap());
    let cases = [
        (Method::GET, "/service-areas", Scope::GeoWrite),
        (Method::GET, &one, Scope::GeoWrite),
        (
            Method::GET,
            "/service-areas/check?ip=81.2.69.142",
            Scope::GeoWrite,
        ),
        (Method::POST, "/service-areas", Scope::GeoRead),
        (Method::PUT, &one, Scope::GeoRead),
        (Method::DELETE, &one, Scope::GeoRead),
    ];
    for (method, path, scope) in cases {
        let request = geo
            .http
            .request(method.clone(), format!("{}{path}", geo.base));
        let (status, code, _) = problem(request.bearer_auth(token(&[scope], 60))).await;
        assert_eq!(
            (status, code.as_str()),
            (403, "SCOPE_MISSING"),
            "{method} {path}"
        );
    }
    let patch = ask(&geo, Method::PATCH, &one);
    assert_eq!(problem(patch).await.0, 405);
}

#[sqlx::test(migrations = false)]
async fn there_is_a_most_of_everything(pool: PgPool) {
    let geo = replica(&pool).await;
    let fill = "insert into geo.service_area (id, name, enabled, postal_codes, regions, countries,
            vertices, version, created_at, updated_at)
        select gen_random_uuid(), 'area', false, $1, '{}', '{FR}', $2, 0, now(), now()
        from generate_series(1, $3)";
    let cases = [
        (
            0,
            1_000,
            200,
            json!({"postal_codes": ["1"]}),
            "TOO_MANY_POSTAL_CODES_IN_ALL",
        ),
        (10_000, 0, 50, london(), "TOO_MANY_VERTICES_IN_ALL"),
        (0, 0, 10_000, london(), "TOO_MANY_SERVICE_AREAS"),
    ];
    for (vertices, codes, areas, mut area, code) in cases {
        sqlx::query("truncate geo.service_area")
            .execute(&pool)
            .await
            .unwrap();
        let codes: Vec<String> = (0..codes).map(|n: i32| n.to_string()).collect();
        let filled = sqlx::query(fill).bind(codes).bind(vertices).bind(areas);
        filled.execute(&pool).await.unwrap();
        area["name"] = json!("one more");
        let (status, found, _) =
            problem(ask(&geo, Method::POST, "/service-areas").json(&area)).await;
        assert_eq!((status, found.as_str()), (422, code));
    }
    // It was not kept.
    let count = sqlx::query_scalar("select count(*) from geo.service_area where name <> 'area'");
    let count: i64 = count.fetch_one(&pool).await.unwrap();
    assert_eq!(count, 0);
}
