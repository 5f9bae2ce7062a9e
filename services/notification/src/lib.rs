//! `notification`: says it, once, on time.
//!
//! A request becomes a notification with a delivery for each recipient, stored in one transaction
//! and answered with 202. A dispatcher claims what is due on its channel, hands it to the provider
//! and records every attempt; what fails is tried again on a schedule and ends as a dead letter.
//! What the log is told needs no provider, and many are told in one transaction.
#![forbid(unsafe_code)]

pub mod clients;
pub mod config;
pub mod domain;
pub mod http;
mod metrics;
mod providers;
pub mod store;
pub mod workers;

use std::sync::Arc;

use chassis::database::DatabaseCheck;
use chassis::health::{Finding, Health};
use chassis::metrics::observe_oldest_transaction;
use chassis::{App, database};
use chrono::TimeDelta;
use common::clock::Clock;
use sqlx::PgPool;
use sqlx::migrate::Migrator;

use crate::clients::log;
use crate::config::Config;
use crate::domain::backoff::Jitter;
use crate::domain::pace::Flow;
use crate::domain::target::Channel;
use crate::http::engine::Engine;
use crate::providers::Providers;
use crate::store::{accept, queue};
use crate::workers::accepter::Accepter;
use crate::workers::digests::Digests;
use crate::workers::limiter::Limiter;
use crate::workers::notices::Notices;
use crate::workers::reader::Shelf;
use crate::workers::rule_failures::RuleFailures;
use crate::workers::scheduler::Scheduler;
use crate::workers::sender::{Asked, Sender};
use crate::workers::wake::Wake;
use crate::workers::{dispatcher::Dispatcher, teller::Teller, upkeep::Upkeep};

/// The service's name, the audience of its tokens, and its schema in the database.
pub const NAME: &str = "notification";

/// The schema's migrations.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/notification");

/// Deliveries that are overdue by more than this are worth a look.
const LATE: TimeDelta = TimeDelta::seconds(60);
/// Health and metrics count no more deliveries than this: it takes 20 ms.
const MANY: i64 = 100_000;

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
    let wake = Wake::default();
    let vapid = providers::vapid(config)?;
    let vault = providers::vault(config)?;
    let providers = Providers::new(config, &clock, vapid.as_ref(), &vault)?;
    let shelf = Shelf::new(pool.clone());
    let defaults = Arc::new(config.sms.defaults()?);
    let notices = Notices {
        pool: pool.clone(),
        clock: clock.clone(),
        shelf: shelf.clone(),
        defaults: defaults.clone(),
        wake: wake.clone(),
    };
    let limiter = Limiter {
        limits: config.limits.limits()?,
        pool: pool.clone(),
        clock: clock.clone(),
        notices: notices.clone(),
    };
    let (failures, switch) = RuleFailures::new(pool.clone(), clock.clone(), shelf.clone(), notices);
    let digests = Digests {
        pool: pool.clone(),
        clock: clock.clone(),
        shelf: shelf.clone(),
        defaults: defaults.clone(),
        failures: failures.clone(),
        wake: wake.clone(),
    };
    let scheduler = Scheduler {
        pool: pool.clone(),
        clock: clock.clone(),
        wake: wake.clone(),
        shelf: shelf.clone(),
    };
    let (accept_lane, lane) = (accept::lane(&pool), queue::lane(&pool));
    let (accepter, writer) = Accepter::new(accept_lane.clone(), clock.clone());
    let state = http::Shared {
        pool: pool.clone(),
        clock: clock.clone(),
        defaults,
        vapid,
        vault: vault.clone(),
        callbacks: Arc::new(config.callback_keys()),
        shelf: shelf.clone(),
        accepter,
        failures,
        engine: Engine::default(),
        wake: wake.clone(),
    };
    let api = http::router(state, &verifier);
    let health = health(&pool, &clock, &shelf, sms_names(&providers));
    let health = with_pools(health, [&pool, &accept_lane, &lane]);
    chassis::metrics::describe(&metrics::METRICS);
    let about = "Says it: the right message, once, on time.";
    let mut app = App::new(NAME, about, api, health, clock.clone())
        .check_at_startup(database::refuse_transaction_pooler(pool.clone()));
    let channels = Channels {
        lane: lane.clone(),
        clock: clock.clone(),
        wake,
        limiter,
        flows: config.flow.flows()?,
        jitter,
    };
    for (channel, providers) in providers.0 {
        app = channels.add_worker(app, channel, providers);
    }
    let app = app
        .worker("accept", |stop| writer.run(stop))
        .worker("scheduler", |stop| scheduler.run(stop))
        .worker("broken rules", |stop| switch.run(stop))
        .worker("digests", |stop| digests.run(stop));
    let kept = config.notification_retention_days;
    let upkeep = Upkeep {
        pool,
        lane,
        clock,
        kept: TimeDelta::days(kept.into()),
        vault,
    };
    let app = app.worker("upkeep", |stop| upkeep.run(stop));
    Ok(app.trusting(keys, verifier)?)
}

