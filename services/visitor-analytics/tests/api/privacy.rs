//! Visitor ids, stored addresses, and their removal.

use chrono::TimeDelta;
use common::jwt::Scope;
use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::PgPool;
use visitor_analytics::store::Store;

use crate::support::{TestSystem, answer, noon, problem, start, start_with, token, until, visit};

/// The visitor id at noon of 20 November, and the given numbers of days later.
async fn ids(pool: PgPool, setting: &str, days: &[i64]) -> Vec<Value> {
    let mut system = start_with(pool, &[setting]).await;
    let scopes = [Scope::VisitsWrite, Scope::VisitsRead];
    system.token = token(&system.clock, &scopes, 365 * 86_400);
    let mut ids = vec![];
    let mut today = 0;
    for day in days {
        system.clock.advance(TimeDelta::days(day - today));
        today = *day;
        ids.push(system.record(&visit(&json!({}))).await["visitor_id"].clone());
        let store = Store::new(system.pool.clone());
        store
            .salts
            .delete_expired(system.clock.now())
            .await
            .unwrap();
    }
    assert!(ids.iter().all(|id| id.as_str().unwrap().len() == 32));
    ids
}

#[sqlx::test(migrations = false)]
async fn a_daily_id_lasts_a_day_and_its_salt_two(pool: PgPool) {
    let found = ids(pool.clone(), "--visitor-id=daily", &[0, 0, 1, 2, 40]).await;
    assert_eq!(found[0], found[1]);
    assert_ne!(found[1], found[2]);
    // 20 November 2026 is day 0x5129 since 1970.
    assert_eq!(&found[0].as_str().unwrap()[..4], "5129");
    assert_eq!(&found[2].as_str().unwrap()[..4], "512a");
    let salts = "select string_agg(kind || ' ' || day, ',') from visitor_analytics.salt";
    let salts: String = sqlx::query_scalar(salts).fetch_one(&pool).await.unwrap();
    assert_eq!(salts, "daily 2026-12-30");
}

#[sqlx::test(migrations = false)]
async fn a_monthly_id_lasts_until_the_month_is_over(pool: PgPool) {
    let found = ids(pool.clone(), "--visitor-id=monthly", &[0, 10, 11, 12, 13]).await;
    assert_eq!(found[0], found[1]);
    assert_ne!(found[1], found[2]);
    assert_eq!(found[2], found[4]);
    // November's salt is deleted on 3 December at 0:00; 13 days later is noon of that day.
    let salts = "select string_agg(kind || ' ' || day, ',') from visitor_analytics.salt";
    let salts: String = sqlx::query_scalar(salts).fetch_one(&pool).await.unwrap();
    assert_eq!(salts, "monthly 2026-12-01");
}

#[sqlx::test(migrations = false)]
async fn a_persistent_id_lasts(pool: PgPool) {
    let found = ids(pool, "--visitor-id=persistent", &[0, 1, 40, 300]).await;
    assert!(found.iter().all(|id| *id == found[0]), "{found:?}");
}

#[sqlx::test(migrations = false)]
async fn an_address_is_kept_as_far_as_set(pool: PgPool) {
    let cases = [
        ("none", Value::Null, Value::Null),
        ("truncated", json!("81.2.69.0"), json!("2a02:6b8:abcd::")),
        ("full", json!("81.2.69.142"), json!("2a02:6b8:abcd:ef01::7")),
    ];
    for (setting, v4, v6) in cases {
        let system = start_with(pool.clone(), &[&format!("--store-ip={setting}")]).await;
        for (ip, kept) in [("81.2.69.142", v4), ("2a02:6b8:abcd:ef01::7", v6)] {
            let site = format!("{setting}.example");
            let answered = system
                .record(&visit(&json!({"ip": ip, "site": site})))
                .await;
            let path = format!("/visits/{}", answered["id"].as_str().unwrap());
            assert_eq!(system.read(&path).await["ip"], kept, "{setting} {ip}");
        }
    }
}

#[sqlx::test(migrations = false)]
async fn a_kept_address_stays_with_the_visit(pool: PgPool) {
    let system = start_with(pool, &["--store-ip=full"]).await;
    system.record(&visit(&json!({}))).await;
    let told = until("the announcement", async || {
        system.notification.sent_notifications().pop()
    })
    .await;
    assert_eq!(told["data"]["visit"]["path"], "/pricing");
    assert_eq!(told["data"]["visit"]["ip"], Value::Null);
}

