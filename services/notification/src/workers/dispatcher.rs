//! Sends what is due on one channel: claims, sends outside any transaction, records.

use std::sync::Arc;
use std::time::Instant;

use common::clock::Clock;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::POLL;
use crate::clients::Provider;
use crate::domain::attempt::{Answer, Attempted, Claimed, Outcome};
use crate::domain::backoff::Jitter;
use crate::domain::target::Channel;
use crate::store::queue::{self, Settled};

/// How many messages are on their way at the same time.
const IN_FLIGHT: usize = 32;

/// Sends a channel's deliveries until it is stopped; several may run beside each other.
pub struct Dispatcher {
    /// What is sent.
    pub channel: Channel,
    /// Who carries the messages.
    pub provider: Arc<dyn Provider>,
    /// Where the queue is.
    pub pool: PgPool,
    /// What time it is.
    pub clock: Clock,
    /// Changes when something has become due.
    pub wake: watch::Receiver<()>,
    /// Spreads what failed together.
    pub jitter: Jitter,
}

impl Dispatcher {
    /// Sends until `stop`, then finishes what is on its way.
    pub async fn run(self, stop: CancellationToken) {
        let mut wake = self.wake.clone();
        let this = Arc::new(self);
        let mut sending = JoinSet::new();
        let mut done = Vec::new();
        loop {
            let recorded = this.record(&mut done).await;
            let free = IN_FLIGHT - sending.len();
            // What cannot be recorded would be sent again: no more is claimed until it is.
            if recorded && free > 0 && !stop.is_cancelled() {
                let claimed = this.claim(free).await;
                if claimed.len() == free {
                    wake.mark_changed();
                }
                for delivery in claimed {
                    let attempt = this.clone().attempt(delivery).in_current_span();
                    sending.spawn(attempt);
                }
            }
            if stop.is_cancelled() && sending.is_empty() && done.is_empty() {
                return;
            }
            tokio::select! {
                Some(first) = sending.join_next() => {
                    this.settle(&mut done, first);
                    // What else is done by now is recorded in the same statement.
                    while let Some(next) = sending.try_join_next() {
                        this.settle(&mut done, next);
                    }
                }
                _ = wake.changed(), if recorded && sending.len() < IN_FLIGHT => {}
                () = tokio::time::sleep(POLL) => {}
                () = stop.cancelled(), if !stop.is_cancelled() => {}
            }
        }
    }

    async fn claim(&self, limit: usize) -> Vec<Claimed> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let claimed = queue::claim(&self.pool, self.channel, self.clock.now(), limit).await;
        claimed.unwrap_or_else(|error| {
            tracing::warn!(%error, "nothing claimed");
            vec![]
        })
    }

    /// Looks where an earlier attempt may have been successful, else sends.
    async fn attempt(self: Arc<Self>, delivery: Claimed) -> Attempted {
        let provider = self.provider.as_ref();
        let started_at = self.clock.now();
        let started = Instant::now();
        let answer = match self.found(provider, &delivery).await {
            Some(answer) => answer,
            None => provider.send(&delivery).await,
        };
        Attempted {
            started_at,
            latency_ms: i32::try_from(started.elapsed().as_millis()).unwrap_or(i32::MAX),
            provider: provider.name(),
            delivery,
            answer,
        }
    }

    /// What to answer without sending: the message was found, or it cannot be told.
    async fn found(&self, provider: &dyn Provider, delivery: &Claimed) -> Option<Answer> {
        let since = delivery.unknown_since?;
        let ids = match provider.look_up(delivery, since).await {
            Ok(ids) => ids,
            Err(answer) => return Some(answer),
        };
        // The same text may have gone to the same recipient for another notification.
        let Ok(taken) = queue::taken(&self.pool, provider.name(), &ids).await else {
            let detail = "the look-up cannot be compared";
            return Some(Answer::plain(Outcome::Unknown, Some(detail)));
        };
        let id = ids.into_iter().find(|id| !taken.contains(id))?;
        Some(Answer {
            message_id: Some(id),
            ..Answer::plain(Outcome::Found, None)
        })
    }

    fn settle(&self, done: &mut Vec<Settled>, attempted: Result<Attempted, JoinError>) {
        match attempted {
            Ok(attempted) => {
                tell(&attempted);
                let next = attempted.next(self.clock.now(), (self.jitter)());
                done.push(Settled { attempted, next });
            }
            // Its lease will end, and it will be looked up.
            Err(error) => tracing::error!(%error, "an attempt broke off"),
        }
    }

    /// Records what is done; what cannot be recorded stays for the next time.
    async fn record(&self, done: &mut Vec<Settled>) -> bool {
        if done.is_empty() {
            return true;
        }
        match queue::settle(&self.pool, done, self.clock.now()).await {
            Ok(()) => {
                done.clear();
                true
            }
            Err(error) => {
                tracing::warn!(%error, "outcomes not recorded yet");
                false
            }
        }
    }
}

fn tell(attempted: &Attempted) {
    let Attempted {
        delivery,
        provider,
        answer,
        ..
    } = attempted;
    let channel = delivery.target.channel().as_str();
    let outcome = answer.outcome.as_str();
    metrics::counter!("notification_deliveries_total", "channel" => channel, "outcome" => outcome)
        .increment(1);
    let detail = answer.detail.as_deref();
    tracing::info!(delivery = %delivery.id, number = delivery.number, channel, provider, outcome, detail, "attempt");
}
