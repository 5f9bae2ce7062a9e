//! How fast a channel may send.

use chrono::{DateTime, TimeDelta, Utc};

/// How many messages of a channel may be on their way at once, and how many may begin in a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelLimits {
    /// The most at once; at least 1.
    pub concurrency: usize,
    /// The most that begin in a second, above 0; `None` for as many as there are.
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

/// Lets so many begin in a second: those that did not begin are saved up for one second.
#[derive(Debug)]
pub struct TokenBucket {
    per_second: f64,
    /// The most that is saved up.
    most: f64,
    saved: f64,
    since: DateTime<Utc>,
}

impl TokenBucket {
    /// From `now` on, beginning with what one second allows.
    #[must_use]
    pub fn new(per_second: f64, now: DateTime<Utc>) -> Self {
        let most = per_second.max(1.0);
        Self {
            per_second,
            most,
            saved: most,
            since: now,
        }
    }

    /// How many may begin at `now`.
    pub fn room(&mut self, now: DateTime<Utc>) -> usize {
        let passed = (now - self.since).as_seconds_f64().max(0.0);
        self.saved = (self.saved + passed * self.per_second).min(self.most);
        self.since = now;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is not negative, and a cast saturates"
        )]
        // Parts of a second do not add up exactly.
        let whole = (self.saved + 1e-6).floor() as usize;
        whole
    }

    /// So many begin.
    pub fn take(&mut self, count: usize) {
        self.saved -= count as f64;
    }

    /// How long until the next one may begin, where there is no room.
    #[must_use]
    pub fn wait(&self) -> TimeDelta {
        let seconds = ((1.0 - self.saved) / self.per_second).clamp(0.001, 3_600.0);
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
        assert_eq!(pace.room(at(0)), 10);
        pace.take(10);
        assert_eq!(pace.room(at(0)), 0);
        assert_eq!(pace.wait(), TimeDelta::milliseconds(100));
        assert_eq!(pace.room(at(250)), 2);
        pace.take(2);
        assert_eq!(pace.room(at(300)), 1);
        assert_eq!(pace.room(at(90_000)), 10);
    }

    #[test]
    fn less_than_one_in_a_second() {
        let mut pace = TokenBucket::new(0.5, at(0));
        assert_eq!(pace.room(at(0)), 1);
        pace.take(1);
        assert_eq!(pace.wait(), TimeDelta::seconds(2));
        assert_eq!(pace.room(at(1_999)), 0);
        assert_eq!(pace.room(at(2_000)), 1);
    }
}
