//! `notification`: the notification service.
//!
//! A request becomes a notification with a delivery for each recipient. Both are stored in one
//! transaction before the response 202. A dispatcher per channel claims due deliveries, sends them
//! to the provider and records every attempt. Failed deliveries are retried with backoff and end as
//! dead letters. The log needs no provider: its deliveries are printed in batches, one transaction
//! each.
#![forbid(unsafe_code)]

pub mod app;
pub mod clients;
pub mod config;
pub mod domain;
mod health;
pub mod http;
mod metrics;
mod providers;
pub mod store;
pub mod workers;

use std::sync::Arc;

use chassis::{App, database};
use chrono::TimeDelta;
use common::clock::Clock;
use sqlx::PgPool;
use sqlx::migrate::Migrator;

use crate::app::acceptance::NotificationAcceptor;
use crate::app::daily_limiter::DailyLimiter;
use crate::app::guarded_provider::GuardedProvider;
use crate::app::intake::Intake;
use crate::app::queue_signal::QueueSignal;
use crate::app::routing_cache::RoutingCache;
use crate::app::rule_engine::RuleEngine;
use crate::app::rule_failures::RuleFailureCounter;
use crate::app::sender::ChannelSender;
use crate::app::service_notices::ServiceNotices;
use crate::clients::log;
use crate::config::Config;
pub use crate::config::SERVICE_NAME;
use crate::domain::backoff::JitterFn;
use crate::domain::channel_address::DeliveryChannel;
use crate::domain::token_bucket::ChannelLimits;
use crate::providers::ChannelProviders;
pub use crate::store::MIGRATOR;
use crate::store::{accept, queue};
use crate::workers::digest_worker::DigestWorker;
use crate::workers::dispatcher::Dispatcher;
use crate::workers::intake_writer::IntakeWriter;
use crate::workers::log_dispatcher::LogDispatcher;
use crate::workers::maintenance::MaintenanceWorker;
use crate::workers::rule_disabler::RuleDisabler;
use crate::workers::scheduler::Scheduler;

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
    let queue_signal = QueueSignal::default();
    let vapid = providers::vapid_signer(config)?;
    let secret_box = providers::secret_box(config)?;
    let providers = ChannelProviders::new(config, &clock, vapid.as_ref(), &secret_box)?;
    let routing_cache = RoutingCache::new(pool.clone());
    let default_recipient = Arc::new(config.sms.default_recipient()?);
    let notices = ServiceNotices {
        pool: pool.clone(),
        clock: clock.clone(),
        routing_cache: routing_cache.clone(),
        default_recipient: default_recipient.clone(),
        queue_signal: queue_signal.clone(),
    };
    let limiter = DailyLimiter {
        limits: config.limits.daily_limits()?,
        pool: pool.clone(),
        clock: clock.clone(),
        notices: notices.clone(),
    };
    let (rule_failures, failing_rules) = RuleFailureCounter::new();
    let rule_disabler = RuleDisabler {
        pool: pool.clone(),
        clock: clock.clone(),
        routing_cache: routing_cache.clone(),
        notices,
        receiver: failing_rules,
    };
    let digests = DigestWorker {
        pool: pool.clone(),
        clock: clock.clone(),
        routing_cache: routing_cache.clone(),
        default_recipient: default_recipient.clone(),
        failures: rule_failures.clone(),
        queue_signal: queue_signal.clone(),
    };
    let scheduler = Scheduler {
        pool: pool.clone(),
        clock: clock.clone(),
        queue_signal: queue_signal.clone(),
        routing_cache: routing_cache.clone(),
    };
    let accept_pool = accept::key_lookup_pool(&pool);
    let queue_pool = queue::key_lookup_pool(&pool);
    let (intake, intake_receiver) = Intake::new();
    let intake_writer = IntakeWriter {
        pool: accept_pool.clone(),
        clock: clock.clone(),
        receiver: intake_receiver,
    };
    let state = http::AppState {
        pool: pool.clone(),
        clock: clock.clone(),
        default_recipient,
        vapid,
        secret_box: secret_box.clone(),
        callback_keys: Arc::new(config.callback_keys()),
        routing_cache: routing_cache.clone(),
        acceptor: NotificationAcceptor {
            pool: pool.clone(),
            intake,
            queue_signal: queue_signal.clone(),
        },
        rule_failures,
        rule_engine: RuleEngine::default(),
        queue_signal: queue_signal.clone(),
    };
    let api = http::router(state, &verifier);
    let sms = sms_provider_names(&providers);
    let health = health::health_checks(&pool, &clock, &routing_cache, sms);
    let health = health::add_pool_gauges(health, [&pool, &accept_pool, &queue_pool]);
    chassis::metrics::describe(&metrics::METRICS);
    let about = "Selects the recipients of a notification by rules, and delivers the messages.";
    let app = App::new(SERVICE_NAME, about, api, health, clock.clone())
        .with_startup_check(database::reject_transaction_pooler(pool.clone()));
    let channels = ChannelContext {
        pool: queue_pool.clone(),
        clock: clock.clone(),
        queue_signal,
        limiter,
        channel_limits: config.flow.channel_limits()?,
        jitter,
    };
    let app = channels
        .add_workers(app, providers)
        .with_worker("accept", |stop| intake_writer.run(stop))
        .with_worker("scheduler", |stop| scheduler.run(stop))
        .with_worker("broken rules", |stop| rule_disabler.run(stop))
        .with_worker("digests", |stop| digests.run(stop));
    let maintenance = MaintenanceWorker {
        pool,
        key_lookup_pool: queue_pool,
        clock,
        retention: TimeDelta::days(config.notification_retention_days.into()),
        secret_box,
    };
    let app = app.with_worker("upkeep", |stop| maintenance.run(stop));
    Ok(app.with_jwks(keys, verifier)?)
}

