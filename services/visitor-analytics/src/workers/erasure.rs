//! Completes erasures: requests them from notification, and removes dictionary values that only
//! erased visits used.

use std::time::Duration;

use chassis::database::StoreError;
use common::clock::Clock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::outbox_relay::backoff;
use super::{PollSchedule, RoundOutcome, run_rounds};
use crate::clients::notification::NotificationClient;
use crate::store::{ErasureCall, Store};

/// How often pending requests are polled. An erasure wakes the worker of its process; requests of
/// other processes are found by polling.
const REQUEST_SCHEDULE: PollSchedule = PollSchedule {
    busy_interval: Duration::from_secs(1),
    max_idle_interval: Duration::from_secs(30),
};
/// Requests per round; each must complete within its lease.
const MAX_CLAIMED_REQUESTS: i64 = 4;
const SWEEP_INTERVAL: Duration = Duration::from_mins(10);
/// Failed attempts after which each further failure is logged as an error.
const ERROR_LOG_ATTEMPTS: i32 = 20;

pub struct ErasureWorker {
    pub store: Store,
    pub notifier: NotificationClient,
    pub clock: Clock,
}

impl ErasureWorker {
    pub async fn run(self, stop: CancellationToken) {
        let calls = run_rounds(
            "erasing at notification",
            REQUEST_SCHEDULE,
            self.store.erasures_wakeup(),
            &self.clock,
            stop.clone(),
            async || self.send_requests().await,
        );
        let never = Notify::new();
        let sweeps = run_rounds(
            "removing erased values",
            PollSchedule::every(SWEEP_INTERVAL),
            &never,
            &self.clock,
            stop,
            async || self.sweep_values().await,
        );
        tokio::join!(calls, sweeps);
    }

    /// Sends the requests that are due.
    #[tracing::instrument(level = "debug", name = "send_erasures", skip_all)]
    async fn send_requests(&self) -> Result<RoundOutcome, StoreError> {
        let due = self
            .store
            .erasures
            .claim_calls(self.clock.now(), MAX_CLAIMED_REQUESTS);
        let due = due.await?;
        for call in &due {
            match self.notifier.erase(&call.request).await {
                Ok(erased) => {
                    count_outcome("made");
                    let (notifications, deliveries) = (erased.notifications, erased.deliveries);
                    tracing::info!(
                        call.id,
                        notifications,
                        deliveries,
                        "notification erased a person"
                    );
                    self.store.erasures.delete_call(call.id).await?;
                }
                Err(error) => {
                    count_outcome("put_off");
                    self.schedule_retry(call, &error.to_string()).await?;
                }
            }
        }
        let is_full = i64::try_from(due.len()).is_ok_and(|due| due == MAX_CLAIMED_REQUESTS);
        Ok(match due.is_empty() {
            true => RoundOutcome::Idle,
            false if is_full => RoundOutcome::More,
            false => RoundOutcome::Busy,
        })
    }

    /// A request is retried forever, whatever the error: the person must be erased everywhere.
    async fn schedule_retry(&self, call: &ErasureCall, error: &str) -> Result<(), StoreError> {
        if call.attempts >= ERROR_LOG_ATTEMPTS {
            let attempts = call.attempts;
            tracing::error!(
                call.id,
                attempts,
                %error,
                "notification has not erased a person yet; the request is retried"
            );
        }
        let due_at = self.clock.now() + backoff(call.attempts);
        self.store
            .erasures
            .postpone_call(call.id, due_at, error)
            .await
    }

    #[tracing::instrument(level = "debug", name = "sweep_erased_values", skip_all)]
    async fn sweep_values(&self) -> Result<RoundOutcome, StoreError> {
        let (removed, more) = self.store.erasures.sweep_values(self.clock.now()).await?;
        metrics::counter!("visits_erased_values_total").increment(removed);
        Ok(if more {
            RoundOutcome::More
        } else {
            RoundOutcome::Idle
        })
    }
}

fn count_outcome(outcome: &'static str) {
    metrics::counter!("visits_erasure_calls_total", "outcome" => outcome).increment(1);
}
