//! Sends a delivery. If an earlier attempt has an unknown outcome, looks up the message first.

use std::sync::Arc;
use std::time::Instant;

use chassis::circuit_breaker::BreakerState;
use chassis::panics::catch_panics;
use chrono::{DateTime, Utc};
use common::clock::Clock;
use sqlx::PgPool;

use super::guarded_provider::GuardedProvider;
use crate::clients::Provider;
use crate::domain::attempt::{
    ClaimedDelivery, CompletedAttempt, DeferredDelivery, SendOutcome, SendResult,
    UnknownOutcomePolicy,
};
use crate::store::queue;

/// Sends the messages of a channel.
pub struct ChannelSender {
    /// In the order in which they are tried; never empty.
    pub providers: Vec<GuardedProvider>,
    pub pool: PgPool,
    pub clock: Clock,
}

type ProviderResult<'a> = (&'a dyn Provider, SendResult);

impl ChannelSender {
    /// How many further messages may be sent now: any number if a circuit breaker is closed, one in
    /// total if the breakers only allow a probe, otherwise none.
    #[must_use]
    pub fn capacity(&self, on_their_way: usize) -> usize {
        let now = self.clock.now();
        let states = || self.providers.iter().map(|guarded| guarded.state(now));
        if states().any(|state| state == BreakerState::Closed) {
            usize::MAX
        } else if states().any(|state| state == BreakerState::HalfOpen) {
            1_usize.saturating_sub(on_their_way)
        } else {
            0
        }
    }

    /// Attempts a delivery once. An error means that no provider is available now and the delivery
    /// is deferred. After a panic the outcome is unknown, as after a timeout.
    #[tracing::instrument(level = "debug", name = "attempt_delivery", skip_all, fields(delivery = %delivery.id, notification = %delivery.notification_id, attempt = delivery.attempt_number))]
    pub async fn attempt(
        self: Arc<Self>,
        delivery: ClaimedDelivery,
    ) -> Result<CompletedAttempt, DeferredDelivery> {
        let started_at = self.clock.now();
        let started = Instant::now();
        let told = catch_panics(self.try_send(&delivery)).await;
        let (provider, answer) = told.unwrap_or_else(|panic| {
            tracing::error!(
                %panic,
                delivery = %delivery.id,
                "a delivery attempt panicked; its outcome is unknown"
            );
            let broken = SendResult::new(SendOutcome::Unknown, Some("the attempt panicked"));
            Ok((&*self.providers[0].provider, broken))
        })?;
        Ok(CompletedAttempt {
            started_at,
            latency_ms: i32::try_from(started.elapsed().as_millis()).unwrap_or(i32::MAX),
            provider: provider.name(),
            unknown_outcome_policy: provider.unknown_outcome_policy(),
            delivery,
            result: answer,
        })
    }

