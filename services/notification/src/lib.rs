//! `notification`: the notification service.
//!
//! A request becomes a notification with a delivery for each recipient. Both are stored in one
//! transaction before the response 202. A dispatcher per channel claims due deliveries, sends them
//! to the provider and records every attempt. Failed deliveries are retried with backoff and end as
//! dead letters. The log needs no provider: its deliveries are printed in batches, one transaction
//! each.
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
use chassis::health::{CheckResult, HealthChecks};
use chassis::metrics::observe_oldest_transaction;
use chassis::{App, database};
use chrono::TimeDelta;
use common::clock::Clock;
use sqlx::PgPool;
use sqlx::migrate::Migrator;

use crate::clients::log;
use crate::config::Config;
pub use crate::config::SERVICE_NAME;
use crate::domain::backoff::JitterFn;
use crate::domain::channel_address::Channel;
use crate::domain::token_bucket::ChannelLimits;
use crate::http::rule_engine::RuleEngine;
use crate::providers::ChannelProviders;
use crate::store::{accept, queue};
use crate::workers::daily_limiter::DailyLimiter;
use crate::workers::digest_worker::DigestWorker;
use crate::workers::intake::Intake;
use crate::workers::queue_signal::QueueSignal;
use crate::workers::routing_cache::RoutingCache;
use crate::workers::rule_failures::RuleFailureCounter;
use crate::workers::scheduler::Scheduler;
use crate::workers::sender::{ChannelSender, GuardedProvider};
use crate::workers::service_notices::ServiceNotices;
use crate::workers::{
    dispatcher::Dispatcher, log_dispatcher::LogDispatcher, maintenance::MaintenanceWorker,
};

pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/notification");

/// `/health` is degraded if a delivery is overdue by more than this.
const DEGRADED_AFTER: TimeDelta = TimeDelta::seconds(60);
/// Bounds the time of counting for health and metrics: 20 ms for this number.
const MAX_COUNTED_DELIVERIES: i64 = 100_000;

/// The migrations of the schema, for [`database::migrate`].
#[must_use]
pub fn migrator() -> Migrator {
    sqlx::migrate!("../../migrations/notification")
}

/// Builds the service. Fails on invalid keys or settings.
pub fn build(config: &Config, clock: Clock) -> anyhow::Result<App> {
    let pool = config.database.pool(SERVICE_NAME)?;
    build_with(pool, config, clock, random_fraction)
}

