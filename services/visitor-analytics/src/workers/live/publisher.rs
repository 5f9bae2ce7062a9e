//! Publishes the keys of recorded visits to all replicas.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chassis::database::StoreError;
use chassis::panics::catch_panics;

use crate::app::live::{MAX_QUEUED_KEYS, PublishQueue, RecordedKey};
use crate::store::Store;

/// How long a check whether any process listens is valid. Checks run only while visits are
/// recorded.
pub(super) const LISTENER_CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// Minimum interval between two notices.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(200);

/// The worker that publishes visits.
#[derive(Debug)]
pub(super) struct PublishTask {
    pub(super) store: Store,
    pub(super) queue: PublishQueue,
}

impl PublishTask {
    pub(super) async fn run(mut self) {
        let mut keys = vec![];
        loop {
            self.queue.state.wake.notified().await;
            let error = match catch_panics(self.publish_queued(&mut keys)).await {
                Ok(round) => round.err().map(|error| error.to_string()),
                Err(panic) => Some(panic.to_string()),
            };
            if let Some(error) = error {
                tracing::debug!(
                    error,
                    "recorded visits were not published to the live stream"
                );
                self.queue.state.has_dropped.store(true, Ordering::Relaxed);
                // Subscribers must learn of the gap even if no further visit arrives.
                self.queue.state.wake.notify_one();
                tokio::time::sleep(LISTENER_CHECK_INTERVAL).await;
            }
            tokio::time::sleep(PUBLISH_INTERVAL).await;
        }
    }

    #[tracing::instrument(level = "debug", name = "publish_visits", skip_all)]
    async fn publish_queued(&mut self, keys: &mut Vec<RecordedKey>) -> Result<(), StoreError> {
        let checked_at = Instant::now();
        let has_listeners = self.store.live.has_listeners().await?;
        self.queue.state.set_no_listeners_until(
            (!has_listeners).then_some(checked_at + LISTENER_CHECK_INTERVAL),
        );
        keys.clear();
        while keys.len() < MAX_QUEUED_KEYS
            && let Ok(visit) = self.queue.visits.try_recv()
        {
            keys.push(visit);
        }
        let lost = self.queue.state.has_dropped.swap(false, Ordering::Relaxed);
        if has_listeners && (lost || !keys.is_empty()) {
            self.store.live.notify(keys, lost).await?;
        }
        Ok(())
    }
}
