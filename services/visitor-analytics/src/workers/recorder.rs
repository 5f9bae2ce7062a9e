//! The recorder: group commit of visits. Visits of concurrent requests are committed in one
//! transaction, and each request is answered after the commit.

use std::sync::Arc;
use std::time::Duration;

use chassis::batch::{self, Batch, BatchReceiver, BatchSender, SubmitError};
use common::clock::Clock;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::domain::enriched_visit::EnrichedVisit;
use crate::domain::session::NotifyPolicy;
use crate::store::{RecordOutcome, RecordedVisit, Store, StoreError};
use crate::workers::live::VisitPublisher;

/// Visits per transaction: enough to share its cost, few enough for short latencies.
const MAX_BATCH_VISITS: usize = 500;
/// Capacity of the queue; each visit uses about two kilobytes.
const MAX_QUEUED_VISITS: usize = 10_000;
/// Maximum duration of a transaction.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the recorder checks whether another process wants to record, too.
const LEASE_CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// Why visits were not recorded. All of them can be sent again.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The visits were not submitted to the recorder.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The transaction failed.
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
}

type RecordResult = Result<Vec<RecordedVisit>, Arc<StoreError>>;

/// Submits visits to the recorder.
#[derive(Clone, Debug)]
pub struct VisitRecorder(BatchSender<EnrichedVisit, RecordResult>);

/// The worker that commits visits.
pub struct RecorderTask {
    store: Store,
    clock: Clock,
    notify_policy: NotifyPolicy,
    publisher: VisitPublisher,
    queue: BatchReceiver<EnrichedVisit, RecordResult>,
}

impl VisitRecorder {
    /// Creates a recorder and its worker, which must run for visits to be recorded. `telling`
    /// selects the sessions to announce; recorded visits are published to `live`.
    #[must_use]
    pub fn new(
        store: Store,
        clock: Clock,
        telling: NotifyPolicy,
        live: VisitPublisher,
    ) -> (Self, RecorderTask) {
        let (queue, visits) = batch::batch_channel(MAX_QUEUED_VISITS, MAX_BATCH_VISITS);
        let writer = RecorderTask {
            store,
            clock,
            notify_policy: telling,
            publisher: live,
            queue: visits,
        };
        (Self(queue), writer)
    }

    /// The number of visits in the queue.
    #[must_use]
    pub fn queue_length(&self) -> usize {
        MAX_QUEUED_VISITS.saturating_sub(self.0.free_capacity())
    }

    /// Records visits. They are committed when this returns `Ok`.
    pub async fn record(
        &self,
        visits: Vec<EnrichedVisit>,
    ) -> Result<Vec<RecordedVisit>, RecordError> {
        let count = visits.len();
        Ok(self.0.submit(visits, count).await??)
    }
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
        let tended = tokio::time::timeout(COMMIT_TIMEOUT, self.store.maintain_lease(now)).await;
        if let Err(error) = tended.unwrap_or(Err(StoreError::Timeout)) {
            tracing::debug!(%error, "the recorder has lost its connection and opens a new one");
        }
    }

    /// Commits a batch. A client that has disconnected sends its visits again and receives
    /// `duplicate`.
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
        let recording = self.store.record(visits, now, self.notify_policy);
        let recorded = tokio::time::timeout(COMMIT_TIMEOUT, recording).await;
        match recorded.unwrap_or(Err(StoreError::Timeout)) {
            Ok(all) => {
                self.store.wake_workers(visits);
                let told = visits.iter().zip(&all);
                let told = told.filter(|(_, recorded)| recorded.outcome == RecordOutcome::Recorded);
                let told = told.map(|(visit, _)| (visit.visit.id, visit.visit.timestamp));
                self.publisher.publish(told, now);
                let mut all = all.into_iter();
                let of_job = |size: &usize| Ok(all.by_ref().take(*size).collect());
                sizes.iter().map(of_job).collect()
            }
            Err(StoreError::Constraint(_)) if sizes.len() > 1 => {
                let (left, right) = sizes.split_at(sizes.len() / 2);
                let (first, second) = visits.split_at(left.iter().sum());
                let mut answers = Box::pin(self.record_requests(first, left)).await;
                answers.extend(Box::pin(self.record_requests(second, right)).await);
                answers
            }
            Err(error) => {
                let error = Arc::new(error);
                sizes.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }
}
