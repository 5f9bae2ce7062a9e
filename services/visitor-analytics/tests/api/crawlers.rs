//! Verification of crawlers by DNS.

use bot_detection::{BotRule, crawler_domains};
use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;
use visitor_analytics::clients::dns::{DnsVerification, DnsVerifier};
use visitor_analytics::store::Store;

use crate::name_server::{NameServer, TTL};
use crate::support::{TestSystem, noon, start, start_with, until, visit};
use crate::workload::fold_all;

const GOOGLE: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";

#[tokio::test]
async fn what_the_dns_says_is_evidence_and_what_it_does_not_say_is_none() {
    let server = NameServer::start().await;
    let dns = DnsVerifier::new(Some(server.address)).unwrap();
    let said = |is_crawler, ttl_seconds| {
        Some(DnsVerification {
            is_crawler,
            ttl_seconds,
        })
    };
    for (ip, what, confirmed) in [
        ("66.249.66.1", "confirmed", said(true, Some(TTL))),
        ("::ffff:66.249.66.1", "mapped", said(true, Some(TTL))),
        (
            "2001:4860:4801::1",
            "the second name",
            said(true, Some(TTL)),
        ),
        ("192.0.2.1", "NXDOMAIN", said(false, None)),
        ("192.0.2.2", "somebody else's name", said(false, Some(TTL))),
        (
            "192.0.2.3",
            "a name that leads elsewhere",
            said(false, Some(TTL)),
        ),
        (
            "192.0.2.4",
            "a name that does not exist",
            said(false, Some(TTL)),
        ),
        ("192.0.2.5", "SERVFAIL", None),
        ("192.0.2.6", "no answer", None),
        ("192.0.2.7", "a name that is refused", None),
        (
            "192.0.2.8",
            "truncated, then over TCP",
            said(true, Some(TTL)),
        ),
        ("192.0.2.9", "truncated, then nothing", None),
        ("192.0.2.10", "no names", said(false, None)),
    ] {
        let found = dns.verify(ip.parse().unwrap(), crawler_domains("Googlebot").unwrap());
        assert_eq!(found.await, confirmed, "{what}");
    }
    // Names outside the crawler's domains are not resolved.
    let asked = server.asked();
    assert!(!asked.iter().any(|name| name.contains("evil")), "{asked:?}");
}

#[tokio::test]
async fn a_name_server_that_is_not_there_says_nothing() {
    let address = "127.0.0.1:1".parse().unwrap();
    let dns = DnsVerifier::new(Some(address)).unwrap();
    let found = dns.verify(
        "192.0.2.1".parse().unwrap(),
        crawler_domains("bingbot").unwrap(),
    );
    assert_eq!(found.await, None);
}

async fn start_with_dns(pool: PgPool, more: &[&str]) -> (TestSystem, NameServer) {
    let server = NameServer::start().await;
    let address = format!("--crawler-dns-server={}", server.address);
    let settings = [&["--crawler-dns=on", &address], more].concat();
    (start_with(pool, &settings).await, server)
}

async fn record_from(system: &TestSystem, ip: &str, user_agent: &str) -> Value {
    let sent = json!({"ip": ip, "user_agent": user_agent});
    system.record(&visit(&sent)).await
}

/// The last rule that fired, and the name of the bot.
async fn last_rule_and_name(system: &TestSystem, recorded: &Value) -> (Value, Value) {
    let id = recorded["id"].as_str().unwrap();
    let story = system.read(&format!("/visits/{id}/explain")).await;
    let rules = story["verdict"]["rules"].as_array().unwrap();
    let last = rules.last().unwrap()["code"].clone();
    (last, story["verdict"]["name"].clone())
}

#[sqlx::test(migrations = false)]
async fn the_first_visit_is_corrected_and_the_next_is_known(pool: PgPool) {
    let (system, server) = start_with_dns(pool, &[]).await;
    for (ip, proof, name) in [
        ("66.249.66.1", "verified_crawler", json!("Googlebot")),
        ("192.0.2.3", "spoofed_crawler", Value::Null),
    ] {
        let first = record_from(&system, ip, GOOGLE).await;
        assert_eq!(first["bot_reasons"], json!(["known_crawler", "bot_word"]));
        until("a corrected verdict", async || {
            let judged = last_rule_and_name(&system, &first).await;
            (judged == (json!(proof), name.clone())).then_some(())
        })
        .await;
        let asked = server.asked().len();
        let next = record_from(&system, ip, GOOGLE).await;
        assert_eq!(next["bot_reasons"].as_array().unwrap()[2], proof);
        assert_eq!(
            last_rule_and_name(&system, &next).await,
            (json!(proof), name)
        );
        assert_eq!(server.asked().len(), asked);
    }
    let filtered = system
        .read("/analytics/bots?site=shop.example&to=2026-11-20T12:00:01Z")
        .await;
    // Spoofed crawlers are not counted under the crawler's name.
    let names = json!([{"value": null, "visits": 2}, {"value": "Googlebot", "visits": 2}]);
    assert_eq!(
        (&filtered["bot_visits"], &filtered["by_name"]),
        (&json!(4), &names)
    );
    // Answers are cached for their TTL.
    system.clock.advance(TimeDelta::seconds(i64::from(TTL) + 1));
    let late = record_from(&system, "192.0.2.3", GOOGLE).await;
    assert_eq!(late["bot_reasons"], json!(["known_crawler", "bot_word"]));
    until("a corrected verdict", async || {
        let (rule, _) = last_rule_and_name(&system, &late).await;
        (rule == "spoofed_crawler").then_some(())
    })
    .await;
}

