//! `./dev bench ingest`: visits per second, compared with the limits of the machine.
//!
//! Sends visits to the release binaries over real connections; each request is answered after the
//! commit. Two probes in the same run measure the limits: a bare handler that parses the same JSON
//! and answers 202, and one that answers after a group commit of the same rows into a table with
//! two indexes. Since machines are noisy, compare the ratios. `DATABASE_URL` must name a database
//! on durable storage. `./dev bench ingest NAME` runs one of `single`, `many`, `lists` and `new`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints its results and may panic"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark is run by hand and reads the environment"
)]

mod commit;
mod probes;
mod process;
mod visits;

use std::time::Duration;

use bench::{LoadGenerator, LoadResult, MeasuredProcess, post_request};
use process::{CpuShares, Postgres, ServiceGroup};
use visits::VisitorMix;

/// Duration of each measurement, after a second of warm-up.
const MEASUREMENT_DURATION: Duration = Duration::from_secs(8);
/// Enough visits that few are sent twice within a measurement.
const VISIT_COUNT: usize = 240_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if runtime.block_on(probes::serve(&arguments)) {
        return;
    }
    let only = arguments.iter().skip(1).find(|name| !name.starts_with('-'));
    runtime.block_on(measure(only.map(String::as_str)));
}

async fn measure(only: Option<&str>) {
    let database = std::env::var("DATABASE_URL").expect("start this with ./dev bench ingest");
    let mixed = |seed| visits::generate(VisitorMix::Mixed, VISIT_COUNT, seed);
    let postgres = Postgres::from_url(&database).await;
    let system = ServiceGroup::start(&database).await;
    println!("idle memory: {}", system.peak_memory());
    println!();
    println!("                                   visits/s   p50 ms   p99 ms   CPU µs a visit");

    let wanted = |name: &str| only.is_none_or(|only| only == name);
    let single = mixed(1);
    let bare = measure_probe(probes::HANDLER, "bare handler", &single, &postgres).await;
    let commit = measure_probe(probes::COMMIT, "bare group commit", &single, &postgres).await;
    let mut rates = vec![];
    if wanted("single") {
        rates.push(measure_service(&system, &postgres, "POST /visits", &single, 1, 64).await);
    }
    if wanted("many") {
        measure_service(&system, &postgres, "POST /visits", &mixed(2), 1, 256).await;
    }
    if wanted("lists") {
        let lists = visits::group_into_lists(&mixed(3), 100);
        rates.push(measure_service(&system, &postgres, "lists of 100", &lists, 100, 8).await);
    }
    if wanted("new") {
        let new = visits::generate(VisitorMix::NewVisitors, VISIT_COUNT, 4);
        measure_service(&system, &postgres, "new people only", &new, 1, 64).await;
    }

    println!();
    if let [first, listed] = rates[..] {
        println!("of the bare group commit  {:>6.2}", first / commit);
        println!("of the bare handler       {:>6.2}", first / bare);
        println!("lists of 100 to single    {:>6.2}", listed / first);
    }
    println!("peak memory: {}", system.peak_memory());
    system.check_stored_visits(&database).await;
}

async fn measure_probe(flag: &str, name: &str, bodies: &[String], postgres: &Postgres) -> f64 {
    let process = probes::start(flag).await;
    let requests = load_generator(&process, "", bodies, 1);
    requests.warm_up(64).await;
    let (before, stored) = (process.cpu(), postgres.cpu());
    let outcome = requests.run(64, MEASUREMENT_DURATION).await;
    let used = CpuShares::new(vec![
        ("probe", process.cpu().since(before).total()),
        ("PostgreSQL", postgres.cpu().saturating_sub(stored)),
    ]);
    let name = format!("{name}, 64 connections");
    print_result(&name, &outcome, &used.per_visit(outcome.items));
    outcome.items_per_second()
}

async fn measure_service(
    system: &ServiceGroup,
    postgres: &Postgres,
    name: &str,
    bodies: &[String],
    visits_each: usize,
    connections: usize,
) -> f64 {
    let requests = load_generator(
        &system.visitor_analytics,
        &system.token,
        bodies,
        visits_each,
    );
    requests.warm_up(connections).await;
    let used = system.cpu(postgres);
    let outcome = requests.run(connections, MEASUREMENT_DURATION).await;
    let used = system.cpu(postgres).since(&used);
    let name = format!("{name}, {connections} connections");
    print_result(&name, &outcome, &used.per_visit(outcome.items));
    outcome.items_per_second()
}

/// The body is checked as well: a list is answered with success even if some of its visits are
/// rejected.
fn load_generator(
    service: &MeasuredProcess,
    token: &str,
    bodies: &[String],
    visits_each: usize,
) -> LoadGenerator {
    let requests = bodies
        .iter()
        .map(|body| post_request("/visits", token, body.as_bytes()));
    let load = LoadGenerator::new(service.port, requests.collect(), visits_each);
    load.fail_on(r#""status":"rejected""#)
}

fn print_result(name: &str, outcome: &LoadResult, costs: &[(&str, f64)]) {
    let costs = costs
        .iter()
        .map(|(who, micros)| format!("{who} {micros:.1}"));
    println!(
        "{name:<33} {:>10.0} {:>8.2} {:>8.2}   {}",
        outcome.items_per_second(),
        outcome.latency_ms(500),
        outcome.latency_ms(990),
        costs.collect::<Vec<_>>().join(", ")
    );
}
