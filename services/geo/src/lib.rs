//! `geo`: where an address is.
//!
//! Local databases in MaxMind's format answer first, each filling what it knows; MaxMind's web
//! service is asked for cities that none of them knows; a country database embedded in the binary
//! is the last resort, so that a fresh machine gets real answers.
#![forbid(unsafe_code)]

pub mod clients;
pub mod config;
pub mod domain;
pub mod http;

use std::sync::Arc;

use chassis::App;
use chassis::health::{Finding, Health};
use common::clock::Clock;

use crate::clients::{Databases, Locator, MaxMind};
use crate::config::Config;

/// The service's name, and the audience of its tokens.
pub const NAME: &str = "geo";

/// Puts the service together. Fails on keys or databases that cannot be used.
pub fn build(config: &Config, clock: Clock) -> anyhow::Result<App> {
    let keys = &config.service.keys;
    let verifier = keys.verifier(NAME, &clock)?;
    let databases = Databases::open(&config.geoip_databases)?;
    let account = config.maxmind.settings();
    let web = account.map(|account| MaxMind::new(account, clock.clone()));
    let web = web.transpose()?;
    let locator = Arc::new(Locator::new(databases, web.clone()));
    let health = health(locator.clone(), web);
    let api = http::router(locator, &verifier);
    let app = App::new(NAME, "Where an address is.", api, health, clock);
    Ok(app.trusting(keys, verifier)?)
}

fn health(locator: Arc<Locator>, web: Option<Arc<MaxMind>>) -> Health {
    let health = Health::default().check("databases", move || {
        std::future::ready(Finding::ok(locator.description()))
    });
    match web {
        Some(web) => health.check("maxmind", move || std::future::ready(web.finding())),
        None => health,
    }
}
