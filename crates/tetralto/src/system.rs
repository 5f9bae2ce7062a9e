//! The all-in-one system: PostgreSQL and the three services.

mod banner;
mod data_folder;
pub mod keys;
mod services;

use std::process::ExitCode;
use std::time::Duration;

use secrecy::SecretString;

use crate::cli::SystemArgs;
use crate::postgres::{Cluster, ClusterOptions};
use services::ServiceRunner;

/// Interval between checks whether the private PostgreSQL is still running.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

/// Starts the system and returns after it has stopped.
///
/// The services run on a second thread. PostgreSQL belongs to this thread, which supervises it.
pub fn run(args: &SystemArgs) -> anyhow::Result<ExitCode> {
    chassis::telemetry::init();
    data_folder::create(&args.data_dir)?;
    let keys = keys::load_or_generate(args)?;
    let (mut cluster, url) = connect_or_start_database(args)?;
    let services = ServiceRunner {
        args: args.clone(),
        keys,
        database_url: url,
        database: banner::describe(cluster.as_ref(), &args.data_dir),
    };
    let running = std::thread::spawn(move || chassis::process::run(|stop| services.run(stop)));
    while !running.is_finished() {
        if let Some(cluster) = &mut cluster {
            restart_if_exited(cluster);
        }
        std::thread::sleep(WATCH_INTERVAL);
    }
    let code = running.join().unwrap_or(ExitCode::FAILURE);
    if let Some(cluster) = cluster {
        cluster.stop();
        tracing::info!("PostgreSQL stopped");
    }
    Ok(code)
}

/// Returns the given database, or starts a private one.
fn connect_or_start_database(args: &SystemArgs) -> anyhow::Result<(Option<Cluster>, SecretString)> {
    if let Some(url) = &args.database_url {
        return Ok((None, url.clone()));
    }
    tracing::info!("starting PostgreSQL");
    let cluster = Cluster::start(&ClusterOptions {
        data_dir: args.data_dir.join("postgres"),
        durable: true,
    })?;
    let url = cluster.url().into();
    Ok((Some(cluster), url))
}

/// Restarts the private PostgreSQL if it has exited. It recovers all committed data.
fn restart_if_exited(cluster: &mut Cluster) {
    match cluster.restart_if_exited() {
        Ok(false) => {}
        Ok(true) => tracing::warn!("PostgreSQL exited unexpectedly and was restarted"),
        Err(error) => {
            tracing::error!(%error, "PostgreSQL exited and cannot be restarted; trying again");
        }
    }
}
