//! The checks of `/health` and the gauges that are updated with them.

use chassis::database::{self, DatabaseCheck};
use chassis::health::{CheckResult, HealthChecks};
use chassis::metrics::observe_oldest_transaction;
use chrono::TimeDelta;
use common::clock::Clock;
use sqlx::PgPool;

use crate::app::routing_cache::RoutingCache;
use crate::config::SERVICE_NAME;
use crate::store::{MIGRATOR, delivery};

/// `/health` is degraded if a delivery is overdue by more than this.
const DEGRADED_AFTER: TimeDelta = TimeDelta::seconds(60);
/// Bounds the time of counting for health and metrics: 20 ms for this number.
const MAX_COUNTED_DELIVERIES: i64 = 100_000;

/// Returns the checks. `sms` names the providers of text messages.
pub(crate) fn health_checks(
    pool: &PgPool,
    clock: &Clock,
    routing_cache: &RoutingCache,
    sms: String,
) -> HealthChecks {
    let newest = database::newest_version(&MIGRATOR);
    let database = DatabaseCheck::new(pool, SERVICE_NAME, newest);
    let (of_clock, of_transactions) = (pool.clone(), pool.clone());
    let (pool, clock, routing_cache) = (pool.clone(), clock.clone(), routing_cache.clone());
    HealthChecks::default()
        .with_collector(move || observe_oldest_transaction(SERVICE_NAME, of_transactions.clone()))
        .with_check("clock", move || {
            // Compares the system clock, even if the service runs on a manual clock.
            database::check_clock_skew(of_clock.clone(), Clock::system())
        })
        .with_check("database", move || database.clone().run())
        .with_check("delivery", move || {
            check_delivery(pool.clone(), clock.clone())
        })
        .with_check("rules", move || {
            std::future::ready(check_rules(&routing_cache))
        })
        .with_check("sms", move || {
            std::future::ready(CheckResult::ok(sms.clone()))
        })
}

/// The check of rules that are not applied: disabled after failures, or unreadable.
fn check_rules(routing_cache: &RoutingCache) -> CheckResult {
    let unusable = routing_cache.unusable_rules();
    match &unusable[..] {
        [] => CheckResult::ok("all active rules are applied"),
        [first, ..] => CheckResult::degraded(format!(
            "{} not applied; {}: {}",
            unusable.len(),
            first.rule_id,
            first.reason
        )),
    }
}

/// Adds the gauges of the pools. Two pools are for a single kind of statement each.
pub(crate) fn add_pool_gauges(
    health: HealthChecks,
    [main, accept, queue]: [&PgPool; 3],
) -> HealthChecks {
    health
        .with_pool(SERVICE_NAME, "main", main)
        .with_pool(SERVICE_NAME, "accept", accept)
        .with_pool(SERVICE_NAME, "queue", queue)
}

async fn check_delivery(pool: PgPool, clock: Clock) -> CheckResult {
    match delivery::queue_depth(&pool, MAX_COUNTED_DELIVERIES).await {
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
