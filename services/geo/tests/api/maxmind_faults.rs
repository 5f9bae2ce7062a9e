//! What MaxMind's web service may do wrong; geo's callers notice none of it.

use chrono::TimeDelta;
use common::clock::Clock;
use serde_json::json;

use crate::maxmind::{ADDRESS, Chain};
use crate::support::maxmind::{MaxMind, Reply};
use crate::support::{answer, start_with};

pub const OTHERS: [&str; 6] = [
    "193.0.6.1",
    "193.0.6.2",
    "193.0.6.3",
    "193.0.6.4",
    "193.0.6.5",
    "193.0.6.6",
];

async fn falls_back(chain: &Chain, ip: &str, reply: Reply) {
    let (status, found) = chain.one(ip).await;
    assert_eq!(status, 200, "{reply:?}");
    assert_eq!(found["country_code"], "NL", "{reply:?}");
    assert_eq!(found["city"], json!(null), "{reply:?}");
    assert_eq!(found["sources"][0]["provider"], "embedded", "{reply:?}");
}

#[tokio::test]
async fn an_address_that_the_service_does_not_know_is_asked_for_once() {
    for reply in [
        Reply::Error(404, "IP_ADDRESS_NOT_FOUND"),
        Reply::Error(400, "IP_ADDRESS_INVALID"),
        Reply::Error(400, "IP_ADDRESS_REQUIRED"),
        Reply::Bare(404),
    ] {
        let chain = Chain::start(reply).await;
        falls_back(&chain, ADDRESS, reply).await;
        falls_back(&chain, ADDRESS, reply).await;
        assert_eq!(chain.asked(), 1, "{reply:?}");
        assert_eq!(chain.health().await["status"], "ok", "{reply:?}");
    }
}

#[tokio::test]
async fn an_address_that_the_service_calls_reserved_has_no_place() {
    let chain = Chain::start(Reply::Error(400, "IP_ADDRESS_RESERVED")).await;
    for _ in 0..2 {
        let (status, problem) = chain.one(ADDRESS).await;
        assert_eq!(
            (status, &problem["code"]),
            (400, &json!("IP_ADDRESS_RESERVED"))
        );
    }
    assert_eq!(chain.asked(), 1);
}

#[tokio::test]
async fn a_refused_account_is_left_alone_for_an_hour() {
    for reply in [
        Reply::Error(401, "AUTHORIZATION_INVALID"),
        Reply::Error(401, "LICENSE_KEY_REQUIRED"),
        Reply::Error(401, "ACCOUNT_ID_REQUIRED"),
        Reply::Html(401),
        Reply::Error(402, "INSUFFICIENT_FUNDS"),
        Reply::Error(402, "PERMISSION_REQUIRED"),
        Reply::Bare(402),
        Reply::Error(403, "PERMISSION_REQUIRED"),
    ] {
        let chain = Chain::start(reply).await;
        falls_back(&chain, ADDRESS, reply).await;
        chain.clock.advance(TimeDelta::minutes(59));
        falls_back(&chain, OTHERS[0], reply).await;
        assert_eq!(chain.asked(), 1, "{reply:?}");
        let health = chain.health().await;
        assert_eq!(health["status"], "degraded");
        let detail = health["detail"].as_str().unwrap();
        assert!(detail.contains("check "), "{detail}");
        assert!(detail.ends_with("paused until 13:00:00 UTC"), "{detail}");

        chain.clock.advance(TimeDelta::minutes(1));
        chain.maxmind.reply(Reply::Place);
        assert_eq!(chain.one(OTHERS[1]).await.1["region"], "Utrecht");
        assert_eq!(chain.health().await["status"], "ok");
    }
}

#[tokio::test]
async fn a_wrong_key_is_named() {
    let maxmind = MaxMind::start(Reply::Place).await;
    let mut arguments = maxmind.arguments();
    arguments[1] = "--maxmind-api-key=another".into();
    let geo = start_with(&[], &arguments, Clock::system()).await;
    let request = geo.get(&format!("/geolocate?ip={ADDRESS}"));
    assert_eq!(answer(request.send().await.unwrap()).await.0, 200);
    let (status, health) = answer(geo.get("/health").send().await.unwrap()).await;
    assert_eq!((status, &health["status"]), (200, &json!("degraded")));
    let detail = health["checks"]["maxmind"]["detail"].as_str().unwrap();
    assert!(detail.contains("MAXMIND_API_KEY"), "{detail}");
}

#[tokio::test]
async fn who_asks_to_wait_is_left_alone() {
    for reply in [
        Reply::Bare(429),
        Reply::Error(429, "LIMIT_EXCEEDED"),
        Reply::Bare(503),
        Reply::Html(503),
    ] {
        let chain = Chain::start(reply).await;
        falls_back(&chain, ADDRESS, reply).await;
        falls_back(&chain, ADDRESS, reply).await;
        assert_eq!(chain.asked(), 1, "{reply:?}");
        chain.clock.advance(TimeDelta::minutes(1));
        chain.maxmind.reply(Reply::Place);
        assert_eq!(chain.one(ADDRESS).await.1["region"], "Utrecht");
    }
}

#[tokio::test]
async fn what_keeps_failing_is_left_alone() {
    for reply in [
        Reply::Bare(500),
        Reply::Html(502),
        Reply::Bare(200),
        Reply::Html(200),
        Reply::Garbled,
        Reply::Html(404),
        Reply::Error(404, "SOMETHING_ELSE"),
        Reply::Bare(302),
        Reply::Cut,
    ] {
        let chain = Chain::start(reply).await;
        falls_back(&chain, ADDRESS, reply).await;
        for ip in OTHERS {
            falls_back(&chain, ip, reply).await;
        }
        assert_eq!(chain.asked(), 5, "{reply:?}");
        assert_eq!(chain.health().await["status"], "degraded", "{reply:?}");
        // A single question finds out that it lasts, and that it is over.
        chain.clock.advance(TimeDelta::minutes(1));
        for ip in OTHERS {
            falls_back(&chain, ip, reply).await;
        }
        assert_eq!(chain.asked(), 6, "{reply:?}");
        chain.clock.advance(TimeDelta::minutes(1));
        chain.maxmind.reply(Reply::Place);
        assert_eq!(chain.one(ADDRESS).await.1["region"], "Utrecht");
    }
}

#[tokio::test]
async fn nobody_there_is_as_nobody_who_knows() {
    // Bound, so that nobody else gets it, but not listening.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let host = format!("--maxmind-host=http://{}", closed.local_addr().unwrap());
    let account = ["--maxmind-account-id=42", "--maxmind-api-key=key"];
    let arguments = [account.map(str::to_owned).to_vec(), vec![host]].concat();
    let geo = start_with(&[], &arguments, Clock::system()).await;
    let request = geo.get(&format!("/geolocate?ip={ADDRESS}"));
    let (status, found) = answer(request.send().await.unwrap()).await;
    assert_eq!((status, &found["country_code"]), (200, &json!("NL")));
}
