//! The outbox relay: announces visitors to notification, with retries.

use std::time::Duration;

use chassis::database::StoreError;
use chassis::service_client::ServiceClientError;
use chrono::TimeDelta;
use common::clock::Clock;
use tokio_util::sync::CancellationToken;

use super::{PollSchedule, RoundOutcome, run_rounds};
use crate::clients::notification::NotificationClient;
use crate::store::{Announcement, CompletedAnnouncement, Store};

/// How often the outbox is polled. Together with the size of a batch, this limits the rate, so that
/// announcing thousands of visitors does not slow down recording them. Recording visits wakes the
/// relay; entries of other processes are found by polling.
const POLL_SCHEDULE: PollSchedule = PollSchedule {
    busy_interval: Duration::from_millis(200),
    max_idle_interval: Duration::from_secs(5),
};
const MAX_CLAIMED_ENTRIES: usize = 100;
/// Attempts after which an announcement is given up.
const MAX_ATTEMPTS: i32 = 100;

pub struct OutboxRelay {
    pub store: Store,
    pub notifier: NotificationClient,
    pub clock: Clock,
}

impl OutboxRelay {
    pub async fn run(self, stop: CancellationToken) {
        let wake = self.store.outbox_wakeup();
        run_rounds(
            "announcing visitors",
            POLL_SCHEDULE,
            wake,
            &self.clock,
            stop,
            async || self.run_round().await,
        )
        .await;
    }

    /// Claims and sends the due entries. Failed ones are retried in later rounds.
    #[tracing::instrument(level = "debug", name = "relay_announcements", skip_all)]
    async fn run_round(&self) -> Result<RoundOutcome, StoreError> {
        let now = self.clock.now();
        let due = self.store.outbox.claim(now, MAX_CLAIMED_ENTRIES).await?;
        if due.is_empty() {
            return Ok(RoundOutcome::Idle);
        }
        let (due, erased): (Vec<_>, Vec<_>) = due.into_iter().partition(|one| one.event.is_some());
        count_outcome("erased", erased.len());
        let mut done = self.send(&due).await?;
        count_outcome("told", done.len());
        done.extend(erased.iter().map(|one| CompletedAnnouncement {
            id: one.id,
            notification_id: None,
            event: None,
        }));
        self.store.outbox.complete(&done, self.clock.now()).await?;
        Ok(RoundOutcome::Busy)
    }

    /// Returns the entries that are completed. A batch that is refused as a whole (it may be too
    /// large) is split in two.
    async fn send(&self, due: &[Announcement]) -> Result<Vec<CompletedAnnouncement>, StoreError> {
        let events: Vec<_> = due
            .iter()
            .filter_map(|one| Some((one.session_id, one.event.as_deref()?)))
            .collect();
        match self.notifier.announce(&events).await {
            Ok(results) => {
                let mut done = vec![];
                for (one, result) in due.iter().zip(results) {
                    match result {
                        Ok(notification) => done.push(CompletedAnnouncement {
                            id: one.id,
                            notification_id: notification,
                            event: one.event.clone(),
                        }),
                        Err(refusal) => self.give_up(one, &refusal).await?,
                    }
                }
                Ok(done)
            }
            Err(error) if !error.is_transient() && due.len() > 1 => {
                let (first, second) = due.split_at(due.len() / 2);
                let mut done = Box::pin(self.send(first)).await?;
                done.extend(Box::pin(self.send(second)).await?);
                Ok(done)
            }
            Err(error) => {
                self.schedule_retries(due, &error).await?;
                Ok(vec![])
            }
        }
    }

    /// Schedules the retry of entries, or gives them up after a permanent error or too many
    /// attempts.
    async fn schedule_retries(
        &self,
        due: &[Announcement],
        error: &ServiceClientError,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let error_text = error.to_string();
        let (again, never): (Vec<_>, Vec<_>) = due
            .iter()
            .partition(|one| error.is_transient() && one.attempts < MAX_ATTEMPTS);
        for one in never {
            self.give_up(one, &error_text).await?;
        }
        count_outcome("put_off", again.len());
        let later = again
            .iter()
            .map(|one| (one.id, now + backoff(one.attempts)));
        let later: Vec<_> = later.collect();
        self.store.outbox.postpone(&later, &error_text).await
    }

    async fn give_up(&self, one: &Announcement, error: &str) -> Result<(), StoreError> {
        count_outcome("given_up", 1);
        tracing::error!(
            %error,
            session = %one.session_id,
            "the announcement of a visitor was given up"
        );
        let now = self.clock.now();
        self.store.outbox.give_up(one.id, now, error).await
    }
}

fn count_outcome(outcome: &'static str, number: usize) {
    let counter = metrics::counter!("visits_announcements_total", "outcome" => outcome);
    counter.increment(number as u64);
}

/// Exponential backoff from 1 second to 5 minutes.
pub(super) fn backoff(attempts: i32) -> TimeDelta {
    let doublings = u32::try_from(attempts - 1).unwrap_or(0).min(9);
    TimeDelta::seconds(2_i64.pow(doublings).min(300))
}
