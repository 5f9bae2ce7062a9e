//! Queues the keys of recorded visits for publication to all replicas.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use chrono::{DateTime, Utc};
use tokio::sync::{Notify, mpsc};
use uuid::Uuid;

use crate::store::MAX_LIVE_AGE;

/// The id and timestamp of a recorded visit.
pub(crate) type RecordedKey = (Uuid, DateTime<Utc>);

/// Capacity of the queue, and visits per notice.
pub(crate) const MAX_QUEUED_KEYS: usize = 2_000;

/// Queues recorded visits for publication.
#[derive(Clone, Debug)]
pub struct VisitPublisher {
    state: Arc<PublisherState>,
    visits: mpsc::Sender<RecordedKey>,
}

/// The queue of the worker that publishes visits.
#[derive(Debug)]
pub struct PublishQueue {
    pub(crate) state: Arc<PublisherState>,
    pub(crate) visits: mpsc::Receiver<RecordedKey>,
}

#[derive(Debug, Default)]
pub(crate) struct PublisherState {
    /// Until when no process is known to listen; checked again when a visit is recorded later.
    no_listeners_until: Mutex<Option<Instant>>,
    pub(crate) has_dropped: AtomicBool,
    /// Wakes the worker when there are visits to publish, or listeners to check.
    pub(crate) wake: Notify,
}

impl VisitPublisher {
    /// Creates a publisher and the queue of its worker, which must run for visits to be published.
    #[must_use]
    pub fn new() -> (Self, PublishQueue) {
        let (sender, visits) = mpsc::channel(MAX_QUEUED_KEYS);
        let state: Arc<PublisherState> = Arc::default();
        let queue = PublishQueue {
            state: state.clone(),
            visits,
        };
        let publisher = Self {
            state,
            visits: sender,
        };
        (publisher, queue)
    }

    /// Publishes visits that were recorded at `now`. Without listeners, this costs reading the
    /// clock.
    pub fn publish(&self, visits: impl Iterator<Item = RecordedKey>, now: DateTime<Utc>) {
        if self.state.has_no_listeners() {
            return;
        }
        for visit in visits.filter(|(_, moment)| *moment > now - MAX_LIVE_AGE) {
            if self.visits.try_send(visit).is_err() {
                self.state.has_dropped.store(true, Ordering::Relaxed);
                break;
            }
        }
        self.state.wake.notify_one();
    }
}

impl PublisherState {
    fn has_no_listeners(&self) -> bool {
        let until = self.no_listeners_until.lock();
        let until = *until.unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    pub(crate) fn set_no_listeners_until(&self, until: Option<Instant>) {
        let mut current = self.no_listeners_until.lock();
        match &mut current {
            Ok(current) => **current = until,
            Err(poisoned) => **poisoned.get_mut() = until,
        }
    }
}
