//! Intake of notifications by group commit: notifications of concurrent requests are committed in
//! one transaction. A request is answered after its notifications are committed.

use std::sync::Arc;

use chassis::batch::{self, BatchReceiver, BatchSender, SubmitError};
use chassis::database::StoreError;

use crate::store::accept::{Acceptance, NewNotification};

/// Notifications per transaction: a compromise between the cost per notification and latency.
const MAX_BATCH_SIZE: usize = 250;
/// The size of waiting requests as JSON; in memory they are a few times larger.
const MAX_QUEUED_KILOBYTES: usize = 8_192;

/// Why a request was not accepted. It can be repeated with the same idempotency keys.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The request was not submitted to the writer.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
}

impl From<StoreError> for AcceptError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

/// A notification as it was stored, with the outcome.
pub type AcceptedNotification = (NewNotification, Acceptance);

/// The outcome of the notifications of a request.
pub type CommitResult = Result<Vec<AcceptedNotification>, Arc<StoreError>>;

/// Submits notifications to the writer.
#[derive(Clone, Debug)]
pub struct Intake(BatchSender<NewNotification, CommitResult>);

/// Receives the submitted notifications, for the writer.
pub type IntakeReceiver = BatchReceiver<NewNotification, CommitResult>;

impl Intake {
    /// Creates an intake. Nothing is accepted until a writer answers what the receiver yields.
    #[must_use]
    pub fn new() -> (Self, IntakeReceiver) {
        let (sender, receiver) = batch::batch_channel(MAX_QUEUED_KILOBYTES, MAX_BATCH_SIZE);
        (Self(sender), receiver)
    }

    /// Submits the notifications of a request of `bytes` bytes and waits for the commit.
    pub async fn accept(
        &self,
        notifications: Vec<NewNotification>,
        bytes: usize,
    ) -> Result<Vec<AcceptedNotification>, AcceptError> {
        Ok(self.0.submit(notifications, bytes / 1_024 + 1).await??)
    }
}