/// What the workers of all channels share.
struct Channels {
    lane: PgPool,
    clock: Clock,
    wake: Wake,
    limiter: Limiter,
    flows: Vec<(Channel, Flow)>,
    jitter: Jitter,
}

impl Channels {
    /// Adds the worker of a channel; without providers, what is sent goes to the log.
    fn add_worker(&self, app: App, channel: Channel, providers: Vec<Asked>) -> App {
        let (pool, clock, wake) = (self.lane.clone(), self.clock.clone(), self.wake.clone());
        let name = channel.as_str();
        if providers.is_empty() {
            let teller = Teller {
                channel,
                pool,
                clock,
                wake,
            };
            return app.worker(name, |stop| teller.run(stop));
        }
        let own = self.flows.iter().find(|(own, _)| *own == channel);
        let dispatcher = Dispatcher {
            channel,
            sender: Arc::new(Sender {
                providers,
                pool: pool.clone(),
                clock: clock.clone(),
            }),
            flow: own.map(|(_, flow)| *flow).unwrap_or_default(),
            pool,
            clock,
            wake,
            limiter: self.limiter.clone(),
            jitter: self.jitter,
        };
        app.worker(name, |stop| dispatcher.run(stop))
    }
}

/// Who sends text messages.
fn sms_names(providers: &Providers) -> String {
    let sms = providers.of(Channel::Sms);
    let names: Vec<_> = sms.iter().map(|asked| asked.provider.name()).collect();
    if names.is_empty() {
        log::NAME.to_owned()
    } else {
        names.join(", ")
    }
}

/// Brings the database's schema to the newest version.
pub async fn migrate(config: &Config) -> anyhow::Result<()> {
    let pool = config.database.pool(NAME)?;
    database::migrate(&pool, NAME, migrator()).await?;
    Ok(())
}

fn health(pool: &PgPool, clock: &Clock, shelf: &Shelf, sms: String) -> Health {
    let newest = database::newest(&MIGRATOR);
    let database = DatabaseCheck::new(pool, NAME, newest);
    let (of_clock, of_transactions) = (pool.clone(), pool.clone());
    let (pool, clock, shelf) = (pool.clone(), clock.clone(), shelf.clone());
    Health::default()
        .collect(move || observe_oldest_transaction(NAME, of_transactions.clone()))
        .check("clock", move || {
            // The machine's clock, whatever the service goes by.
            database::clock_skew(of_clock.clone(), Clock::system())
        })
        .check("database", move || database.clone().look())
        .check("delivery", move || delivery(pool.clone(), clock.clone()))
        .check("rules", move || std::future::ready(rules(&shelf)))
        .check("sms", move || std::future::ready(Finding::ok(sms.clone())))
}

/// Rules that are not followed, as they failed.
fn rules(shelf: &Shelf) -> Finding {
    let unfollowed = shelf.unfollowed();
    match &unfollowed[..] {
        [] => Finding::ok("all active rules are followed"),
        [first, ..] => Finding::degraded(format!(
            "{} not followed; {}: {}",
            unfollowed.len(),
            first.rule,
            first.reason
        )),
    }
}

/// Adds the gauges of the pools, of which two are for single kinds of statements.
fn with_pools(health: Health, [main, accept, queue]: [&PgPool; 3]) -> Health {
    health
        .pool(NAME, "main", main)
        .pool(NAME, "accept", accept)
        .pool(NAME, "queue", queue)
}

async fn delivery(pool: PgPool, clock: Clock) -> Finding {
    match store::delivery::depth(&pool, MANY).await {
        Ok(depth) => {
            let late = depth.late(clock.now());
            let waiting = depth.waiting;
            ::metrics::gauge!("notification_queue_depth").set(waiting as f64);
            ::metrics::gauge!("notification_oldest_due_seconds").set(late.as_seconds_f64());
            let more = if waiting == MANY { " or more" } else { "" };
            let detail = format!(
                "{waiting}{more} waiting, the oldest {} s late",
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
