//! Two replicas of visitor-analytics and their PostgreSQL, killed again and again under load.
//!
//! `./dev kill [N]` is the long form. Each round kills one replica, and then stops PostgreSQL,
//! kills it, or cuts its connections, while clients send on and closed days are folded. At the end
//! everything has been answered well, and is compared with what is there.

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

/// Rounds of the short form: each fault happens once.
const ROUNDS: usize = FAULTS.len();
/// Requests that are answered well between two faults.
const BETWEEN: usize = 80;

#[expect(clippy::disallowed_methods, reason = "`./dev kill` says how many")]
fn rounds() -> usize {
    std::env::var("KILLS").map_or(ROUNDS, |kills| kills.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_are_killed_under_load_lose_double_and_halve_nothing() {
    let (folder, twilio) = (folder(), Twilio::start().await);
    let system = start(folder.path(), &twilio.settings()).await;
    let settings = Settings::new(&system, folder.path());
    let mut replicas = [
        Replica::start(&settings).await,
        Replica::start(&settings).await,
    ];
    let addresses = replicas.each_ref().map(Replica::address);
    let load = Load::start(&addresses, &system.token);
    let rounds = rounds();
    for round in 0..rounds {
        load.more(BETWEEN).await;
        replicas[round % 2].kill_and_start().await;
        load.more(BETWEEN).await;
        let mut database = postgres::connect(folder.path()).await;
        checks::fold_now(&mut database).await;
        FAULTS[round % FAULTS.len()].strike(folder.path()).await;
    }
    load.more(BETWEEN).await;
    let sent = load.finish().await;

    let mut table = Table::default();
    table.count("visitor-analytics killed (-9)", number(rounds));
    for (place, fault) in FAULTS.iter().enumerate() {
        let times = (rounds + FAULTS.len() - 1 - place) / FAULTS.len();
        table.count(fault.name(), number(times));
    }
    table.count("requests answered well", number(sent.answered));
    table.count("  to both replicas at once", number(sent.to_both));
    table.count("  sent once more much later", number(sent.echoes));
    table.count("requests answered with 503", number(sent.refused));
    table.count("requests that nobody answered", number(sent.broken));
    checks::check(&sent, folder.path(), &settings, &mut table).await;
    println!("\n{table}");
    assert!(table.is_right(), "\n{table}");
    assert!(twilio.messages().len() <= sent.arrivals);
    drop(replicas);
    assert!(system.stop().await.success());
}
