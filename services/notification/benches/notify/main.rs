//! `./dev bench notify`: the cost of a notification, from its acceptance to the provider.
//!
//! Sends requests to the release binary over TCP connections: single notifications and lists of
//! 100, each with its own idempotency key. In the first runs, quiet hours hold the messages, so
//! that only acceptance is measured; in the others, the messages go to the log. A bare insert in
//! the same run is the baseline. Finally, the held messages are delivered to a local
//! ntfy server. Because machines are noisy, compare the ratios and the CPU time per notification.
//! `DATABASE_URL` must name a database with durable commits. `./dev bench notify claims` instead
//! measures claims from a queue of a million deliveries.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints and may panic"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the benchmark reads its environment"
)]

mod baseline;
mod claims;
mod requests;
mod service;
mod sink;

use std::process::Command;
use std::time::{Duration, Instant};

use bench::{LoadGenerator, LoadResult, MeasuredProcess, free_port, post_request};
use service::Service;
use sink::Sink;

/// Duration of a measurement, after one second of warm-up.
const RUN_DURATION: Duration = Duration::from_secs(5);
/// More notifications than a machine can send in that time, because each is sent once.
const SINGLE_NOTIFICATIONS: usize = 100_000;
const LISTED_NOTIFICATIONS: usize = 200_000;
/// Notifications for the idle latency, one every 20 ms.
const IDLE_NOTIFICATIONS: usize = 200;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if runtime.block_on(baseline::serve(&arguments)) {
        return;
    }
    let database =
        std::env::var("DATABASE_URL").expect("DATABASE_URL is missing; run `./dev bench notify`");
    if arguments.iter().any(|argument| argument == "claims") {
        service::migrate(&database);
        runtime.block_on(claims::measure(&database));
    } else {
        runtime.block_on(measure(&database));
    }
}

async fn measure(database: &str) {
    let sink = Sink::start().await;
    let mut service = Service::start(database, sink.port).await;
    println!("idle memory: {:.0} MB", service.process.memory_mb());
    measure_idle_latency(&service, &sink).await;
    println!();
    println!(
        "                                    per second   p50 ms   p99 ms   CPU µs per notification"
    );
    let limit = measure_baseline(&service).await;
    create_rules(&service).await;
    let held = measure_single(&mut service, requests::HELD_EVENT, "held, single").await;
    measure_lists(&mut service, requests::HELD_EVENT, "held, lists of 100").await;
    measure_delivery(&mut service).await;
    measure_single(&mut service, requests::LOGGED_EVENT, "sent, single").await;
    measure_lists(&mut service, requests::LOGGED_EVENT, "sent, lists of 100").await;
    println!();
    println!(
        "held, single, relative to the bare insert: {:.2}",
        held / limit
    );
    println!("peak memory: {:.0} MB", service.process.peak_memory_mb());
}

/// Measures the bare insert in a separate process.
async fn measure_baseline(service: &Service) -> f64 {
    let port = free_port();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([baseline::SERVE_FLAG, &port.to_string()]);
    let process = MeasuredProcess::start(command, port).await;
    let requests = requests::build_requests(
        "bare",
        requests::HELD_EVENT,
        SINGLE_NOTIFICATIONS,
        1,
        &service.token,
    );
    let load = LoadGenerator::new(port, requests, 1);
    load.warm_up(64).await;
    let before = (process.cpu(), service.cpu_usage());
    let outcome = load.run(64, RUN_DURATION).await;
    let own = process.cpu().since(before.0).total().as_secs_f64() * 1e6 / outcome.items as f64;
    let costs = service.cost_per_item(before.1, outcome.items);
    let costs = costs.rsplit(", ").next().unwrap();
    print_result(
        "bare insert",
        64,
        &outcome,
        &format!("bare {own:.1}, {costs}"),
    );
    outcome.items_per_second()
}

/// Creates a rule whose messages are accepted but held, and removes the built-in throttle.
async fn create_rules(service: &Service) {
    let rule = r#"{"name": "Held", "event": "bench.held", "recipients": ["ntfy:bench"],
        "templates": [{"text": "{{ data.visit.city }}"}],
        "quiet_hours": [{"from": "00:00", "to": "00:00"}]}"#;
    let request = post_request("/rules", &service.token, rule.as_bytes());
    let load = LoadGenerator::new(service.process.port, vec![request], 1);
    load.send_each_once().await;
    // The throttle of the built-in rule would hold nearly all messages back.
    let rule = r#"{"name": "Visitors", "event": "visitor.arrived"}"#;
    let path = "/rules/01900000-0000-7000-8000-000000000001";
    let request = post_request(path, &service.token, rule.as_bytes());
    let request = String::from_utf8_lossy(&request).replacen("POST", "PUT", 1);
    let load = LoadGenerator::new(service.process.port, vec![request.into_bytes()], 1);
    load.send_each_once().await;
}

