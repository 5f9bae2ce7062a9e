//! `./dev bench geo`: requests, batches, memory and service areas, compared with a baseline.
//!
//! Sends requests to the release binary over real connections, with a City database of 3 million
//! networks. A bare handler with the same lookup and response body is measured in the same run.
//! Absolute numbers depend on the machine; compare the ratios.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints its results and may panic"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark is configured by its environment"
)]

mod areas;

mod baseline;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bench::{
    LoadGenerator, LoadResult, MeasuredProcess, SeededRandom, free_port, get_request, post_request,
};
use common::clock::Clock;
use common::jwt::{Claims, Keyring, Scope};
use serde_json::json;

/// The length of each measurement, after a warm-up of one second.
const MEASUREMENT_LENGTH: Duration = Duration::from_secs(6);
const CONNECTIONS: usize = 64;
/// Measurements of baseline and service alternate, because the speed of machines varies.
const ROUNDS: usize = 3;
const SECRET: &str = "a-secret-of-the-benchmark-with-32-characters";

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if std::env::args().any(|argument| argument == baseline::BASELINE_FLAG) {
        return runtime.block_on(baseline::serve());
    }
    runtime.block_on(measure());
    areas::measure();
}

async fn measure() {
    let database = database();
    let size = std::fs::metadata(&database).unwrap().len() as f64 / 1e6;
    let networks = bench::NETWORK_COUNT;
    println!("database: {networks} networks, {size:.1} MB");
    let bare = start_baseline(&database).await;
    let geo = start_geo(&database).await;
    print_memory("the start", &geo);
    println!();
    println!(
        "                                    a second   p50 ms   p99 ms   CPU µs     user   system"
    );

    let token = token();
    let questions: Vec<_> = addresses(20_000);
    let path = |ip: &String| get_request(&format!("/geolocate?ip={ip}"), &token);
    let single: Vec<_> = questions.iter().map(path).collect();
    let mut ratios = vec![];
    for _ in 0..ROUNDS {
        let bare = measure_load("bare handler", &bare, &single, 1, CONNECTIONS).await;
        let own = measure_load("GET /geolocate", &geo, &single, 1, CONNECTIONS).await;
        ratios.push(own.items_per_second() / bare.items_per_second());
    }
    print_memory("GET /geolocate", &geo);
    let batch = |ips: &[String]| {
        post_request(
            "/geolocate",
            &token,
            json!({"ips": ips}).to_string().as_bytes(),
        )
    };
    let batches: Vec<_> = questions.chunks(1_000).map(batch).collect();
    for _ in 0..ROUNDS {
        measure_load("POST /geolocate, 1,000 each", &geo, &batches, 1_000, 4).await;
    }
    println!();
    let ratios: Vec<_> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
    println!("rate relative to the bare handler: {}", ratios.join(", "));
    print_memory("batches", &geo);
    println!();
}

fn print_memory(load: &str, geo: &MeasuredProcess) {
    let (now, most) = (geo.memory_mb(), geo.peak_memory_mb());
    println!("memory after {load}: {now:.1} MB, peak {most:.1} MB");
}

async fn measure_load(
    name: &str,
    process: &MeasuredProcess,
    requests: &[Vec<u8>],
    each: usize,
    connections: usize,
) -> LoadResult {
    let load = LoadGenerator::new(process.port, requests.to_vec(), each);
    load.warm_up(connections).await;
    let before = process.cpu();
    let outcome = load.run(connections, MEASUREMENT_LENGTH).await;
    let used = process.cpu().since(before);
    let each = |time: Duration| time.as_secs_f64() * 1e6 / outcome.items as f64;
    let (half, most) = (outcome.latency_ms(500), outcome.latency_ms(990));
    println!(
        "{name:<33} {:>10.0} {half:>8.2} {most:>8.2} {:>8.2} {:>8.2} {:>8.2}",
        outcome.items_per_second(),
        each(used.total()),
        each(used.user),
        each(used.system),
    );
    outcome
}

/// The database in `GEO_BENCH_DATABASE`, or a generated one.
fn database() -> PathBuf {
    if let Some(given) = std::env::var_os("GEO_BENCH_DATABASE") {
        return given.into();
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_geo"));
    let target = binary.parent().and_then(Path::parent).unwrap();
    bench::city_database(&target.join("bench"))
}

async fn start_baseline(database: &Path) -> MeasuredProcess {
    let port = free_port();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([baseline::BASELINE_FLAG, &port.to_string()])
        .arg(database);
    MeasuredProcess::start(command, port).await
}

async fn start_geo(database: &Path) -> MeasuredProcess {
    let port = free_port();
    let mut command = Command::new(env!("CARGO_BIN_EXE_geo"));
    command
        .env("JWT_SECRETS", SECRET)
        .env("PORT", port.to_string())
        .env("GEOIP_DATABASES", database)
        .env("GEOIP_UPDATE", "off")
        .env_remove("DATABASE_URL");
    MeasuredProcess::start(command, port).await
}

fn token() -> String {
    let keys = Keyring::new(&[SECRET.into()], None, false).unwrap();
    let now = Clock::system().now().timestamp();
    let scopes = [Scope::GeoRead].into_iter().collect();
    keys.sign(&Claims::new("bench", scopes, now, 86_400))
        .unwrap()
}

/// Random addresses that are not reserved.
fn addresses(count: usize) -> Vec<String> {
    let mut random = SeededRandom(0x7e7a);
    (0..count)
        .map(|_| {
            let mut byte = || random.below(256);
            let (b, c, d) = (byte(), byte(), byte());
            format!("{}.{b}.{c}.{d}", 11 + random.below(80))
        })
        .collect()
}
