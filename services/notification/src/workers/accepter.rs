//! The accepter: gathers what concurrent requests bring and commits it together. A request is
//! answered when its notifications are committed, and not before.

use std::sync::Arc;
use std::time::Duration;

use chassis::gather::{self, BatchReceiver, BatchSender, SubmitError};
use chassis::panics::catch_panics;
use common::clock::Clock;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::store::StoreError;
use crate::store::accept::{Acceptance, NewNotification, accept};

/// Notifications in one transaction: enough to share its cost, few enough to keep answers quick.
const MAX_BATCH_SIZE: usize = 250;
/// Kilobytes of requests that may wait; in memory they take a few times as much.
const MAX_QUEUED_KILOBYTES: usize = 8_192;
/// A database that does not answer within this time must not keep everybody waiting.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why nothing was accepted; all of it can be sent again with the same keys.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// It was not even tried.
    #[error(transparent)]
    NotBrought(#[from] SubmitError),
    /// The database did not take it.
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
}

/// A notification as it was stored, and what became of it.
pub type AcceptedNotification = (NewNotification, Acceptance);

type CommitResult = Result<Vec<AcceptedNotification>, Arc<StoreError>>;

/// Where requests bring what they ask.
#[derive(Clone, Debug)]
pub struct Intake(BatchSender<NewNotification, CommitResult>);

/// The one that commits.
pub struct IntakeWriter {
    lane: PgPool,
    clock: Clock,
    asked: BatchReceiver<NewNotification, CommitResult>,
}

impl Intake {
    /// An accepter and its writer, which must run for anything to be accepted; over connections
    /// as [`lane`](crate::store::accept::lane) makes them.
    #[must_use]
    pub fn new(lane: PgPool, clock: Clock) -> (Self, IntakeWriter) {
        let (queue, asked) = gather::line(MAX_QUEUED_KILOBYTES, MAX_BATCH_SIZE);
        (Self(queue), IntakeWriter { lane, clock, asked })
    }

    /// Accepts a request of so many bytes; when this returns well it is committed.
    pub async fn accept(
        &self,
        asked: Vec<NewNotification>,
        bytes: usize,
    ) -> Result<Vec<AcceptedNotification>, AcceptError> {
        Ok(self.0.bring(asked, bytes / 1_024 + 1).await??)
    }
}

impl IntakeWriter {
    /// Commits what comes until `stop`, and then what is still waiting. Whoever has gone will send
    /// again, and with the same key be answered the same.
    pub async fn run(mut self, stop: CancellationToken) {
        while let Some(batch) = self.asked.next(&stop).await {
            metrics::histogram!("notification_commit_size").record(batch.things.len() as f64);
            let accepted = self.accept(batch.things, &batch.sizes).await;
            batch.waiting.answer(accepted);
        }
    }

    /// Accepts what several jobs ask, whose sizes are given; one answer a job. Data that the
    /// database refuses cost only the job that brought them.
    async fn accept(&self, mut asked: Vec<NewNotification>, sizes: &[usize]) -> Vec<CommitResult> {
        let accepting = async {
            let accepted = catch_panics(accept(&self.lane, &mut asked, &self.clock)).await;
            accepted.unwrap_or(Err(StoreError::Panicked))
        };
        let accepted = tokio::time::timeout(COMMIT_TIMEOUT, accepting).await;
        match accepted.unwrap_or(Err(StoreError::Silent)) {
            Ok(all) => {
                let mut all = asked.into_iter().zip(all);
                let of_job = |size: &usize| Ok(all.by_ref().take(*size).collect());
                sizes.iter().map(of_job).collect()
            }
            Err(error) if error.is_from_data() && sizes.len() > 1 => {
                let (left, right) = sizes.split_at(sizes.len() / 2);
                let others = asked.split_off(left.iter().sum());
                let mut answers = Box::pin(self.accept(asked, left)).await;
                answers.extend(Box::pin(self.accept(others, right)).await);
                answers
            }
            Err(error) => {
                let error = Arc::new(error);
                sizes.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }
}
