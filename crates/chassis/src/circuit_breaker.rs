//! Circuit breaker: stops calls to a destination that fails, and probes it later.

use std::ops::Add;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct BreakerPolicy {
    /// The number of latest calls that count, at most 64.
    pub window: u32,
    /// Failures among them that open the breaker.
    pub max_failures: u32,
    /// How long an open breaker refuses calls before it becomes half-open.
    pub open_duration: Duration,
}

/// Whether a call is allowed. `T` is the type of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState<T> {
    /// Calls are allowed.
    Closed,
    /// A single probe is allowed.
    HalfOpen,
    /// No call is allowed before this time.
    Open(T),
}

/// A circuit breaker. Takes the time from the caller: `std::time::Instant`, or the
/// `DateTime<Utc>` of a clock that tests move.
#[derive(Debug)]
pub struct CircuitBreaker<T> {
    policy: BreakerPolicy,
    calls: Mutex<RecentCalls<T>>,
}

#[derive(Debug)]
struct RecentCalls<T> {
    /// One bit per call, the latest lowest: whether the call failed.
    failures: u64,
    open_until: Option<T>,
}

impl<T: Copy + PartialOrd + Add<Duration, Output = T>> CircuitBreaker<T> {
    #[must_use]
    pub const fn new(policy: BreakerPolicy) -> Self {
        let calls = RecentCalls {
            failures: 0,
            open_until: None,
        };
        Self {
            policy,
            calls: Mutex::new(calls),
        }
    }

    /// Returns the state at `now`, without reserving the probe.
    pub fn state(&self, now: T) -> BreakerState<T> {
        state_at(self.lock().open_until, now)
    }

    /// Returns the state for a caller that calls at once. If half-open, the caller is the probe,
    /// and the breaker refuses others until the probe succeeds or the open duration passes.
    pub fn admit(&self, now: T) -> BreakerState<T> {
        let mut calls = self.lock();
        let state = state_at(calls.open_until, now);
        if matches!(state, BreakerState::HalfOpen) {
            calls.open_until = Some(now + self.policy.open_duration);
        }
        state
    }

    /// Counts a success. An open or half-open breaker closes and forgets all failures.
    pub fn record_success(&self) {
        let mut calls = self.lock();
        calls.failures = match calls.open_until.take() {
            Some(_) => 0,
            None => calls.failures << 1,
        };
    }

    /// Counts a failure, and opens the breaker if the destination has failed too often.
    pub fn record_failure(&self, now: T) {
        let mut calls = self.lock();
        calls.failures = (calls.failures << 1) | 1;
        let ignored = u64::BITS.saturating_sub(self.policy.window);
        let counted = calls.failures.checked_shl(ignored).unwrap_or_default();
        if counted.count_ones() >= self.policy.max_failures {
            calls.open_until = Some(now + self.policy.open_duration);
        }
    }

    /// A poisoned lock is safe, because no code panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, RecentCalls<T>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn state_at<T: Copy + PartialOrd>(open_until: Option<T>, now: T) -> BreakerState<T> {
    match open_until {
        Some(until) if until > now => BreakerState::Open(until),
        Some(_) => BreakerState::HalfOpen,
        None => BreakerState::Closed,
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_176_000 + seconds, 0).unwrap()
    }

    fn breaker(window: u32) -> CircuitBreaker<DateTime<Utc>> {
        CircuitBreaker::new(BreakerPolicy {
            window,
            max_failures: 5,
            open_duration: Duration::from_secs(30),
        })
    }

    #[test]
    fn it_shuts_after_failures_in_a_row_and_lets_one_try() {
        let breaker = breaker(5);
        for _ in 0..4 {
            breaker.record_failure(at(0));
        }
        breaker.record_success();
        for _ in 0..4 {
            breaker.record_failure(at(0));
        }
        assert_eq!(breaker.admit(at(0)), BreakerState::Closed);
        breaker.record_failure(at(0));
        assert_eq!(breaker.admit(at(29)), BreakerState::Open(at(30)));
        assert_eq!(breaker.state(at(30)), BreakerState::HalfOpen);
        assert_eq!(breaker.admit(at(31)), BreakerState::HalfOpen);
        assert_eq!(breaker.admit(at(31)), BreakerState::Open(at(61)));
        breaker.record_failure(at(32));
        assert_eq!(breaker.state(at(32)), BreakerState::Open(at(62)));
        assert_eq!(breaker.admit(at(62)), BreakerState::HalfOpen);
        breaker.record_success();
        breaker.record_failure(at(63));
        assert_eq!(breaker.state(at(63)), BreakerState::Closed);
    }

    #[test]
    fn failures_between_successes_count_within_the_window() {
        let breaker = breaker(10);
        for _ in 0..4 {
            breaker.record_failure(at(0));
            breaker.record_success();
        }
        breaker.record_success();
        breaker.record_failure(at(0));
        assert_eq!(breaker.state(at(0)), BreakerState::Open(at(30)));

        let breaker = self::breaker(10);
        for _ in 0..20 {
            breaker.record_failure(at(0));
            breaker.record_success();
            breaker.record_success();
        }
        assert_eq!(breaker.state(at(0)), BreakerState::Closed);
    }

    #[test]
    fn a_probe_that_never_ends_does_not_block_for_ever() {
        let breaker = breaker(5);
        for _ in 0..5 {
            breaker.record_failure(at(0));
        }
        assert_eq!(breaker.admit(at(30)), BreakerState::HalfOpen);
        assert_eq!(breaker.admit(at(59)), BreakerState::Open(at(60)));
        assert_eq!(breaker.admit(at(60)), BreakerState::HalfOpen);
    }
}
