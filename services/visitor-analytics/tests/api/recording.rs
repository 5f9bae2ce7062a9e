//! `POST /visits`.

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::fake_services::{london, requests_by_key};
use crate::support::{answer, noon, start, start_replica, until, visit};

#[sqlx::test(migrations = false)]
async fn a_visit_is_judged_located_and_stored(pool: PgPool) {
    let system = start(pool).await;
    let id = "01a1f600-0000-7000-8000-000000000001";
    let sent = visit(&json!({
        "id": id, "timestamp": "2026-11-20T11:59:58.5Z", "title": "Prices",
        "url": "https://me:secret@Shop.Example/pricing?utm_source=News&x=1#top",
        "referrer": "https://www.google.com/search?q=x", "status_code": 200,
        "response_time_ms": 12, "user_id": "u-1", "properties": {"plan": "pro"}
    }));
    let answered = system.record(&sent).await;
    let session = answered["session_id"].clone();
    let visitor = answered["visitor_id"].clone();
    assert_eq!(
        answered,
        json!({
            "id": id, "status": "recorded", "session_id": session, "visitor_id": visitor,
            "is_new_session": true, "is_bot": false, "bot_score": 0, "bot_reasons": [],
            "location": london("81.2.69.142")
        })
    );
    assert_eq!(
        system.read(&format!("/visits/{id}")).await,
        json!({
            "id": id, "site": "shop.example", "timestamp": "2026-11-20T11:59:58.500Z",
            "received_at": "2026-11-20T12:00:00Z",
            "url": "https://shop.example/pricing?utm_source=News", "path": "/pricing",
            "title": "Prices", "referrer": "https://www.google.com/search",
            "source": "news", "source_name": "news", "medium": "organic", "channel": "Organic Search", "utm_source": "News",
            "utm_medium": null, "utm_campaign": null, "utm_term": null, "utm_content": null,
            "method": "GET", "status_code": 200, "response_time_ms": 12,
            "visitor_id": visitor, "session_id": session, "user_id": "u-1",
            "ip": null,
            "country_code": "GB", "country": "United Kingdom", "region_code": "ENG",
            "region": "England", "city": "London", "latitude": 51.5142, "longitude": -0.0931,
            "time_zone": "Europe/London", "asn": 20712,
            "as_organization": "Andrews & Arnold Ltd", "browser": "Firefox",
            "browser_version": "144.0", "os": "Windows", "os_version": "10",
            "device_type": "desktop", "brand": null, "model": null, "language": "en-GB", "is_bot": false, "bot_name": null, "bot_category": null,
            "bot_score": 0, "bot_reasons": [], "ruleset": 5, "engagement_seconds": null,
            "scroll_depth": null, "properties": {"plan": "pro"}
        })
    );
}

#[sqlx::test(migrations = false)]
async fn the_smallest_visit_is_enough(pool: PgPool) {
    let system = start(pool).await;
    let sent = json!({"url": "http://a.example", "ip": "::ffff:203.0.113.7", "user_agent": null});
    let answered = system.record(&sent).await;
    assert_eq!(answered["location"], Value::Null);
    assert_eq!(answered["bot_reasons"], json!(["empty_user_agent"]));
    let path = format!("/visits/{}", answered["id"].as_str().unwrap());
    let stored = system.read(&path).await;
    assert_eq!(stored["timestamp"], "2026-11-20T12:00:00Z");
    assert_eq!(stored["site"], "a.example");
    assert_eq!(stored["device_type"], "bot");
    assert_eq!(system.count("pending_location").await, 0);
}

#[sqlx::test(migrations = false)]
async fn a_visit_sent_again_changes_nothing(pool: PgPool) {
    let system = start(pool).await;
    let sent = visit(&json!({"id": "01a1f600-0000-7000-8000-000000000002", "timestamp": noon()}));
    let first = system.record(&sent).await;
    let before = system.read("/visits").await;
    system.clock.advance(TimeDelta::minutes(2));
    let mut changed = sent.clone();
    changed["ip"] = json!("81.2.69.143");
    changed["url"] = json!("https://shop.example/other");
    for again in [&sent, &changed] {
        let second = system.record(again).await;
        assert_eq!(second["status"], "duplicate");
        assert_eq!(second["is_new_session"], false);
        for same in ["id", "session_id", "visitor_id"] {
            assert_eq!(second[same], first[same]);
        }
    }
    assert_eq!(system.read("/visits").await, before);
    assert_eq!(system.count("session").await, 1);
    let story = system
        .read("/visits/01a1f600-0000-7000-8000-000000000002/explain")
        .await;
    assert_eq!(
        (&story["status"], &story["copies"], &story["last_copy_at"]),
        (
            &json!("recorded"),
            &json!(2),
            &json!("2026-11-20T12:02:00Z")
        )
    );
    // Duplicate counts are removed together with the visit.
    let visitor = first["visitor_id"].as_str().unwrap();
    let erased = system.delete(&format!("/visitors/{visitor}"));
    assert_eq!(erased.send().await.unwrap().status(), 200);
    assert_eq!(system.count("visit_copy").await, 0);
}

