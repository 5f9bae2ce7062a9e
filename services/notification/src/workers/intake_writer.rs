//! The writer of the intake: commits the notifications of concurrent requests in one transaction.

use std::sync::Arc;
use std::time::Duration;

use chassis::database::StoreError;
use chassis::panics::catch_panics;
use common::clock::Clock;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::app::intake::{CommitResult, IntakeReceiver};
use crate::store::accept::{NewNotification, accept};

const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Commits the submitted notifications.
pub struct IntakeWriter {
    /// From [`key_lookup_pool`](crate::store::accept::key_lookup_pool).
    pub pool: PgPool,
    pub clock: Clock,
    pub receiver: IntakeReceiver,
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
            Err(error) if is_caused_by_data(&error) && sizes.len() > 1 => {
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

/// Whether other data may succeed.
fn is_caused_by_data(error: &StoreError) -> bool {
    error.is_data_refused() || matches!(error, StoreError::Panicked)
}
