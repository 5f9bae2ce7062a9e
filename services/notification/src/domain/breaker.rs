//! Leaves a provider alone for a while that fails again and again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use super::attempt::Outcome;

/// After so many failures in a row it is left alone.
const FAILURES: u32 = 5;
/// For so long; then one more failure is enough.
const PAUSE: TimeDelta = TimeDelta::seconds(30);

/// Counts a provider's failures.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open_until: Option<DateTime<Utc>>,
}

impl Breaker {
    /// Until when the provider is left alone; `None` where it may be asked.
    #[must_use]
    pub fn open_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.state().open_until.filter(|until| *until > now)
    }

    /// Counts an outcome. What is wrong with a message or its recipient is no fault of the
    /// provider's.
    pub fn record(&self, outcome: Outcome, now: DateTime<Utc>) {
        let mut state = self.state();
        match outcome {
            Outcome::Transient(_) | Outcome::Config | Outcome::Unknown => {
                state.failures = state.failures.saturating_add(1);
                if state.failures >= FAILURES {
                    state.open_until = Some(now + PAUSE);
                }
            }
            Outcome::Sent | Outcome::Found | Outcome::Permanent | Outcome::Gone => {
                *state = State::default();
            }
            Outcome::Suppressed => {}
        }
    }

    /// No code that holds the lock can panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_tries_again() {
        let breaker = Breaker::default();
        let at = |seconds: i64| DateTime::from_timestamp(1_795_176_000 + seconds, 0).unwrap();
        for _ in 0..4 {
            breaker.record(Outcome::Unknown, at(0));
        }
        breaker.record(Outcome::Permanent, at(0));
        for _ in 0..4 {
            breaker.record(Outcome::Transient(None), at(0));
        }
        assert_eq!(breaker.open_until(at(0)), None);
        breaker.record(Outcome::Config, at(0));
        assert_eq!(breaker.open_until(at(29)), Some(at(30)));
        assert_eq!(breaker.open_until(at(30)), None);
        breaker.record(Outcome::Unknown, at(31));
        assert_eq!(breaker.open_until(at(32)), Some(at(61)));
        breaker.record(Outcome::Sent, at(62));
        breaker.record(Outcome::Unknown, at(63));
        assert_eq!(breaker.open_until(at(63)), None);
    }
}
