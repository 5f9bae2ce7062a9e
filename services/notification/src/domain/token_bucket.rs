//! Rate and concurrency limits of channels.

use chrono::{DateTime, TimeDelta, Utc};

/// The limits of a channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelLimits {
    /// Messages in flight at once; at least 1.
    pub concurrency: usize,
    /// Messages that start per second; above 0. `None` is unlimited.
    pub per_second: Option<f64>,
}

impl Default for ChannelLimits {
    fn default() -> Self {
        Self {
            concurrency: 64,
            per_second: None,
        }
    }
}

/// A token bucket. Its capacity is one second of tokens, but at least one token.
#[derive(Debug)]
pub struct TokenBucket {
    per_second: f64,
    /// Capacity of the bucket.
    capacity: f64,
    tokens: f64,
    refilled_at: DateTime<Utc>,
}

impl TokenBucket {
    /// Creates a full bucket.
    #[must_use]
    pub fn new(per_second: f64, now: DateTime<Utc>) -> Self {
        let capacity = per_second.max(1.0);
        Self {
            per_second,
            capacity,
            tokens: capacity,
            refilled_at: now,
        }
    }

    /// Refills the bucket and returns the number of whole tokens.
    pub fn refill(&mut self, now: DateTime<Utc>) -> usize {
        let passed = (now - self.refilled_at).as_seconds_f64().max(0.0);
        self.tokens = (self.tokens + passed * self.per_second).min(self.capacity);
        self.refilled_at = now;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is not negative, and a cast saturates"
        )]
        // Tolerates rounding errors of fractions.
        let whole = (self.tokens + 1e-6).floor() as usize;
        whole
    }

    pub fn take(&mut self, count: usize) {
        self.tokens -= count as f64;
    }

    /// Returns the time until the next token, if there is none: 1 ms to 1 hour.
    #[must_use]
    pub fn time_until_token(&self) -> TimeDelta {
        let seconds = ((1.0 - self.tokens) / self.per_second).clamp(0.001, 3_600.0);
        #[expect(clippy::cast_possible_truncation, reason = "at most an hour")]
        let millis = (seconds * 1_000.0).ceil() as i64;
        TimeDelta::milliseconds(millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_795_176_000_000 + millis).unwrap()
    }

    #[test]
    fn so_many_begin_in_a_second() {
        let mut pace = TokenBucket::new(10.0, at(0));
        assert_eq!(pace.refill(at(0)), 10);
        pace.take(10);
        assert_eq!(pace.refill(at(0)), 0);
        assert_eq!(pace.time_until_token(), TimeDelta::milliseconds(100));
        assert_eq!(pace.refill(at(250)), 2);
        pace.take(2);
        assert_eq!(pace.refill(at(300)), 1);
        assert_eq!(pace.refill(at(90_000)), 10);
    }

    #[test]
    fn less_than_one_in_a_second() {
        let mut pace = TokenBucket::new(0.5, at(0));
        assert_eq!(pace.refill(at(0)), 1);
        pace.take(1);
        assert_eq!(pace.time_until_token(), TimeDelta::seconds(2));
        assert_eq!(pace.refill(at(1_999)), 0);
        assert_eq!(pace.refill(at(2_000)), 1);
    }
}
