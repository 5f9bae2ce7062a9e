//! Completes erasures: requests them from notification, and removes dictionary values that only
//! erased visits used.

use std::time::Duration;

use common::clock::Clock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::announcer::backoff;
use super::{PollSchedule, RoundOutcome, repeat};
use crate::clients::notification::NotificationClient;
use crate::store::{ErasureCall, Store, StoreError};

/// How often pending requests are polled. An erasure wakes the worker of its process; requests of
/// other processes are found by polling.
const CALL_PACE: PollSchedule = PollSchedule {
    busy: Duration::from_secs(1),
    idle: Duration::from_secs(30),
};
/// Requests per round; each must complete within its lease.
const CALLS: i64 = 4;
const SWEEP_PAUSE: Duration = Duration::from_mins(10);
/// Failed attempts after which each further failure is logged as an error.
const MANY_ATTEMPTS: i32 = 20;

pub struct Eraser {
    pub store: Store,
    pub notifier: NotificationClient,
    pub clock: Clock,
}

impl Eraser {
    pub async fn run(self, stop: CancellationToken) {
        let calls = repeat(
            "erasing at notification",
            CALL_PACE,
            self.store.erasures_wake(),
            &self.clock,
            stop.clone(),
            async || self.call().await,
        );
        let never = Notify::new();
        let sweeps = repeat(
            "removing erased values",
            PollSchedule::steady(SWEEP_PAUSE),
            &never,
            &self.clock,
            stop,
            async || self.sweep().await,
        );
        tokio::join!(calls, sweeps);
    }

    /// Sends the requests that are due.
    async fn call(&self) -> Result<RoundOutcome, StoreError> {
        let due = self.store.claim_erasure_calls(self.clock.now(), CALLS);
        let due = due.await?;
        for call in &due {
            match self.notifier.erase(&call.request).await {
                Ok(erased) => {
                    count("made");
                    let (notifications, deliveries) = (erased.notifications, erased.deliveries);
                    tracing::info!(
                        call.id,
                        notifications,
                        deliveries,
                        "notification erased a person"
                    );
                    self.store.erasure_call_made(call.id).await?;
                }
                Err(error) => {
                    count("put_off");
                    self.put_off(call, &error.to_string()).await?;
                }
            }
        }
        let is_full = i64::try_from(due.len()).is_ok_and(|due| due == CALLS);
        Ok(match due.is_empty() {
            true => RoundOutcome::Idle,
            false if is_full => RoundOutcome::More,
            false => RoundOutcome::Busy,
        })
    }

    /// A request is retried forever, whatever the error: the person must be erased everywhere.
    async fn put_off(&self, call: &ErasureCall, error: &str) -> Result<(), StoreError> {
        if call.attempts >= MANY_ATTEMPTS {
            let attempts = call.attempts;
            tracing::error!(
                call.id,
                attempts,
                %error,
                "notification has not erased a person yet; the request is retried"
            );
        }
        let due_at = self.clock.now() + backoff(call.attempts);
        self.store.call_erasure_later(call.id, due_at, error).await
    }

    async fn sweep(&self) -> Result<RoundOutcome, StoreError> {
        let (removed, more) = self.store.sweep_erased_values(self.clock.now()).await?;
        metrics::counter!("visits_erased_values_total").increment(removed);
        Ok(if more {
            RoundOutcome::More
        } else {
            RoundOutcome::Idle
        })
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("visits_erasure_calls_total", "outcome" => outcome).increment(1);
}
