//! The only source of time, so that tests can set it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;
use uuid::{ClockSequence, ContextV7, NoContext, Timestamp, Uuid};

/// The system clock, or a manual clock for tests.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// `None` for the system clock.
    manual: Option<Arc<ManualClock>>,
}

#[derive(Debug)]
struct ManualClock {
    /// Microseconds since the epoch.
    micros: AtomicI64,
    changed: Notify,
    /// Shared by all threads, because a manual clock stands still: ids are in order nevertheless.
    ids: Mutex<ContextV7>,
}

impl Clock {
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// A manual clock that stays at `start` until [`Clock::advance`]. Clones share the time.
    #[must_use]
    pub fn manual(start: DateTime<Utc>) -> Self {
        let hand = ManualClock {
            micros: AtomicI64::new(start.timestamp_micros()),
            changed: Notify::new(),
            ids: Mutex::new(ContextV7::new()),
        };
        Self {
            manual: Some(Arc::new(hand)),
        }
    }

    /// The current time with microsecond precision, like PostgreSQL's timestamps.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "all other code uses this function"
    )]
    pub fn now(&self) -> DateTime<Utc> {
        let micros = match &self.manual {
            Some(hand) => hand.micros.load(Ordering::Relaxed),
            None => Utc::now().timestamp_micros(),
        };
        DateTime::from_timestamp_micros(micros).expect("the time is within chrono's range")
    }

    /// Advances a manual clock.
    ///
    /// # Panics
    /// Panics on the system clock.
    pub fn advance(&self, by: TimeDelta) {
        let hand = self
            .manual
            .as_ref()
            .expect("only a manual clock can be advanced");
        let micros = by.num_microseconds().unwrap_or(i64::MAX);
        hand.micros.fetch_add(micros, Ordering::Relaxed);
        hand.changed.notify_waiters();
    }

    /// Waits until a manual clock differs from `seen`, so that sleeping workers wake up when a test
    /// advances the clock. Never returns on the system clock.
    pub async fn wait_until_changed(&self, seen: DateTime<Utc>) {
        let Some(hand) = &self.manual else {
            return std::future::pending().await;
        };
        let moved = hand.changed.notified();
        if self.now() == seen {
            moved.await;
        }
    }

    /// Creates a `UUIDv7` (RFC 9562 §5.7) with the time of this clock. Ids of a later millisecond
    /// sort after it, and later ids of the same thread.
    #[must_use]
    pub fn new_id(&self) -> Uuid {
        thread_local! {
            static CONTEXT: ContextV7 = const { ContextV7::new() };
        }
        if let Some(hand) = &self.manual {
            let ids = hand.ids.lock().unwrap_or_else(PoisonError::into_inner);
            return new_uuid(self.now(), &*ids);
        }
        CONTEXT.with(|context| new_uuid(self.now(), context))
    }

    /// Creates a `UUIDv7` with the time `at`.
    #[must_use]
    pub fn new_id_at(at: DateTime<Utc>) -> Uuid {
        new_uuid(at, NoContext)
    }
}

fn new_uuid(at: DateTime<Utc>, context: impl ClockSequence<Output = impl Into<u128>>) -> Uuid {
    let seconds = u64::try_from(at.timestamp()).unwrap_or(0);
    let at = Timestamp::from_unix(context, seconds, at.timestamp_subsec_nanos());
    Uuid::new_v7(at)
}

/// Returns the time in a `UUIDv7` with millisecond precision, or `None` for other versions.
#[must_use]
pub fn timestamp_of(id: Uuid) -> Option<DateTime<Utc>> {
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
    fn ids_of_a_clock_that_stands_still_are_in_order_across_threads() {
        let clock = Clock::manual(DateTime::from_timestamp(1_795_176_000, 0).unwrap());
        let mut last = clock.new_id();
        for _ in 0..50 {
            let other = clock.clone();
            let next = std::thread::spawn(move || other.new_id()).join().unwrap();
            assert!(next > last, "{next} does not sort after {last}");
            last = next;
        }
    }

    #[test]
    fn an_id_carries_the_time_it_was_made_at() {
        let start = DateTime::from_timestamp(1_795_176_000, 123_000_000).unwrap();
        let clock = Clock::manual(start);
        assert_eq!(timestamp_of(clock.new_id()), Some(start));
        clock.advance(TimeDelta::milliseconds(5));
        assert_eq!(
            timestamp_of(clock.new_id()),
            Some(start + TimeDelta::milliseconds(5))
        );
        assert_eq!(timestamp_of(Uuid::nil()), None);
        // Ids for other times do not influence later ids.
        for days in [-3_000, 1, -1] {
            let at = start + TimeDelta::days(days);
            assert_eq!(timestamp_of(Clock::new_id_at(at)), Some(at));
        }
        let next = start + TimeDelta::milliseconds(5);
        assert_eq!(timestamp_of(clock.new_id()), Some(next));
    }
}
