//! Leaves a provider alone for a while that fails again and again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use super::attempt::SendOutcome;

/// After so many failures in a row it is left alone.
const FAILURE_THRESHOLD: u32 = 5;
/// For so long; then one more failure is enough.
const OPEN_DURATION: TimeDelta = TimeDelta::seconds(30);

/// Counts a provider's failures.
#[derive(Debug, Default)]
pub struct CircuitBreaker(Mutex<FailureStreak>);

#[derive(Debug, Default)]
struct FailureStreak {
    failures: u32,
    shut_until: Option<DateTime<Utc>>,
}

/// Whether a provider may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Like any other.
    Open,
    /// Once, to see whether it is well again.
    Ajar,
    /// Not before that moment.
    Shut(DateTime<Utc>),
}

impl CircuitBreaker {
    /// Whether the provider may be asked at `now`.
    #[must_use]
    pub fn door(&self, now: DateTime<Utc>) -> BreakerState {
        match self.state().shut_until {
            Some(until) if until > now => BreakerState::Shut(until),
            Some(_) => BreakerState::Ajar,
            None => BreakerState::Open,
        }
    }

    /// The same for who asks at once: through a door that is ajar one goes, and it is shut.
    pub fn enter(&self, now: DateTime<Utc>) -> BreakerState {
        let door = self.door(now);
        if door == BreakerState::Ajar {
            self.state().shut_until = Some(now + OPEN_DURATION);
        }
        door
    }

    /// Counts an outcome. What is wrong with a message or its recipient is no fault of the
    /// provider's.
    pub fn record(&self, outcome: SendOutcome, now: DateTime<Utc>) {
        let mut state = self.state();
        match outcome {
            SendOutcome::Transient(_) | SendOutcome::Config | SendOutcome::Unknown => {
                state.failures = state.failures.saturating_add(1);
                if state.failures >= FAILURE_THRESHOLD {
                    state.shut_until = Some(now + OPEN_DURATION);
                }
            }
            SendOutcome::Sent | SendOutcome::Found | SendOutcome::Permanent | SendOutcome::Gone => {
                *state = FailureStreak::default();
            }
            SendOutcome::Suppressed => {}
        }
    }

    /// No code that holds the lock can panic.
    fn state(&self) -> MutexGuard<'_, FailureStreak> {
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
        assert_eq!(breaker.enter(at(0)), BreakerState::Open);
        breaker.record(SendOutcome::Config, at(0));
        assert_eq!(breaker.enter(at(29)), BreakerState::Shut(at(30)));
        assert_eq!(breaker.door(at(30)), BreakerState::Ajar);
        assert_eq!(breaker.enter(at(31)), BreakerState::Ajar);
        assert_eq!(breaker.enter(at(31)), BreakerState::Shut(at(61)));
        breaker.record(SendOutcome::Unknown, at(32));
        assert_eq!(breaker.door(at(32)), BreakerState::Shut(at(62)));
        assert_eq!(breaker.enter(at(62)), BreakerState::Ajar);
        breaker.record(SendOutcome::Sent, at(62));
        breaker.record(SendOutcome::Unknown, at(63));
        assert_eq!(breaker.door(at(63)), BreakerState::Open);
    }
}