#[sqlx::test(migrations = false)]
async fn who_asks_not_to_be_followed_is_counted_and_no_more(pool: PgPool) {
    let system = start_with(pool, &["--respect-dnt=on", "--store-ip=full"]).await;
    system.geo.go_offline();
    let asks = |header: &str, n: usize| {
        let headers = json!({"Accept": "text/html", "Accept-Language": "en", header: "1"});
        visit(
            &json!({"id": format!("01a1f600-0000-7000-8000-{n:012x}"), "headers": headers,
                      "timestamp": noon(), "user_id": "u-1", "visitor_id": "v-1"}),
        )
    };
    let first = system.record(&asks("DNT", 1)).await;
    let second = system.record(&asks("sec-gpc", 2)).await;
    for field in ["visitor_id", "session_id"] {
        assert_ne!(first[field], second[field]);
    }
    let again = system.record(&asks("DNT", 1)).await;
    assert_eq!(again["status"], "duplicate");
    assert_eq!(again["visitor_id"], first["visitor_id"]);
    let stored = system
        .read(&format!("/visits/{}", first["id"].as_str().unwrap()))
        .await;
    assert_eq!(
        [&stored["ip"], &stored["user_id"]],
        [&Value::Null, &Value::Null]
    );
    assert_eq!(system.count("pending_location").await, 0);
    assert_eq!(system.count("outbox").await, 0);
    assert_eq!(system.count("session").await, 2);

    // `DNT: 0` is no objection.
    system.geo.go_online();
    let other = json!({"headers": {"Accept": "text/html", "Accept-Language": "en", "DNT": "0"},
                       "visitor_id": "v-1"});
    let other = system.record(&visit(&other)).await;
    assert_eq!(other["visitor_id"], "v-1");
    until("its announcement", async || {
        (system.notification.sent_notifications().len() == 1).then_some(())
    })
    .await;
}

#[sqlx::test(migrations = false)]
async fn the_header_counts_only_where_it_is_respected(pool: PgPool) {
    let system = start(pool).await;
    let sent = json!({"headers": {"DNT": "1"}, "user_id": "u-1"});
    let one = system.record(&visit(&sent)).await;
    let other = system.record(&visit(&sent)).await;
    assert_eq!(one["visitor_id"], other["visitor_id"]);
    let stored = system
        .read(&format!("/visits/{}", one["id"].as_str().unwrap()))
        .await;
    assert_eq!(stored["user_id"], "u-1");
}

/// Three visits in two sessions on two sites, and one of another visitor; none is announced.
async fn visited(pool: PgPool) -> TestSystem {
    let system = start(pool).await;
    system.geo.go_offline();
    system.notification.go_offline();
    let visits = [
        (0, "a.example", "me"),
        (1, "a.example", "me"),
        (2, "b.example", "me"),
        (2, "a.example", "you"),
    ];
    for (minute, site, visitor) in visits {
        let moment = noon() - TimeDelta::minutes(minute);
        let sent = json!({"timestamp": moment, "site": site, "visitor_id": visitor});
        system.record(&visit(&sent)).await;
    }
    system
}

#[sqlx::test(migrations = false)]
async fn a_visitor_is_shown_and_erased(pool: PgPool) {
    let system = visited(pool).await;
    assert_eq!(
        system.read("/visitors/me").await,
        json!({"id": "me", "first_seen_at": "2026-11-20T11:58:00Z",
               "last_seen_at": "2026-11-20T12:00:00Z", "sessions": 2, "visits": 3,
               "sites": ["a.example", "b.example"]})
    );
    let on_a = system.read("/visitors/me?site=a.example").await;
    assert_eq!(
        (&on_a["visits"], &on_a["sites"]),
        (&json!(2), &json!(["a.example"]))
    );

    let erase = async |path: &str| answer(system.delete(path).send().await.unwrap()).await;
    assert_eq!(
        erase("/visitors/me?site=b.example").await,
        (
            200,
            json!({"id": "me", "visits": 1, "sessions": 1, "announcements": 1,
                     "owed_locations": 1, "events": 0})
        )
    );
    assert_eq!(erase("/visitors/me?site=b.example").await.0, 404);
    assert_eq!(
        erase("/visitors/me").await,
        (
            200,
            json!({"id": "me", "visits": 2, "sessions": 1, "announcements": 1,
                     "owed_locations": 2, "events": 0})
        )
    );
    assert_eq!(erase("/visitors/me").await.0, 404);
    assert_eq!(problem(system.get("/visitors/me")).await.1, "NOT_FOUND");
    for table in ["visit", "session", "outbox", "pending_location"] {
        assert_eq!(system.count(table).await, 1, "{table}");
    }
    assert_eq!(system.read("/visitors/you").await["visits"], 1);
}

