//! Verdicts, by what is known of a place.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::service_areas::{ask, make, read, replica};
use crate::support::problem;

fn circle(name: &str, latitude: f64, longitude: f64, radius_km: f64) -> Value {
    json!({"name": name, "center": {"latitude": latitude, "longitude": longitude},
        "radius_km": radius_km})
}

fn names(areas: &Value) -> Vec<&str> {
    let areas = areas.as_array().unwrap();
    areas
        .iter()
        .map(|area| area["name"].as_str().unwrap())
        .collect()
}

#[sqlx::test(migrations = false)]
async fn an_address_is_located_and_judged_with_its_radius(pool: PgPool) {
    let geo = replica(&pool).await;
    // The test database says 51.5142, -0.0931 within 10 km.
    let verdict = async || read(&geo, "/service-areas/check?ip=81.2.69.142").await;
    let none = verdict().await;
    assert_eq!(none["verdict"], "outside");
    assert_eq!(
        (&none["areas"], &none["nearest"]),
        (&json!([]), &Value::Null)
    );
    assert_eq!(none["location"]["city"], "London");

    make(&geo, &circle("Paris", 48.86, 2.35, 30.0)).await;
    let outside = verdict().await;
    assert_eq!(outside["verdict"], "outside");
    assert_eq!(outside["nearest"]["name"], "Paris");
    let distance = outside["nearest"]["distance_km"].as_f64().unwrap();
    assert!((distance - 313.0).abs() < 5.0, "{distance}");

    make(&geo, &circle("Inner London", 51.5142, -0.0931, 5.0)).await;
    let uncertain = verdict().await;
    assert_eq!(uncertain["verdict"], "uncertain");
    assert_eq!(names(&uncertain["areas"]), ["Inner London"]);
    assert_eq!(uncertain["nearest"]["distance_km"], 0.0);

    let made = make(&geo, &circle("London", 51.5142, -0.0931, 12.0)).await;
    let inside = verdict().await;
    assert_eq!(inside["verdict"], "inside");
    assert_eq!(
        inside["areas"],
        json!([{"id": made["id"], "name": "London"}])
    );
    assert_eq!(inside["location"]["city"], "London");
}

#[sqlx::test(migrations = false)]
async fn coordinates_and_names_are_judged_too(pool: PgPool) {
    let geo = replica(&pool).await;
    make(&geo, &circle("Fiji", -17.0, 180.0, 300.0)).await;
    make(
        &geo,
        &json!({"name": "Mission Bay", "postal_codes": ["US:94158", "94107"]}),
    )
    .await;
    make(&geo, &json!({"name": "Texas", "regions": ["us-tx"]})).await;
    let cases = [
        ("latitude=-17&longitude=-178", "inside", vec!["Fiji"]),
        (
            "latitude=-17&longitude=-170&country_code=WS&postal_code=1",
            "outside",
            vec![],
        ),
        // Somewhere in Britain, where 94107 might be, for all that is known.
        (
            "latitude=51.5&longitude=-0.1",
            "uncertain",
            vec!["Mission Bay"],
        ),
        (
            "country_code=US&postal_code=94107",
            "inside",
            vec!["Mission Bay"],
        ),
        (
            "country_code=us&postal_code=94158-1000",
            "inside",
            vec!["Mission Bay"],
        ),
        ("country_code=FR&postal_code=94158", "outside", vec![]),
        ("country_code=US&region_code=TX", "inside", vec!["Texas"]),
        ("country_code=US", "uncertain", vec!["Mission Bay", "Texas"]),
        ("country_code=FJ&postal_code=1", "uncertain", vec!["Fiji"]),
        ("postal_code=94107", "inside", vec!["Mission Bay"]),
    ];
    for (question, verdict, areas) in cases {
        let found = read(&geo, &format!("/service-areas/check?{question}")).await;
        assert_eq!(found["verdict"], verdict, "{question}");
        assert_eq!(names(&found["areas"]), areas, "{question}");
        assert_eq!(found["location"], Value::Null);
    }
}

#[sqlx::test(migrations = false)]
async fn an_area_that_is_switched_off_is_not_asked(pool: PgPool) {
    let geo = replica(&pool).await;
    let mut area = circle("London", 51.5142, -0.0931, 12.0);
    let made = make(&geo, &area).await;
    area["enabled"] = json!(false);
    let path = format!("/service-areas/{}", made["id"].as_str().unwrap());
    let changed = ask(&geo, Method::PUT, &path)
        .json(&area)
        .send()
        .await
        .unwrap();
    assert_eq!(changed.status(), 200);
    let found = read(&geo, "/service-areas/check?ip=81.2.69.142").await;
    assert_eq!(
        (&found["verdict"], &found["nearest"]),
        (&json!("outside"), &Value::Null)
    );
}

#[sqlx::test(migrations = false)]
async fn questions_that_name_no_place_are_told_apart(pool: PgPool) {
    let geo = replica(&pool).await;
    let cases = [
        ("", "PLACE_REQUIRED", "ip"),
        ("ip=81.2.69.142&country_code=GB", "PLACE_AMBIGUOUS", "ip"),
        ("ip=10.0.0.1", "IP_ADDRESS_RESERVED", "ip"),
        ("ip=", "IP_ADDRESS_REQUIRED", "ip"),
        ("ip=here", "IP_ADDRESS_INVALID", "ip"),
        ("latitude=1", "LONGITUDE_REQUIRED", "longitude"),
        ("longitude=1", "LATITUDE_REQUIRED", "latitude"),
        (
            "latitude=NaN&longitude=1",
            "LATITUDE_OUT_OF_RANGE",
            "latitude",
        ),
        (
            "latitude=1&longitude=1e9",
            "LONGITUDE_OUT_OF_RANGE",
            "longitude",
        ),
        ("latitude=north&longitude=1", "QUERY_INVALID", "latitude"),
        ("country_code=UK", "COUNTRY_UNKNOWN", "country_code"),
        ("region_code=TX", "REGION_INVALID", "region_code"),
        (
            "country_code=US&region_code=Texas",
            "REGION_INVALID",
            "region_code",
        ),
        ("postal_code=?", "POSTAL_CODE_INVALID", "postal_code"),
        ("adress=81.2.69.142", "QUERY_INVALID", "adress"),
    ];
    for (question, code, field) in cases {
        let path = format!("/service-areas/check?{question}");
        let found = problem(ask(&geo, Method::GET, &path)).await;
        assert_eq!(found, (400, code.into(), field.into()), "{question}");
    }
}
