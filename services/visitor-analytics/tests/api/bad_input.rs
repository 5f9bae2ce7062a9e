//! Invalid requests are refused with distinct problems and store nothing.

use common::jwt::Scope;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{problem, start, token, visit};

fn expect(status: u16, code: &str, field: &str) -> (u16, String, String) {
    (status, code.into(), field.into())
}

#[sqlx::test(migrations = false)]
async fn a_visit_that_cannot_be_accepted_names_its_field(pool: PgPool) {
    let system = start(pool).await;
    let v4 = "7b0a2c4e-1f6d-4c3b-9a58-0e1d2c3b4a59";
    let large = "x".repeat(9_000);
    let headers: serde_json::Map<String, Value> =
        (0..65).map(|n| (n.to_string(), json!("x"))).collect();
    let cases = [
        (json!({"url": "/pricing"}), "URL_INVALID", "url"),
        (json!({"url": "http://"}), "URL_INVALID", "url"),
        (json!({"url": "ftp://a.example/"}), "URL_INVALID", "url"),
        (json!({"url": "mailto:a@b.example"}), "URL_INVALID", "url"),
        (
            json!({"url": format!("https://a.example/{large}")}),
            "URL_INVALID",
            "url",
        ),
        (json!({"url": null}), "BODY_INVALID", "url"),
        (json!({"ip": "300.1.1.1"}), "IP_INVALID", "ip"),
        (json!({"ip": ""}), "IP_INVALID", "ip"),
        (json!({"user_agent": 7}), "BODY_INVALID", "user_agent"),
        (json!({"site": "a b"}), "SITE_INVALID", "site"),
        (json!({"site": ""}), "SITE_INVALID", "site"),
        (json!({"id": "7"}), "BODY_INVALID", "id"),
        (json!({"id": v4}), "TIMESTAMP_REQUIRED", "timestamp"),
        (
            json!({"timestamp": "2026-11-20T12:05:01Z"}),
            "TIMESTAMP_IN_FUTURE",
            "timestamp",
        ),
        (
            json!({"timestamp": "9999-01-01T00:00:00Z"}),
            "TIMESTAMP_IN_FUTURE",
            "timestamp",
        ),
        (
            json!({"timestamp": "1989-01-01T00:00:00Z"}),
            "TIMESTAMP_TOO_OLD",
            "timestamp",
        ),
        (json!({"timestamp": "20 Nov"}), "BODY_INVALID", "timestamp"),
        (json!({"method": "GET /"}), "METHOD_INVALID", "method"),
        (
            json!({"status_code": 99}),
            "STATUS_CODE_INVALID",
            "status_code",
        ),
        (
            json!({"status_code": 70_000}),
            "BODY_INVALID",
            "status_code",
        ),
        (
            json!({"response_time_ms": -1}),
            "BODY_INVALID",
            "response_time_ms",
        ),
        (
            json!({"headers": {"accept": 1}}),
            "BODY_INVALID",
            "headers.accept",
        ),
        (
            json!({"headers": {"accept": large}}),
            "HEADERS_INVALID",
            "headers",
        ),
        (json!({"headers": headers}), "HEADERS_INVALID", "headers"),
        (json!({"visitor_id": ""}), "ID_INVALID", "visitor_id"),
        (json!({"user_id": "a\u{0}b"}), "ID_INVALID", "user_id"),
        (
            json!({"properties": {"x": "\u{0}"}}),
            "PROPERTIES_INVALID",
            "properties",
        ),
        (
            json!({"properties": {"x": large}}),
            "PROPERTIES_INVALID",
            "properties",
        ),
        (json!({"properties": []}), "BODY_INVALID", "properties"),
    ];
    for (change, code, field) in cases {
        let found = problem(system.post(&visit(&change))).await;
        assert_eq!(found, expect(422, code, field), "{change}");
    }
    for missing in ["url", "ip", "user_agent"] {
        let mut body = visit(&json!({}));
        body.as_object_mut().unwrap().remove(missing);
        let response = system.post(&body).send().await.unwrap();
        assert_eq!(response.status(), 422);
        let text = response.text().await.unwrap();
        assert!(
            text.contains(&format!("missing field `{missing}`")),
            "{text}"
        );
    }
    assert_eq!(
        system.count("visit").await + system.count("session").await,
        0
    );
}

