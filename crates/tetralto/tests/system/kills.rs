//! Kills replicas of visitor-analytics and interrupts their PostgreSQL under load. One test has two
//! replicas that record under the shared lease; the other has one replica with the exclusive lease.
//!
//! `./dev kill [N]` is the long run. Each round kills one replica, and then stops PostgreSQL, kills
//! it, or terminates its connections, while clients keep sending and closed days are folded. At the
//! end all requests are acknowledged, and the sent data are compared with the stored data.

mod checks;
mod load;
mod postgres;
mod replica;
mod result_table;
mod visit_generator;

use checks::number;
use load::LoadClients;
use postgres::FAULTS;
use replica::{Replica, ReplicaSettings};
use result_table::ResultTable;

use crate::running::{data_folder, start};
use crate::twilio::TwilioStub;

/// Rounds of the short run: each fault happens once.
const SHORT_ROUNDS: usize = FAULTS.len();
/// Acknowledged requests between two faults.
const REQUESTS_BETWEEN_FAULTS: usize = 80;

#[expect(
    clippy::disallowed_methods,
    reason = "`./dev kill` sets the number of rounds"
)]
fn rounds() -> usize {
    std::env::var("KILLS").map_or(SHORT_ROUNDS, |kills| kills.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_are_killed_under_load_lose_double_and_halve_nothing() {
    let table = run_rounds(2).await;
    println!("\n{table}");
    assert!(table.is_ok(), "\n{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_records_alone_is_killed_and_loses_doubles_and_halves_nothing() {
    let table = run_rounds(1).await;
    println!("\n{table}");
    assert!(table.is_ok(), "\n{table}");
}

/// Runs the test with `count` replicas.
async fn run_rounds(count: usize) -> ResultTable {
    let (folder, twilio) = (data_folder(), TwilioStub::start().await);
    let system = start(folder.path(), &twilio.settings()).await;
    let settings = ReplicaSettings::new(&system, folder.path());
    let mut replicas = vec![];
    for _ in 0..count {
        replicas.push(Replica::start(&settings).await);
    }
    let addresses: Vec<_> = replicas.iter().map(Replica::visits_url).collect();
    let load = LoadClients::start(&addresses, &system.token);
    let rounds = rounds();
    for round in 0..rounds {
        load.wait_for_more(REQUESTS_BETWEEN_FAULTS).await;
        if count == 1 {
            postgres::wait_for_exclusive_lease(folder.path()).await;
        }
        replicas[round % count].restart().await;
        load.wait_for_more(REQUESTS_BETWEEN_FAULTS).await;
        if count == 1 {
            postgres::wait_for_exclusive_lease(folder.path()).await;
        }
        let mut database = postgres::connect(folder.path()).await;
        checks::fold_now(&mut database).await;
        FAULTS[round % FAULTS.len()].inject(folder.path()).await;
    }
    load.wait_for_more(REQUESTS_BETWEEN_FAULTS).await;
    let sent = load.finish().await;

    let mut table = ResultTable::default();
    table.count("replicas", number(count));
    table.count("visitor-analytics killed (-9)", number(rounds));
    if count == 1 {
        table.count("  each while it held the exclusive lease", number(rounds));
    }
    for (place, fault) in FAULTS.iter().enumerate() {
        let times = (rounds + FAULTS.len() - 1 - place) / FAULTS.len();
        table.count(fault.name(), number(times));
    }
    table.count("acknowledged requests", number(sent.acknowledged));
    table.count("  sent twice concurrently", number(sent.sent_twice));
    table.count("  repeated later", number(sent.repeated));
    table.count("requests with status 503", number(sent.unavailable));
    table.count("requests without a response", number(sent.no_response));
    checks::check_all(&sent, folder.path(), &settings, &mut table).await;
    assert!(twilio.messages().len() <= sent.arrivals);
    drop(replicas);
    assert!(system.stop().await.success());
    table
}
