//! Sends the due deliveries of a channel: claims them in batches, sends them outside of any
//! transaction, and records the outcomes in batches.

use std::slice;
use std::sync::Arc;
use std::time::Duration;

use chassis::database::StoreError;
use chassis::panics::{catch_panic, catch_panics};
use chrono::{DateTime, Utc};
use common::clock::Clock;
use sqlx::PgPool;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::app::daily_limiter::DailyLimiter;
use crate::app::queue_signal::QueueSignal;
use crate::app::sender::ChannelSender;
use crate::domain::attempt::{
    ClaimedDelivery, CompletedAttempt, DeferredDelivery, NextState, SendOutcome, SendResult,
};
use crate::domain::backoff::JitterFn;
use crate::domain::channel_address::DeliveryChannel;
use crate::domain::token_bucket::{ChannelLimits, TokenBucket};
use crate::store::queue::{self, AttemptOutcome};
use crate::store::{endpoint, suppression};

/// How long the dispatcher waits before it retries after a failure.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How long a finished attempt waits for others to be recorded in the same batch.
const RECORD_BATCH_DELAY: Duration = Duration::from_millis(5);

/// Sends the deliveries of a channel. Several dispatchers can run concurrently.
pub struct Dispatcher {
    pub channel: DeliveryChannel,
    pub sender: Arc<ChannelSender>,
    pub limits: ChannelLimits,
    pub pool: PgPool,
    pub clock: Clock,
    pub queue_signal: QueueSignal,
    pub limiter: DailyLimiter,
    pub jitter: JitterFn,
}

/// The detail of an outcome that the database refuses.
const REJECTED_OUTCOME_DETAIL: &str = "the provider's response cannot be stored";
/// The detail of a lookup that found a message that another delivery found at the same time.
const MESSAGE_TAKEN_DETAIL: &str = "the message that was found belongs to another delivery";

type InFlightSends = JoinSet<Result<CompletedAttempt, DeferredDelivery>>;

/// Attempts whose outcomes are not recorded yet.
#[derive(Default)]
struct FinishedAttempts {
    outcomes: Vec<AttemptOutcome>,
    deferred: Vec<DeferredDelivery>,
}

impl FinishedAttempts {
    fn len(&self) -> usize {
        self.outcomes.len() + self.deferred.len()
    }
}

impl Dispatcher {
    /// Sends until `stop`, then completes the sends in progress.
    pub async fn run(self, stop: CancellationToken) {
        let mut wake = self.queue_signal.subscribe(self.channel);
        let now = self.clock.now();
        let mut pace = self
            .limits
            .per_second
            .map(|rate| TokenBucket::new(rate, now));
        let mut sending = InFlightSends::new();
        let mut done = FinishedAttempts::default();
        loop {
            let recorded = self.record(&mut done).await;
            // Unrecorded deliveries would be sent again, so nothing is claimed until they are
            // recorded.
            let room = self.capacity(sending.len(), pace.as_mut());
            if recorded && room > 0 && !stop.is_cancelled() {
                let claimed = self.claim(room).await;
                if let Some(pace) = &mut pace {
                    pace.take(claimed.len());
                }
                if claimed.len() == room {
                    wake.mark_changed();
                }
                for delivery in claimed {
                    let attempt = self.sender.clone().attempt(delivery);
                    sending.spawn(attempt.in_current_span());
                }
            }
            if stop.is_cancelled() && sending.is_empty() && done.len() == 0 {
                return;
            }
            let room = self.capacity(sending.len(), pace.as_mut());
            // The scheduler wakes the dispatcher when a delivery becomes due.
            let waits_for_work = recorded && room > 0;
            let nap = pace
                .as_ref()
                .filter(|_| room == 0)
                .map(TokenBucket::time_until_token);
            let nap = nap
                .and_then(|wait| wait.to_std().ok())
                .unwrap_or(RETRY_INTERVAL);
            tokio::select! {
                Some(first) = sending.join_next() => {
                    self.add_finished(&mut done, first);
                    self.collect_finished(&mut sending, &mut done).await;
                }
                _ = wake.changed(), if waits_for_work => {}
                () = tokio::time::sleep(nap.min(RETRY_INTERVAL)), if !waits_for_work => {}
                () = stop.cancelled(), if !stop.is_cancelled() => {}
            }
        }
    }

