//! Polls the database for due work on behalf of all workers of the process, so that an idle process
//! sends one query every two seconds instead of one per channel.

use std::time::Duration;

use chassis::database::StoreError;
use chassis::panics::catch_panics;
use chrono::{DateTime, Utc};
use common::clock::Clock;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::app::queue_signal::QueueSignal;
use crate::app::routing_cache::RoutingCache;
use crate::store::schedule::{self, Schedule};

/// The interval in which work from other processes is found: due deliveries and digests, changed
/// rules.
const SCHEDULE_POLL_INTERVAL: Duration = Duration::from_secs(2);
/// The minimum time between two queries, even if deliveries become due in quick succession.
const MIN_POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Wakes the workers that have due work, and reloads changed rules.
pub struct Scheduler {
    pub pool: PgPool,
    pub clock: Clock,
    pub queue_signal: QueueSignal,
    pub routing_cache: RoutingCache,
}

impl Scheduler {
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let now = self.clock.now();
            let wait = match catch_panics(self.poll(now)).await {
                Ok(Ok(wait)) => wait,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the schedule or rules cannot be read; retrying soon");
                    SCHEDULE_POLL_INTERVAL
                }
                Err(panic) => {
                    tracing::error!(%panic, "reading schedule and rules panicked; retrying soon");
                    SCHEDULE_POLL_INTERVAL
                }
            };
            let waited = async {
                tokio::time::sleep(MIN_POLL_INTERVAL).await;
                tokio::select! {
                    () = tokio::time::sleep(wait.saturating_sub(MIN_POLL_INTERVAL)) => {}
                    () = self.queue_signal.wait_for_reschedule() => {}
                    () = self.clock.wait_until_changed(now) => {}
                }
            };
            stop.run_until_cancelled(waited).await;
        }
    }

    /// Wakes workers with due work, and returns the time until the next work is due.
    #[tracing::instrument(level = "debug", name = "poll_schedule", skip_all)]
    async fn poll(&self, now: DateTime<Utc>) -> Result<Duration, StoreError> {
        let schedule = schedule::load(&self.pool).await?;
        self.wake_workers(&schedule, now);
        self.routing_cache
            .refresh_to(schedule.routing_version)
            .await?;
        Ok(time_until_next(&schedule, now))
    }

    fn wake_workers(&self, schedule: &Schedule, now: DateTime<Utc>) {
        let due = schedule
            .due_deliveries
            .iter()
            .filter(|(_, due)| *due <= now);
        due.for_each(|(channel, _)| self.queue_signal.wake_channel(*channel));
        if schedule.due_digest.is_some_and(|due| due <= now) {
            self.queue_signal.wake_digests();
        }
    }
}

/// The time until the next work is due, at most [`SCHEDULE_POLL_INTERVAL`].
fn time_until_next(schedule: &Schedule, now: DateTime<Utc>) -> Duration {
    let deliveries = schedule.due_deliveries.iter().map(|(_, due)| *due);
    let later = deliveries
        .chain(schedule.due_digest)
        .filter(|due| *due > now);
    let next = later.min().and_then(|due| (due - now).to_std().ok());
    next.map_or(SCHEDULE_POLL_INTERVAL, |wait| {
        wait.min(SCHEDULE_POLL_INTERVAL)
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::channel_address::DeliveryChannel;

    #[test]
    fn it_looks_again_when_the_next_one_is_due() {
        let now = DateTime::UNIX_EPOCH;
        let at = |ms| now + TimeDelta::milliseconds(ms);
        let schedule = |deliveries: &[i64], digest: Option<i64>| Schedule {
            routing_version: 1,
            due_deliveries: deliveries
                .iter()
                .map(|ms| (DeliveryChannel::Sms, at(*ms)))
                .collect(),
            due_digest: digest.map(at),
        };
        let wait = |schedule| time_until_next(&schedule, now).as_millis();
        assert_eq!(wait(schedule(&[], None)), 2_000);
        assert_eq!(wait(schedule(&[700, -5_000], Some(60_000))), 700);
        assert_eq!(wait(schedule(&[3_000], Some(400))), 400);
        // Overdue work does not count: its worker has been woken.
        assert_eq!(wait(schedule(&[-1, 0], None)), 2_000);
    }
}