#[sqlx::test(migrations = false)]
async fn an_erasure_needs_the_right_and_a_sound_id(pool: PgPool) {
    let mut system = visited(pool).await;
    let long = format!("/visitors/{}", "x".repeat(129));
    for path in ["/visitors/%00", long.as_str()] {
        let found = problem(system.delete(path)).await;
        assert_eq!(found, (400, "PATH_INVALID".into(), "id".into()));
        assert_eq!(problem(system.get(path)).await.0, 400);
    }
    let found = problem(system.delete("/visitors/me?site=a%20b")).await;
    assert_eq!(found, (400, "QUERY_INVALID".into(), "site".into()));
    system.token = token(&system.clock, &[Scope::VisitsRead], 60);
    assert_eq!(
        problem(system.delete("/visitors/me")).await.1,
        "SCOPE_MISSING"
    );
    system.token = token(&system.clock, &[Scope::VisitsWrite], 60);
    assert_eq!(problem(system.get("/visitors/me")).await.1, "SCOPE_MISSING");
    assert_eq!(system.count("visit").await, 4);
    system.token = token(&system.clock, &[Scope::Admin], 60);
    let erased = system.delete("/visitors/me").send().await.unwrap();
    assert_eq!(erased.status(), 200);
}

#[sqlx::test(migrations = false)]
async fn the_days_of_an_erased_visitor_are_folded_again(pool: PgPool) {
    let system = start(pool).await;
    for hour in ["2026-11-01T23:50:00Z", "2026-11-02T00:10:00Z"] {
        let sent = json!({"timestamp": hour, "visitor_id": "me"});
        system.record(&visit(&sent)).await;
    }
    let folded = "delete from visitor_analytics.unfolded_day";
    sqlx::query(folded).execute(&system.pool).await.unwrap();
    let erased = system.delete("/visitors/me").send().await.unwrap();
    assert_eq!(erased.status(), 200);
    let marked =
        "select string_agg(day::text, ' ' order by day) from visitor_analytics.unfolded_day";
    let marked: String = sqlx::query_scalar(marked)
        .fetch_one(&system.pool)
        .await
        .unwrap();
    assert_eq!(marked, "2026-11-01 2026-11-02");
}

#[sqlx::test(migrations = false)]
async fn erasing_and_recording_at_once_leave_nothing_half(pool: PgPool) {
    let system = start(pool).await;
    let record = async |n: i64| {
        let moment = noon() - TimeDelta::minutes(n * 7 % 100);
        let sent = json!({"timestamp": moment, "visitor_id": "me"});
        system.record(&visit(&sent)).await;
        0
    };
    let erase = async |_: i64| {
        let erased = system.delete("/visitors/me").send().await.unwrap();
        let (status, body) = answer(erased).await;
        assert!([200, 404].contains(&status), "{body}");
        body["visits"].as_i64().unwrap_or_default()
    };
    let mut erased = 0;
    for round in 0..5 {
        let records = join_all((0..20).map(|n| record(round * 20 + n)));
        let erasures = join_all((0..4).map(erase));
        let (_, gone) = futures::join!(records, erasures);
        erased += gone.iter().sum::<i64>();
    }
    let in_sessions = "select coalesce(sum(visits), 0)::bigint from visitor_analytics.session";
    let in_sessions: i64 = sqlx::query_scalar(in_sessions)
        .fetch_one(&system.pool)
        .await
        .unwrap();
    let visits = system.count("visit").await;
    assert_eq!((visits, visits + erased), (in_sessions, 100));
}

#[sqlx::test(migrations = false)]
async fn only_what_the_authenticated_client_says_is_the_visitors_address(pool: PgPool) {
    let mut system = start_with(pool, &["--store-ip=full"]).await;
    let forwarded = |request: reqwest::RequestBuilder| {
        request
            .header("x-forwarded-for", "203.0.113.99")
            .header("x-real-ip", "203.0.113.99")
            .header("forwarded", "for=203.0.113.99")
            .header("cf-connecting-ip", "203.0.113.99")
            .header("user-agent", "somebody else's")
    };
    let plain = system.record(&visit(&json!({}))).await;
    let sent = forwarded(system.post(&visit(&json!({}))))
        .send()
        .await
        .unwrap();
    let (status, answered) = answer(sent).await;
    assert_eq!(status, 201);
    assert_eq!(answered["visitor_id"], plain["visitor_id"]);
    let stored = system
        .read(&format!("/visits/{}", answered["id"].as_str().unwrap()))
        .await;
    assert_eq!(
        (&stored["ip"], &stored["city"]),
        (&json!("81.2.69.142"), &json!("London"))
    );
    assert_eq!(stored["browser"], "Firefox");

    let body = visit(&json!({"ip": "203.0.113.99"}));
    let anonymous = system
        .http
        .post(format!("{}/visits", system.base))
        .json(&body);
    assert_eq!(problem(forwarded(anonymous)).await.1, "TOKEN_REQUIRED");
    system.token = token(&system.clock, &[Scope::VisitsRead, Scope::GeoRead], 60);
    let refused = problem(forwarded(system.post(&body))).await;
    assert_eq!(
        refused,
        (403, "SCOPE_MISSING".into(), "authorization".into())
    );
    assert_eq!(system.count("visit").await, 2);
}
