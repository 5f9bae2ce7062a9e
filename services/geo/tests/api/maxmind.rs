//! MaxMind's web service in the chain: when it is asked, and what becomes of its answers.

use chrono::TimeDelta;
use common::clock::Clock;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::maxmind::{MaxMind, Reply};
use crate::support::{Geo, answer, eventually, start_with};

/// RIPE's, in Amsterdam; the embedded database knows its country.
pub const ADDRESS: &str = "193.0.6.139";

/// Geo with MaxMind's web service behind it.
pub struct Chain {
    pub geo: Geo,
    pub maxmind: MaxMind,
    pub clock: Clock,
}

impl Chain {
    pub async fn start(reply: Reply) -> Self {
        Self::start_with(reply, &[], &[]).await
    }

    pub async fn start_with(reply: Reply, databases: &[&str], more: &[String]) -> Self {
        let maxmind = MaxMind::start(reply).await;
        let clock = Clock::manual("2026-11-20T12:00:00Z".parse().unwrap());
        let arguments = [maxmind.arguments(), more.to_vec()].concat();
        let geo = start_with(databases, &arguments, clock.clone()).await;
        Self {
            geo,
            maxmind,
            clock,
        }
    }

    /// Status and body for one address.
    pub async fn one(&self, ip: &str) -> (u16, Value) {
        let request = self.geo.get(&format!("/geolocate?ip={ip}"));
        answer(request.send().await.unwrap()).await
    }

    /// Locations of a batch.
    async fn many(&self, ips: &[String]) -> Vec<Value> {
        let request = self.geo.post("/geolocate").json(&json!({"ips": ips}));
        let (status, mut body) = answer(request.send().await.unwrap()).await;
        assert_eq!(status, 200);
        let results = body["results"].as_array_mut().unwrap().iter_mut();
        results.map(|result| result["location"].take()).collect()
    }

    pub async fn health(&self) -> Value {
        let response = self.geo.get("/health").send().await.unwrap();
        let (status, mut body) = answer(response).await;
        assert_eq!(status, 200);
        body["checks"]["maxmind"].take()
    }

    pub fn asked(&self) -> usize {
        self.maxmind.asked().len()
    }
}

fn neighbours(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("193.0.6.{n}")).collect()
}

fn is_embedded(location: &Value) -> bool {
    location["country_code"] == "NL" && location["sources"][0]["provider"] == "embedded"
}

#[tokio::test]
async fn the_web_service_fills_every_field() {
    let chain = Chain::start(Reply::Place).await;
    let (status, found) = chain.one(ADDRESS).await;
    assert_eq!(status, 200);
    assert_eq!(
        found,
        json!({
            "ip": ADDRESS, "network": "193.0.6.0/25",
            "continent_code": "EU", "country_code": "NL", "country": "The Netherlands",
            "is_in_european_union": true, "region_code": "UT", "region": "Utrecht",
            "city": "Utrecht \"city\"", "postal_code": "3511", "latitude": 52.09,
            "longitude": 5.1083, "accuracy_radius_km": 20, "time_zone": "Europe/Amsterdam",
            "local_time": "2026-11-20T13:00:00+01:00", "distance_km": null,
            "asn": 3333, "as_organization": "An organization", "is_anonymous": false,
            "is_hosting_provider": true, "isp": "An ISP", "organization": null, "domain": null,
            "connection_type": null, "user_type": null, "is_anonymous_vpn": false,
            "is_public_proxy": false, "is_residential_proxy": false, "is_tor_exit_node": false,
            "anonymizer_confidence": null, "anonymizer_provider": null,
            "anonymizer_last_seen": null,
            "sources": [{"provider": "maxmind", "database": "city", "build_date": null}]
        })
    );
    let health = chain.health().await;
    assert_eq!(health["status"], "ok");
    assert_eq!(health["detail"], "127.0.0.1, 1 of 1000 lookups used today");
}

#[tokio::test]
async fn an_answer_is_remembered_for_a_day() {
    let chain = Chain::start(Reply::Place).await;
    let (_, mut first) = chain.one(ADDRESS).await;
    chain.clock.advance(TimeDelta::hours(23));
    let (_, second) = chain.one("::ffff:193.0.6.139").await;
    first["local_time"] = json!("2026-11-21T12:00:00+01:00");
    assert_eq!(first, second);
    assert_eq!(chain.asked(), 1);
    chain.clock.advance(TimeDelta::hours(1));
    chain.one(ADDRESS).await;
    assert_eq!(chain.asked(), 2);
}

#[tokio::test]
async fn ipv6_is_asked_for_as_it_is() {
    let chain = Chain::start(Reply::Place).await;
    let (status, found) = chain.one("2001:67c:2e8:22::c100:68b").await;
    assert_eq!((status, &found["region"]), (200, &json!("Utrecht")));
    assert_eq!(chain.maxmind.asked(), ["2001:67c:2e8:22::c100:68b"]);
}

#[tokio::test]
async fn a_city_from_a_local_database_is_enough() {
    let chain = Chain::start_with(Reply::Place, &["GeoIP2-City-Test.mmdb"], &[]).await;
    let (_, london) = chain.one("81.2.69.142").await;
    assert_eq!(london["city"], "London");
    assert_eq!(chain.asked(), 0);
}

