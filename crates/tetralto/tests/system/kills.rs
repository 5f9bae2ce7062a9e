//! Kills replicas of visitor-analytics and interrupts their PostgreSQL under load. One test has two
//! replicas that record under the shared lease; the other has one replica with the exclusive lease.
//!
//! `./dev kill [N]` is the long run. Each round kills one replica, and then stops PostgreSQL, kills
//! it, or terminates its connections, while clients keep sending and closed days are folded. At the
//! end all requests are acknowledged, and the sent data are compared with the stored data.

mod checks;
mod crowd;
mod load;
mod postgres;
mod replica;
mod table;

use checks::number;
use load::Load;
use postgres::FAULTS;
use replica::{Replica, Settings};
use table::Table;

use crate::running::{folder, start};
use crate::twilio::Twilio;

/// Rounds of the short run: each fault happens once.
const ROUNDS: usize = FAULTS.len();
/// Acknowledged requests between two faults.
const BETWEEN: usize = 80;

#[expect(
    clippy::disallowed_methods,
    reason = "`./dev kill` sets the number of rounds"
)]
fn rounds() -> usize {
    std::env::var("KILLS").map_or(ROUNDS, |kills| kills.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_are_killed_under_load_lose_double_and_halve_nothing() {
    let table = kill(2).await;
    println!("\n{table}");
    assert!(table.is_right(), "\n{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_records_alone_is_killed_and_loses_doubles_and_halves_nothing() {
    let table = kill(1).await;
    println!("\n{table}");
    assert!(table.is_right(), "\n{table}");
}

/// Runs the test with `count` replicas.
async fn kill(count: usize) -> Table {
    let (folder, twilio) = (folder(), Twilio::start().await);
    let system = start(folder.path(), &twilio.settings()).await;
    let settings = Settings::new(&system, folder.path());
    let mut replicas = vec![];
    for _ in 0..count {
        replicas.push(Replica::start(&settings).await);
    }
    let addresses: Vec<_> = replicas.iter().map(Replica::address).collect();
    let load = Load::start(&addresses, &system.token);
    let rounds = rounds();
    for round in 0..rounds {
        load.more(BETWEEN).await;
        if count == 1 {
            postgres::until_leased(folder.path()).await;
        }
        replicas[round % count].kill_and_start().await;
        load.more(BETWEEN).await;
        if count == 1 {
            postgres::until_leased(folder.path()).await;
        }
        let mut database = postgres::connect(folder.path()).await;
        checks::fold_now(&mut database).await;
        FAULTS[round % FAULTS.len()].strike(folder.path()).await;
    }
    load.more(BETWEEN).await;
    let sent = load.finish().await;

    let mut table = Table::default();
    table.count("replicas", number(count));
    table.count("visitor-analytics killed (-9)", number(rounds));
    if count == 1 {
        table.count("  each while it held the exclusive lease", number(rounds));
    }
    for (place, fault) in FAULTS.iter().enumerate() {
        let times = (rounds + FAULTS.len() - 1 - place) / FAULTS.len();
        table.count(fault.name(), number(times));
    }
    table.count("acknowledged requests", number(sent.answered));
    table.count("  sent twice concurrently", number(sent.to_both));
    table.count("  repeated later", number(sent.echoes));
    table.count("requests with status 503", number(sent.refused));
    table.count("requests without a response", number(sent.broken));
    checks::check(&sent, folder.path(), &settings, &mut table).await;
    assert!(twilio.messages().len() <= sent.arrivals);
    drop(replicas);
    assert!(system.stop().await.success());
    table
}
