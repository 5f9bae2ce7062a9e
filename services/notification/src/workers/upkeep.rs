//! Keeps the queue's metrics and deletes what is old: notifications, idempotency keys, tallies.

use std::sync::Arc;
use std::time::Duration;

use chassis::panics::catch_panics;
use chrono::{DateTime, TimeDelta, Utc};
use common::clock::Clock;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::domain::vault::Vault;
use crate::store::{
    StoreError, dead_letter, delivery, endpoint, gates, idempotency_key, receipt, retention, spent,
};

const EVERY: Duration = Duration::from_secs(10);
/// The metric counts no more deliveries than this: it takes 20 ms.
const MANY: i64 = 100_000;

/// Deletes what is old, and counts what waits.
pub struct Upkeep {
    /// Where things are kept.
    pub pool: PgPool,
    /// For statements that find every row by an index.
    pub lane: PgPool,
    /// What time it is.
    pub clock: Clock,
    /// How long notifications are kept.
    pub kept: TimeDelta,
    /// Seals secrets that were kept before there was a key.
    pub vault: Arc<Vault>,
}

impl Upkeep {
    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            self.round(&stop).await;
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Does each of its jobs, whatever became of the others.
    async fn round(&self, stop: &CancellationToken) {
        let (pool, now) = (&self.pool, self.clock.now());
        job("old keys", idempotency_key::delete_old(pool, now)).await;
        job("old tallies", gates::delete_old(pool, now)).await;
        job("old counts of limits", spent::delete_old(pool, now)).await;
        job("failures", receipt::tell_failures(pool)).await;
        job(
            "open receipts",
            receipt::give_up(pool, now - TimeDelta::days(1)),
        )
        .await;
        job("gauges", gauges(pool, now)).await;
        job("old notifications", self.forget(stop)).await;
        job("secrets", endpoint::seal(pool, &self.vault)).await;
    }

    /// Deletes what is older than it is kept, in parts, as long as there are whole ones.
    async fn forget(&self, stop: &CancellationToken) -> Result<(), StoreError> {
        let before = self.clock.now() - self.kept;
        let most = u64::try_from(retention::AT_ONCE).unwrap_or(u64::MAX);
        while retention::delete_old(&self.lane, before).await? == most && !stop.is_cancelled() {}
        retention::delete_old_receipts(&self.lane, before).await?;
        Ok(())
    }
}

/// Does one job; the others go on where it fails.
async fn job<T>(what: &str, job: impl Future<Output = Result<T, StoreError>>) {
    match catch_panics(job).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(%error, what, "upkeep failed"),
        Err(panic) => tracing::error!(%panic, what, "upkeep failed"),
    }
}

async fn gauges(pool: &PgPool, now: DateTime<Utc>) -> Result<(), StoreError> {
    let dead = dead_letter::count(pool).await?;
    metrics::gauge!("notification_dead_letters").set(dead as f64);
    let depth = delivery::depth(pool, MANY).await?;
    metrics::gauge!("notification_queue_depth").set(depth.waiting as f64);
    metrics::gauge!("notification_oldest_due_seconds").set(depth.late(now).as_seconds_f64());
    Ok(())
}