/// The dependencies of the workers of all channels.
struct ChannelContext {
    pool: PgPool,
    clock: Clock,
    queue_signal: QueueSignal,
    limiter: DailyLimiter,
    channel_limits: Vec<(DeliveryChannel, ChannelLimits)>,
    jitter: JitterFn,
}

impl ChannelContext {
    fn add_workers(&self, app: App, providers: ChannelProviders) -> App {
        providers.0.into_iter().fold(app, |app, (channel, own)| {
            self.add_worker(app, channel, own)
        })
    }

    /// Adds the worker of a channel. Without providers, messages are printed to the log.
    fn add_worker(
        &self,
        app: App,
        channel: DeliveryChannel,
        providers: Vec<GuardedProvider>,
    ) -> App {
        let (pool, clock, queue_signal) = (
            self.pool.clone(),
            self.clock.clone(),
            self.queue_signal.clone(),
        );
        let name = channel.as_str();
        if providers.is_empty() {
            let dispatcher = LogDispatcher {
                channel,
                pool,
                clock,
                queue_signal,
            };
            return app.with_worker(name, |stop| dispatcher.run(stop));
        }
        let own = self.channel_limits.iter().find(|(own, _)| *own == channel);
        let dispatcher = Dispatcher {
            channel,
            sender: Arc::new(ChannelSender {
                providers,
                pool: pool.clone(),
                clock: clock.clone(),
            }),
            limits: own.map(|(_, limits)| *limits).unwrap_or_default(),
            pool,
            clock,
            queue_signal,
            limiter: self.limiter.clone(),
            jitter: self.jitter,
        };
        app.with_worker(name, |stop| dispatcher.run(stop))
    }
}

/// The names of the SMS providers, for `/health`.
fn sms_provider_names(providers: &ChannelProviders) -> String {
    let sms = providers.of(DeliveryChannel::Sms);
    let names: Vec<_> = sms.iter().map(|guarded| guarded.provider.name()).collect();
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

/// Returns a number from 0 (inclusive) to 1 (exclusive).
fn random_fraction() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness, retries have no jitter, which is acceptable.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}
