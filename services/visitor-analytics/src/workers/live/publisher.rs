//! Publishes the keys of recorded visits to all replicas.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chassis::panics::catch_panics;
use chrono::{DateTime, Utc};
use tokio::sync::{Notify, mpsc};
use uuid::Uuid;

use crate::store::{MAX_LIVE_AGE, Store, StoreError};

type RecordedKey = (Uuid, DateTime<Utc>);

/// Capacity of the queue, and visits per notice.
const MAX_QUEUED_KEYS: usize = 2_000;
/// How long a check whether any process listens is valid. Checks run only while visits are
/// recorded.
pub(super) const LISTENER_CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// Minimum interval between two notices.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(200);

/// Queues recorded visits for publication.
#[derive(Clone, Debug)]
pub struct VisitPublisher {
    shared: Arc<PublisherState>,
    visits: mpsc::Sender<RecordedKey>,
}

#[derive(Debug, Default)]
struct PublisherState {
    /// Until when no process is known to listen; checked again when a visit is recorded later.
    no_listeners_until: Mutex<Option<Instant>>,
    has_dropped: AtomicBool,
    /// Wakes the worker when there are visits to publish, or listeners to check.
    wake: Notify,
}

/// The worker that publishes visits.
#[derive(Debug)]
pub(super) struct PublishTask {
    store: Store,
    shared: Arc<PublisherState>,
    visits: mpsc::Receiver<RecordedKey>,
}

impl VisitPublisher {
    pub(super) fn new(store: Store) -> (Self, PublishTask) {
        let (sender, visits) = mpsc::channel(MAX_QUEUED_KEYS);
        let shared: Arc<PublisherState> = Arc::default();
        let telling = PublishTask {
            store,
            shared: shared.clone(),
            visits,
        };
        let teller = Self {
            shared,
            visits: sender,
        };
        (teller, telling)
    }

    /// Publishes visits that were recorded at `now`. Without listeners, this costs reading the
    /// clock.
    pub fn publish(&self, visits: impl Iterator<Item = RecordedKey>, now: DateTime<Utc>) {
        if self.shared.has_no_listeners() {
            return;
        }
        for visit in visits.filter(|(_, moment)| *moment > now - MAX_LIVE_AGE) {
            if self.visits.try_send(visit).is_err() {
                self.shared.has_dropped.store(true, Ordering::Relaxed);
                break;
            }
        }
        self.shared.wake.notify_one();
    }
}

impl PublisherState {
    fn has_no_listeners(&self) -> bool {
        let until = self.no_listeners_until.lock();
        let until = *until.unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn set_no_listeners_until(&self, until: Option<Instant>) {
        let mut known = self.no_listeners_until.lock();
        match &mut known {
            Ok(known) => **known = until,
            Err(poisoned) => **poisoned.get_mut() = until,
        }
    }
}

impl PublishTask {
    pub(super) async fn run(mut self) {
        let mut told = vec![];
        loop {
            self.shared.wake.notified().await;
            let error = match catch_panics(self.publish_queued(&mut told)).await {
                Ok(round) => round.err().map(|error| error.to_string()),
                Err(panic) => Some(panic.to_string()),
            };
            if let Some(error) = error {
                tracing::debug!(
                    error,
                    "recorded visits were not published to the live stream"
                );
                self.shared.has_dropped.store(true, Ordering::Relaxed);
                // Subscribers must learn of the gap even if no further visit arrives.
                self.shared.wake.notify_one();
                tokio::time::sleep(LISTENER_CHECK_INTERVAL).await;
            }
            tokio::time::sleep(PUBLISH_INTERVAL).await;
        }
    }

    async fn publish_queued(&mut self, told: &mut Vec<RecordedKey>) -> Result<(), StoreError> {
        let asked_at = Instant::now();
        let is_heard = self.store.has_listeners().await?;
        self.shared
            .set_no_listeners_until((!is_heard).then_some(asked_at + LISTENER_CHECK_INTERVAL));
        told.clear();
        while told.len() < MAX_QUEUED_KEYS
            && let Ok(visit) = self.visits.try_recv()
        {
            told.push(visit);
        }
        let lost = self.shared.has_dropped.swap(false, Ordering::Relaxed);
        if is_heard && (lost || !told.is_empty()) {
            self.store.notify_visits(told, lost).await?;
        }
        Ok(())
    }
}
