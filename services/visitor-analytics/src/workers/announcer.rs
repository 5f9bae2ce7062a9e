//! Empties the outbox: tells notification about visitors, again and again until it has heard.

use std::time::Duration;

use chrono::TimeDelta;
use common::clock::Clock;
use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;

use crate::clients::notification::Notifier;
use crate::store::{Announcement, Store, StoreError};

/// How often the outbox is looked into.
const PAUSE: Duration = Duration::from_millis(200);
/// How many are taken at once, and how many calls are under way at once.
const CLAIM: i64 = 50;
const CALLS: usize = 8;
/// An announcement that could not be made within this many tries is kept aside.
const TRIES: i32 = 100;

/// Tells notification about visitors.
pub struct Announcer {
    /// Where the outbox is.
    pub store: Store,
    /// Who is told.
    pub notifier: Notifier,
    /// The time.
    pub clock: Clock,
}

impl Announcer {
    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let told = self.round().await.unwrap_or_else(|error| {
                tracing::warn!(%error, "the outbox cannot be read");
                0
            });
            let busy = i64::try_from(told).is_ok_and(|told| told == CLAIM);
            if stop.is_cancelled() {
                return;
            }
            if !busy {
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = stop.cancelled() => return,
                }
            }
        }
    }

    /// Takes what is due and tells it. Returns how many were taken.
    async fn round(&self) -> Result<usize, StoreError> {
        let due = self
            .store
            .claim_announcements(self.clock.now(), CLAIM)
            .await?;
        let count = due.len();
        let told = futures::stream::iter(due).map(|one| self.tell(one));
        let results: Vec<_> = told.buffer_unordered(CALLS).collect().await;
        results.into_iter().collect::<Result<Vec<()>, _>>()?;
        Ok(count)
    }

    async fn tell(&self, one: Announcement) -> Result<(), StoreError> {
        let Some(arrived) = &one.arrived else {
            return self.store.announced(one.id).await;
        };
        let now = self.clock.now();
        match self.notifier.tell(one.session_id, arrived).await {
            Ok(()) => {
                count("told");
                self.store.announced(one.id).await
            }
            Err(error) if error.is_transient() && one.attempts < TRIES => {
                count("put_off");
                let again = now + backoff(one.attempts);
                self.store
                    .announce_later(one.id, again, &error.to_string())
                    .await
            }
            Err(error) => {
                count("given_up");
                tracing::error!(%error, session = %one.session_id, "a visitor is not announced");
                let error = error.to_string();
                self.store.give_up_announcing(one.id, now, &error).await
            }
        }
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("visits_announcements_total", "outcome" => outcome).increment(1);
}

/// Twice as long after each try, from 1 second to 5 minutes.
fn backoff(attempts: i32) -> TimeDelta {
    let doublings = u32::try_from(attempts - 1).unwrap_or(0).min(9);
    TimeDelta::seconds(2_i64.pow(doublings).min(300))
}
