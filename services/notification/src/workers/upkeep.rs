//! Keeps the queue's metrics and deletes old idempotency keys and tallies.

use std::time::Duration;

use chrono::TimeDelta;
use common::clock::Clock;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::store::{StoreError, dead_letter, delivery, gates, idempotency_key, receipt, spent};

const EVERY: Duration = Duration::from_secs(10);
/// The metric counts no more deliveries than this: it takes 20 ms.
const MANY: i64 = 100_000;

/// Runs until `stop`.
pub async fn run(pool: PgPool, clock: Clock, stop: CancellationToken) {
    loop {
        if let Err(error) = once(&pool, &clock).await {
            tracing::warn!(%error, "upkeep failed");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn once(pool: &PgPool, clock: &Clock) -> Result<(), StoreError> {
    let now = clock.now();
    idempotency_key::delete_old(pool, now).await?;
    gates::delete_old(pool, now).await?;
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
