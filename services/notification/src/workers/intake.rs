//! Intake of notifications by group commit: notifications of concurrent requests are committed in
//! one transaction. A request is answered after its notifications are committed.

use std::sync::Arc;
use std::time::Duration;

use chassis::batch::{self, BatchReceiver, BatchSender, SubmitError};
use chassis::panics::catch_panics;
use common::clock::Clock;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::store::StoreError;
use crate::store::accept::{Acceptance, NewNotification, accept};

/// Notifications per transaction: a compromise between the cost per notification and latency.
const MAX_BATCH_SIZE: usize = 250;
/// The size of waiting requests as JSON; in memory they are a few times larger.
const MAX_QUEUED_KILOBYTES: usize = 8_192;
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a request was not accepted. It can be repeated with the same idempotency keys.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The request was not submitted to the writer.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
}

/// A notification as it was stored, with the outcome.
pub type AcceptedNotification = (NewNotification, Acceptance);

type CommitResult = Result<Vec<AcceptedNotification>, Arc<StoreError>>;

/// Submits notifications to the writer.
#[derive(Clone, Debug)]
pub struct Intake(BatchSender<NewNotification, CommitResult>);

/// Commits the submitted notifications.
pub struct IntakeWriter {
    pool: PgPool,
    clock: Clock,
    receiver: BatchReceiver<NewNotification, CommitResult>,
}

impl Intake {
    /// Creates an intake and its writer. Nothing is accepted until the writer runs. The pool comes
    /// from [`key_lookup_pool`](crate::store::accept::key_lookup_pool).
    #[must_use]
    pub fn new(lane: PgPool, clock: Clock) -> (Self, IntakeWriter) {
        let (queue, asked) = batch::batch_channel(MAX_QUEUED_KILOBYTES, MAX_BATCH_SIZE);
        (
            Self(queue),
            IntakeWriter {
                pool: lane,
                clock,
                receiver: asked,
            },
        )
    }

    /// Submits the notifications of a request of `bytes` bytes and waits for the commit.
    pub async fn accept(
        &self,
        asked: Vec<NewNotification>,
        bytes: usize,
    ) -> Result<Vec<AcceptedNotification>, AcceptError> {
        Ok(self.0.submit(asked, bytes / 1_024 + 1).await??)
    }
}

impl IntakeWriter {
    /// Commits batches until `stop`, then the requests that are still waiting. A batch is committed
    /// even if its clients have disconnected: with idempotency keys, their retries get the same
    /// response.
    pub async fn run(mut self, stop: CancellationToken) {
        while let Some(batch) = self.receiver.next_batch(&stop).await {
            metrics::histogram!("notification_commit_size").record(batch.items.len() as f64);
            let accepted = self.commit(batch.items, &batch.item_counts).await;
            batch.replies.send(accepted);
        }
    }

    /// Accepts the notifications of several requests, whose counts are in `sizes`, and returns one
    /// result per request. Data that the database refuses fail only the request that contains them.
    async fn commit(&self, mut asked: Vec<NewNotification>, sizes: &[usize]) -> Vec<CommitResult> {
        let accepting = async {
            let accepted = catch_panics(accept(&self.pool, &mut asked, &self.clock)).await;
            accepted.unwrap_or(Err(StoreError::Panicked))
        };
        let accepted = tokio::time::timeout(COMMIT_TIMEOUT, accepting).await;
        match accepted.unwrap_or(Err(StoreError::Timeout)) {
            Ok(all) => {
                let mut all = asked.into_iter().zip(all);
                let of_job = |size: &usize| Ok(all.by_ref().take(*size).collect());
                sizes.iter().map(of_job).collect()
            }
            Err(error) if error.is_caused_by_data() && sizes.len() > 1 => {
                let (left, right) = sizes.split_at(sizes.len() / 2);
                let others = asked.split_off(left.iter().sum());
                let mut answers = Box::pin(self.commit(asked, left)).await;
                answers.extend(Box::pin(self.commit(others, right)).await);
                answers
            }
            Err(error) => {
                let error = Arc::new(error);
                sizes.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }
}
