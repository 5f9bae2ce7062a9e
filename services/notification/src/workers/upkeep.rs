//! Keeps the queue's metrics and deletes what is old: notifications, idempotency keys, tallies.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use common::clock::Clock;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::domain::vault::Vault;
use crate::store::{
    StoreError, dead_letter, delivery, endpoint, erasure, gates, idempotency_key, receipt,
    retention, spent,
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
    /// How long notifications are kept; for ever without it.
    pub kept: Option<TimeDelta>,
    /// Seals secrets that were kept before there was a key.
    pub vault: Arc<Vault>,
}

impl Upkeep {
    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let done = async {
                once(&self.pool, &self.clock).await?;
                self.forget(&stop).await?;
                endpoint::seal(&self.pool, &self.vault).await
            };
            if let Err(error) = done.await {
                tracing::warn!(%error, "upkeep failed");
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Deletes what is older than it is kept, in parts, as long as there are whole ones.
    async fn forget(&self, stop: &CancellationToken) -> Result<(), StoreError> {
        let Some(kept) = self.kept else {
            return Ok(());
        };
        let before = self.clock.now() - kept;
        let most = u64::try_from(retention::AT_ONCE).unwrap_or(u64::MAX);
        while retention::delete_old(&self.lane, before).await? == most && !stop.is_cancelled() {}
        retention::delete_old_receipts(&self.lane, before).await?;
        Ok(())
    }
}

async fn once(pool: &PgPool, clock: &Clock) -> Result<(), StoreError> {
    let now = clock.now();
    idempotency_key::delete_old(pool, now).await?;
    gates::delete_old(pool, now).await?;
    erasure::delete_old(pool, now).await?;
    spent::delete_old(pool, now).await?;
    receipt::tell_failures(pool).await?;
    receipt::give_up(pool, now - TimeDelta::days(1)).await?;
    let dead = dead_letter::count(pool).await?;
    #[expect(clippy::cast_precision_loss, reason = "a gauge needs no more")]
    metrics::gauge!("notification_dead_letters").set(dead as f64);
    let depth = delivery::depth(pool, MANY).await?;
    #[expect(clippy::cast_precision_loss, reason = "a gauge needs no more")]
    metrics::gauge!("notification_queue_depth").set(depth.waiting as f64);
    metrics::gauge!("notification_oldest_due_seconds").set(depth.late(now).as_seconds_f64());
    Ok(())
}
