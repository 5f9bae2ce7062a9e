//! Unavailable services and a failing database: acknowledged visits are kept.

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::fake_services::requests_by_key;
use crate::support::{answer, noon, start, until, visit};

#[sqlx::test(migrations = false)]
async fn places_are_owed_while_geo_is_away_and_paid_when_it_is_back(pool: PgPool) {
    let system = start(pool).await;
    system.geo.go_offline();
    let answered = system.record(&visit(&json!({}))).await;
    assert_eq!(answered["location"], Value::Null);
    let nowhere = system.record(&visit(&json!({"ip": "203.0.113.9"}))).await;
    assert_eq!(system.count("pending_location").await, 2);
    let health = system.read("/health").await;
    assert_eq!(health["checks"]["locations"]["status"], "degraded");

    system.geo.go_online();
    until("the place", async || {
        (system.count("pending_location").await == 0).then_some(())
    })
    .await;
    let path = |answer: &Value| format!("/visits/{}", answer["id"].as_str().unwrap());
    assert_eq!(system.read(&path(&answered)).await["city"], "London");
    assert_eq!(
        system.read(&path(&nowhere)).await["country_code"],
        Value::Null
    );
    // The announcement waited for the location.
    let told = until("the announcement", async || {
        let told = system.notification.sent_notifications();
        told.into_iter()
            .find(|b| b["data"]["visit"]["id"] == answered["id"])
    })
    .await;
    assert_eq!(told["data"]["visit"]["city"], "London");
}

#[sqlx::test(migrations = false)]
async fn a_message_does_not_wait_for_its_place_for_ever(pool: PgPool) {
    let system = start(pool).await;
    system.geo.go_offline();
    system.record(&visit(&json!({}))).await;
    system.clock.advance(TimeDelta::seconds(21));
    until("the announcement", async || {
        (system.notification.sent_notifications().len() == 1).then_some(())
    })
    .await;
    let told = &system.notification.sent_notifications()[0];
    assert_eq!(told["data"]["visit"]["city"], Value::Null);
}

#[sqlx::test(migrations = false)]
async fn visitors_are_announced_once_when_notification_is_back(pool: PgPool) {
    let system = start(pool).await;
    system.notification.go_offline();
    for n in 0..20 {
        system
            .record(&visit(&json!({"ip": format!("81.2.69.{n}")})))
            .await;
    }
    until("a try that failed", async || {
        let failed = "select count(*) from visitor_analytics.outbox where last_error is not null";
        let failed: i64 = sqlx::query_scalar(failed)
            .fetch_one(&system.pool)
            .await
            .unwrap();
        (failed > 0).then_some(())
    })
    .await;
    system.notification.go_online();
    until("an empty outbox", async || {
        system.clock.advance(TimeDelta::seconds(10));
        (system.count("outbox").await == 0).then_some(())
    })
    .await;
    let heard = requests_by_key(&system.notification);
    assert_eq!(heard.len(), 20);
    assert!(heard.values().all(|times| *times == 1), "{heard:?}");
}

#[sqlx::test(migrations = false)]
async fn news_too_large_for_one_request_is_told_in_parts(pool: PgPool) {
    let system = start(pool).await;
    system.notification.go_offline();
    let large = "x".repeat(8_000);
    let visits: Vec<_> = (0..250)
        .map(|n| {
            let properties = json!({"note": large});
            let url = format!("https://shop.example/{}", "y".repeat(4_000));
            visit(&json!({"visitor_id": n.to_string(), "properties": properties, "url": url}))
        })
        .collect();
    for list in visits.chunks(50) {
        let sent = system.post(&json!(list)).send().await.unwrap();
        assert_eq!(sent.status(), 200);
    }
    system.notification.go_online();
    until("an empty outbox", async || {
        system.clock.advance(TimeDelta::seconds(60));
        (system.count("outbox").await == 0).then_some(())
    })
    .await;
    let told = requests_by_key(&system.notification);
    assert_eq!(told.len(), 250);
    assert!(told.values().all(|times| *times == 1));
}

