//! A circuit breaker for providers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use super::attempt::SendOutcome;

/// Failures in a row that open the breaker.
const FAILURE_THRESHOLD: u32 = 5;
/// Time after which the breaker is half-open. One failure of the probe opens it again.
const OPEN_DURATION: TimeDelta = TimeDelta::seconds(30);

#[derive(Debug, Default)]
pub struct CircuitBreaker(Mutex<FailureStreak>);

#[derive(Debug, Default)]
struct FailureStreak {
    failures: u32,
    open_until: Option<DateTime<Utc>>,
}

/// Whether a provider may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// The provider works normally.
    Closed,
    /// One probe may be sent.
    HalfOpen,
    /// The provider must not be called before this time.
    Open(DateTime<Utc>),
}

impl CircuitBreaker {
    /// Returns the state at `now`, without reserving the probe.
    #[must_use]
    pub fn state(&self, now: DateTime<Utc>) -> BreakerState {
        match self.lock().open_until {
            Some(until) if until > now => BreakerState::Open(until),
            Some(_) => BreakerState::HalfOpen,
            None => BreakerState::Closed,
        }
    }

    /// Returns the state for a caller that sends at once. If half-open, the caller sends the probe,
    /// and the breaker blocks others until the probe succeeds or 30 seconds pass.
    pub fn admit(&self, now: DateTime<Utc>) -> BreakerState {
        let door = self.state(now);
        if door == BreakerState::HalfOpen {
            self.lock().open_until = Some(now + OPEN_DURATION);
        }
        door
    }

    /// Counts an outcome. An invalid message or recipient is not a failure of the provider.
    pub fn record(&self, outcome: SendOutcome, now: DateTime<Utc>) {
        let mut state = self.lock();
        match outcome {
            SendOutcome::Transient(_) | SendOutcome::Config | SendOutcome::Unknown => {
                state.failures = state.failures.saturating_add(1);
                if state.failures >= FAILURE_THRESHOLD {
                    state.open_until = Some(now + OPEN_DURATION);
                }
            }
            SendOutcome::Sent | SendOutcome::Found | SendOutcome::Permanent | SendOutcome::Gone => {
                *state = FailureStreak::default();
            }
            SendOutcome::Suppressed => {}
        }
    }

    /// A poisoned lock is safe, because no code panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, FailureStreak> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shuts_after_failures_in_a_row_and_lets_one_try() {
        let breaker = CircuitBreaker::default();
        let at = |seconds: i64| DateTime::from_timestamp(1_795_176_000 + seconds, 0).unwrap();
        for _ in 0..4 {
            breaker.record(SendOutcome::Unknown, at(0));
        }
        breaker.record(SendOutcome::Permanent, at(0));
        for _ in 0..4 {
            breaker.record(SendOutcome::Transient(None), at(0));
        }
        assert_eq!(breaker.admit(at(0)), BreakerState::Closed);
        breaker.record(SendOutcome::Config, at(0));
        assert_eq!(breaker.admit(at(29)), BreakerState::Open(at(30)));
        assert_eq!(breaker.state(at(30)), BreakerState::HalfOpen);
        assert_eq!(breaker.admit(at(31)), BreakerState::HalfOpen);
        assert_eq!(breaker.admit(at(31)), BreakerState::Open(at(61)));
        breaker.record(SendOutcome::Unknown, at(32));
        assert_eq!(breaker.state(at(32)), BreakerState::Open(at(62)));
        assert_eq!(breaker.admit(at(62)), BreakerState::HalfOpen);
        breaker.record(SendOutcome::Sent, at(62));
        breaker.record(SendOutcome::Unknown, at(63));
        assert_eq!(breaker.state(at(63)), BreakerState::Closed);
    }
}
