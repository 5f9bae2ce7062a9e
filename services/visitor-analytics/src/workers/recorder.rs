//! The recorder: group commit of visits. Visits of concurrent requests are committed in one
//! transaction, and each request is answered after the commit.

use std::sync::Arc;
use std::time::Duration;

use chassis::batch::Batch;
use chassis::database::StoreError;
use common::clock::Clock;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::app::live::VisitPublisher;
use crate::app::recorder::{RecordResult, RecorderQueue};
use crate::domain::enriched_visit::EnrichedVisit;
use crate::domain::session::NotifyPolicy;
use crate::store::{RecordOutcome, Store};

/// Maximum duration of a transaction.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the recorder checks whether another process wants to record, too.
const LEASE_CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// The worker that commits visits.
pub struct RecorderTask {
    pub store: Store,
    pub clock: Clock,
    /// Selects the sessions to announce.
    pub notify_policy: NotifyPolicy,
    /// Receives the recorded visits.
    pub publisher: VisitPublisher,
    pub queue: RecorderQueue,
}

impl RecorderTask {
    /// Commits visits until `stop`, and then those that are still queued.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(LEASE_CHECK_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => self.maintain_lease().await,
                batch = self.queue.next_batch(&stop) => match batch {
                    Some(batch) => self.commit_batch(batch).await,
                    None => return,
                },
            }
        }
    }

    async fn maintain_lease(&self) {
        let now = self.clock.now();
        let maintained =
            tokio::time::timeout(COMMIT_TIMEOUT, self.store.writer.maintain_lease(now)).await;
        if let Err(error) = maintained.unwrap_or(Err(StoreError::Timeout)) {
            tracing::debug!(%error, "the recorder has lost its connection and opens a new one");
        }
    }

    /// Commits a batch. A client that has disconnected sends its visits again and receives
    /// `duplicate`.
    #[tracing::instrument(level = "debug", name = "commit_visits", skip_all, fields(visits = batch.items.len(), requests = batch.item_counts.len()))]
    async fn commit_batch(&mut self, batch: Batch<EnrichedVisit, RecordResult>) {
        metrics::histogram!("visits_commit_size").record(batch.items.len() as f64);
        let recorded = self.record_requests(&batch.items, &batch.item_counts).await;
        batch.replies.send(recorded);
    }

    /// Records the visits of several requests; `sizes` are their numbers of visits. Returns one
    /// result per request. If the database rejects the data, the batch is split until only the
    /// faulty requests fail.
    async fn record_requests(
        &self,
        visits: &[EnrichedVisit],
        sizes: &[usize],
    ) -> Vec<RecordResult> {
        let now = self.clock.now();
        let recording = self.store.writer.record(visits, now, self.notify_policy);
        let recorded = tokio::time::timeout(COMMIT_TIMEOUT, recording).await;
        match recorded.unwrap_or(Err(StoreError::Timeout)) {
            Ok(all) => {
                self.store.wake_workers(visits);
                let recorded = visits.iter().zip(&all);
                let new = recorded.filter(|(_, visit)| visit.outcome == RecordOutcome::Recorded);
                let keys = new.map(|(visit, _)| (visit.visit.id, visit.visit.timestamp));
                self.publisher.publish(keys, now);
                let mut all = all.into_iter();
                let results_of_request = |size: &usize| Ok(all.by_ref().take(*size).collect());
                sizes.iter().map(results_of_request).collect()
            }
            Err(StoreError::Constraint(_)) if sizes.len() > 1 => {
                let (left, right) = sizes.split_at(sizes.len() / 2);
                let (first, second) = visits.split_at(left.iter().sum());
                let mut results = Box::pin(self.record_requests(first, left)).await;
                results.extend(Box::pin(self.record_requests(second, right)).await);
                results
            }
            Err(error) => {
                let error = Arc::new(error);
                sizes.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }
}