#[sqlx::test(migrations = false)]
async fn a_failure_of_the_dns_changes_nothing_and_is_asked_again_later(pool: PgPool) {
    let (system, server) = start_with_dns(pool, &[]).await;
    let times = || {
        let asked = server.asked();
        asked
            .iter()
            .filter(|name| name.starts_with("5.2.0.192"))
            .count()
    };
    let first = record_from(&system, "192.0.2.5", GOOGLE).await;
    until("questions", async || (times() >= 1).then_some(())).await;
    system.clock.advance(TimeDelta::seconds(61));
    let before = until("the end of the questions", async || {
        // Another address is queued behind the first.
        let other = record_from(&system, "192.0.2.1", GOOGLE).await;
        let (rule, _) = last_rule_and_name(&system, &other).await;
        (rule == "spoofed_crawler").then(&times)
    })
    .await;
    record_from(&system, "192.0.2.5", GOOGLE).await;
    until("questions again", async || (times() > before).then_some(())).await;
    let (rule, name) = last_rule_and_name(&system, &first).await;
    assert_eq!((rule, name), (json!("bot_word"), json!("Googlebot")));
}

#[sqlx::test(migrations = false)]
async fn only_who_names_a_crawler_with_known_hosts_is_looked_up(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ranges.json");
    let published = r#"{"prefixes": [{"ipv4Prefix": "157.55.39.0/24"}]}"#;
    std::fs::write(&file, published).unwrap();
    let ranges = format!("--crawler-ranges=bingbot={}", file.display());
    let (system, server) = start_with_dns(pool, &[&ranges]).await;
    let bing = "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)";
    for (user_agent, reason) in [
        (bing, "spoofed_crawler"),
        ("AcmeBot/1.0", "bot_word"),
        ("curl/8.5.0", "http_tool"),
    ] {
        let recorded = record_from(&system, "192.0.2.3", user_agent).await;
        let reasons = recorded["bot_reasons"].as_array().unwrap();
        assert_eq!(reasons.last().unwrap(), reason, "{user_agent}");
    }
    record_from(&system, "81.2.69.142", crate::support::FIREFOX).await;
    let last = record_from(&system, "192.0.2.1", GOOGLE).await;
    until("a corrected verdict", async || {
        let (rule, _) = last_rule_and_name(&system, &last).await;
        (rule == "spoofed_crawler").then_some(())
    })
    .await;
    assert_eq!(server.asked(), ["1.2.0.192.in-addr.arpa."]);
}

#[sqlx::test(migrations = false)]
async fn a_correction_reaches_days_that_were_folded(pool: PgPool) {
    let mut system = start(pool).await;
    let moment = noon() - TimeDelta::hours(1);
    let sent = json!({"user_agent": GOOGLE, "timestamp": moment});
    let recorded = system.record(&visit(&sent)).await;
    let id = recorded["id"].as_str().unwrap().parse().unwrap();
    let names = async |system: &TestSystem| {
        let day = "from=2026-11-20T00:00:00Z&to=2026-11-21T00:00:00Z";
        let path = format!("/analytics/bots?site=shop.example&{day}");
        system.read(&path).await["by_name"].clone()
    };
    fold_all(&mut [&mut system], TimeDelta::days(2)).await;
    let named = json!([{"value": "Googlebot", "visits": 1}]);
    assert_eq!(names(&system).await, named);
    let store = Store::new(system.pool.clone());
    let nameless = json!([{"value": null, "visits": 1}]);
    // A later verification does not change the verdict again.
    for proof in [BotRule::SpoofedCrawler, BotRule::VerifiedCrawler] {
        let proved =
            store
                .verdicts
                .add_crawler_verification((id, moment), proof, system.clock.now());
        proved.await.unwrap();
        assert_eq!(names(&system).await, nameless);
    }
    fold_all(&mut [&mut system], TimeDelta::days(1)).await;
    assert_eq!(names(&system).await, nameless);
}
