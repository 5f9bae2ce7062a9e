//! Empties the outbox: tells notification about visitors, again and again until it has heard.

use std::time::Duration;

use chassis::peer::PeerError;
use chrono::TimeDelta;
use common::clock::Clock;
use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::repeat;
use crate::clients::notification::Notifier;
use crate::store::{Announcement, Store, StoreError};

/// How often the outbox is looked into.
const PAUSE: Duration = Duration::from_millis(200);
/// How many are taken at once, and how many calls are under way at once.
const CLAIM: usize = 50;
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
        repeat("announcing visitors", PAUSE, stop, async || {
            self.round().await
        })
        .await;
    }

    /// Takes what is due and tells it. Returns whether there may be more.
    async fn round(&self) -> Result<bool, StoreError> {
        let due = self
            .store
            .claim_announcements(self.clock.now(), CLAIM)
            .await?;
        let more = due.len() == CLAIM;
        let told = futures::stream::iter(due).map(|one| self.tell(one));
        let told: Vec<_> = told.buffer_unordered(CALLS).collect().await;
        let (done, failed): (Vec<_>, Vec<_>) = told.into_iter().partition(Result::is_ok);
        let done: Vec<i64> = done.into_iter().flatten().collect();
        self.store.announced(&done).await?;
        for (one, error) in failed.into_iter().filter_map(Result::err) {
            self.put_off(&one, &error).await?;
        }
        Ok(more)
    }

    /// Returns the entry that is done with.
    async fn tell(&self, one: Announcement) -> Result<i64, (Announcement, PeerError)> {
        let Some(arrived) = &one.arrived else {
            count("erased");
            return Ok(one.id);
        };
        match self.notifier.tell(one.session_id, arrived).await {
            Ok(()) => {
                count("told");
                Ok(one.id)
            }
            Err(error) => Err((one, error)),
        }
    }

    async fn put_off(&self, one: &Announcement, error: &PeerError) -> Result<(), StoreError> {
        let now = self.clock.now();
        if error.is_transient() && one.attempts < TRIES {
            count("put_off");
            let again = now + backoff(one.attempts);
            let error = error.to_string();
            return self.store.announce_later(one.id, again, &error).await;
        }
        count("given_up");
        tracing::error!(%error, session = %one.session_id, "a visitor is not announced");
        let error = error.to_string();
        self.store.give_up_announcing(one.id, now, &error).await
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
