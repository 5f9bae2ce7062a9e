//! Folds days that are over.

use std::time::Duration;

use chassis::panics::catch_panics;
use common::clock::Clock;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{PollSchedule, RoundOutcome, repeat};
use crate::store::{ClaimedDay, Store, StoreError};

/// How often it is looked for days.
const ROLLUP_SCHEDULE: PollSchedule = PollSchedule {
    busy: Duration::from_secs(2),
    idle: Duration::from_secs(15),
};
/// Days that are taken at once: few, so that each is done within its lease.
const MAX_CLAIMED_DAYS: i64 = 4;

/// Folds days.
pub struct RollupWorker {
    /// Where they are.
    pub store: Store,
    /// The time.
    pub clock: Clock,
}

impl RollupWorker {
    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let round = || self.round(&stop);
        let nobody = Notify::new();
        let (pace, clock) = (ROLLUP_SCHEDULE, &self.clock);
        repeat("folding days", pace, &nobody, clock, stop.clone(), round).await;
    }

    /// Folds the days that have been due for longest.
    async fn round(&self, stop: &CancellationToken) -> Result<RoundOutcome, StoreError> {
        let due = self
            .store
            .days_to_fold(self.clock.now(), MAX_CLAIMED_DAYS)
            .await?;
        for day in &due {
            let begun = Instant::now();
            let folded = stop.run_until_cancelled(catch_panics(self.fold(day))).await;
            if let Some(Err(panic)) = folded {
                tracing::error!(%panic, site = day.site_id, date = %day.date, "not folded");
                metrics::counter!("visits_days_total", "outcome" => "failed").increment(1);
            }
            // It rests for as long as it worked, so that the visits of others never wait for long.
            let rest = tokio::time::sleep(begun.elapsed());
            stop.run_until_cancelled(rest).await;
        }
        Ok(if due.is_empty() {
            RoundOutcome::Idle
        } else {
            RoundOutcome::More
        })
    }

    /// Where this fails, the day is folded when its lease is over; the others need not wait.
    async fn fold(&self, day: &ClaimedDay) {
        let (site, date) = (day.site_id, day.date);
        let outcome = match self.store.fold(day).await {
            Ok(Some(rows)) => {
                tracing::debug!(site, %date, rows, "folded");
                "folded"
            }
            Ok(None) => "touched",
            Err(error) => {
                tracing::warn!(site, %date, %error, "this day is folded later");
                "failed"
            }
        };
        metrics::counter!("visits_days_total", "outcome" => outcome).increment(1);
    }
}
