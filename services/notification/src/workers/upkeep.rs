//! Periodic maintenance: deletes expired data, applies late receipts, encrypts secrets, updates
//! gauges.

use std::sync::Arc;
use std::time::Duration;

use chassis::panics::catch_panics;
use chrono::TimeDelta;
use common::clock::Clock;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::domain::vault::SecretBox;
use crate::store::{
    StoreError, dead_letter, endpoint, erasure, gates, idempotency_key, receipt, retention, spent,
};

/// How often failure receipts that arrived before their message was recorded are applied.
const RECEIPT_INTERVAL: Duration = Duration::from_secs(10);
/// The other jobs run once in this number of rounds.
const RECEIPT_ROUNDS_PER_CLEANUP: u32 = 6;

pub struct MaintenanceWorker {
    pub pool: PgPool,
    /// For statements that find all rows by an index.
    pub lane: PgPool,
    pub clock: Clock,
    /// The retention of notifications.
    pub kept: TimeDelta,
    /// Encrypts secrets that were stored before a key was set.
    pub vault: Arc<SecretBox>,
}

impl MaintenanceWorker {
    pub async fn run(self, stop: CancellationToken) {
        let mut round = 0;
        loop {
            let now = self.clock.now();
            self.round(round, &stop).await;
            tokio::select! {
                () = tokio::time::sleep(RECEIPT_INTERVAL) => round += 1,
                () = self.clock.moved(now) => round = 0,
                () = stop.cancelled() => return,
            }
        }
    }

    /// Runs all jobs. A failure of one does not affect the others.
    async fn round(&self, round: u32, stop: &CancellationToken) {
        let (pool, now) = (&self.pool, self.clock.now());
        job("failures", receipt::tell_failures(pool)).await;
        if !round.is_multiple_of(RECEIPT_ROUNDS_PER_CLEANUP) {
            return;
        }
        job("old keys", idempotency_key::delete_old(pool, now)).await;
        job("old tallies", gates::delete_old(pool, now)).await;
        job("old erasures", erasure::delete_old(pool, now)).await;
        job("old daily usage", spent::delete_old(pool, now)).await;
        job(
            "open receipts",
            receipt::give_up(pool, now - TimeDelta::days(1)),
        )
        .await;
        job("gauges", gauges(pool)).await;
        job("old notifications", self.forget(stop)).await;
        job("secrets", endpoint::seal(pool, &self.vault)).await;
    }

    /// Deletes notifications past their retention, in batches.
    async fn forget(&self, stop: &CancellationToken) -> Result<(), StoreError> {
        let before = self.clock.now() - self.kept;
        let most = u64::try_from(retention::RETENTION_BATCH_SIZE).unwrap_or(u64::MAX);
        while retention::delete_old(&self.lane, before).await? == most && !stop.is_cancelled() {}
        retention::delete_old_receipts(&self.lane, before).await?;
        Ok(())
    }
}

async fn job<T>(what: &str, job: impl Future<Output = Result<T, StoreError>>) {
    match catch_panics(job).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(%error, what, "a maintenance job failed; retrying later"),
        Err(panic) => tracing::error!(%panic, what, "a maintenance job panicked; retrying later"),
    }
}

async fn gauges(pool: &PgPool) -> Result<(), StoreError> {
    let dead = dead_letter::count(pool).await?;
    metrics::gauge!("notification_dead_letters").set(dead as f64);
    Ok(())
}
