//! Batching: the items of concurrent requests are processed together, for example in one
//! transaction (group commit). Each request gets its own reply.

use std::sync::Arc;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Maximum number of queued requests.
const MAX_QUEUED_JOBS: usize = 4_096;

/// Why items were not processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    #[error("the queue is full")]
    Full,
    #[error("the service is stopping")]
    Stopping,
}

struct BatchJob<T, A> {
    items: Vec<T>,
    reply: oneshot::Sender<A>,
    /// Released after the reply.
    permit: OwnedSemaphorePermit,
}

/// Submits items to the batch and waits for the reply.
#[derive(Debug)]
pub struct BatchSender<T, A> {
    jobs: mpsc::Sender<BatchJob<T, A>>,
    capacity: Arc<Semaphore>,
}

/// Receives batches.
pub struct BatchReceiver<T, A> {
    jobs: mpsc::Receiver<BatchJob<T, A>>,
    batch_size: usize,
}

/// The items of several requests.
pub struct Batch<T, A> {
    /// All items, in the order of the requests.
    pub items: Vec<T>,
    /// Number of items of each request.
    pub item_counts: Vec<usize>,
    pub replies: BatchReplies<A>,
}

/// Creates a queue with a capacity of `room` units. A batch is complete when it has at least
/// `batch` items; it has more if its last request has many.
#[must_use]
pub fn batch_channel<T, A>(room: usize, batch: usize) -> (BatchSender<T, A>, BatchReceiver<T, A>) {
    let (sender, jobs) = mpsc::channel(MAX_QUEUED_JOBS);
    let line = BatchSender {
        jobs: sender,
        capacity: Arc::new(Semaphore::new(room)),
    };
    (
        line,
        BatchReceiver {
            jobs,
            batch_size: batch,
        },
    )
}

impl<T, A> Clone for BatchSender<T, A> {
    fn clone(&self) -> Self {
        Self {
            jobs: self.jobs.clone(),
            capacity: self.capacity.clone(),
        }
    }
}

impl<T, A> BatchSender<T, A> {
    /// Free capacity, in units.
    #[must_use]
    pub fn free_capacity(&self) -> usize {
        self.capacity.available_permits()
    }

    /// Submits items that use `room` units of capacity, and waits for the reply.
    pub async fn submit(&self, things: Vec<T>, room: usize) -> Result<A, SubmitError> {
        let room = u32::try_from(room).unwrap_or(u32::MAX);
        let room = self.capacity.clone().try_acquire_many_owned(room);
        let (answer, answered) = oneshot::channel();
        let job = BatchJob {
            items: things,
            reply: answer,
            permit: room.map_err(|_| SubmitError::Full)?,
        };
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => SubmitError::Full,
            TrySendError::Closed(_) => SubmitError::Stopping,
        })?;
        answered.await.map_err(|_| SubmitError::Stopping)
    }
}

impl<T, A> BatchReceiver<T, A> {
    /// Waits for the next batch. After `stop` the queue accepts no more items; when it is empty,
    /// this returns `None`. Cancel safe.
    pub async fn next_batch(&mut self, stop: &CancellationToken) -> Option<Batch<T, A>> {
        let first = tokio::select! {
            biased;
            () = stop.cancelled(), if !self.jobs.is_closed() => {
                self.jobs.close();
                self.jobs.recv().await?
            }
            job = self.jobs.recv() => job?,
        };
        let mut count = first.items.len();
        let mut jobs = vec![first];
        while count < self.batch_size
            && let Ok(job) = self.jobs.try_recv()
        {
            count += job.items.len();
            jobs.push(job);
        }
        // A client whose request has timed out must not find its items processed.
        jobs.retain(|job| !job.reply.is_closed());
        let mut batch = Batch {
            items: Vec::with_capacity(count),
            item_counts: Vec::with_capacity(jobs.len()),
            replies: BatchReplies(Vec::with_capacity(jobs.len())),
        };
        for job in jobs {
            batch.item_counts.push(job.items.len());
            batch.items.extend(job.items);
            batch.replies.0.push((job.reply, job.permit));
        }
        Some(batch)
    }
}

/// The requests of a batch, which wait for their replies.
pub struct BatchReplies<A>(Vec<(oneshot::Sender<A>, OwnedSemaphorePermit)>);

impl<A> BatchReplies<A> {
    /// Sends one reply to each request, in order.
    pub fn send(self, answers: Vec<A>) {
        for ((waiting, room), answer) in self.0.into_iter().zip(answers) {
            // An error means that the request was dropped; its client will retry.
            let _ = waiting.send(answer);
            drop(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_comes_together_is_done_together_and_each_is_answered() {
        let (line, mut gatherer) = batch_channel::<u8, Vec<u8>>(4, 4);
        let stop = CancellationToken::new();
        let bring = |things: Vec<u8>| {
            let line = line.clone();
            tokio::spawn(async move { line.submit(things.clone(), things.len()).await })
        };
        let (one, gone, other) = (bring(vec![1, 2]), bring(vec![9]), bring(vec![3]));
        settle().await;
        assert_eq!(line.submit(vec![4], 1).await, Err(SubmitError::Full));
        gone.abort();
        settle().await;
        let batch = gatherer.next_batch(&stop).await.unwrap();
        assert_eq!(
            (batch.items, batch.item_counts),
            (vec![1, 2, 3], vec![2, 1])
        );
        batch.replies.send(vec![vec![10, 20], vec![30]]);
        assert_eq!(one.await.unwrap(), Ok(vec![10, 20]));
        assert_eq!(other.await.unwrap(), Ok(vec![30]));

        // Capacity is free again. Items that are queued at the shutdown are still processed.
        let last = bring(vec![5, 6, 7, 8]);
        settle().await;
        stop.cancel();
        let batch = gatherer.next_batch(&stop).await.unwrap();
        assert_eq!(batch.items, [5, 6, 7, 8]);
        assert_eq!(line.submit(vec![1], 0).await, Err(SubmitError::Stopping));
        batch.replies.send(vec![vec![50]]);
        assert_eq!(last.await.unwrap(), Ok(vec![50]));
        assert!(gatherer.next_batch(&stop).await.is_none());
    }
}