    /// How many deliveries may be claimed. Zero until half of the capacity is free, because
    /// claiming one costs nearly as much as claiming many.
    fn capacity(&self, on_their_way: usize, pace: Option<&mut TokenBucket>) -> usize {
        let most = self.limits.concurrency;
        let free = most.saturating_sub(on_their_way);
        let allowed = pace.map_or(usize::MAX, |pace| pace.refill(self.clock.now()));
        if free * 2 < most {
            return 0;
        }
        free.min(allowed).min(self.sender.capacity(on_their_way))
    }

    #[tracing::instrument(level = "debug", name = "claim_deliveries", skip_all, fields(channel = self.channel.as_str(), limit = limit))]
    async fn claim(&self, limit: usize) -> Vec<ClaimedDelivery> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let claiming = async {
            let now = self.clock.now();
            let mut claimed = queue::claim(&self.pool, self.channel, now, limit).await?;
            self.limiter.suppress_exceeding(&mut claimed).await;
            Ok::<_, StoreError>(claimed)
        };
        match catch_panics(claiming).await {
            Ok(Ok(claimed)) => claimed,
            Ok(Err(error)) => {
                tracing::warn!(%error, "due deliveries cannot be claimed; retrying soon");
                vec![]
            }
            Err(panic) => {
                tracing::error!(%panic, "claiming due deliveries panicked; retrying soon");
                vec![]
            }
        }
    }

    /// Collects further attempts that finish within [`RECORD_BATCH_DELAY`].
    async fn collect_finished(&self, sending: &mut InFlightSends, done: &mut FinishedAttempts) {
        let until = Instant::now() + RECORD_BATCH_DELAY;
        while done.len() * 2 < self.limits.concurrency {
            let next = tokio::time::timeout_at(until, sending.join_next());
            let Ok(Some(next)) = next.await else {
                break;
            };
            self.add_finished(done, next);
        }
        while let Some(next) = sending.try_join_next() {
            self.add_finished(done, next);
        }
    }

    fn add_finished(
        &self,
        done: &mut FinishedAttempts,
        ended: Result<Result<CompletedAttempt, DeferredDelivery>, JoinError>,
    ) {
        match ended {
            Ok(Ok(attempted)) => {
                report_attempt(&attempted);
                let providers = i32::try_from(self.sender.providers.len()).unwrap_or(i32::MAX);
                let (now, jitter) = (self.clock.now(), (self.jitter)());
                let next = catch_panic(|| attempted.next_state(providers, now, jitter));
                let next = next.unwrap_or(NextState::DeadLetter);
                done.outcomes.push(AttemptOutcome {
                    attempt: attempted,
                    next_state: next,
                });
            }
            Ok(Err(held_back)) => done.deferred.push(held_back),
            // The delivery is claimed again after its lease expires.
            Err(error) => {
                tracing::error!(%error, "a delivery attempt was aborted; its outcome is unknown");
            }
        }
    }

    /// Records outcomes. On failure they stay in `done` for the next call.
    async fn record(&self, done: &mut FinishedAttempts) -> bool {
        let recorded = catch_panics(self.try_record(done)).await;
        match recorded {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => {
                tracing::warn!(%error, "delivery outcomes cannot be recorded; retrying soon");
            }
            Err(panic) => {
                tracing::error!(%panic, "recording delivery outcomes panicked; retrying soon");
            }
        }
        false
    }

    #[tracing::instrument(level = "debug", name = "record_outcomes", skip_all, fields(outcomes = done.outcomes.len(), deferred = done.deferred.len()))]
    async fn try_record(&self, done: &mut FinishedAttempts) -> Result<(), StoreError> {
        if !done.deferred.is_empty() {
            queue::release(&self.pool, &done.deferred).await?;
            done.deferred.clear();
            self.queue_signal.reschedule();
        }
        if done.outcomes.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        self.record_outcomes(&mut done.outcomes, now).await?;
        self.handle_gone(&done.outcomes).await;
        // A retry that is due immediately may not have been due at the last claim.
        let at_once = |settled: &AttemptOutcome| matches!(settled.next_state, NextState::Retry(at) if at <= now);
        if done.outcomes.iter().any(at_once) {
            self.queue_signal.wake_channel(self.channel);
        }
        if done
            .outcomes
            .iter()
            .any(|s| matches!(s.next_state, NextState::Retry(_)))
        {
            self.queue_signal.reschedule();
        }
        done.outcomes.clear();
        Ok(())
    }
}