#[sqlx::test(migrations = false)]
async fn the_time_inside_an_id_is_the_visits_time(pool: PgPool) {
    let system = start(pool).await;
    let id = common::clock::Clock::new_id_at(noon() - TimeDelta::hours(3));
    let sent = visit(&json!({"id": id}));
    assert_eq!(system.record(&sent).await["status"], "recorded");
    system.clock.advance(TimeDelta::hours(1));
    assert_eq!(system.record(&sent).await["status"], "duplicate");
    let stored = system.read(&format!("/visits/{id}")).await;
    assert_eq!(stored["timestamp"], "2026-11-20T09:00:00Z");
}

#[sqlx::test(migrations = false)]
async fn copies_that_arrive_at_the_same_moment_land_once(pool: PgPool) {
    let one = start(pool.clone()).await;
    let other = start_replica(pool, one.geo.clone(), one.notification.clone()).await;
    // Each copy has another address, so that only the id makes them duplicates.
    let copy = |n: usize| {
        let id = format!("01a1f600-0000-7000-8000-{:012x}", n % 5);
        visit(&json!({"id": id, "timestamp": noon(), "ip": format!("81.2.69.{}", 1 + n)}))
    };
    let copies: Vec<Value> = (0..100).map(copy).collect();
    let replica = |n: usize| if n.is_multiple_of(2) { &one } else { &other };
    let sent = copies.iter().enumerate().map(|(n, v)| replica(n).record(v));
    let answers = join_all(sent).await;
    let recorded = answers.iter().filter(|a| a["status"] == "recorded");
    assert_eq!(recorded.count(), 5);
    assert_eq!(one.count("visit").await, 5);
    let sum = "select sum(visits)::bigint from visitor_analytics.session";
    let in_sessions: i64 = sqlx::query_scalar(sum).fetch_one(&one.pool).await.unwrap();
    assert_eq!(in_sessions, 5);
    let sum = "select sum(copies)::bigint from visitor_analytics.visit_copy";
    let copies: i64 = sqlx::query_scalar(sum).fetch_one(&one.pool).await.unwrap();
    assert_eq!(copies, 95);
}

#[sqlx::test(migrations = false)]
async fn a_list_answers_each_visit_and_a_bad_one_costs_no_other(pool: PgPool) {
    let system = start(pool).await;
    let id = "01a1f600-0000-7000-8000-000000000003";
    let list = json!([
        visit(&json!({"id": id})),
        {"url": "https://shop.example/", "ip": "81.2.69.142"},
        visit(&json!({"ip": "nowhere"})),
        visit(&json!({"id": id})),
        "a visit",
        visit(&json!({"user_agent": "curl/8.5.0"})),
    ]);
    let (status, body) = answer(system.post(&list).send().await.unwrap()).await;
    assert_eq!(status, 200);
    let results = body["results"].as_array().unwrap();
    let summary: Vec<_> = results
        .iter()
        .map(|r| json!([r["status"], r["is_bot"], r["error"]["code"]]))
        .collect();
    assert_eq!(
        Value::from(summary),
        json!([
            ["recorded", false, null],
            ["rejected", null, "BODY_INVALID"],
            ["rejected", null, "IP_INVALID"],
            ["duplicate", false, null],
            ["rejected", null, "BODY_INVALID"],
            ["recorded", true, null],
        ])
    );
    let detail = results[1]["error"]["detail"].as_str().unwrap();
    assert!(detail.contains("user_agent"), "{detail}");
    assert_eq!(system.count("visit").await, 2);
    let story = system.read(&format!("/visits/{id}/explain")).await;
    assert_eq!(story["copies"], 1);
    let (status, body) = answer(system.post(&json!([])).send().await.unwrap()).await;
    assert_eq!((status, body), (200, json!({"results": []})));
}

