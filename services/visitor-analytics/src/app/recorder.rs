//! Submits visits to the recorder, which commits the visits of concurrent requests in one
//! transaction.

use std::sync::Arc;

use chassis::batch::{self, BatchReceiver, BatchSender, SubmitError};
use chassis::database::StoreError;

use crate::domain::enriched_visit::EnrichedVisit;
use crate::store::RecordedVisit;

/// Visits per transaction: enough to share its cost, few enough for short latencies.
const MAX_BATCH_VISITS: usize = 500;
/// Capacity of the queue; each visit uses about two kilobytes.
const MAX_QUEUED_VISITS: usize = 10_000;
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

/// The visits of a request once they are recorded.
pub type RecordResult = Result<Vec<RecordedVisit>, Arc<StoreError>>;

/// The queue of the worker that commits visits.
pub type RecorderQueue = BatchReceiver<EnrichedVisit, RecordResult>;

/// Submits visits to the recorder.
#[derive(Clone, Debug)]
pub struct VisitRecorder(BatchSender<EnrichedVisit, RecordResult>);

impl VisitRecorder {
    /// Creates a recorder and the queue of its worker, which must run for visits to be recorded.
    #[must_use]
    pub fn new() -> (Self, RecorderQueue) {
        let (sender, queue) = batch::batch_channel(MAX_QUEUED_VISITS, MAX_BATCH_VISITS);
        (Self(sender), queue)
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