/// Builds the service with the given pool and source of randomness.
pub fn build_with(
    pool: PgPool,
    config: &Config,
    clock: Clock,
    jitter: JitterFn,
) -> anyhow::Result<App> {
    let keys = &config.service.keys;
    let verifier = keys.verifier(SERVICE_NAME, &clock)?;
    let wake = QueueSignal::default();
    let vapid = providers::vapid_signer(config)?;
    let vault = providers::secret_box(config)?;
    let providers = ChannelProviders::new(config, &clock, vapid.as_ref(), &vault)?;
    let shelf = RoutingCache::new(pool.clone());
    let defaults = Arc::new(config.sms.default_recipient()?);
    let notices = ServiceNotices {
        pool: pool.clone(),
        clock: clock.clone(),
        routing_cache: shelf.clone(),
        default_recipient: defaults.clone(),
        queue_signal: wake.clone(),
    };
    let limiter = DailyLimiter {
        limits: config.limits.daily_limits()?,
        pool: pool.clone(),
        clock: clock.clone(),
        notices: notices.clone(),
    };
    let (failures, switch) =
        RuleFailureCounter::new(pool.clone(), clock.clone(), shelf.clone(), notices);
    let digests = DigestWorker {
        pool: pool.clone(),
        clock: clock.clone(),
        routing_cache: shelf.clone(),
        default_recipient: defaults.clone(),
        failures: failures.clone(),
        queue_signal: wake.clone(),
    };
    let scheduler = Scheduler {
        pool: pool.clone(),
        clock: clock.clone(),
        queue_signal: wake.clone(),
        routing_cache: shelf.clone(),
    };
    let (accept_lane, lane) = (
        accept::key_lookup_pool(&pool),
        queue::key_lookup_pool(&pool),
    );
    let (accepter, writer) = Intake::new(accept_lane.clone(), clock.clone());
    let state = http::AppState {
        pool: pool.clone(),
        clock: clock.clone(),
        default_recipient: defaults,
        vapid,
        secret_box: vault.clone(),
        callback_keys: Arc::new(config.callback_keys()),
        routing_cache: shelf.clone(),
        intake: accepter,
        rule_failures: failures,
        rule_engine: RuleEngine::default(),
        queue_signal: wake.clone(),
    };
    let api = http::router(state, &verifier);
    let health = health_checks(&pool, &clock, &shelf, sms_provider_names(&providers));
    let health = add_pool_gauges(health, [&pool, &accept_lane, &lane]);
    chassis::metrics::describe(&metrics::METRICS);
    let about = "Decides by rules whom to notify, and delivers the messages.";
    let mut app = App::new(SERVICE_NAME, about, api, health, clock.clone())
        .check_at_startup(database::refuse_transaction_pooler(pool.clone()));
    let channels = ChannelContext {
        pool: lane.clone(),
        clock: clock.clone(),
        queue_signal: wake,
        limiter,
        channel_limits: config.flow.channel_limits()?,
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
    let upkeep = MaintenanceWorker {
        pool,
        key_lookup_pool: lane,
        clock,
        retention: TimeDelta::days(kept.into()),
        secret_box: vault,
    };
    let app = app.worker("upkeep", |stop| upkeep.run(stop));
    Ok(app.trusting(keys, verifier)?)
}

/// The dependencies of the workers of all channels.
struct ChannelContext {
    pool: PgPool,
    clock: Clock,
    queue_signal: QueueSignal,
    limiter: DailyLimiter,
    channel_limits: Vec<(Channel, ChannelLimits)>,
    jitter: JitterFn,
}

impl ChannelContext {
    /// Adds the worker of a channel. Without providers, messages are printed to the log.
    fn add_worker(&self, app: App, channel: Channel, providers: Vec<GuardedProvider>) -> App {
        let (pool, clock, wake) = (
            self.pool.clone(),
            self.clock.clone(),
            self.queue_signal.clone(),
        );
        let name = channel.as_str();
        if providers.is_empty() {
            let teller = LogDispatcher {
                channel,
                pool,
                clock,
                queue_signal: wake,
            };
            return app.worker(name, |stop| teller.run(stop));
        }
        let own = self.channel_limits.iter().find(|(own, _)| *own == channel);
        let dispatcher = Dispatcher {
            channel,
            sender: Arc::new(ChannelSender {
                providers,
                pool: pool.clone(),
                clock: clock.clone(),
            }),
            limits: own.map(|(_, flow)| *flow).unwrap_or_default(),
            pool,
            clock,
            queue_signal: wake,
            limiter: self.limiter.clone(),
            jitter: self.jitter,
        };
        app.worker(name, |stop| dispatcher.run(stop))
    }
}

/// The names of the SMS providers, for `/health`.
fn sms_provider_names(providers: &ChannelProviders) -> String {
    let sms = providers.of(Channel::Sms);
    let names: Vec<_> = sms.iter().map(|asked| asked.provider.name()).collect();
    if names.is_empty() {
        log::PROVIDER_NAME.to_owned()
    } else {
        names.join(", ")
    }
}

/// Migrates the database schema to this version.
pub async fn migrate(config: &Config) -> anyhow::Result<()> {
    let pool = config.database.pool(SERVICE_NAME)?;
    database::migrate(&pool, SERVICE_NAME, migrator()).await?;
    Ok(())
}

fn health_checks(pool: &PgPool, clock: &Clock, shelf: &RoutingCache, sms: String) -> HealthChecks {
    let newest = database::newest(&MIGRATOR);
    let database = DatabaseCheck::new(pool, SERVICE_NAME, newest);
    let (of_clock, of_transactions) = (pool.clone(), pool.clone());
    let (pool, clock, shelf) = (pool.clone(), clock.clone(), shelf.clone());
    HealthChecks::default()
        .collect(move || observe_oldest_transaction(SERVICE_NAME, of_transactions.clone()))
        .check("clock", move || {
            // Compares the system clock, even if the service runs on a manual clock.
            database::clock_skew(of_clock.clone(), Clock::system())
        })
        .check("database", move || database.clone().look())
        .check("delivery", move || {
            check_delivery(pool.clone(), clock.clone())
        })
        .check("rules", move || std::future::ready(check_rules(&shelf)))
        .check("sms", move || {
            std::future::ready(CheckResult::ok(sms.clone()))
        })
}

/// The check of rules that are not applied: disabled after failures, or unreadable.
fn check_rules(shelf: &RoutingCache) -> CheckResult {
    let unfollowed = shelf.unusable_rules();
    match &unfollowed[..] {
        [] => CheckResult::ok("all active rules are applied"),
        [first, ..] => CheckResult::degraded(format!(
            "{} not applied; {}: {}",
            unfollowed.len(),
            first.rule_id,
            first.reason
        )),
    }
}

/// Adds the gauges of the pools. Two pools are for a single kind of statement each.
fn add_pool_gauges(health: HealthChecks, [main, accept, queue]: [&PgPool; 3]) -> HealthChecks {
    health
        .pool(SERVICE_NAME, "main", main)
        .pool(SERVICE_NAME, "accept", accept)
        .pool(SERVICE_NAME, "queue", queue)
}

async fn check_delivery(pool: PgPool, clock: Clock) -> CheckResult {
    match store::delivery::queue_depth(&pool, MAX_COUNTED_DELIVERIES).await {
        Ok(depth) => {
            let late = depth.overdue_by(clock.now());
            let waiting = depth.waiting;
            ::metrics::gauge!("notification_queue_depth").set(waiting as f64);
            ::metrics::gauge!("notification_oldest_due_seconds").set(late.as_seconds_f64());
            let more = if waiting == MAX_COUNTED_DELIVERIES {
                " or more"
            } else {
                ""
            };
            let detail = format!(
                "{waiting}{more} waiting, oldest overdue by {} s",
                late.num_seconds()
            );
            if late > DEGRADED_AFTER {
                CheckResult::degraded(detail)
            } else {
                CheckResult::ok(detail)
            }
        }
        Err(_) => CheckResult::degraded("the delivery queue cannot be read"),
    }
}

/// Returns a number from 0 (inclusive) to 1 (exclusive).
fn random_fraction() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness, retries have no jitter, which is acceptable.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}
