//! Push messages to mobile apps with Firebase Cloud Messaging.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sqlx::PgPool;

use super::assert_outcomes;
use crate::fake_provider::{FakeProvider, Reply};
use crate::support::{Service, clock, first_attempt};

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn an_app_is_told_with_a_token_that_is_asked_for_once(pool: PgPool) {
    let played =
        FakeProvider::start(Reply::json(200, &json!({"name": "projects/p/messages/1"}))).await;
    let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der = pair.as_der().unwrap();
    let key = STANDARD.encode(der.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n");
    let account = json!({"type": "service_account", "project_id": "p", "private_key": pem,
        "client_email": "s@p.iam.gserviceaccount.com", "token_uri": format!("{}/token", played.base)});
    let args = [
        format!("--fcm-credentials={account}"),
        format!("--fcm-base-url={}", played.base),
    ];
    let service = Service::with(&pool, &clock(), &args).await;
    played.push_reply(Reply::json(400, &json!({"error": "invalid_grant"})));
    assert_eq!(
        first_attempt(&service, "fcm:app-token").await["outcome"],
        "config"
    );
    let token = Reply::json(
        200,
        &json!({"access_token": "ya29", "expires_in": 3599, "token_type": "Bearer"}),
    );
    played.push_reply(token.clone());
    assert_eq!(
        first_attempt(&service, "fcm:app-token").await["outcome"],
        "sent"
    );
    let calls = &played.calls()[1..];
    assert_eq!(calls[0].path, "/token");
    let form = String::from_utf8(calls[0].body.to_vec()).unwrap();
    assert!(
        form.starts_with(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=ey"
        ),
        "{form}"
    );
    assert_eq!(calls[1].path, "/v1/projects/p/messages:send");
    assert_eq!(calls[1].header("authorization"), "Bearer ya29");
    let message = calls[1].json();
    assert_eq!(message["message"]["token"], "app-token");
    assert_eq!(message["message"]["notification"]["body"], "hello");
    let refused = |status: u16, state: &str, code: Option<&str>| {
        let details: Vec<_> = code.iter().map(|code| json!({"errorCode": code})).collect();
        Reply::json(
            status,
            &json!({"error": {"code": status, "status": state, "details": details}}),
        )
    };
    let answers = vec![
        (refused(404, "NOT_FOUND", Some("UNREGISTERED")), "gone"),
        (refused(400, "INVALID_ARGUMENT", None), "permanent"),
        (
            refused(403, "PERMISSION_DENIED", Some("SENDER_ID_MISMATCH")),
            "permanent",
        ),
        (
            refused(429, "RESOURCE_EXHAUSTED", Some("QUOTA_EXCEEDED")),
            "transient",
        ),
        (refused(503, "UNAVAILABLE", None), "transient"),
        (refused(500, "INTERNAL", None), "unknown"),
        (refused(401, "UNAUTHENTICATED", None), "config"),
    ];
    assert_outcomes(&service, &played, "fcm:app-token", answers).await;
    // A refused access token is not used again.
    played.push_reply(token);
    assert_eq!(
        first_attempt(&service, "fcm:app-token").await["outcome"],
        "sent"
    );
    assert_eq!(
        played
            .calls()
            .iter()
            .filter(|call| call.path == "/token")
            .count(),
        3
    );
}
