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
    shut_until: Option<DateTime<Utc>>,
}

/// Whether a provider may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Like any other.
    Open,
    /// Once, to see whether it is well again.
    Ajar,
    /// Not before that moment.
    Shut(DateTime<Utc>),
}

impl Breaker {
    /// Whether the provider may be asked at `now`.
    #[must_use]
    pub fn door(&self, now: DateTime<Utc>) -> Door {
        match self.state().shut_until {
            Some(until) if until > now => Door::Shut(until),
            Some(_) => Door::Ajar,
            None => Door::Open,
        }
    }

    /// The same for who asks at once: through a door that is ajar one goes, and it is shut.
    pub fn enter(&self, now: DateTime<Utc>) -> Door {
        let door = self.door(now);
        if door == Door::Ajar {
            self.state().shut_until = Some(now + PAUSE);
        }
        door
    }

    /// Counts an outcome. What is wrong with a message or its recipient is no fault of the
    /// provider's.
    pub fn record(&self, outcome: Outcome, now: DateTime<Utc>) {
        let mut state = self.state();
        match outcome {
            Outcome::Transient(_) | Outcome::Config | Outcome::Unknown => {
                state.failures = state.failures.saturating_add(1);
                if state.failures >= FAILURES {
                    state.shut_until = Some(now + PAUSE);
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
    fn it_shuts_after_failures_in_a_row_and_lets_one_try() {
        let breaker = Breaker::default();
        let at = |seconds: i64| DateTime::from_timestamp(1_795_176_000 + seconds, 0).unwrap();
        for _ in 0..4 {
            breaker.record(Outcome::Unknown, at(0));
        }
        breaker.record(Outcome::Permanent, at(0));
        for _ in 0..4 {
            breaker.record(Outcome::Transient(None), at(0));
        }
        assert_eq!(breaker.enter(at(0)), Door::Open);
        breaker.record(Outcome::Config, at(0));
        assert_eq!(breaker.enter(at(29)), Door::Shut(at(30)));
        assert_eq!(breaker.door(at(30)), Door::Ajar);
        assert_eq!(breaker.enter(at(31)), Door::Ajar);
        assert_eq!(breaker.enter(at(31)), Door::Shut(at(61)));
        breaker.record(Outcome::Unknown, at(32));
        assert_eq!(breaker.door(at(32)), Door::Shut(at(62)));
        assert_eq!(breaker.enter(at(62)), Door::Ajar);
        breaker.record(Outcome::Sent, at(62));
        breaker.record(Outcome::Unknown, at(63));
        assert_eq!(breaker.door(at(63)), Door::Open);
    }
}
