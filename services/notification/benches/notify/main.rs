//! `./dev bench notify`: what a notification to the log costs, from accept to told.
//!
//! Drives the release binary over real connections, one by one and in lists of 100, each with a
//! key of its own, until the last one is told. Machines are noisy; the processor's time for each
//! is what counts. Needs a database in `DATABASE_URL`, which must be durable to mean anything.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and may end"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "it is started by hand, with an environment"
)]

mod requests;

use std::process::Command;
use std::time::Duration;

use bench::{Cpu, Load, Process, free_port, parent};
use common::clock::Clock;
use common::jwt::{Claims, Keyring, Scope};
use sqlx::{Connection as _, PgConnection};

/// How long each measurement takes, after a second of warming up.
const LENGTH: Duration = Duration::from_secs(5);
/// Requests for more than any machine asks in that time; none is sent twice.
const SINGLE: usize = 80_000;
const LISTED: usize = 200_000;
const SECRET: &str = "a-secret-of-the-benchmark-with-32-characters";

fn main() {
    tokio::runtime::Runtime::new().unwrap().block_on(measure());
}

async fn measure() {
    let database = std::env::var("DATABASE_URL").expect("run it by ./dev bench notify");
    let mut connection = PgConnection::connect(&database).await.unwrap();
    let backend = sqlx::query_scalar::<_, i32>("select pg_backend_pid()");
    let backend = backend.fetch_one(&mut connection).await.unwrap();
    let postgres = parent(backend.cast_unsigned()).unwrap();
    let service = start(&database).await;
    println!("idle memory: {:.0} MB", service.memory());
    println!();
    println!(
        "                                    a second   p50 ms   p99 ms   CPU µs a notification"
    );
    let mut measurement = Measurement {
        token: token(),
        service,
        connection,
        postgres,
    };
    measurement.run("one by one, 64 connections", 64, 1).await;
    measurement.run("lists of 100, 4 connections", 4, 100).await;
    println!("peak memory: {:.0} MB", measurement.service.peak_memory());
}

struct Measurement {
    token: String,
    service: Process,
    connection: PgConnection,
    /// The number of the database server's first process.
    postgres: u32,
}

impl Measurement {
    async fn run(&mut self, name: &str, connections: usize, each: usize) {
        let load = |run: &str, items| {
            let requests = requests::make(run, items, each, &self.token);
            Load::new(self.service.port, requests, each).never(r#""error":{"#)
        };
        let (warming, total) = match each {
            1 => (load("warm-single", SINGLE / 4), SINGLE),
            _ => (load("warm-lists", LISTED / 4), LISTED),
        };
        let load = load(&format!("lists of {each}"), total);
        warming.warm_up(connections).await;
        self.until_told().await;
        let before = (self.service.cpu(), Cpu::of_family(self.postgres));
        let outcome = load.run(connections, LENGTH).await;
        assert!(outcome.items < total, "more requests are needed");
        let late = self.until_told().await;
        let micros = |used: Cpu| used.total().as_secs_f64() * 1e6 / outcome.items as f64;
        println!(
            "{name:<33} {:>10.0} {:>8.2} {:>8.2}   notification {:.1}, PostgreSQL {:.1}; \
             the last told {late:?} after",
            outcome.rate(),
            outcome.per_mille(500),
            outcome.per_mille(990),
            micros(self.service.cpu().since(before.0)),
            micros(Cpu::of_family(self.postgres).since(before.1)),
        );
    }

    /// How long it took until nothing waited.
    async fn until_told(&mut self) -> Duration {
        let started = std::time::Instant::now();
        let waiting = "select exists(select from notification.delivery
                       where status in ('pending', 'sending'))";
        let waits = sqlx::query_scalar::<_, bool>;
        while waits(waiting)
            .fetch_one(&mut self.connection)
            .await
            .unwrap()
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        started.elapsed()
    }
}

async fn start(database: &str) -> Process {
    let port = free_port();
    let command = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_notification"));
        command
            .env("JWT_SECRETS", SECRET)
            .env("DATABASE_URL", database)
            .env("PORT", port.to_string());
        command
    };
    assert!(command().arg("migrate").status().unwrap().success());
    Process::start(command(), port).await
}

fn token() -> String {
    let keys = Keyring::new(&[SECRET.into()], None, false).unwrap();
    let now = Clock::system().now().timestamp();
    let scopes = [Scope::NotifySend].into_iter().collect();
    keys.sign(&Claims::new("bench", scopes, now, 86_400))
        .unwrap()
}
