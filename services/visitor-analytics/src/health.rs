//! The checks of `GET /health`.

use chassis::database::{self, DatabaseCheck};
use chassis::health::{CheckResult, HealthChecks};
use chassis::metrics::observe_oldest_transaction;
use chrono::TimeDelta;
use common::clock::Clock;
use sqlx::PgPool;

use crate::service::{SCHEMA_NAME, SERVICE_NAME, migrator};
use crate::store::{NewSiteCount, Store};

/// The `outbox` check is degraded if the oldest due announcement is later than this.
const MAX_OUTBOX_LAG: TimeDelta = TimeDelta::minutes(1);

#[must_use]
pub fn checks(pool: &PgPool, store: &Store, clock: &Clock, max_new_sites: u32) -> HealthChecks {
    let newest = database::newest_version(&migrator());
    let database = DatabaseCheck::new(pool, SCHEMA_NAME, newest);
    let (of_clock, of_transactions) = (pool.clone(), pool.clone());
    let (outbox, time, places) = (store.clone(), clock.clone(), store.clone());
    let (sites, sites_clock) = (store.clone(), clock.clone());
    HealthChecks::default()
        .with_pool(SERVICE_NAME, "main", pool)
        .with_collector(move || observe_oldest_transaction(SERVICE_NAME, of_transactions.clone()))
        .with_check("clock", move || {
            // Always the machine's clock, even if the service uses a simulated one.
            database::check_clock_skew(of_clock.clone(), Clock::system())
        })
        .with_check("database", move || database.clone().run())
        .with_check("outbox", move || check_outbox(outbox.clone(), time.clone()))
        .with_check("locations", move || check_pending_locations(places.clone()))
        .with_check("sites", move || {
            check_new_sites(sites.clone(), sites_clock.clone(), max_new_sites)
        })
}

async fn check_outbox(store: Store, clock: Clock) -> CheckResult {
    let Ok(lag) = store.outbox.lag().await else {
        return CheckResult::degraded("the outbox cannot be read from the database");
    };
    metrics::gauge!("visits_outbox_waiting").set(lag.waiting as f64);
    let behind = lag.oldest_due.map(|due| clock.now() - due);
    let behind = behind.unwrap_or_default().max(TimeDelta::zero());
    metrics::gauge!("visits_outbox_lag_seconds").set(behind.as_seconds_f64());
    let detail = format!(
        "{} announcements pending, the oldest {} s late, {} given up",
        lag.waiting,
        behind.num_seconds(),
        lag.given_up
    );
    if behind > MAX_OUTBOX_LAG || lag.given_up > 0 {
        CheckResult::degraded(detail)
    } else {
        CheckResult::ok(detail)
    }
}

async fn check_new_sites(store: Store, clock: Clock, most: u32) -> CheckResult {
    let Ok(NewSiteCount {
        count,
        has_rejected: has_refused,
    }) = store.sites.count_new(clock.now()).await
    else {
        return CheckResult::degraded("the new sites cannot be read from the database");
    };
    let detail = format!("visits created {count} of at most {most} sites within 24 hours");
    if most > 0 && count >= i64::from(most) {
        let refused = "; further sites are refused (MAX_NEW_SITES_PER_DAY)";
        return CheckResult::degraded(detail + refused);
    }
    if has_refused {
        return CheckResult::degraded(detail + "; further sites were refused today");
    }
    CheckResult::ok(detail)
}

async fn check_pending_locations(store: Store) -> CheckResult {
    match store.pending_locations.count().await {
        Ok(0) => CheckResult::ok("no visits wait for their location"),
        Ok(owed) => CheckResult::degraded(format!("{owed} visits wait for their location")),
        Err(_) => CheckResult::degraded("pending locations cannot be read from the database"),
    }
}
