//! Erasure of a person, and access to a person's data.

use chrono::TimeDelta;
use common::jwt::Scope;
use serde_json::{Value, json};
use sqlx::PgPool;
use visitor_analytics::store::{Person, Store};

use crate::support::{
    TestSystem, answer, noon, problem, start, start_with, token, token_for_sites, until, visit,
};

async fn erase(system: &TestSystem, path: &str) -> (u16, Value) {
    answer(system.delete(path).send().await.unwrap()).await
}

/// A visit the given number of minutes before noon.
fn seen(minute: i64, visitor: &str, user: Option<&str>, path: &str) -> Value {
    visit(&json!({
        "timestamp": noon() - TimeDelta::minutes(minute), "visitor_id": visitor, "user_id": user,
        "url": format!("https://shop.example{path}"),
    }))
}

#[sqlx::test(migrations = false)]
async fn a_user_is_erased_with_the_visitors_but_without_other_users(pool: PgPool) {
    let system = start(pool).await;
    for visit in [
        seen(90, "phone", None, "/first"),
        seen(60, "phone", Some("ann"), "/ann"),
        seen(5, "shared", Some("ann"), "/ann"),
        seen(4, "shared", Some("bob"), "/bob"),
        seen(3, "shared", None, "/nobody"),
        seen(2, "stranger", None, "/stranger"),
    ] {
        system.record(&visit).await;
    }
    let event = |visitor: &str, user: Value| {
        json!({"event_type": "paid", "site": "shop.example", "visitor_id": visitor,
            "user_id": user, "timestamp": noon(), "metadata": {"sum": 7}})
    };
    let events = json!([
        event("shared", json!("ann")),
        event("shared", json!("bob")),
        event("tablet", json!("ann")),
        event("tablet", Value::Null),
    ]);
    let sent = system.post_to("/analytics/events").json(&events);
    assert_eq!(sent.send().await.unwrap().status(), 200);
    until("the announcements", async || {
        (system.count("outbox").await == 0).then_some(())
    })
    .await;

    let (status, erased) = erase(&system, "/users/ann/data").await;
    assert_eq!(
        (status, erased),
        (
            200,
            json!({"user_id": "ann", "visitors": 3, "visits": 4, "sessions": 2,
            "announcements": 0, "owed_locations": 0, "events": 3})
        )
    );
    assert_eq!(erase(&system, "/users/ann/data").await.0, 404);
    let left = system.read("/visits").await;
    let left: Vec<_> = left["data"].as_array().unwrap().iter().collect();
    let paths: Vec<_> = left
        .iter()
        .map(|visit| visit["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["/stranger", "/bob"]);
    // Bob's session now starts with his own visit.
    let session = left[1]["session_id"].as_str().unwrap();
    let session = system.read(&format!("/sessions/{session}")).await;
    assert_eq!(
        (&session["visits"], &session["entry_path"]),
        (&json!(1), &json!("/bob"))
    );
    let events = system.read("/analytics/events?include_bots=true").await;
    assert_eq!(events["data"].as_array().unwrap().len(), 1);
    assert_eq!(events["data"][0]["user_id"], "bob");

    let asked = until("the erasure", async || {
        system.notification.erasures().into_iter().next()
    })
    .await;
    assert_eq!(asked["user_id"], "ann");
    assert_eq!(asked["visitor_ids"], json!(["phone", "shared", "tablet"]));
}

#[sqlx::test(migrations = false)]
async fn an_erasure_reaches_notification_however_long_it_is_away(pool: PgPool) {
    let mut system = start(pool).await;
    system.record(&seen(1, "me", None, "/")).await;
    until("the announcement", async || {
        system.notification.sent_notifications().pop()
    })
    .await;
    system.notification.go_offline();
    assert_eq!(
        erase(&system, "/visitors/me?site=shop.example").await.0,
        200
    );
    for _ in 0..3 {
        system.clock.advance(TimeDelta::days(1));
        until("another try", async || {
            let due = "select attempts from visitor_analytics.erasure_call where due_at > $1";
            let due = sqlx::query_scalar(due).bind(system.clock.now());
            let attempts: Option<i32> = due.fetch_optional(&system.pool).await.unwrap();
            attempts
        })
        .await;
    }
    system.notification.go_online();
    // The circuit breaker lets a probe through after a while.
    let asked = until("the erasure", async || {
        system.clock.advance(TimeDelta::minutes(5));
        system.notification.erasures().pop()
    })
    .await;
    assert_eq!(asked["visitor_ids"], json!(["me"]));
    assert_eq!(asked["site"], "shop.example");
    until("its end", async || {
        (system.count("erasure_call").await == 0).then_some(())
    })
    .await;
    system.token = token(&system.clock, &[Scope::VisitsWrite], 60);
    // notification may still know a visitor that is unknown here.
    assert_eq!(erase(&system, "/visitors/gone").await.0, 404);
    until("another one", async || {
        let asked = system.notification.erasures().pop()?;
        (asked["visitor_ids"] == json!(["gone"])).then_some(())
    })
    .await;
}

#[sqlx::test(migrations = false)]
async fn an_erasure_that_breaks_off_leaves_everything(pool: PgPool) {
    let system = start(pool).await;
    system.record(&seen(1, "me", None, "/")).await;
    until("the announcement", async || {
        (system.count("announcement").await == 1).then_some(())
    })
    .await;
    // The last statement of the erasure waits for this lock. Then the connection is terminated.
    let mut lock = system.pool.begin().await.unwrap();
    let held = "lock table visitor_analytics.unfolded_day in access exclusive mode";
    sqlx::query(held).execute(&mut *lock).await.unwrap();
    let store = Store::new(system.pool.clone());
    let erasing = tokio::spawn(async move {
        store
            .erasures
            .erase(Person::Visitor("me"), None, noon())
            .await
    });
    let killed = until("the kill", async || {
        let kill = "select pg_terminate_backend(pid) from pg_stat_activity
                    where wait_event_type = 'Lock' and query like 'insert into visitor_analytics.unfolded_day%'
                      and datname = current_database()";
        let killed = sqlx::query_scalar::<_, bool>(kill);
        killed.fetch_optional(&system.pool).await.unwrap()
    });
    assert!(killed.await);
    assert!(erasing.await.unwrap().is_err());
    lock.rollback().await.unwrap();
    for table in ["visit", "session", "announcement"] {
        assert_eq!(system.count(table).await, 1, "{table}");
    }
    for table in ["erasure_call", "erased_value"] {
        assert_eq!(system.count(table).await, 0, "{table}");
    }
    assert_eq!(erase(&system, "/visitors/me").await.0, 200);
    for table in ["visit", "session", "announcement"] {
        assert_eq!(system.count(table).await, 0, "{table}");
    }
}

#[sqlx::test(migrations = false)]
async fn reports_of_today_forget_at_once(pool: PgPool) {
    let mut system = start(pool).await;
    system.token = token(
        &system.clock,
        &[Scope::VisitsWrite, Scope::VisitsRead],
        86_400,
    );
    // Enough visits for the numbers of the day to be cached.
    let mut visits: Vec<Value> = (0..600)
        .map(|n| seen(n % 100, &format!("v{}", n % 50), None, "/shared"))
        .collect();
    visits.push(seen(1, "me", None, "/PathSecret"));
    let sent = system.post(&json!(visits)).send().await.unwrap();
    assert_eq!(sent.status(), 200);
    let path = "/analytics/breakdown?by=page&site=shop.example&include_bots=true\
        &from=2026-11-20T00:00:00Z&to=2026-11-21T00:00:00Z";
    assert!(system.read(path).await.to_string().contains("PathSecret"));
    assert_eq!(erase(&system, "/visitors/me").await.0, 200);
    assert!(!system.read(path).await.to_string().contains("PathSecret"));
}

#[sqlx::test(migrations = false)]
async fn values_go_unless_others_have_them(pool: PgPool) {
    let system = start(pool).await;
    for visit in [
        seen(9, "me", None, "/PathSecret"),
        seen(8, "me", None, "/shared"),
        seen(7, "you", None, "/shared"),
    ] {
        system.record(&visit).await;
    }
    let paths = async || -> Vec<String> {
        let paths = "select path from visitor_analytics.page order by path";
        sqlx::query_scalar(paths)
            .fetch_all(&system.pool)
            .await
            .unwrap()
    };
    assert_eq!(paths().await, ["/PathSecret", "/shared"]);
    assert_eq!(erase(&system, "/visitors/me").await.0, 200);
    // A process with empty caches.
    let other = Store::new(system.pool.clone());
    assert_eq!(
        other.erasures.sweep_values(noon()).await.unwrap(),
        (0, false)
    );
    assert_eq!(paths().await, ["/PathSecret", "/shared"]);
    // A process that still caches the id of the page may use the id for a visit until the entry is
    // too old. Then the page is kept unchanged.
    system.record(&seen(6, "late", None, "/PathSecret")).await;
    let later = noon() + TimeDelta::hours(1);
    assert_eq!(
        other.erasures.sweep_values(later).await.unwrap(),
        (0, false)
    );
    assert_eq!(system.count("erased_value").await, 0);
    assert_eq!(
        system.read("/visitors/late/data").await["visits"][0]["path"],
        "/PathSecret"
    );

    assert_eq!(erase(&system, "/visitors/late").await.0, 200);
    for hours in 0..2 {
        let now = noon() + TimeDelta::hours(hours);
        other.erasures.sweep_values(now).await.unwrap();
    }
    assert_eq!(paths().await, ["/shared"]);
    assert_eq!(system.count("erased_value").await, 0);
    assert_eq!(
        system.read("/visits").await["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[sqlx::test(migrations = false)]
async fn an_announcement_tells_no_more_than_rules_need(pool: PgPool) {
    let mut system = start_with(pool, &["--keep-parameters=*", "--store-ip=full"]).await;
    let me = std::mem::replace(&mut system.token, token(&system.clock, &[Scope::Admin], 60));
    let site = json!({"domain": "shop.example"});
    let made = system.post_to("/sites").json(&site).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let change = system
        .http
        .patch(format!("{}/sites/shop.example", system.base))
        .bearer_auth(&system.token)
        .json(&json!({"properties": ["plan"]}));
    assert_eq!(change.send().await.unwrap().status(), 200);
    system.token = me;
    let sent = json!({
        "url": "https://shop.example/pricing?utm_source=news&coupon=QuerySecret",
        "referrer": "https://ref.example/page?q=QuerySecret", "user_id": "ann",
        "properties": {"plan": "pro", "email": "PropertySecret"},
    });
    system.record(&visit(&sent)).await;
    let told = until("the announcement", async || {
        system.notification.sent_notifications().pop()
    })
    .await;
    let visit = &told["data"]["visit"];
    assert_eq!(visit["url"], "https://shop.example/pricing");
    assert_eq!(visit["referrer"], "https://ref.example/page");
    assert_eq!(visit["utm_source"], "news");
    assert_eq!(visit["properties"], json!({"plan": "pro"}));
    assert_eq!(visit["user_id"], "ann");
    assert_eq!(visit["ip"], Value::Null);
    assert!(!told.to_string().contains("Secret"), "{told}");
}

#[sqlx::test(migrations = false)]
async fn a_person_may_ask_for_everything(pool: PgPool) {
    let mut system = start_with(pool, &["--retention-days=400", "--store-ip=full"]).await;
    system.geo.go_offline();
    for minute in [100, 99, 2, 1] {
        system
            .record(&seen(minute, "me", Some("ann"), &format!("/{minute}")))
            .await;
    }
    system.record(&seen(1, "you", None, "/other")).await;
    let event = json!({"event_type": "paid", "site": "shop.example", "visitor_id": "me",
        "timestamp": noon(), "metadata": {"sum": 7}});
    let sent = system
        .post_to("/analytics/events")
        .json(&event)
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 201);
    system.clock.advance(TimeDelta::seconds(20));
    until("the announcements", async || {
        (system.count("announcement").await == 2).then_some(())
    })
    .await;

    let whole = system.read("/visitors/me/data").await;
    assert_eq!(whole["visitor_id"], "me");
    assert_eq!(
        whole["sites"],
        json!([{"site": "shop.example", "retention_days": 400}])
    );
    assert_eq!(whole["next_cursor"], Value::Null);
    let lengths = |page: &Value| {
        ["sessions", "visits", "events", "notifications"]
            .map(|part| page[part].as_array().unwrap().len())
    };
    assert_eq!(lengths(&whole), [2, 4, 1, 1]);
    let visit = &whole["visits"][0];
    assert_eq!(
        (&visit["path"], &visit["user_id"]),
        (&json!("/1"), &json!("ann"))
    );
    assert_eq!(visit["waiting_address"], "81.2.69.142");
    assert_eq!(visit["ip"], "81.2.69.142");
    assert!(visit["user_agent"].as_str().unwrap().contains("Firefox"));
    // Small pages return the same data.
    let (mut parts, mut cursor) = ([0; 4], String::new());
    loop {
        let page = system
            .read(&format!("/visitors/me/data?limit=2{cursor}"))
            .await;
        let sizes = lengths(&page);
        assert!(sizes.iter().sum::<usize>() <= 2);
        parts
            .iter_mut()
            .zip(sizes)
            .for_each(|(sum, size)| *sum += size);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(parts, [2, 4, 1, 1]);

    assert_eq!(problem(system.get("/visitors/nobody/data")).await.0, 404);
    let found = problem(system.get("/visitors/me/data?cursor=x")).await;
    assert_eq!(found, (400, "QUERY_INVALID".into(), "cursor".into()));
    assert_eq!(
        problem(system.get("/visitors/me/data?limit=0")).await.0,
        400
    );
    let read = [Scope::VisitsRead, Scope::VisitsWrite];
    system.token = token_for_sites(&system.clock, &read, &["other.example"]);
    for path in [
        "/visitors/me/data?site=shop.example",
        "/visitors/me?site=shop.example",
    ] {
        assert_eq!(problem(system.get(path)).await.1, "SITE_FORBIDDEN");
    }
    assert_eq!(problem(system.get("/visitors/me/data")).await.0, 404);
    assert_eq!(
        problem(system.delete("/users/ann/data?site=shop.example"))
            .await
            .1,
        "SITE_FORBIDDEN"
    );
    assert_eq!(problem(system.delete("/users/ann/data")).await.0, 404);
    assert_eq!(system.count("visit").await, 5);
}
