//! `./dev bench ingest`: how many visits a second, beside what the machine can do at all.
//!
//! Drives the release binaries over real connections, each answered after the commit. In the same
//! run two probes tell the limit: a bare handler that parses the same JSON and answers 202, and a
//! bare group commit of the same rows into a table with two indexes. Machines are noisy; the
//! ratios are what counts. Needs a database in `DATABASE_URL`, which must be durable to mean
//! anything.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and may end"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "it is started by hand, with an environment"
)]

mod commit;
mod handler;
mod process;
mod visits;

use std::sync::Arc;
use std::time::Duration;

use bench::{Load, Outcome, Process, post};
use process::Postgres;

/// How long each measurement takes, after a second of warming up.
const LENGTH: Duration = Duration::from_secs(8);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if arguments.iter().any(|argument| argument == handler::FLAG) {
        return runtime.block_on(handler::serve());
    }
    runtime.block_on(measure());
}

async fn measure() {
    let database = std::env::var("DATABASE_URL").expect("run it by ./dev bench ingest");
    let visits = Arc::new(visits::generate(20_000));
    let handler = process::bare_handler().await;
    let system = process::System::start(&database).await;
    let postgres = Postgres::of(&database).await;
    println!("idle memory: {}", system.memory());
    println!();
    println!("                                   visits/s   p50 ms   p99 ms   CPU µs a visit");

    let single = visits::single(&visits);
    let requests = load(&handler, "", &single, 1);
    requests.warm_up(64).await;
    let bare = requests.run(64, LENGTH).await;
    print("bare handler, 64 connections", &bare, &[]);
    let probe = commit::run(&database, &visits, LENGTH).await;
    print("bare group commit of 500", &probe, &[]);

    let mut first = None;
    for connections in [64, 256] {
        let requests = load(&system.visitor_analytics, &system.token, &single, 1);
        requests.warm_up(connections).await;
        let used = system.cpu(&postgres);
        let outcome = requests.run(connections, LENGTH).await;
        let used = system.cpu(&postgres).since(&used);
        print(
            &format!("POST /visits, {connections} connections"),
            &outcome,
            &used.per_visit(outcome.items),
        );
        first.get_or_insert(outcome.rate());
    }
    let lists = visits::lists(&visits, 100);
    let requests = load(&system.visitor_analytics, &system.token, &lists, 100);
    requests.warm_up(8).await;
    let used = system.cpu(&postgres);
    let outcome = requests.run(8, LENGTH).await;
    let used = system.cpu(&postgres).since(&used);
    print(
        "lists of 100, 8 connections",
        &outcome,
        &used.per_visit(outcome.items),
    );

    let single_rate = first.unwrap_or_default();
    println!();
    println!(
        "of the bare group commit  {:>6.2}",
        single_rate / probe.rate()
    );
    println!(
        "of the bare handler       {:>6.2}",
        single_rate / bare.rate()
    );
    println!(
        "lists of 100 to single    {:>6.2}",
        outcome.rate() / single_rate
    );
    println!("peak memory: {}", system.memory());
    system.check(&database).await;
}

/// One bad visit of a list does not cost the others, so the status alone says little.
fn load(service: &Process, token: &str, bodies: &[Vec<u8>], visits_each: usize) -> Load {
    let requests = bodies.iter().map(|body| post("/visits", token, body));
    let load = Load::new(service.port, requests.collect(), visits_each);
    load.never(r#""status":"rejected""#)
}

fn print(name: &str, outcome: &Outcome, costs: &[(&str, f64)]) {
    let costs = costs
        .iter()
        .map(|(who, micros)| format!("{who} {micros:.1}"));
    println!(
        "{name:<33} {:>10.0} {:>8.2} {:>8.2}   {}",
        outcome.rate(),
        outcome.per_mille(500),
        outcome.per_mille(990),
        costs.collect::<Vec<_>>().join(", ")
    );
}
