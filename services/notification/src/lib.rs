//! `notification`: says it, once, on time.
//!
//! A request becomes a notification with a delivery for each recipient, stored in one transaction
//! and answered with 202. The dispatcher claims what is due, hands it to the channel's provider
//! and records every attempt; what fails is tried again on a schedule and ends as a dead letter.
#![forbid(unsafe_code)]

pub mod clients;
pub mod config;
pub mod domain;
pub mod http;
pub mod store;
pub mod workers;

use std::sync::Arc;

use chassis::health::{Finding, Health};
use chassis::{App, database, http_client};
use chrono::TimeDelta;
use common::clock::Clock;
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use tokio::sync::Notify;

use crate::clients::twilio::Twilio;
use crate::clients::{Provider, Providers, log::Log};
use crate::config::Config;
use crate::domain::backoff::Jitter;
use crate::workers::{dispatcher::Dispatcher, upkeep};

/// The service's name, the audience of its tokens, and its schema in the database.
pub const NAME: &str = "notification";

/// The schema's migrations.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/notification");

/// Deliveries that are overdue by more than this are worth a look.
const LATE: TimeDelta = TimeDelta::seconds(60);

/// The schema's migrations, to be run with [`database::migrate`].
#[must_use]
pub fn migrator() -> Migrator {
    sqlx::migrate!("../../migrations/notification")
}

/// Puts the service together. Fails on keys or settings that cannot be used.
pub fn build(config: &Config, clock: Clock) -> anyhow::Result<App> {
    let pool = config.database.pool(NAME)?;
    build_on(pool, config, clock, random)
}

/// The same on a given pool, with a given source of randomness.
pub fn build_on(
    pool: PgPool,
    config: &Config,
    clock: Clock,
    jitter: Jitter,
) -> anyhow::Result<App> {
    let keys = &config.service.keys;
    let verifier = keys.verifier(NAME, &clock)?;
    let providers = providers(config)?;
    let wake = Arc::new(Notify::new());
    let state = http::Shared {
        pool: pool.clone(),
        clock: clock.clone(),
        defaults: Arc::new(config.sms.defaults()?),
        wake: wake.clone(),
    };
    let api = http::router(state, &verifier);
    let health = health(&pool, &clock, providers.sms.name());
    let dispatcher = Dispatcher {
        pool: pool.clone(),
        providers,
        clock: clock.clone(),
        wake,
        jitter,
    };
    let about = "Says it: the right message, once, on time.";
    let app = App::new(NAME, about, api, health, clock.clone())
        .worker("dispatcher", |stop| dispatcher.run(stop))
        .worker("upkeep", |stop| upkeep::run(pool, clock, stop));
    Ok(app.trusting(keys, verifier)?)
}

/// Brings the database's schema to the newest version.
pub async fn migrate(config: &Config) -> anyhow::Result<()> {
    let pool = config.database.pool(NAME)?;
    database::migrate(&pool, NAME, migrator()).await?;
    Ok(())
}

fn providers(config: &Config) -> anyhow::Result<Providers> {
    let sms: Arc<dyn Provider> = match config.sms.twilio()? {
        Some(settings) => Arc::new(Twilio::new(http_client::build(NAME)?, settings)),
        None => Arc::new(Log),
    };
    let log = Arc::new(Log);
    Ok(Providers { sms, log })
}

fn health(pool: &PgPool, clock: &Clock, sms: &'static str) -> Health {
    let newest = database::newest(&MIGRATOR);
    let database = pool.clone();
    let (pool, clock) = (pool.clone(), clock.clone());
    Health::default()
        .check("database", move || {
            database::check(database.clone(), NAME, newest)
        })
        .check("delivery", move || delivery(pool.clone(), clock.clone()))
        .check("sms", move || std::future::ready(Finding::ok(sms)))
}

async fn delivery(pool: PgPool, clock: Clock) -> Finding {
    match store::delivery::depth(&pool).await {
        Ok(depth) => {
            let late = depth.late(clock.now());
            let waiting = depth.waiting;
            let detail = format!(
                "{waiting} waiting, the oldest {} s late",
                late.num_seconds()
            );
            if late > LATE {
                Finding::degraded(detail)
            } else {
                Finding::ok(detail)
            }
        }
        Err(_) => Finding::degraded("the queue cannot be read"),
    }
}

/// From 0 up to 1.
fn random() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness deliveries are tried again all at once, which is no reason to stop.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}