#[tokio::test]
async fn what_local_databases_know_is_kept() {
    let chain = Chain::start_with(Reply::Place, &["GeoLite2-ASN-Test.mmdb"], &[]).await;
    let (_, found) = chain.one("89.160.20.128").await;
    assert_eq!(found["asn"], 29518);
    assert_eq!(found["region"], "Utrecht");
    let sources = found["sources"].as_array().unwrap().iter();
    let names: Vec<_> = sources.map(|source| &source["database"]).collect();
    assert_eq!(names, ["GeoLite2-ASN", "city"]);
}

#[tokio::test]
async fn addresses_without_a_place_are_not_asked_for() {
    let chain = Chain::start(Reply::Place).await;
    for ip in ["", "here", "10.0.0.1", "::1", "224.0.0.1"] {
        assert_eq!(chain.one(ip).await.0, 400, "{ip}");
    }
    assert_eq!(chain.asked(), 0);
}

#[tokio::test]
async fn the_same_question_is_asked_once() {
    let chain = Chain::start(Reply::Held).await;
    let questions = join_all((0..20).map(|_| chain.one(ADDRESS)));
    let release = async {
        eventually("a question", async || chain.asked() > 0).await;
        chain.maxmind.release();
    };
    let (answers, ()) = tokio::join!(questions, release);
    assert!(answers.iter().all(|(status, _)| *status == 200));
    assert_eq!(chain.asked(), 1);
}

#[tokio::test]
async fn a_single_question_does_not_wait_for_ever() {
    let chain = Chain::start(Reply::Held).await;
    let (status, found) = chain.one(ADDRESS).await;
    assert_eq!(status, 200);
    assert!(is_embedded(&found), "{found}");
}

#[tokio::test]
async fn a_batch_is_answered_without_what_is_late_and_the_answers_are_kept() {
    let chain = Chain::start(Reply::Held).await;
    let ips = neighbours(20);
    let locations = chain.many(&ips).await;
    assert!(locations.iter().all(is_embedded));
    // The batch did not wait until the first of them was given up.
    assert_eq!(chain.maxmind.under_way(), chain.asked());
    eventually("a full line", async || chain.maxmind.most_at_once() == 8).await;
    chain.maxmind.release();
    eventually("every answer", async || {
        // Past the pause that follows where this machine was too slow to release in time.
        chain.clock.advance(TimeDelta::minutes(1));
        let locations = chain.many(&ips).await;
        locations.iter().all(|found| found["region"] == "Utrecht")
    })
    .await;
    assert_eq!(chain.maxmind.most_at_once(), 8);
}

#[tokio::test]
async fn a_days_budget_is_kept() {
    let budget = "--maxmind-daily-lookups=2".to_owned();
    let chain = Chain::start_with(Reply::Place, &[], &[budget]).await;
    for ip in neighbours(4) {
        assert_eq!(chain.one(&ip).await.0, 200);
    }
    assert_eq!(chain.asked(), 2);
    let health = chain.health().await;
    assert_eq!(health["status"], "degraded");
    let detail = health["detail"].as_str().unwrap();
    assert!(detail.contains("2 of 2 lookups used today"), "{detail}");
    let (_, known) = chain.one("193.0.6.0").await;
    assert_eq!(known["region"], "Utrecht");
    let (_, other) = chain.one("193.0.6.3").await;
    assert!(is_embedded(&other));
    chain.clock.advance(TimeDelta::hours(12));
    chain.one("193.0.6.3").await;
    assert_eq!(chain.asked(), 3);
}

#[tokio::test]
async fn a_batch_keeps_the_budget_too() {
    let budget = "--maxmind-daily-lookups=3".to_owned();
    let chain = Chain::start_with(Reply::Place, &[], &[budget]).await;
    let ips = neighbours(20);
    eventually("three answers", async || {
        let locations = chain.many(&ips).await;
        let known = locations.iter().filter(|found| !is_embedded(found));
        known.count() == 3
    })
    .await;
    assert_eq!(chain.asked(), 3);
}

#[tokio::test]
async fn what_waits_in_line_is_not_asked_when_the_account_is_refused() {
    let chain = Chain::start(Reply::Error(401, "AUTHORIZATION_INVALID")).await;
    let ips = neighbours(50);
    eventually("an answer to all", async || {
        let locations = chain.many(&ips).await;
        assert!(locations.iter().all(is_embedded));
        chain.maxmind.under_way() == 0 && chain.asked() > 0
    })
    .await;
    assert!(chain.asked() <= 8, "{}", chain.asked());
}

#[tokio::test]
async fn outcomes_are_counted() {
    let chain = Chain::start(Reply::Place).await;
    chain.one(ADDRESS).await;
    chain.one(ADDRESS).await;
    chain.maxmind.reply(Reply::Bare(500));
    chain.one("193.0.6.1").await;
    let response = chain.geo.get("/metrics").send().await.unwrap();
    let metrics = response.text().await.unwrap();
    for (provider, outcome) in [
        ("maxmind", "found"),
        ("maxmind", "cached"),
        ("maxmind", "failed"),
        ("embedded", "found"),
    ] {
        let line = format!("geo_lookups_total{{provider=\"{provider}\",outcome=\"{outcome}\"}}");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
}
