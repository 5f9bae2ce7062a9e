//! Everything at once.

mod banner;
mod folder;
pub mod keys;
mod services;

use std::process::ExitCode;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use crate::cli::SystemArgs;
use crate::postgres::{Cluster, ClusterOptions};
use services::ServiceRunner;

/// How often it is looked whether the private PostgreSQL still runs.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

/// Starts everything, and returns when it was told to stop and has stopped.
///
/// The services run on another thread: PostgreSQL is bound to this one, which watches it.
pub fn run(args: &SystemArgs) -> anyhow::Result<ExitCode> {
    chassis::telemetry::init();
    folder::make(&args.data_dir)?;
    let keys = keys::own_or_given(args)?;
    let (mut cluster, url) = database(args)?;
    let services = ServiceRunner {
        args: args.clone(),
        keys,
        database_url: url,
        database: banner::describe(cluster.as_ref(), &args.data_dir),
    };
    let running = std::thread::spawn(move || chassis::process::run(|stop| services.run(stop)));
    while !running.is_finished() {
        if let Some(cluster) = &mut cluster {
            watch(cluster);
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

/// The given database, or a private one.
fn database(args: &SystemArgs) -> anyhow::Result<(Option<Cluster>, SecretString)> {
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

/// Starts the private PostgreSQL again when it has ended by itself; it recovers what was
/// committed.
fn watch(cluster: &mut Cluster) {
    match cluster.revive() {
        Ok(false) => {}
        Ok(true) => tracing::warn!("PostgreSQL had ended; it runs again"),
        Err(error) => tracing::error!(%error, "PostgreSQL has ended and does not start"),
    }
}

/// A secret as an argument of a service, inside this process only.
fn argument(name: &str, secret: &SecretString) -> String {
    format!("--{name}={}", secret.expose_secret())
}