#[sqlx::test(migrations = false)]
async fn connections_that_are_cut_lose_and_double_nothing(pool: PgPool) {
    let system = start(pool.clone()).await;
    // Another connection terminates all others during each round, while visits are sent and
    // retried until they are acknowledged.
    let cut = async || {
        let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                   where datname = current_database() and pid <> pg_backend_pid()";
        let _: Result<i64, _> = sqlx::query_scalar(cut).fetch_one(&pool).await;
    };
    let send = async |n: usize| -> u32 {
        let id = format!("01a1f600-0000-7000-8000-{n:012x}");
        let ip = format!("81.2.{}.{}", n / 200, n % 200);
        let body = visit(&json!({"id": id, "timestamp": noon(), "ip": ip}));
        for tries in 1..400 {
            let (status, body) = answer(system.post(&body).send().await.unwrap()).await;
            match status {
                201 => return tries,
                503 => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
                _ => panic!("{status} {body}"),
            }
        }
        panic!("never recorded");
    };
    let (mut refused, mut rounds) = (0, 0);
    while rounds < 15 || refused == 0 {
        let visits = (0..40).map(|n| send(rounds * 40 + n));
        let (tries, ()) = tokio::join!(join_all(visits), cut());
        refused += tries.iter().filter(|tries| **tries > 1).count();
        rounds += 1;
        assert!(
            rounds < 500,
            "no connection is ever cut in the middle of anything"
        );
    }
    let sent = i64::try_from(rounds * 40).unwrap();
    assert_eq!(system.count("visit").await, sent);
    assert_eq!(system.count("session").await, sent);
    let announced = "select count(*) from visitor_analytics.session where announced";
    let announced: i64 = sqlx::query_scalar(announced)
        .fetch_one(&system.pool)
        .await
        .unwrap();
    assert_eq!(announced, sent);
    until("an empty outbox", async || {
        system.clock.advance(TimeDelta::seconds(10));
        (system.count("outbox").await == 0).then_some(())
    })
    .await;
    assert_eq!(requests_by_key(&system.notification).len(), rounds * 40);
}

#[sqlx::test(migrations = false)]
async fn without_its_schema_the_service_says_what_to_do(pool: PgPool) {
    let system = start(pool).await;
    let drop = "drop schema visitor_analytics cascade";
    sqlx::query(drop).execute(&system.pool).await.unwrap();
    let response = system.get("/health").send().await.unwrap();
    let (status, body) = answer(response).await;
    assert_eq!((status, &body["status"]), (503, &json!("unavailable")));
    let detail = body["checks"]["database"]["detail"].as_str().unwrap();
    assert!(detail.contains("`migrate`"), "{detail}");
    let response = system.post(&visit(&json!({}))).send().await.unwrap();
    let (status, body) = answer(response).await;
    assert_eq!((status, &body["code"]), (503, &json!("UNAVAILABLE")));
    assert!(!body.to_string().contains("visitor_analytics"), "{body}");
}

/// After a failover the old primary, or a standby, refuses writes for a while.
#[sqlx::test(migrations = false)]
async fn a_database_that_refuses_writes_is_unavailable(pool: PgPool) {
    let system = start(pool.clone()).await;
    system.record(&visit(&json!({}))).await;
    let name: String = sqlx::query_scalar("select current_database()::text")
        .fetch_one(&pool)
        .await
        .unwrap();
    // Open connections keep the old setting. Terminate them, as a failover does.
    let set = async |value: &str| {
        let statement = format!(
            "alter database \"{name}\" set default_transaction_read_only = {value};
             select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()"
        );
        let mut connection = pool.acquire().await.unwrap();
        let statement = format!("set transaction_read_only = off; {statement}");
        let statement = sqlx::raw_sql(sqlx::AssertSqlSafe(statement));
        statement.execute(&mut *connection).await.unwrap();
        connection.close().await.unwrap();
    };
    set("on").await;
    for (path, body) in [
        ("/visits", visit(&json!({}))),
        (
            "/analytics/events",
            json!({"event_type": "a", "site": "shop.example", "visitor_id": "v"}),
        ),
        (
            "/visits",
            json!([visit(&json!({"url": "https://new.example/"}))]),
        ),
    ] {
        let refused = until("a refusal", async || {
            let response = system.post_to(path).json(&body).send().await.unwrap();
            (response.status() != 201).then_some(response)
        })
        .await;
        assert_eq!(refused.headers()["retry-after"], "1", "{path}");
        assert_eq!(answer(refused).await.0, 503, "{path}");
    }
    let health = until("/health tells", async || {
        let (status, body) = answer(system.get("/health").send().await.unwrap()).await;
        let detail = body["checks"]["database"]["detail"]
            .as_str()
            .unwrap()
            .to_owned();
        (status == 503 && detail.contains("read-only")).then_some(body)
    })
    .await;
    assert_eq!(health["status"], "unavailable");
    set("off").await;
    until("a visit", async || {
        let response = system.post(&visit(&json!({}))).send().await.unwrap();
        (response.status() == 201).then_some(())
    })
    .await;
}

/// An exhausted pool is reported differently from an unavailable database.
#[sqlx::test(migrations = false)]
async fn health_tells_an_exhausted_pool_from_a_database_that_is_away(pool: PgPool) {
    let options = (*pool.connect_options()).clone();
    let few = chassis::database::request_pool(options, 2);
    let system = start(few.clone()).await;
    let held = join_all((0..2).map(|_| few.acquire())).await;
    let health = until("/health tells", async || {
        let (_, body) = answer(system.get("/health").send().await.unwrap()).await;
        let check = body["checks"]["database"].clone();
        (check["status"] == "degraded").then_some(check)
    })
    .await;
    let detail = health["detail"].as_str().unwrap();
    assert!(
        detail.contains("all 2 connections of the pool are in use"),
        "{detail}"
    );
    drop(held);
}