    async fn try_send(
        &self,
        delivery: &ClaimedDelivery,
    ) -> Result<ProviderResult<'_>, DeferredDelivery> {
        if let Some(found) = self.look_up(delivery).await {
            return Ok(found);
        }
        if let Some(suppressed) = self.suppressed_result(delivery) {
            return Ok(suppressed);
        }
        self.send_with_next_provider(delivery)
            .await
            .map_err(|until| DeferredDelivery {
                id: delivery.id,
                attempt_number: delivery.attempt_number,
                deferred_until: until,
            })
    }

    /// The result of a delivery to a suppressed address.
    fn suppressed_result(&self, delivery: &ClaimedDelivery) -> Option<ProviderResult<'_>> {
        let reason = delivery.suppression_reason.as_ref()?;
        let detail = format!("suppressed: {reason}");
        let answer = SendResult::new(SendOutcome::Suppressed, Some(&detail));
        Some((&*self.providers[0].provider, answer))
    }

    /// Sends with the provider whose turn it is, or the next one whose circuit breaker allows it.
    /// The error is the time when a provider is available again.
    async fn send_with_next_provider(
        &self,
        delivery: &ClaimedDelivery,
    ) -> Result<ProviderResult<'_>, DateTime<Utc>> {
        let turn =
            usize::try_from(delivery.attempts_since_retry - 1).unwrap_or(0) % self.providers.len();
        let (before, after) = self.providers.split_at(turn);
        let now = self.clock.now();
        let mut soonest: Option<DateTime<Utc>> = None;
        for guarded in after.iter().chain(before) {
            if let BreakerState::Open(until) = guarded.admit(now) {
                soonest = Some(soonest.map_or(until, |soonest| soonest.min(until)));
                continue;
            }
            let answer = guarded.provider.send(delivery).await;
            guarded.record(answer.outcome, self.clock.now());
            return Ok((&*guarded.provider, answer));
        }
        Err(soonest.unwrap_or(now))
    }

    /// The result without sending again: the message was found at a provider, or its outcome stays
    /// unknown. All providers that may have the message are asked. `None` means that it can be
    /// sent.
    async fn look_up(&self, delivery: &ClaimedDelivery) -> Option<ProviderResult<'_>> {
        let since = delivery.unknown_since?;
        for GuardedProvider { provider, .. } in &self.providers {
            let told = |answer| Some((&**provider, answer));
            let unknown = |words| told(SendResult::new(SendOutcome::Unknown, Some(words)));
            match provider.unknown_outcome_policy() {
                UnknownOutcomePolicy::LookUp => {}
                UnknownOutcomePolicy::SendAgain => continue,
                UnknownOutcomePolicy::GiveUp => {
                    return unknown(
                        "the message may have been sent before, and the provider has no lookup",
                    );
                }
            }
            let ids = match provider.look_up(delivery, since).await {
                Ok(ids) => ids,
                Err(answer) => return told(answer),
            };
            // The same text may have been sent to the same recipient for another notification.
            let Ok(taken) = queue::recorded_message_ids(&self.pool, provider.name(), &ids).await
            else {
                return unknown("the messages found at the provider cannot be compared");
            };
            let mut free = ids;
            free.retain(|id| !taken.contains(id));
            // Lookups of the same text at the same time mostly select different messages.
            let choice = delivery.id.as_u128() % free.len().max(1) as u128;
            let choice = usize::try_from(choice).unwrap_or(0);
            if choice < free.len() {
                let id = free.swap_remove(choice);
                return told(SendResult {
                    message_id: Some(id),
                    ..SendResult::new(SendOutcome::Found, None)
                });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use futures::future::BoxFuture;
    use sqlx::postgres::PgPoolOptions;
    use uuid::Uuid;

    use super::*;
    use crate::domain::attempt::NextState;
    use crate::domain::channel_address::ChannelAddress;

    struct PanickingProvider;

    impl Provider for PanickingProvider {
        fn name(&self) -> &'static str {
            "broken"
        }

        fn send<'a>(&'a self, _: &'a ClaimedDelivery) -> BoxFuture<'a, SendResult> {
            async { panic!("a bug") }.boxed()
        }
    }

    #[tokio::test]
    async fn a_provider_that_panics_leaves_the_message_in_doubt() {
        let pool = PgPoolOptions::new().connect_lazy("postgres://nobody");
        let provider: Arc<dyn Provider> = Arc::new(PanickingProvider);
        let now = DateTime::UNIX_EPOCH;
        let sender = Arc::new(ChannelSender {
            providers: vec![provider.into()],
            pool: pool.unwrap(),
            clock: Clock::manual(now),
        });
        let delivery = ClaimedDelivery {
            id: Uuid::nil(),
            address: ChannelAddress::log(),
            notification_id: Uuid::nil(),
            event: "e".into(),
            title: None,
            body: "hello".into(),
            html: None,
            data: None,
            endpoint: None,
            created_at: now,
            last_provider: None,
            suppression_reason: None,
            attempt_number: 1,
            attempts_since_retry: 1,
            unknown_since: None,
        };
        let attempted = sender.attempt(delivery).await.unwrap();
        assert_eq!(attempted.result.outcome, SendOutcome::Unknown);
        assert_eq!(attempted.next_state(1, now, 0.0), NextState::Unknown);
    }
}
