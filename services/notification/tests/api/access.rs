//! Only health, metrics and documentation are accessible without a suitable token.

use chrono::TimeDelta;
use common::jwt::Scope;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Service, answer, clock, count_rows};
use crate::twilio;

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn every_documented_path_wants_a_token(pool: PgPool) {
    let service = Service::start(&pool).await;
    let (_, openapi) = answer(service.http.get(format!("{}/openapi.json", service.base))).await;
    let mut asked = 0;
    for (path, methods) in openapi["paths"].as_object().unwrap() {
        // Callbacks are authenticated by signatures.
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
    assert_eq!(count_rows(&pool, "notification").await, 0);
}

/// The status of the response to a request whose body is never sent.
async fn status_before_body(service: &Service, head: &str) -> String {
    let address = service.base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("{head}\r\nHost: a\r\nContent-Length: 60000\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[9..]).into_owned()
}

/// If the service waited for the body, the response would be 408.
#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn what_can_be_refused_is_refused_before_the_body(pool: PgPool) {
    let service = Service::start(&pool).await;
    let (_, openapi) = answer(service.http.get(format!("{}/openapi.json", service.base))).await;
    for (path, methods) in openapi["paths"].as_object().unwrap() {
        // No callback is configured.
        let expected = if path.starts_with("/callbacks/") {
            "404"
        } else {
            "401"
        };
        let path = path.replace("{id}", &service.clock.new_id().to_string());
        for method in methods.as_object().unwrap().keys() {
            let head = format!(
                "{} {path} HTTP/1.1\r\nContent-Type: application/json",
                method.to_uppercase()
            );
            assert_eq!(
                status_before_body(&service, &head).await,
                expected,
                "{head}"
            );
        }
    }
    for (head, expected) in [
        ("GET /health/live HTTP/1.1", "200"),
        ("POST /health/live HTTP/1.1", "405"),
        ("POST /nowhere HTTP/1.1", "404"),
    ] {
        assert_eq!(status_before_body(&service, head).await, expected, "{head}");
    }
    let mut settings = twilio::args("http://127.0.0.1:9");
    settings.push("--public-url=https://notify.example.com".to_owned());
    let service = Service::with(&pool, &clock(), &settings).await;
    let head = "POST /callbacks/twilio HTTP/1.1";
    assert_eq!(status_before_body(&service, head).await, "403");
    let packed = format!("{head}\r\nX-Twilio-Signature: x\r\nContent-Encoding: gzip");
    assert_eq!(status_before_body(&service, &packed).await, "415");
    let url = format!("{}/callbacks/twilio", service.base);
    let long = service.http.post(url).header("x-twilio-signature", "x");
    assert_eq!(answer(long.body("a".repeat(65_537))).await.0, 413);
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
    assert_eq!(count_rows(&pool, "notification").await, 0);
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
