//! Periodic maintenance: creates partitions ahead of time, and removes salts, addresses and visits
//! that have expired.

use std::time::Duration;

use chassis::database::StoreError;
use chassis::panics::catch_panics;
use common::clock::Clock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{PollSchedule, RoundOutcome, run_rounds};
use crate::domain::privacy::RetentionPeriod;
use crate::store::Store;

const MAINTENANCE_SCHEDULE: PollSchedule = PollSchedule::every(Duration::from_mins(1));

pub async fn run(store: Store, retention: RetentionPeriod, clock: Clock, stop: CancellationToken) {
    let round = || run_round(&store, retention, &clock);
    let never = Notify::new();
    run_rounds(
        "maintenance",
        MAINTENANCE_SCHEDULE,
        &never,
        &clock,
        stop,
        round,
    )
    .await;
}

#[tracing::instrument(level = "debug", name = "run_maintenance", skip_all)]
async fn run_round(
    store: &Store,
    retention: RetentionPeriod,
    clock: &Clock,
) -> Result<RoundOutcome, StoreError> {
    let now = clock.now();
    store.partitions.ensure_upcoming(now).await?;
    store.salts.delete_expired(now).await?;
    let forgotten = store.pending_locations.delete_expired(now).await?;
    if forgotten > 0 {
        tracing::warn!(
            visits = forgotten,
            "addresses have expired before geo located them; the visits stay without location"
        );
    }
    if let Some(border) = retention.first_kept_day(now) {
        let expired = store.retention.expire(border, now).await?;
        if expired != crate::store::ExpiredData::default() {
            tracing::info!(%border, ?expired, "removed expired data");
        }
    }
    let border = retention.earliest_accepted(now);
    store.outbox.delete_expired(border, now).await?;
    for site in store.retention.expiring_sites(now).await? {
        match catch_panics(store.retention.expire_site(&site, now)).await {
            Ok(rows) => {
                let rows = rows?;
                tracing::info!(
                    site = site.domain,
                    cutoff = %site.cutoff,
                    rows,
                    "removed expired data of a site"
                );
            }
            Err(panic) => tracing::error!(
                %panic,
                site = site.domain,
                "removing expired data of a site panicked and is retried"
            ),
        }
    }
    Ok(RoundOutcome::Idle)
}
