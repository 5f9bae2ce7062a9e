//! The one source of time, so that tests can move it by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;
use uuid::{ClockSequence, ContextV7, NoContext, Timestamp, Uuid};

/// Tells the time: the system's, or one that a test sets and moves.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// `None` means the system's clock.
    by_hand: Option<Arc<ManualClock>>,
}

#[derive(Debug)]
struct ManualClock {
    /// Microseconds since the epoch.
    micros: AtomicI64,
    moved: Notify,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands at `start` until it is moved. Clones share the hand.
    #[must_use]
    pub fn by_hand(start: DateTime<Utc>) -> Self {
        let hand = ManualClock {
            micros: AtomicI64::new(start.timestamp_micros()),
            moved: Notify::new(),
        };
        Self {
            by_hand: Some(Arc::new(hand)),
        }
    }

    /// The present moment, in microseconds' precision, as PostgreSQL keeps it.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn now(&self) -> DateTime<Utc> {
        let micros = match &self.by_hand {
            Some(hand) => hand.micros.load(Ordering::Relaxed),
            None => Utc::now().timestamp_micros(),
        };
        DateTime::from_timestamp_micros(micros).expect("a clock's time lies within chrono's range")
    }

    /// Moves a clock that is set by hand; the system's clock cannot be moved.
    ///
    /// # Panics
    /// On the system's clock, which only a mistaken test would try to move.
    pub fn advance(&self, by: TimeDelta) {
        let hand = self
            .by_hand
            .as_ref()
            .expect("only a clock set by hand is moved");
        let micros = by.num_microseconds().unwrap_or(i64::MAX);
        hand.micros.fetch_add(micros, Ordering::Relaxed);
        hand.moved.notify_waiters();
    }

    /// Returns when the clock was moved by hand since it showed `seen`, so that workers that wait
    /// for a moment notice; the system's clock is never moved.
    pub async fn moved(&self, seen: DateTime<Utc>) {
        let Some(hand) = &self.by_hand else {
            return std::future::pending().await;
        };
        let moved = hand.moved.notified();
        if self.now() == seen {
            moved.await;
        }
    }

    /// A new `UUIDv7` (RFC 9562 §5.7) that carries this clock's time; later ones sort after it.
    #[must_use]
    pub fn new_id(&self) -> Uuid {
        thread_local! {
            static CONTEXT: ContextV7 = const { ContextV7::new() };
        }
        CONTEXT.with(|context| id(self.now(), context))
    }

    /// A new `UUIDv7` that carries `at`, for things that happened at another time than now.
    #[must_use]
    pub fn id_at(at: DateTime<Utc>) -> Uuid {
        id(at, NoContext)
    }
}

fn id(at: DateTime<Utc>, context: impl ClockSequence<Output = impl Into<u128>>) -> Uuid {
    let seconds = u64::try_from(at.timestamp()).unwrap_or(0);
    let at = Timestamp::from_unix(context, seconds, at.timestamp_subsec_nanos());
    Uuid::new_v7(at)
}

/// The moment inside a `UUIDv7` (milliseconds), or `None` for other kinds of id.
#[must_use]
pub fn moment_of(id: Uuid) -> Option<DateTime<Utc>> {
    if id.get_version_num() != 7 {
        return None;
    }
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_carries_the_time_it_was_made_at() {
        let start = DateTime::from_timestamp(1_795_176_000, 123_000_000).unwrap();
        let clock = Clock::by_hand(start);
        assert_eq!(moment_of(clock.new_id()), Some(start));
        clock.advance(TimeDelta::milliseconds(5));
        assert_eq!(
            moment_of(clock.new_id()),
            Some(start + TimeDelta::milliseconds(5))
        );
        assert_eq!(moment_of(Uuid::nil()), None);
        // Neither the past nor the future rubs off on other ids.
        for days in [-3_000, 1, -1] {
            let at = start + TimeDelta::days(days);
            assert_eq!(moment_of(Clock::id_at(at)), Some(at));
        }
        let next = start + TimeDelta::milliseconds(5);
        assert_eq!(moment_of(clock.new_id()), Some(next));
    }
}