#[sqlx::test(migrations = false)]
async fn a_genuine_session_is_announced_once_and_a_bots_or_an_old_one_never(pool: PgPool) {
    let system = start(pool).await;
    let old = noon() - TimeDelta::minutes(16);
    let list = json!([
        visit(&json!({"timestamp": noon()})),
        visit(
            &json!({"timestamp": noon() + TimeDelta::seconds(30), "url": "https://shop.example/2"})
        ),
        visit(&json!({"ip": "81.2.69.200", "user_agent": "Googlebot/2.1"})),
        visit(&json!({"ip": "81.2.69.201", "timestamp": old})),
    ]);
    let (_, body) = answer(system.post(&list).send().await.unwrap()).await;
    let session = body["results"][0]["session_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let told = until("the announcement", async || {
        Some(system.notification.sent_notifications()).filter(|told| !told.is_empty())
    })
    .await;
    let told = &told[0];
    assert_eq!(
        told["idempotency_key"],
        format!("visitor.arrived:{session}").as_str()
    );
    assert_eq!(told["event"], "visitor.arrived");
    assert_eq!(told["data"]["visit"]["path"], "/pricing");
    assert_eq!(told["data"]["visit"]["city"], "London");
    assert_eq!(told["data"]["session"]["visits"], 2);
    let visitor = &told["data"]["visitor"];
    assert_eq!(
        (&visitor["returning"], &visitor["previous_sessions"]),
        (&json!(false), &json!(0))
    );
    assert_eq!(visitor["network"], "81.2.69.0/24");

    system.clock.advance(TimeDelta::minutes(45));
    system.record(&visit(&json!({}))).await;
    until("the second session's announcement", async || {
        (system.notification.sent_notifications().len() == 2).then_some(())
    })
    .await;
    let told = &system.notification.sent_notifications()[1];
    let visitor = &told["data"]["visitor"];
    assert_eq!(
        (&visitor["returning"], &visitor["previous_sessions"]),
        (&json!(true), &json!(1))
    );
    system.wait_for_empty_outbox().await;
    assert!(
        requests_by_key(&system.notification)
            .values()
            .all(|times| *times == 1)
    );
}

#[sqlx::test(migrations = false)]
async fn gzip_is_understood(pool: PgPool) {
    let system = start(pool).await;
    // gzip of {"url":"https://a.example/","ip":"81.2.69.142","user_agent":""}
    let body = include_bytes!("../data/visit.json.gz");
    let request = system
        .post_to("/visits")
        .header("content-type", "application/json")
        .header("content-encoding", "gzip")
        .body(body.as_slice());
    let (status, answered) = answer(request.send().await.unwrap()).await;
    assert_eq!(status, 201, "{answered}");
}

#[sqlx::test(migrations = false)]
async fn the_far_past_can_be_imported_at_once(pool: PgPool) {
    let system = start(pool).await;
    let moment = |year: i32, month: i32| format!("{year}-{month:02}-15T12:00:00Z");
    let years = (1990..2026).flat_map(|year| (1..=12).map(move |month| moment(year, month)));
    let list: Vec<Value> = years
        .map(|moment| visit(&json!({"timestamp": moment})))
        .collect();
    let (status, body) = answer(system.post(&json!(list)).send().await.unwrap()).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(system.count("visit").await, 432);
    assert_eq!(system.count("session").await, 432);
    assert_eq!(system.count("visit_past").await, 34 * 12);
    // A visit without an id can be read by the id that it was assigned.
    let id = body["results"][0]["id"].as_str().unwrap();
    let found = system.read(&format!("/visits/{id}")).await;
    assert_eq!(found["timestamp"], "1990-01-15T12:00:00Z");
    let again = json!({"id": id});
    assert_eq!(system.record(&visit(&again)).await["status"], "duplicate");
}

#[sqlx::test(migrations = false)]
async fn a_site_is_the_same_in_every_spelling(pool: PgPool) {
    let system = start(pool).await;
    let spellings = [
        json!({"url": "https://Bücher.example/"}),
        json!({"site": "bücher.example"}),
        json!({"site": "XN--BCHER-KVA.example."}),
    ];
    for spelling in spellings {
        system.record(&visit(&spelling)).await;
    }
    assert_eq!(system.count("site").await, 1);
    let page = system.read("/visits?site=b%C3%BCcher.example").await;
    assert_eq!(page["data"].as_array().unwrap().len(), 3);
}

#[sqlx::test(migrations = false)]
async fn text_that_only_looks_forbidden_is_kept(pool: PgPool) {
    let system = start(pool).await;
    let answered = system
        .record(&visit(&json!({"properties": {"x": "\\u0000"}})))
        .await;
    let path = format!("/visits/{}", answered["id"].as_str().unwrap());
    assert_eq!(system.read(&path).await["properties"]["x"], "\\u0000");
}
