//! Sends what is due on one channel: claims, sends outside any transaction, records.

use std::sync::Arc;
use std::time::Instant;

use common::clock::Clock;
use sqlx::PgPool;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::POLL;
use super::limiter::Limiter;
use super::wake::Wake;
use crate::clients::Provider;
use crate::domain::attempt::{Answer, Attempted, Claimed, Next, Outcome};
use crate::domain::backoff::Jitter;
use crate::domain::breaker::Breaker;
use crate::domain::target::Channel;
use crate::store::queue::{self, Settled};
use crate::store::{endpoint, suppression};

/// How many messages are on their way at the same time.
const IN_FLIGHT: usize = 32;

/// A provider, and whether it may be asked just now.
pub struct Asked {
    /// Who carries the messages.
    pub provider: Arc<dyn Provider>,
    /// Leaves it alone where it fails again and again.
    pub breaker: Breaker,
}

impl From<Arc<dyn Provider>> for Asked {
    fn from(provider: Arc<dyn Provider>) -> Self {
        let breaker = Breaker::default();
        Self { provider, breaker }
    }
}

/// Sends a channel's deliveries until it is stopped; several may run beside each other.
pub struct Dispatcher {
    /// What is sent.
    pub channel: Channel,
    /// Who carries the messages, in the order they are asked; never empty.
    pub providers: Vec<Asked>,
    /// Where the queue is.
    pub pool: PgPool,
    /// What time it is.
    pub clock: Clock,
    /// Changes when something has become due.
    pub wake: Wake,
    /// Keeps back what is over a day's limit.
    pub limiter: Limiter,
    /// Spreads what failed together.
    pub jitter: Jitter,
}

impl Dispatcher {
    /// Sends until `stop`, then finishes what is on its way.
    pub async fn run(self, stop: CancellationToken) {
        let mut wake = self.wake.subscribe(self.channel);
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
        let mut claimed = claimed.unwrap_or_else(|error| {
            tracing::warn!(%error, "nothing claimed");
            vec![]
        });
        self.limiter.mark(&mut claimed).await;
        claimed
    }

    /// Looks where an earlier attempt may have been successful, else sends.
    async fn attempt(self: Arc<Self>, delivery: Claimed) -> Attempted {
        let started_at = self.clock.now();
        let started = Instant::now();
        let (provider, answer) = match self.found(&delivery).await {
            Some(found) => found,
            None => match self.held_back(&delivery) {
                Some(held) => held,
                None => self.send(&delivery).await,
            },
        };
        Attempted {
            started_at,
            latency_ms: i32::try_from(started.elapsed().as_millis()).unwrap_or(i32::MAX),
            provider,
            delivery,
            answer,
        }
    }

    /// What to answer where nothing may be sent.
    fn held_back(&self, delivery: &Claimed) -> Option<(&'static str, Answer)> {
        let reason = delivery.suppressed.as_ref()?;
        let detail = format!("suppressed: {reason}");
        let name = self.providers[0].provider.name();
        Some((name, Answer::plain(Outcome::Suppressed, Some(&detail))))
    }

    /// Asks the one whose turn it is, or the next one that may be asked.
    async fn send(&self, delivery: &Claimed) -> (&'static str, Answer) {
        let turn = usize::try_from(delivery.tries - 1).unwrap_or(0) % self.providers.len();
        let (before, after) = self.providers.split_at(turn);
        let now = self.clock.now();
        let mut in_turn = after.iter().chain(before);
        let Some(asked) = in_turn.find(|asked| asked.breaker.open_until(now).is_none()) else {
            let name = self.providers[turn].provider.name();
            let pause = self.providers[turn].breaker.open_until(now);
            let wait = pause.map(|until| until - now);
            let detail = "the provider failed again and again, and is left alone";
            return (name, Answer::plain(Outcome::Transient(wait), Some(detail)));
        };
        let answer = asked.provider.send(delivery).await;
        asked.breaker.record(answer.outcome, self.clock.now());
        (asked.provider.name(), answer)
    }

    /// What to answer without sending: the message was found, or it cannot be told. All are asked
    /// who may have it: the one that tried last, or each where the process ended in between.
    async fn found(&self, delivery: &Claimed) -> Option<(&'static str, Answer)> {
        let since = delivery.unknown_since?;
        for Asked { provider, .. } in &self.providers {
            let name = provider.name();
            let ids = match provider.look_up(delivery, since).await {
                Ok(ids) => ids,
                Err(answer) => return Some((name, answer)),
            };
            // The same text may have gone to the same recipient for another notification.
            let Ok(taken) = queue::taken(&self.pool, name, &ids).await else {
                let detail = "the look-up cannot be compared";
                return Some((name, Answer::plain(Outcome::Unknown, Some(detail))));
            };
            if let Some(id) = ids.into_iter().find(|id| !taken.contains(id)) {
                let found = Answer {
                    message_id: Some(id),
                    ..Answer::plain(Outcome::Found, None)
                };
                return Some((name, found));
            }
        }
        None
    }

    fn settle(&self, done: &mut Vec<Settled>, attempted: Result<Attempted, JoinError>) {
        match attempted {
            Ok(attempted) => {
                tell(&attempted);
                let providers = i32::try_from(self.providers.len()).unwrap_or(i32::MAX);
                let next = attempted.next(providers, self.clock.now(), (self.jitter)());
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
                self.clean_up(done).await;
                // What is due at once was not so when the next one was claimed.
                if done
                    .iter()
                    .any(|s| matches!(s.next, Next::Again(at) if at <= self.clock.now()))
                {
                    self.wake.wake(self.channel);
                }
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

impl Dispatcher {
    /// Ends what is gone for good: a webhook that wants no more is disabled, a browser forgotten,
    /// any other address suppressed.
    async fn clean_up(&self, done: &[Settled]) {
        for settled in done {
            let Attempted {
                delivery, answer, ..
            } = &settled.attempted;
            if answer.outcome == Outcome::Gone {
                let address = delivery.target.address();
                let ended = match self.channel {
                    Channel::Webhook | Channel::Push => endpoint::gone(&self.pool, address).await,
                    _ => {
                        let (id, now) = (self.clock.new_id(), self.clock.now());
                        let detail = answer.detail.as_deref().unwrap_or("gone");
                        let kept = suppression::insert(&self.pool, id, address, detail, now);
                        kept.await.map(|_| ())
                    }
                };
                if let Err(error) = ended {
                    tracing::warn!(%error, "an endpoint that is gone is still there");
                }
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
    if answer.outcome == Outcome::Sent {
        let took = attempted.started_at - delivery.created_at;
        let seconds = took.as_seconds_f64() + f64::from(attempted.latency_ms) / 1_000.0;
        metrics::histogram!("notification_accept_to_sent_seconds", "channel" => channel)
            .record(seconds);
    }
    let detail = answer.detail.as_deref();
    tracing::info!(delivery = %delivery.id, number = delivery.number, channel, provider, outcome, detail, "attempt");
}