impl Dispatcher {
    /// Records outcomes. If the database refuses one, it is recorded alone, so that it does not block
    /// the others.
    async fn record_outcomes(
        &self,
        settled: &mut [AttemptOutcome],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        match queue::record_outcomes(&self.pool, settled, now).await {
            Err(error) if error.is_data_refused() => match settled {
                [] => Ok(()),
                [one] => self.record_refused(one, &error, now).await,
                many => {
                    let (first, second) = many.split_at_mut(many.len() / 2);
                    Box::pin(self.record_outcomes(first, now)).await?;
                    Box::pin(self.record_outcomes(second, now)).await
                }
            },
            recorded => recorded,
        }
    }

    /// Records an outcome that the database refused. A lookup that found the message of another
    /// delivery is repeated; otherwise the details are replaced by a fixed text.
    async fn record_refused(
        &self,
        settled: &mut AttemptOutcome,
        refusal: &StoreError,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let AttemptOutcome {
            attempt,
            next_state,
        } = settled;
        if queue::is_message_taken(refusal) {
            if attempt.result.outcome == SendOutcome::Found {
                attempt.result = SendResult::new(SendOutcome::Unknown, Some(MESSAGE_TAKEN_DETAIL));
                *next_state = NextState::Retry(now);
                return queue::record_outcomes(&self.pool, slice::from_ref(settled), now).await;
            }
            let (id, message_id) = (attempt.delivery.id, attempt.result.message_id.as_deref());
            let message_id = message_id.unwrap_or_default();
            if queue::reopen_mistaken(&self.pool, id, message_id, now).await? {
                self.queue_signal.wake_channel(self.channel);
                return queue::record_outcomes(&self.pool, slice::from_ref(settled), now).await;
            }
        }
        tracing::error!(
            error = %refusal,
            delivery = %attempt.delivery.id,
            "the database refused an outcome; it is recorded without its details"
        );
        attempt.result = SendResult::new(attempt.result.outcome, Some(REJECTED_OUTCOME_DETAIL));
        queue::record_outcomes(&self.pool, slice::from_ref(settled), now).await
    }

    /// Handles permanent failures: disables webhooks, deletes push subscriptions, and suppresses
    /// other addresses.
    async fn handle_gone(&self, done: &[AttemptOutcome]) {
        for settled in done {
            let CompletedAttempt {
                delivery,
                result: answer,
                ..
            } = &settled.attempt;
            if answer.outcome == SendOutcome::Gone {
                let address = delivery.address.unmasked();
                let ended = match self.channel {
                    DeliveryChannel::Webhook | DeliveryChannel::Push => {
                        endpoint::deactivate(&self.pool, address).await
                    }
                    _ => {
                        let (id, now) = (self.clock.new_id(), self.clock.now());
                        let detail = answer.detail.as_deref().unwrap_or("gone");
                        let kept = suppression::insert(&self.pool, id, address, detail, now);
                        kept.await.map(|_| ())
                    }
                };
                if let Err(error) = ended {
                    tracing::warn!(
                        %error,
                        "an address that is gone was not disabled; it is tried again"
                    );
                }
            }
        }
    }
}

fn report_attempt(attempted: &CompletedAttempt) {
    let CompletedAttempt {
        delivery,
        provider,
        result: answer,
        ..
    } = attempted;
    let channel = delivery.address.channel().as_str();
    let outcome = answer.outcome.as_str();
    metrics::counter!("notification_deliveries_total", "channel" => channel, "outcome" => outcome)
        .increment(1);
    if answer.outcome == SendOutcome::Sent {
        let took = attempted.started_at - delivery.created_at;
        let seconds = took.as_seconds_f64() + f64::from(attempted.latency_ms) / 1_000.0;
        metrics::histogram!("notification_accept_to_sent_seconds", "channel" => channel)
            .record(seconds);
    }
    let detail = answer.detail.as_deref();
    tracing::info!(
        delivery = %delivery.id,
        number = delivery.attempt_number,
        channel,
        provider,
        outcome,
        detail,
        "delivery attempt"
    );
}
