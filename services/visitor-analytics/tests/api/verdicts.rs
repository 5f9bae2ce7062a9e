//! Verdicts, when a visit is recorded and later.

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{TestSystem, answer, noon, start, start_with, until, visit};

fn page(n: i64, moment: i64, status: u16) -> Value {
    let url = format!("https://shop.example/{n}");
    let at = noon() - TimeDelta::minutes(2) + TimeDelta::milliseconds(moment);
    visit(&json!({"url": url, "timestamp": at, "status_code": status}))
}

fn missing_page(n: i64) -> Value {
    page(n, n * 1_900 + (n * 7_919) % 1_800, 404)
}

async fn explained(system: &TestSystem, recorded: &Value) -> Value {
    let id = recorded["id"].as_str().unwrap();
    system.read(&format!("/visits/{id}/explain")).await
}

#[sqlx::test(migrations = false)]
async fn a_session_that_goes_like_a_machine_becomes_a_bots_as_a_whole(pool: PgPool) {
    let system = start_with(pool, &["--notify-when", "second_signal"]).await;
    let first = system.record(&page(0, 0, 200)).await;
    assert_eq!(first["is_bot"], false);
    for n in 1..16 {
        system.record(&page(n, n * 5_000, 200)).await;
    }
    until("a session that is found out", async || {
        let people = system.read("/visits").await;
        people["data"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
    let story = explained(&system, &first).await;
    assert_eq!(story["verdict"]["is_bot"], true);
    assert_eq!(story["verdict"]["rules"][0]["code"], "machine_rhythm");
    assert_eq!(story["verdict"]["rules"][0]["weight"], 60);
    assert_eq!(story["session"]["is_bot"], true);
    assert_eq!(story["session"]["visits"], 16);
    assert_eq!(system.count("session where is_bot").await, 1);
    // Later visits of the session are bots' visits immediately.
    let next = system.record(&page(99, 100_000, 200)).await;
    assert_eq!(next["is_bot"], true);
    assert_eq!(next["bot_reasons"], json!(["session_of_bot"]));
    assert_eq!(system.count("unfolded_day").await, 1);
}

#[sqlx::test(migrations = false)]
async fn many_pages_that_are_not_there_give_a_visitor_away(pool: PgPool) {
    let system = start(pool).await;
    let first = system.record(&missing_page(0)).await;
    for n in 1..16 {
        system.record(&missing_page(n)).await;
    }
    until("a session that is found out", async || {
        (system.count("visit where is_bot").await == 16).then_some(())
    })
    .await;
    let story = explained(&system, &first).await;
    assert_eq!(story["verdict"]["rules"][0]["code"], "many_misses");
}

/// Visits that are stored while their session is being judged must become bots' visits, too.
#[sqlx::test(migrations = false)]
async fn visits_that_arrive_while_their_session_is_judged_become_a_bots_too(pool: PgPool) {
    let system = start(pool).await;
    let pages: Vec<Value> = (0..60).map(missing_page).collect();
    for some in pages.chunks(4) {
        futures::future::join_all(some.iter().map(|page| system.record(page))).await;
    }
    until("a session of which every visit is found out", async || {
        (system.count("visit where is_bot").await == 60).then_some(())
    })
    .await;
}

#[sqlx::test(migrations = false)]
async fn one_visitor_on_many_sites_at_once_is_a_bot(pool: PgPool) {
    let system = start(pool).await;
    for n in 0..6 {
        let url = format!("https://site-{n}.example/");
        system.record(&visit(&json!({"url": url}))).await;
    }
    until("a visitor who is found out", async || {
        (system.count("visit where is_bot").await >= 1).then_some(())
    })
    .await;
}

#[sqlx::test(migrations = false)]
async fn a_second_signal_is_waited_for_and_a_session_is_told_of_once(pool: PgPool) {
    let system = start_with(pool, &["--notify-when", "second_signal"]).await;
    let first = system.record(&visit(&json!({}))).await;
    let story = explained(&system, &first).await;
    assert_eq!(story["notification"]["status"], "not_told");
    assert_eq!(story["notification"]["reason"], "no_second_signal");
    assert_eq!(system.count("outbox").await, 0);
    for n in 0..3 {
        let url = format!("https://shop.example/{n}");
        system.record(&visit(&json!({"url": url}))).await;
    }
    until("the announcement", async || {
        (system.notification.sent_notifications().len() == 1).then_some(())
    })
    .await;
    system.wait_for_empty_outbox().await;
    assert_eq!(system.notification.sent_notifications().len(), 1);
    let story = explained(&system, &first).await;
    assert_eq!(story["notification"]["status"], "told");
}

/// Reports engagement, as the page script does.
async fn engage(system: &TestSystem, recorded: &Value, seconds: u32) {
    let path = format!("/visits/{}/engagement", recorded["id"].as_str().unwrap());
    let report = json!({"engagement_seconds": seconds, "scroll_depth": 10});
    let (status, body) = answer(system.post_to(&path).json(&report).send().await.unwrap()).await;
    assert_eq!(status, 200, "{body}");
}

#[sqlx::test(migrations = false)]
async fn a_pages_script_is_a_second_signal(pool: PgPool) {
    let system = start_with(pool, &["--notify-when", "second_signal"]).await;
    let first = system.record(&visit(&json!({}))).await;
    let old = noon() - TimeDelta::hours(1);
    let late = system
        .record(&visit(&json!({"timestamp": old, "ip": "81.2.69.7"})))
        .await;
    let bot = json!({"user_agent": "curl/8.5.0", "ip": "81.2.69.8"});
    let bot = system.record(&visit(&bot)).await;
    engage(&system, &first, 0).await;
    for recorded in [&late, &bot] {
        engage(&system, recorded, 5).await;
    }
    assert_eq!(system.count("outbox").await, 0);
    for seconds in [5, 20] {
        engage(&system, &first, seconds).await;
    }
    system.record(&visit(&json!({}))).await;
    until("the announcement", async || {
        (system.notification.sent_notifications().len() == 1).then_some(())
    })
    .await;
    system.wait_for_empty_outbox().await;
    engage(&system, &first, 40).await;
    assert_eq!(system.count("outbox").await, 0);
    assert_eq!(system.notification.sent_notifications().len(), 1);
    let story = explained(&system, &first).await;
    assert_eq!(story["notification"]["status"], "told");
    assert_eq!(story["verdict"]["rules"], json!([]));
}

#[sqlx::test(migrations = false)]
async fn who_was_doubted_is_told_of_when_a_browser_confirms_it(pool: PgPool) {
    let system = start(pool).await;
    let odd = json!({"headers": {"accept": "text/html"}});
    let recorded = system.record(&visit(&odd)).await;
    assert_eq!(recorded["is_bot"], true);
    engage(&system, &recorded, 3).await;
    let story = explained(&system, &recorded).await;
    assert_eq!(story["verdict"]["is_bot"], false);
    assert_eq!(story["verdict"]["score"], 30);
    assert_eq!(story["verdict"]["rules"][1]["code"], "browser_confirmed");
    assert_eq!(story["verdict"]["rules"][1]["weight"], -20);
    assert_eq!(story["session"]["is_bot"], false);
    until("the announcement", async || {
        (system.notification.sent_notifications().len() == 1).then_some(())
    })
    .await;
}

#[sqlx::test(migrations = false)]
async fn crawlers_are_verified_by_their_addresses(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("googlebot.json");
    let published = r#"{"creationTime": "2026-11-01T00:00:00", "prefixes": [
        {"ipv6Prefix": "2001:4860:4801::/48"}, {"ipv4Prefix": "66.249.64.0/27"}]}"#;
    std::fs::write(&file, published).unwrap();
    let setting = format!("--crawler-ranges=Googlebot={}", file.display());
    let system = start_with(pool, &[&setting]).await;
    let google = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
    for (ip, proof, name) in [
        ("66.249.64.9", "verified_crawler", json!("Googlebot")),
        ("81.2.69.142", "spoofed_crawler", Value::Null),
    ] {
        let recorded = system
            .record(&visit(&json!({"ip": ip, "user_agent": google})))
            .await;
        let story = explained(&system, &recorded).await;
        assert_eq!(story["verdict"]["name"], name);
        let rules = story["verdict"]["rules"].as_array().unwrap();
        assert_eq!(rules.last().unwrap()["code"], proof);
    }
    let other = json!({"user_agent": "Mozilla/5.0 (compatible; bingbot/2.0)"});
    let other = system.record(&visit(&other)).await;
    assert_eq!(other["bot_reasons"], json!(["known_crawler", "bot_word"]));
}

#[sqlx::test(migrations = false)]
async fn the_whole_story_of_a_visit_can_be_read(pool: PgPool) {
    let system = start(pool).await;
    let bot = system
        .record(&visit(&json!({
            "user_agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "referrer": "https://www.bing.com/"
        })))
        .await;
    let story = explained(&system, &bot).await;
    assert_eq!(story["status"], "recorded");
    assert_eq!(story["verdict"]["name"], "Googlebot");
    assert_eq!(story["verdict"]["category"], "search_engine");
    assert_eq!(story["verdict"]["threshold"], 50);
    assert_eq!(story["verdict"]["rules"][0]["code"], "known_crawler");
    assert_eq!(story["location"]["status"], "located");
    assert_eq!(story["origin"]["channel"], "Organic Search");
    assert_eq!(story["session"]["begins"], true);
    assert_eq!(story["notification"]["reason"], "bot");
    let old = noon() - TimeDelta::hours(1);
    let late = system
        .record(&visit(&json!({"timestamp": old, "ip": "81.2.69.7"})))
        .await;
    let story = explained(&system, &late).await;
    assert_eq!(story["notification"]["reason"], "too_old");
    let (status, code, _) =
        crate::support::problem(system.get("/visits/01a1f600-0000-7000-8000-0000000000ff/explain"))
            .await;
    assert_eq!((status, code.as_str()), (404, "NOT_FOUND"));
}

#[sqlx::test(migrations = false)]
async fn a_page_that_is_fetched_for_later_does_not_make_its_person_a_bot(pool: PgPool) {
    let system = start(pool).await;
    let headers = json!({
        "accept": "text/html", "accept-language": "en", "sec-purpose": "prefetch"
    });
    let ahead = system
        .record(&visit(&json!({"headers": headers, "visitor_id": "v"})))
        .await;
    assert_eq!(ahead["bot_reasons"], json!(["prefetch"]));
    let opened = system.record(&visit(&json!({"visitor_id": "v"}))).await;
    assert_eq!(opened["is_bot"], false);
    assert_ne!(opened["session_id"], ahead["session_id"]);
    until("the announcement", async || {
        (system.notification.sent_notifications().len() == 1).then_some(())
    })
    .await;
}

#[sqlx::test(migrations = false)]
async fn client_hints_and_personal_parameters(pool: PgPool) {
    let system = start(pool).await;
    let chrome = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36";
    let with = |version: &str, model: &str| {
        visit(&json!({
            "url": "https://shop.example/?email=a%40b.example&token=x&page=2&gclid=y",
            "user_agent": chrome,
            "headers": {
                "accept": "text/html", "accept-language": "en", "sec-fetch-mode": "navigate",
                "sec-ch-ua": "\"Chromium\";v=\"142\"", "sec-ch-ua-mobile": "?1",
                "sec-ch-ua-platform": "\"Android\"", "sec-ch-ua-model": format!("\"{model}\""),
                "sec-ch-ua-platform-version": format!("\"{version}\"")
            }
        }))
    };
    for (version, model, brand) in [
        ("14.0.0", "Pixel 8", "Google"),
        ("13.0.0", "SM-A515F", "Samsung"),
    ] {
        let recorded = system.record(&with(version, model)).await;
        let id = recorded["id"].as_str().unwrap();
        let stored = system.read(&format!("/visits/{id}")).await;
        assert_eq!(stored["os_version"], version.split('.').next().unwrap());
        assert_eq!(
            (&stored["brand"], &stored["model"]),
            (&json!(brand), &json!(model))
        );
        assert_eq!(stored["is_bot"], false, "{stored}");
        assert_eq!(stored["url"], "https://shop.example/?page=2");
        assert_eq!(
            (&stored["source"], &stored["channel"]),
            (&json!("google"), &json!("Paid Search"))
        );
    }
}