#[sqlx::test(migrations = false)]
async fn a_body_that_is_no_visit_is_refused(pool: PgPool) {
    let system = start(pool).await;
    let send = |body: String| {
        let post = system.post_to("/visits");
        post.header("content-type", "application/json").body(body)
    };
    let not_json = expect(400, "BODY_NOT_JSON", "body");
    for body in ["", "visit", "{\"url\":", "[{]", "[] []"] {
        assert_eq!(problem(send(body.into())).await, not_json, "{body:?}");
    }
    let found = problem(send("7".into())).await;
    assert_eq!(found, expect(422, "BODY_INVALID", "body"));
    let fields = "[[null,null,null,\"https://a.example/\",\"81.2.69.142\",\"x\"]]";
    let (_, answers) = crate::support::answer(send(fields.into()).send().await.unwrap()).await;
    assert_eq!(answers["results"][0]["error"]["code"], "BODY_INVALID");
    let many = json!(vec![visit(&json!({})); 1_001]);
    let found = problem(system.post(&many)).await;
    assert_eq!(found, expect(422, "TOO_MANY_VISITS", "body"));
    let large = format!("[\"{}\"]", "x".repeat(2_000_000));
    let found = problem(send(large)).await;
    assert_eq!(found, expect(413, "BODY_TOO_LARGE", "body"));
    let coded = send("{}".into()).header("content-encoding", "br");
    let expected = expect(415, "CODING_UNKNOWN", "content-encoding");
    assert_eq!(problem(coded).await, expected);
    let form = system.post_to("/visits").form(&[("url", "x")]);
    assert_eq!(
        problem(form).await,
        expect(415, "BODY_NOT_JSON", "content-type")
    );
    assert_eq!(system.count("visit").await, 0);
}

#[sqlx::test(migrations = false)]
async fn a_token_that_does_not_hold_stores_nothing(pool: PgPool) {
    let system = start(pool).await;
    let clock = &system.clock;
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.";
    let cases = [
        (
            token(clock, &[Scope::VisitsWrite], -60),
            401,
            "TOKEN_EXPIRED",
        ),
        (
            token(clock, &[Scope::NotifySend], 60),
            401,
            "TOKEN_AUDIENCE",
        ),
        (token(clock, &[Scope::VisitsRead], 60), 403, "SCOPE_MISSING"),
        (none.into(), 401, "TOKEN_ALGORITHM"),
        ("nonsense".into(), 401, "TOKEN_INVALID"),
    ];
    for (token, status, code) in cases {
        let post = system.http.post(format!("{}/visits", system.base));
        let found = problem(post.bearer_auth(token).json(&visit(&json!({})))).await;
        assert_eq!(found, expect(status, code, "authorization"));
    }
    assert_eq!(system.count("visit").await, 0);
}

#[sqlx::test(migrations = false)]
async fn every_documented_path_wants_a_token(pool: PgPool) {
    let system = start(pool).await;
    let api = system.read("/openapi.json").await;
    let paths = api["paths"].as_object().unwrap();
    assert!(paths.contains_key("/visits") && paths.contains_key("/visits/{id}"));
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys() {
            let method = method.to_uppercase().parse().unwrap();
            let request = system
                .http
                .request(method, format!("{}{path}", system.base));
            let found = problem(request).await;
            assert_eq!(
                found,
                expect(401, "TOKEN_REQUIRED", "authorization"),
                "{path}"
            );
        }
    }
}
