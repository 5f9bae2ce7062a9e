//! Nothing but health, metrics and documentation answers without the right token.

use chrono::TimeDelta;
use common::jwt::Scope;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Service, answer, rows};

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn every_documented_path_wants_a_token(pool: PgPool) {
    let service = Service::start(&pool).await;
    let (_, openapi) = answer(service.http.get(format!("{}/openapi.json", service.base))).await;
    let mut asked = 0;
    for (path, methods) in openapi["paths"].as_object().unwrap() {
        // These carry signatures.
        if path.starts_with("/callbacks/") {
            continue;
        }
        let url = service.base.clone() + &path.replace("{id}", &service.clock.new_id().to_string());
        for method in methods.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let request = service.http.request(method.clone(), &url);
            let (status, problem) = answer(request.json(&json!({"event": "e"}))).await;
            assert_eq!(status, 401, "{method} {path}");
            assert_eq!(problem["code"], "TOKEN_REQUIRED");
            assert_eq!(problem["field"], "authorization");
            asked += 1;
        }
    }
    assert_eq!(asked, 30);
    assert_eq!(rows(&pool, "notification").await, 0);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_token_must_be_in_time_for_this_service_and_for_this_scope(pool: PgPool) {
    let service = Service::start(&pool).await;
    let expired = service.token(&[Scope::NotifySend]);
    service.clock.advance(TimeDelta::seconds(70));
    let elsewhere = service.token(&[Scope::VisitsWrite]);
    let reader = service.token(&[Scope::NotifyRead]);
    // {"alg":"none"} . {"sub":"x"} .
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.";
    let cases = [
        (expired.as_str(), 401, "TOKEN_EXPIRED"),
        (&elsewhere, 401, "TOKEN_AUDIENCE"),
        (&reader, 403, "SCOPE_MISSING"),
        (unsigned, 401, "TOKEN_ALGORITHM"),
        ("nonsense", 401, "TOKEN_INVALID"),
    ];
    for (token, expected, code) in cases {
        let body = Some(json!({"event": "e", "message": "m"}));
        let (status, problem) = service
            .call(Method::POST, "/notify", token, body, &[])
            .await;
        assert_eq!(
            (status, problem["code"].as_str()),
            (expected, Some(code)),
            "{problem}"
        );
    }
    assert_eq!(rows(&pool, "notification").await, 0);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn each_scope_opens_its_own_paths_only(pool: PgPool) {
    let service = Service::start(&pool).await;
    let id = service.clock.new_id();
    let retry = format!("/notifications/{id}/retry");
    let get = format!("/notifications/{id}");
    let paths = [
        (Method::POST, "/notify", Scope::NotifySend),
        (Method::GET, "/notifications", Scope::NotifyRead),
        (Method::GET, &get, Scope::NotifyRead),
        (Method::GET, "/dead-letters", Scope::NotifyRead),
        (Method::POST, &retry, Scope::NotifyWrite),
    ];
    for scope in [
        Scope::NotifySend,
        Scope::NotifyRead,
        Scope::NotifyWrite,
        Scope::Admin,
    ] {
        let token = service.token(&[scope]);
        for (method, path, needed) in &paths {
            let body: Option<Value> = Some(json!({"event": "e"}));
            let (status, _) = service.call(method.clone(), path, &token, body, &[]).await;
            let opened = scope == *needed || scope == Scope::Admin;
            assert_eq!(status != 403, opened, "{scope} {path}: {status}");
        }
    }
}
