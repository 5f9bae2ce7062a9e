//! The rollup worker: folds completed days.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chassis::database::StoreError;
use chassis::panics::catch_panics;
use common::clock::Clock;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{PollSchedule, RoundOutcome, run_rounds};
use crate::store::{ClaimedDay, Store};

const ROLLUP_SCHEDULE: PollSchedule = PollSchedule {
    busy_interval: Duration::from_secs(2),
    max_idle_interval: Duration::from_secs(15),
};
/// Days per round; each must be folded within its lease.
const MAX_CLAIMED_DAYS: i64 = 4;

pub struct RollupWorker {
    pub store: Store,
    pub clock: Clock,
}

impl RollupWorker {
    pub async fn run(self, stop: CancellationToken) {
        let may_have_old_days = AtomicBool::new(true);
        let round = || self.fold_due_days(&stop, &may_have_old_days);
        let never = Notify::new();
        let (pace, clock) = (ROLLUP_SCHEDULE, &self.clock);
        run_rounds("folding days", pace, &never, clock, stop.clone(), round).await;
    }

    /// Folds the days that are overdue the longest. If none is due, completes a day that an earlier
    /// version folded.
    async fn fold_due_days(
        &self,
        stop: &CancellationToken,
        may_have_old_days: &AtomicBool,
    ) -> Result<RoundOutcome, StoreError> {
        let due = self
            .store
            .rollups
            .claim_days(self.clock.now(), MAX_CLAIMED_DAYS)
            .await?;
        for day in &due {
            let begun = Instant::now();
            let folded = stop
                .run_until_cancelled(catch_panics(self.fold_day(day)))
                .await;
            if let Some(Err(panic)) = folded {
                tracing::error!(
                    %panic,
                    site = day.site_id,
                    date = %day.date,
                    "folding a day panicked; the day is retried after its lease"
                );
                metrics::counter!("visits_rollup_days_total", "outcome" => "failed").increment(1);
            }
            // The pause equals the work, so that folding takes at most half of the database's time
            // from recording.
            let rest = tokio::time::sleep(begun.elapsed());
            stop.run_until_cancelled(rest).await;
        }
        if !due.is_empty() {
            return Ok(RoundOutcome::More);
        }
        if may_have_old_days.load(Ordering::Relaxed) {
            let is_found = self.store.rollups.complete_old_day().await?;
            may_have_old_days.store(is_found, Ordering::Relaxed);
        }
        Ok(if may_have_old_days.load(Ordering::Relaxed) {
            RoundOutcome::Busy
        } else {
            RoundOutcome::Idle
        })
    }

    /// A day that fails is folded after its lease has expired; other days continue.
    #[tracing::instrument(level = "debug", name = "fold_day", skip_all, fields(site = day.site_id, date = %day.date))]
    async fn fold_day(&self, day: &ClaimedDay) {
        let (site, date) = (day.site_id, day.date);
        let outcome = match self.store.rollups.fold_claimed_day(day).await {
            Ok(Some(rows)) => {
                tracing::debug!(site, %date, rows, "folded a day");
                "folded"
            }
            Ok(None) => "touched",
            Err(error) => {
                tracing::warn!(
                    site,
                    %date,
                    %error,
                    "folding a day failed; the day is retried after its lease"
                );
                "failed"
            }
        };
        metrics::counter!("visits_rollup_days_total", "outcome" => outcome).increment(1);
    }
}
