//! Asks the database what is due on behalf of all workers of the process: an idle process sends one
//! query every two seconds instead of one for each channel.

use std::time::Duration;

use chassis::panics::catch_panics;
use chrono::{DateTime, Utc};
use common::clock::Clock;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::reader::RoutingCache;
use super::wake::QueueSignal;
use crate::store::StoreError;
use crate::store::schedule::{self, Schedule};

/// How often the database is asked for what other processes have stored: deliveries that become due,
/// digests, changed rules.
const SCHEDULE_POLL_INTERVAL: Duration = Duration::from_secs(2);
/// The minimum time between two queries, however many deliveries become due one after the other.
const MIN_POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Wakes the workers that have something to do.
pub struct Scheduler {
    /// Where the queue is.
    pub pool: PgPool,
    /// What time it is.
    pub clock: Clock,
    /// Wakes the workers.
    pub wake: QueueSignal,
    /// Rules and recipients.
    pub shelf: RoutingCache,
}

impl Scheduler {
    /// Looks until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let now = self.clock.now();
            let wait = match catch_panics(self.look(now)).await {
                Ok(Ok(wait)) => wait,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the queue or the rules cannot be read");
                    SCHEDULE_POLL_INTERVAL
                }
                Err(panic) => {
                    tracing::error!(%panic, "the queue or the rules cannot be read");
                    SCHEDULE_POLL_INTERVAL
                }
            };
            let waited = async {
                tokio::time::sleep(MIN_POLL_INTERVAL).await;
                tokio::select! {
                    () = tokio::time::sleep(wait.saturating_sub(MIN_POLL_INTERVAL)) => {}
                    () = self.wake.rescheduled() => {}
                    () = self.clock.moved(now) => {}
                }
            };
            stop.run_until_cancelled(waited).await;
        }
    }

    /// Returns how long nothing more becomes due.
    async fn look(&self, now: DateTime<Utc>) -> Result<Duration, StoreError> {
        let schedule = schedule::look(&self.pool).await?;
        self.wake_up(&schedule, now);
        self.shelf.follow(schedule.edition).await?;
        Ok(until_next(&schedule, now))
    }

    fn wake_up(&self, schedule: &Schedule, now: DateTime<Utc>) {
        let due = schedule.deliveries.iter().filter(|(_, due)| *due <= now);
        due.for_each(|(channel, _)| self.wake.wake(*channel));
        if schedule.digest.is_some_and(|due| due <= now) {
            self.wake.wake_digests();
        }
    }
}

/// How long nothing more becomes due, [`POLL`] at most.
fn until_next(schedule: &Schedule, now: DateTime<Utc>) -> Duration {
    let deliveries = schedule.deliveries.iter().map(|(_, due)| *due);
    let later = deliveries.chain(schedule.digest).filter(|due| *due > now);
    let next = later.min().and_then(|due| (due - now).to_std().ok());
    next.map_or(SCHEDULE_POLL_INTERVAL, |wait| {
        wait.min(SCHEDULE_POLL_INTERVAL)
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::target::Channel;

    #[test]
    fn it_looks_again_when_the_next_one_is_due() {
        let now = DateTime::UNIX_EPOCH;
        let at = |ms| now + TimeDelta::milliseconds(ms);
        let schedule = |deliveries: &[i64], digest: Option<i64>| Schedule {
            edition: 1,
            deliveries: deliveries
                .iter()
                .map(|ms| (Channel::Sms, at(*ms)))
                .collect(),
            digest: digest.map(at),
        };
        let wait = |schedule| until_next(&schedule, now).as_millis();
        assert_eq!(wait(schedule(&[], None)), 2_000);
        assert_eq!(wait(schedule(&[700, -5_000], Some(60_000))), 700);
        assert_eq!(wait(schedule(&[3_000], Some(400))), 400);
        // What is overdue has been told to its worker.
        assert_eq!(wait(schedule(&[-1, 0], None)), 2_000);
    }
}
