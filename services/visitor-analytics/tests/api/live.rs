//! The live stream of server-sent events.

use std::time::Duration;

use chrono::TimeDelta;
use common::jwt::Scope;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{TestSystem, problem, start, start_replica, token, token_for_subject, visit};

/// A live stream, read event by event.
struct Stream {
    response: reqwest::Response,
    text: String,
}

/// A server-sent event.
#[derive(Debug)]
struct Event {
    kind: String,
    id: String,
    data: Value,
}

impl Stream {
    async fn open(system: &TestSystem, query: &str, after: &str) -> Self {
        let request = system.get(&format!("/visits/live{query}"));
        let mut request = request.timeout(Duration::from_mins(10));
        if !after.is_empty() {
            request = request.header("last-event-id", after);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let text = String::new();
        Self { response, text }
    }

    /// The next event, without comments; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Event> {
        let patience = Duration::from_mins(1);
        tokio::time::timeout(patience, self.read()).await.unwrap()
    }

    async fn read(&mut self) -> Option<Event> {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let rest = self.text.split_off(end + 2);
                let block = std::mem::replace(&mut self.text, rest);
                let line = |name: &str| {
                    let mut lines = block.lines();
                    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                };
                if let Some(kind) = line("event") {
                    return Some(Event {
                        kind: kind.to_owned(),
                        id: line("id").unwrap_or_default().to_owned(),
                        data: serde_json::from_str(line("data").unwrap()).unwrap(),
                    });
                }
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn path(&mut self) -> String {
        let event = self.next().await.unwrap();
        assert_eq!(event.kind, "visit");
        event.data["path"].as_str().unwrap().to_owned()
    }
}

/// Advances the clock by a second and records a visit.
async fn record(system: &TestSystem, page: &str, changes: &Value) -> Value {
    system.clock.advance(TimeDelta::seconds(1));
    let mut sent = json!({"url": format!("https://shop.example{page}")});
    let fields = sent.as_object_mut().unwrap();
    fields.extend(changes.as_object().unwrap().clone());
    system.record(&visit(&sent)).await
}

#[sqlx::test(migrations = false)]
async fn visits_are_told_as_they_come(pool: PgPool) {
    let system = start(pool).await;
    record(&system, "/before", &json!({})).await;
    system.clock.advance(TimeDelta::seconds(1));
    let mut all = Stream::open(&system, "", "").await;
    let mut bots = Stream::open(&system, "?include_bots=only", "").await;
    let mut blog = Stream::open(&system, "?page=/blog/*&country_code=GB", "").await;
    let mut other = Stream::open(&system, "?site=other.example", "").await;
    let first = record(&system, "/1", &json!({})).await;
    record(&system, "/bot", &json!({"user_agent": "curl/8.5.0"})).await;
    record(&system, "/blog/a", &json!({})).await;
    record(&system, "/2", &json!({"site": "other.example"})).await;
    let event = all.next().await.unwrap();
    assert_eq!(event.data["path"], "/1");
    // Equals the visit as returned by `GET /visits/{id}`.
    let path = format!("/visits/{}", first["id"].as_str().unwrap());
    assert_eq!(event.data, system.read(&path).await);
    assert_eq!([all.path().await, all.path().await], ["/blog/a", "/2"]);
    assert_eq!(bots.path().await, "/bot");
    assert_eq!(blog.path().await, "/blog/a");
    assert_eq!(other.path().await, "/2");
    // Duplicates and old visits are not streamed.
    let sent = json!({"id": first["id"], "timestamp": event.data["timestamp"]});
    record(&system, "/1", &sent).await;
    record(
        &system,
        "/old",
        &json!({"timestamp": "2026-11-01T00:00:00Z"}),
    )
    .await;
    record(&system, "/3", &json!({})).await;
    assert_eq!(all.path().await, "/3");
}

#[sqlx::test(migrations = false)]
async fn who_comes_back_is_told_what_came_meanwhile(pool: PgPool) {
    let mut system = start(pool).await;
    system.clock.advance(TimeDelta::seconds(1));
    let mut stream = Stream::open(&system, "?page=!/not", "").await;
    record(&system, "/1", &json!({})).await;
    let seen = stream.next().await.unwrap().id;
    drop(stream);
    for page in ["/2", "/not", "/3"] {
        record(&system, page, &json!({})).await;
    }
    let mut stream = Stream::open(&system, "?page=!/not", &seen).await;
    assert_eq!([stream.path().await, stream.path().await], ["/2", "/3"]);
    record(&system, "/4", &json!({})).await;
    assert_eq!(stream.path().await, "/4");
    // Beyond the limits of the replay, the stream sends `missed`.
    for _ in 0..26 {
        system.clock.advance(TimeDelta::seconds(1));
        let visits: Vec<_> = (0..10).map(|_| visit(&json!({}))).collect();
        let sent = system.post(&json!(visits)).send().await.unwrap();
        assert_eq!(sent.status(), 200);
    }
    let mut stream = Stream::open(&system, "?include_bots=true", &seen).await;
    assert_eq!(stream.next().await.unwrap().kind, "missed");
    for _ in 0..250 {
        assert_eq!(stream.path().await, "/pricing");
    }
    system.clock.advance(TimeDelta::hours(2));
    system.token = token(
        &system.clock,
        &[Scope::VisitsWrite, Scope::VisitsRead],
        86_400,
    );
    let mut stream = Stream::open(&system, "?include_bots=true&page=/5", &seen).await;
    assert_eq!(stream.next().await.unwrap().kind, "missed");
    record(&system, "/5", &json!({})).await;
    assert_eq!(stream.path().await, "/5");
}

#[sqlx::test(migrations = false)]
async fn replicas_tell_each_other(pool: PgPool) {
    let one = start(pool.clone()).await;
    let two = start_replica(pool, one.geo.clone(), one.notification.clone()).await;
    one.clock.advance(TimeDelta::seconds(1));
    let mut first = Stream::open(&one, "", "").await;
    let mut second = Stream::open(&one, "", "").await;
    two.clock.advance(TimeDelta::seconds(2));
    record(&two, "/there", &json!({})).await;
    assert_eq!(first.path().await, "/there");
    assert_eq!(second.path().await, "/there");
    // Both clients share one listening connection.
    let listening = "select count(*) from pg_locks where locktype = 'advisory'
        and classid = 32380 and database = (select oid from pg_database
                                            where datname = current_database())";
    let count: i64 = sqlx::query_scalar(listening)
        .fetch_one(&one.pool)
        .await
        .unwrap();
    assert_eq!(count, 1);
    // The connection is lost: both clients get `missed`, and then further visits.
    let cut = "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'
        and classid = 32380 and database = (select oid from pg_database
                                            where datname = current_database())";
    sqlx::query(cut).execute(&one.pool).await.unwrap();
    assert_eq!(first.next().await.unwrap().kind, "missed");
    assert_eq!(second.next().await.unwrap().kind, "missed");
    one.clock.advance(TimeDelta::seconds(10));
    two.clock.advance(TimeDelta::seconds(20));
    let mut third = Stream::open(&one, "", "").await;
    record(&two, "/again", &json!({})).await;
    assert_eq!(third.path().await, "/again");
}

#[sqlx::test(migrations = false)]
async fn a_stream_ends_with_its_token(pool: PgPool) {
    let mut system = start(pool).await;
    system.token = token(&system.clock, &[Scope::VisitsRead], 1);
    let mut stream = Stream::open(&system, "", "").await;
    assert!(stream.next().await.is_none());
}

#[sqlx::test(migrations = false)]
async fn a_stream_ends_when_the_service_stops(pool: PgPool) {
    let system = start(pool).await;
    let mut stream = Stream::open(&system, "", "").await;
    drop(system);
    assert!(stream.next().await.is_none());
}

#[sqlx::test(migrations = false)]
async fn listeners_are_so_many_and_what_they_ask_is_understood(pool: PgPool) {
    let mut system = start(pool).await;
    for (query, field) in [
        ("from=2026-11-20", "from"),
        ("entry_page=/", "entry_page"),
        ("colour=blue", "colour"),
        ("include_bots=maybe", "include_bots"),
        ("time_zone=Mars", "time_zone"),
        ("site=%3F", "site"),
        ("country=GB&country=!GB", "country"),
    ] {
        let (status, _, named) = problem(system.get(&format!("/visits/live?{query}"))).await;
        assert_eq!((status, named.as_str()), (400, field), "{query}");
    }
    let nonsense = system.get("/visits/live").header("last-event-id", "7");
    assert_eq!(problem(nonsense).await.2, "last-event-id");
    let mut streams = vec![];
    // Each of two tokens gets half of the slots.
    for _ in 0..50 {
        streams.push(Stream::open(&system, "", "").await);
    }
    let too_many = problem(system.get("/visits/live")).await;
    assert_eq!((too_many.0, too_many.1.as_str()), (503, "UNAVAILABLE"));
    system.token = token_for_subject(&system.clock, "another", &[Scope::VisitsRead]);
    for _ in 0..50 {
        streams.push(Stream::open(&system, "", "").await);
    }
    system.token = token_for_subject(&system.clock, "one more", &[Scope::VisitsRead]);
    let one_more = problem(system.get("/visits/live")).await;
    assert_eq!((one_more.0, one_more.1.as_str()), (503, "UNAVAILABLE"));
    streams.pop();
    crate::support::until("room for another", async || {
        let opened = system.get("/visits/live").send().await.unwrap();
        (opened.status() == 200).then_some(())
    })
    .await;
    system.token = token(&system.clock, &[Scope::VisitsWrite], 60);
    assert_eq!(problem(system.get("/visits/live")).await.0, 403);
}
