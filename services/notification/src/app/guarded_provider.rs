//! A provider behind a circuit breaker.

use std::sync::Arc;
use std::time::Duration;

use chassis::circuit_breaker::{BreakerPolicy, BreakerState, CircuitBreaker};
use chrono::{DateTime, Utc};

use crate::clients::Provider;
use crate::domain::attempt::SendOutcome;

/// Opens after five failures in a row.
const BREAKER_POLICY: BreakerPolicy = BreakerPolicy {
    window: 5,
    max_failures: 5,
    open_duration: Duration::from_secs(30),
};

pub struct GuardedProvider {
    pub provider: Arc<dyn Provider>,
    breaker: CircuitBreaker<DateTime<Utc>>,
}

impl From<Arc<dyn Provider>> for GuardedProvider {
    fn from(provider: Arc<dyn Provider>) -> Self {
        let breaker = CircuitBreaker::new(BREAKER_POLICY);
        Self { provider, breaker }
    }
}

impl GuardedProvider {
    /// Whether the provider may be called, without reserving the probe.
    #[must_use]
    pub fn state(&self, now: DateTime<Utc>) -> BreakerState<DateTime<Utc>> {
        self.breaker.state(now)
    }

    /// Whether the caller may call the provider at once.
    pub fn admit(&self, now: DateTime<Utc>) -> BreakerState<DateTime<Utc>> {
        self.breaker.admit(now)
    }

    /// Counts an outcome. An invalid message or recipient is not a failure of the provider.
    pub fn record(&self, outcome: SendOutcome, now: DateTime<Utc>) {
        match outcome {
            SendOutcome::Transient(_) | SendOutcome::Config | SendOutcome::Unknown => {
                self.breaker.record_failure(now);
            }
            SendOutcome::Sent | SendOutcome::Found | SendOutcome::Permanent | SendOutcome::Gone => {
                self.breaker.record_success();
            }
            SendOutcome::Suppressed => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use futures::future::BoxFuture;

    use super::*;
    use crate::domain::attempt::{ClaimedDelivery, SendResult};

    struct UnusedProvider;

    impl Provider for UnusedProvider {
        fn name(&self) -> &'static str {
            "unused"
        }

        fn send<'a>(&'a self, _: &'a ClaimedDelivery) -> BoxFuture<'a, SendResult> {
            async { unreachable!("only outcomes are recorded") }.boxed()
        }
    }

    #[test]
    fn only_failures_of_the_provider_open_its_breaker() {
        let provider: Arc<dyn Provider> = Arc::new(UnusedProvider);
        let guarded = GuardedProvider::from(provider);
        let at = |seconds: i64| DateTime::from_timestamp(1_795_176_000 + seconds, 0).unwrap();
        for _ in 0..4 {
            guarded.record(SendOutcome::Unknown, at(0));
        }
        guarded.record(SendOutcome::Permanent, at(0));
        for _ in 0..4 {
            guarded.record(SendOutcome::Transient(None), at(0));
        }
        guarded.record(SendOutcome::Suppressed, at(0));
        assert_eq!(guarded.admit(at(0)), BreakerState::Closed);
        guarded.record(SendOutcome::Config, at(0));
        assert_eq!(guarded.admit(at(29)), BreakerState::Open(at(30)));
        assert_eq!(guarded.admit(at(31)), BreakerState::HalfOpen);
        guarded.record(SendOutcome::Unknown, at(32));
        assert_eq!(guarded.state(at(32)), BreakerState::Open(at(62)));
        assert_eq!(guarded.admit(at(62)), BreakerState::HalfOpen);
        guarded.record(SendOutcome::Sent, at(62));
        guarded.record(SendOutcome::Unknown, at(63));
        assert_eq!(guarded.state(at(63)), BreakerState::Closed);
    }
}
