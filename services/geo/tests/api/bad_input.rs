//! Each bad request gets its own answer.

use common::jwt::Scope;
use serde_json::json;

use crate::support::{Geo, problem, start, token};

fn owned(status: u16, code: &str, field: &str) -> (u16, String, String) {
    (status, code.into(), field.into())
}

#[tokio::test]
async fn addresses_that_have_no_place_carry_maxminds_codes() {
    let geo = start(&["GeoIP2-City-Test.mmdb"]).await;
    let cases = [
        ("/geolocate", 400, "IP_ADDRESS_REQUIRED"),
        ("/geolocate?ip=", 400, "IP_ADDRESS_REQUIRED"),
        ("/geolocate?ip=here", 400, "IP_ADDRESS_INVALID"),
        ("/geolocate?ip=127.0.0.1", 400, "IP_ADDRESS_RESERVED"),
        ("/geolocate?ip=2001:1::1", 404, "IP_ADDRESS_NOT_FOUND"),
        // The embedded database says no more of this than that it is in Europe.
        ("/geolocate?ip=2a02:26f0::1", 404, "IP_ADDRESS_NOT_FOUND"),
    ];
    for (path, status, code) in cases {
        assert_eq!(
            problem(geo.get(path)).await,
            owned(status, code, "ip"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn bodies_that_are_no_batch_are_told_apart() {
    let geo = start(&[]).await;
    let post = || geo.post("/geolocate");
    let json = |body: &str| {
        post()
            .header("content-type", "application/json")
            .body(body.to_owned())
    };
    assert_eq!(
        problem(json("{")).await,
        owned(400, "BODY_NOT_JSON", "body")
    );
    assert_eq!(problem(json("{}")).await, owned(422, "BODY_INVALID", "ips"));
    assert_eq!(
        problem(json(r#"{"ips":[1]}"#)).await,
        owned(422, "BODY_INVALID", "ips[0]")
    );
    assert_eq!(
        problem(post().body("ips")).await,
        owned(415, "BODY_NOT_JSON", "content-type")
    );
    let many = json!({"ips": vec!["1.1.1.1"; 1_001]});
    assert_eq!(
        problem(post().json(&many)).await,
        owned(422, "TOO_MANY_ADDRESSES", "ips")
    );
    let large = json(&"x".repeat(2_000_000));
    assert_eq!(problem(large).await, owned(413, "BODY_TOO_LARGE", "body"));
}

#[tokio::test]
async fn tokens_that_do_not_hold_are_told_apart() {
    let geo = start(&[]).await;
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.";
    let cases = [
        (token(&[Scope::GeoRead], -60), 401, "TOKEN_EXPIRED"),
        (token(&[Scope::VisitsRead], 60), 401, "TOKEN_AUDIENCE"),
        (token(&[Scope::GeoWrite], 60), 403, "SCOPE_MISSING"),
        (none.into(), 401, "TOKEN_ALGORITHM"),
        ("nonsense".into(), 401, "TOKEN_INVALID"),
    ];
    for (token, status, code) in cases {
        let request = geo
            .http
            .get(format!("{}/geolocate?ip=81.2.69.142", geo.base));
        let found = problem(request.bearer_auth(token)).await;
        assert_eq!(found, owned(status, code, "authorization"));
    }
}

#[tokio::test]
async fn every_documented_path_wants_a_token() {
    let geo = start(&[]).await;
    let api = geo
        .http
        .get(format!("{}/openapi.json", geo.base))
        .send()
        .await
        .unwrap();
    let api: serde_json::Value = api.json().await.unwrap();
    let paths = api["paths"].as_object().unwrap();
    assert!(!paths.is_empty());
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys() {
            let method = method.to_uppercase().parse().unwrap();
            let request = geo.http.request(method, format!("{}{path}", geo.base));
            assert_eq!(
                problem(request).await,
                owned(401, "TOKEN_REQUIRED", "authorization")
            );
        }
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let geo: Geo = start(&[]).await;
    assert_eq!(
        problem(geo.get("/nowhere")).await,
        owned(404, "NOT_FOUND", "")
    );
    let put = geo.http.put(format!("{}/geolocate", geo.base));
    assert_eq!(problem(put).await, owned(405, "METHOD_NOT_ALLOWED", ""));
}
