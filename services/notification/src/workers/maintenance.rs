//! Periodic maintenance: deletes expired data, applies late receipts, encrypts secrets, updates
//! gauges.

use std::sync::Arc;
use std::time::Duration;

use chassis::database::StoreError;
use chassis::panics::catch_panics;
use chrono::TimeDelta;
use common::clock::Clock;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::domain::secret_box::SecretBox;
use crate::store::{
    daily_usage, dead_letter, endpoint, erasure, idempotency_key, receipt, retention,
    window_counter,
};

/// How often failure receipts that arrived before their message was recorded are applied.
const RECEIPT_INTERVAL: Duration = Duration::from_secs(10);
/// The other jobs run once in this number of rounds.
const RECEIPT_ROUNDS_PER_CLEANUP: u32 = 6;

pub struct MaintenanceWorker {
    pub pool: PgPool,
    /// For statements that find all rows by an index.
    pub key_lookup_pool: PgPool,
    pub clock: Clock,
    /// The retention of notifications.
    pub retention: TimeDelta,
    /// Encrypts secrets that were stored before a key was set.
    pub secret_box: Arc<SecretBox>,
}

impl MaintenanceWorker {
    pub async fn run(self, stop: CancellationToken) {
        let mut round = 0;
        loop {
            let now = self.clock.now();
            self.run_jobs(round, &stop).await;
            tokio::select! {
                () = tokio::time::sleep(RECEIPT_INTERVAL) => round += 1,
                () = self.clock.wait_until_changed(now) => round = 0,
                () = stop.cancelled() => return,
            }
        }
    }

    /// Runs all jobs. A failure of one does not affect the others.
    async fn run_jobs(&self, round: u32, stop: &CancellationToken) {
        let (pool, now) = (&self.pool, self.clock.now());
        run_job("failures", receipt::apply_failures(pool)).await;
        if !round.is_multiple_of(RECEIPT_ROUNDS_PER_CLEANUP) {
            return;
        }
        run_job("old keys", idempotency_key::delete_old(pool, now)).await;
        run_job("old tallies", window_counter::delete_old(pool, now)).await;
        run_job("old erasures", erasure::delete_old(pool, now)).await;
        run_job("old daily usage", daily_usage::delete_old(pool, now)).await;
        run_job(
            "open receipts",
            receipt::close_unmatched(pool, now - TimeDelta::days(1)),
        )
        .await;
        run_job("gauges", update_gauges(pool)).await;
        run_job("old notifications", self.delete_old_notifications(stop)).await;
        run_job("secrets", endpoint::seal_secrets(pool, &self.secret_box)).await;
    }

    /// Deletes notifications past their retention, in batches.
    async fn delete_old_notifications(&self, stop: &CancellationToken) -> Result<(), StoreError> {
        let before = self.clock.now() - self.retention;
        let most = u64::try_from(retention::RETENTION_BATCH_SIZE).unwrap_or(u64::MAX);
        while retention::delete_old(&self.key_lookup_pool, before).await? == most
            && !stop.is_cancelled()
        {}
        retention::delete_old_receipts(&self.key_lookup_pool, before).await?;
        Ok(())
    }
}

async fn run_job<T>(what: &str, job: impl Future<Output = Result<T, StoreError>>) {
    match catch_panics(job).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(%error, what, "a maintenance job failed; retrying later"),
        Err(panic) => tracing::error!(%panic, what, "a maintenance job panicked; retrying later"),
    }
}

async fn update_gauges(pool: &PgPool) -> Result<(), StoreError> {
    let dead = dead_letter::count(pool).await?;
    metrics::gauge!("notification_dead_letters").set(dead as f64);
    Ok(())
}
