//! `geo`: where an address is.
//!
//! Local databases in MaxMind's format answer first, each filling what it knows; a country
//! database embedded in the binary is the last resort, so that a fresh machine gets real answers.
#![forbid(unsafe_code)]

pub mod clients;
pub mod config;
pub mod domain;
pub mod http;

use std::sync::Arc;

use chassis::App;
use chassis::health::{Finding, Health};
use common::clock::Clock;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::clients::Locator;
use crate::config::Config;

/// The service's name, and the audience of its tokens.
pub const NAME: &str = "geo";

/// Puts the service together. Fails on keys or databases that cannot be used.
pub fn build(config: &Config, clock: Clock) -> anyhow::Result<App> {
    let keys = &config.service.keys;
    let verifier = keys.verifier(NAME, &clock)?;
    let locator = Arc::new(Locator::open(&config.geoip_databases)?);
    let health = health(locator.clone());
    let api = http::router(locator, &verifier);
    let app = App::new(NAME, "Where an address is.", api, health, clock);
    Ok(app.trusting(keys, verifier)?)
}

/// Serves until `shutdown`.
pub async fn serve(
    config: &Config,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    build(config, Clock::system())?
        .serve(listener, shutdown)
        .await
}

fn health(locator: Arc<Locator>) -> Health {
    Health::default().check("databases", move || {
        std::future::ready(Finding::ok(locator.description()))
    })
}
