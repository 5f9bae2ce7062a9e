//! What `GET /health` looks at.

use chassis::database::{self, DatabaseCheck};
use chassis::health::{Finding, Health};
use chassis::metrics::observe_oldest_transaction;
use chrono::TimeDelta;
use common::clock::Clock;
use sqlx::PgPool;

use crate::store::{NewSitesOfDay, Store};
use crate::{NAME, SCHEMA, migrator};

/// An outbox that is further behind than this is worth a look.
const LATE: TimeDelta = TimeDelta::minutes(1);

/// The service's checks.
#[must_use]
pub fn checks(pool: &PgPool, store: &Store, clock: &Clock, max_new_sites: u32) -> Health {
    let newest = database::newest(&migrator());
    let database = DatabaseCheck::new(pool, SCHEMA, newest);
    let (of_clock, of_transactions) = (pool.clone(), pool.clone());
    let (outbox, time, places) = (store.clone(), clock.clone(), store.clone());
    let (sites, sites_clock) = (store.clone(), clock.clone());
    Health::default()
        .pool(NAME, "main", pool)
        .collect(move || observe_oldest_transaction(NAME, of_transactions.clone()))
        .check("clock", move || {
            // The machine's clock, whatever the service goes by.
            database::clock_skew(of_clock.clone(), Clock::system())
        })
        .check("database", move || database.clone().look())
        .check("outbox", move || {
            look_at_outbox(outbox.clone(), time.clone())
        })
        .check("locations", move || look_at_locations(places.clone()))
        .check("sites", move || {
            look_at_new_sites(sites.clone(), sites_clock.clone(), max_new_sites)
        })
}

async fn look_at_outbox(store: Store, clock: Clock) -> Finding {
    let Ok(lag) = store.outbox_lag().await else {
        return Finding::degraded("cannot be read");
    };
    metrics::gauge!("visits_outbox_waiting").set(lag.waiting as f64);
    let behind = lag.oldest_due.map(|due| clock.now() - due);
    let behind = behind.unwrap_or_default().max(TimeDelta::zero());
    metrics::gauge!("visits_outbox_lag_seconds").set(behind.as_seconds_f64());
    let detail = format!(
        "{} waiting, {} seconds behind, {} given up",
        lag.waiting,
        behind.num_seconds(),
        lag.given_up
    );
    if behind > LATE || lag.given_up > 0 {
        Finding::degraded(detail)
    } else {
        Finding::ok(detail)
    }
}

async fn look_at_new_sites(store: Store, clock: Clock, most: u32) -> Finding {
    let Ok(NewSitesOfDay { count, has_refused }) = store.new_sites_of_day(clock.now()).await else {
        return Finding::degraded("cannot be read");
    };
    let detail = format!("{count} of {most} new sites came with visits within 24 hours");
    if most > 0 && count >= i64::from(most) {
        let refused = "; MAX_NEW_SITES_PER_DAY refuses further ones";
        return Finding::degraded(detail + refused);
    }
    if has_refused {
        return Finding::degraded(detail + "; others were refused today");
    }
    Finding::ok(detail)
}

async fn look_at_locations(store: Store) -> Finding {
    match store.count_owed_locations().await {
        Ok(0) => Finding::ok("none owed"),
        Ok(owed) => Finding::degraded(format!("{owed} visits without their place yet")),
        Err(_) => Finding::degraded("cannot be read"),
    }
}