async fn measure_single(service: &mut Service, event: &str, name: &str) -> f64 {
    measure_load(service, event, name, 64, 1, SINGLE_NOTIFICATIONS).await
}

async fn measure_lists(service: &mut Service, event: &str, name: &str) -> f64 {
    measure_load(service, event, name, 4, 100, LISTED_NOTIFICATIONS).await
}

async fn measure_load(
    service: &mut Service,
    event: &str,
    name: &str,
    connections: usize,
    each: usize,
    total: usize,
) -> f64 {
    let load = |run: &str, items| {
        let requests = requests::build_requests(run, event, items, each, &service.token);
        LoadGenerator::new(service.process.port, requests, each).fail_on(r#""error":{"#)
    };
    let warming = load(&format!("warm {name}"), total / 4);
    let load = load(name, total);
    warming.warm_up(connections).await;
    wait_until_sent(service).await;
    let before = service.cpu_usage();
    let outcome = load.run(connections, RUN_DURATION).await;
    assert!(
        outcome.items < total,
        "too few requests for the measurement"
    );
    let late = wait_until_sent(service).await.as_millis();
    let costs = service.cost_per_item(before, outcome.items);
    let costs = match event {
        requests::LOGGED_EVENT => format!("{costs}; the last sent after {late} ms"),
        _ => costs,
    };
    print_result(name, connections, &outcome, &costs);
    outcome.items_per_second()
}

/// Waits until no delivery is due, and returns the time.
async fn wait_until_sent(service: &mut Service) -> Duration {
    let started = Instant::now();
    let waiting = "select exists(select from notification.delivery
                   where status in ('pending', 'sending') and due_at <= now())";
    let waits = sqlx::query_scalar::<_, bool>;
    let connection = &mut service.connection;
    while waits(waiting).fetch_one(&mut *connection).await.unwrap() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    started.elapsed()
}

/// Releases the held messages and measures their delivery to ntfy.
async fn measure_delivery(service: &mut Service) {
    let now = "update notification.delivery set due_at = now() where status = 'pending'
               and id in (select id from notification.delivery where status = 'pending' limit $1)";
    sqlx::raw_sql("vacuum analyze notification.delivery")
        .execute(&mut service.connection)
        .await
        .unwrap();
    let before_release = 50_000;
    let released = sqlx::query(now).bind(i64::from(before_release));
    let released = released.execute(&mut service.connection).await.unwrap();
    let before = service.cpu_usage();
    let took = wait_until_sent(service).await.as_secs_f64();
    let items = usize::try_from(released.rows_affected()).unwrap();
    let costs = service.cost_per_item(before, items);
    let rate = items as f64 / took;
    println!(
        "{:<35} {rate:>10.0} {:>17}   {costs}",
        "delivered to ntfy", ""
    );
    let rest = "delete from notification.delivery where status = 'pending'";
    sqlx::raw_sql(rest)
        .execute(&mut service.connection)
        .await
        .unwrap();
}

/// Measures the latency from the request to ntfy on an idle service.
async fn measure_idle_latency(service: &Service, sink: &Sink) {
    let mut times = vec![];
    let started = Instant::now();
    for number in 0..IDLE_NOTIFICATIONS {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let text = format!("alone {number}");
        let body =
            format!(r#"{{"event": "bench.alone", "message": "{text}", "to": ["ntfy:bench"]}}"#);
        let request = post_request("/notify", &service.token, body.as_bytes());
        let asked = Instant::now();
        let load = LoadGenerator::new(service.process.port, vec![request], 1);
        load.send_each_once().await;
        let arrived = loop {
            if let Some(arrived) = sink.arrivals.lock().unwrap().remove(&text) {
                break arrived;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        times.push(u32::try_from((arrived - asked).as_micros()).unwrap());
    }
    let outcome = LoadResult::new(IDLE_NOTIFICATIONS, started.elapsed(), times);
    println!(
        "idle, from request to ntfy: p50 {:.1} ms, p95 {:.1} ms",
        outcome.latency_ms(500),
        outcome.latency_ms(950)
    );
}

fn print_result(name: &str, connections: usize, outcome: &LoadResult, costs: &str) {
    println!(
        "{:<35} {:>10.0} {:>8.2} {:>8.2}   {costs}",
        format!("{name}, {connections} connections"),
        outcome.items_per_second(),
        outcome.latency_ms(500),
        outcome.latency_ms(990),
    );
}
