//! Clients that close the connection during a request cause no loss of acknowledged visits and
//! events.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::jwt::Scope;
use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::{TestSystem, answer, noon, start, token, until, visit};

/// Number of visits, and of events, that are recorded one after the other meanwhile.
const RECORDED: u64 = 60;
/// Number of concurrent clients that hang up.
const CLIENTS: usize = 6;

/// The raw request of every operation of the OpenAPI document.
async fn requests(system: &TestSystem) -> Vec<Vec<u8>> {
    let api = system.read("/openapi.json").await;
    let recorded = system.record(&visit(&json!({"visitor_id": "gone"}))).await;
    let host = system.base.trim_start_matches("http://").to_owned();
    let token = token(&system.clock, &[Scope::Admin], 86_400);
    let mut requests = vec![];
    for (path, operations) in api["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let name = schema["$ref"].as_str().unwrap_or_default();
            let name = name.rsplit('/').next().unwrap_or_default();
            let example = &api["components"]["schemas"][name]["example"];
            let body = match example {
                Value::Null => String::new(),
                example => example.to_string(),
            };
            let id = if path.starts_with("/sessions") {
                "session_id"
            } else {
                "id"
            };
            let path = path
                .replace("/visitors/{id}", "/visitors/gone")
                .replace("{id}", recorded[id].as_str().unwrap())
                .replace("{domain}", "shop.example")
                .replace("{user_id}", "gone");
            let query = match path.as_str() {
                "/import" => "?format=ndjson",
                "/analytics/breakdown" => "?by=path",
                "/analytics/events/date-range" => "?start_date=2026-11-01&end_date=2026-11-20",
                _ => "",
            };
            let method = method.to_uppercase();
            requests.push(
                format!(
                    "{method} {path}{query} HTTP/1.1\r\nHost: {host}\r\n\
                     Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\
                     Content-Length: {}\r\n\r\n{body}",
                    body.len()
                )
                .into_bytes(),
            );
        }
    }
    requests
}

/// Sends requests and closes the connection 3 to 30 ms later, before or after the response, until
/// `done`.
async fn hang_up(system: &TestSystem, requests: &[Vec<u8>], client: usize, done: &AtomicBool) {
    let address = system.base.trim_start_matches("http://");
    let order = requests.iter().cycle().skip(client * 5);
    for (request, round) in order.zip(0_u64..) {
        if done.load(Ordering::Relaxed) {
            return;
        }
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(request).await.unwrap();
        tokio::time::sleep(Duration::from_micros(3_000 + round * 7_919 % 27_000)).await;
    }
}

/// Records items one after the other, retrying each until it is acknowledged. Returns the ids.
async fn record(
    system: &TestSystem,
    path: &str,
    body: impl Fn(u64) -> (String, Value),
) -> Vec<String> {
    let mut acknowledged = vec![];
    for number in 0..RECORDED {
        let (id, body) = body(number);
        until("an acknowledgement", async || {
            let response = system.post_to(path).json(&body).send().await.unwrap();
            let (status, body) = answer(response).await;
            assert!(matches!(status, 201 | 503), "{path}: {status} {body}");
            (status == 201).then_some(())
        })
        .await;
        acknowledged.push(id);
    }
    acknowledged
}

async fn missing(pool: &PgPool, table: &str, ids: &[String]) -> Vec<String> {
    let statement = format!(
        "select n.id from unnest($1::text[]) n (id)
         where not exists (select from visitor_analytics.{table} t where t.id = n.id::uuid)"
    );
    let statement = sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).bind(ids);
    statement.fetch_all(pool).await.unwrap()
}

#[sqlx::test(migrations = false)]
async fn what_is_acknowledged_beside_clients_that_hang_up_is_stored(pool: PgPool) {
    let options = (*pool.connect_options()).clone();
    let system = start(chassis::database::request_pool(options, 10)).await;
    let requests = requests(&system).await;
    let done = AtomicBool::new(false);
    let visits = record(&system, "/visits", |number| {
        // Not UUIDv7, so that the timestamp determines the partition.
        let id = uuid::Builder::from_random_bytes(*system.clock.new_id().as_bytes());
        let id = id.into_uuid().to_string();
        // Includes new sites, and months without a partition.
        let day = format!("2026-{:02}-03T12:00:00Z", 1 + number / 10 % 11);
        let url = format!("https://s{}.example/{number}", number / 5);
        let body = visit(&json!({"id": id, "timestamp": day, "url": url}));
        (id, body)
    });
    let events = record(&system, "/analytics/events", |number| {
        let id = system.clock.new_id().to_string();
        let body = json!({
            "id": id, "event_type": "signup", "site": "shop.example", "timestamp": noon(),
            "visitor_id": format!("v{number}")
        });
        (id, body)
    });
    let recorded = async {
        let recorded = futures::join!(visits, events);
        done.store(true, Ordering::Relaxed);
        recorded
    };
    let storm = (0..CLIENTS).map(|client| hang_up(&system, &requests, client, &done));
    let ((visits, events), _) = futures::join!(recorded, join_all(storm));
    for (table, ids) in [("visit", visits), ("event", events)] {
        assert_eq!(
            missing(&pool, table, &ids).await,
            Vec::<String>::new(),
            "{table}"
        );
    }
    // No connection remains in a transaction.
    until("no open transaction", async || {
        let open: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity
             where datname = current_database() and state like 'idle in transaction%'",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        (open == 0).then_some(())
    })
    .await;
}
