//! The accepter: gathers what concurrent requests bring and commits it together. A request is
//! answered when its notifications are committed, and not before.

use std::sync::Arc;
use std::time::Duration;

use common::clock::Clock;
use sqlx::PgPool;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::store::StoreError;
use crate::store::accept::{Acceptance, Asked, accept};

/// Notifications in one transaction: enough to share its cost, few enough to keep answers quick.
const BATCH: usize = 250;
/// Kilobytes of requests that may wait; in memory they take a few times as much.
const WAITING: usize = 8_192;
/// Requests that may wait.
const JOBS: usize = 4_096;
/// A database that does not answer within this time must not keep everybody waiting.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why nothing was accepted; all of it can be sent again with the same keys.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// More comes than can be stored.
    #[error("too many notifications are waiting")]
    Full,
    /// The service is stopping.
    #[error("the service is stopping")]
    Stopping,
    /// The database did not take it.
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
}

/// A notification as it was stored, and what became of it.
pub type Accepted = (Asked, Acceptance);

type Answer = Result<Vec<Accepted>, Arc<StoreError>>;

struct Job {
    asked: Vec<Asked>,
    answer: oneshot::Sender<Answer>,
    /// Given back when the job is answered.
    room: OwnedSemaphorePermit,
}

/// Where requests bring what they ask.
#[derive(Clone, Debug)]
pub struct Accepter {
    jobs: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
}

/// The one that commits.
pub struct Writer {
    lane: PgPool,
    clock: Clock,
    jobs: mpsc::Receiver<Job>,
}

impl Accepter {
    /// An accepter and its writer, which must run for anything to be accepted; over connections
    /// as [`lane`](crate::store::accept::lane) makes them.
    #[must_use]
    pub fn new(lane: PgPool, clock: Clock) -> (Self, Writer) {
        let (sender, jobs) = mpsc::channel(JOBS);
        let accepter = Self {
            jobs: sender,
            room: Arc::new(Semaphore::new(WAITING)),
        };
        (accepter, Writer { lane, clock, jobs })
    }

    /// Accepts a request of so many bytes; when this returns well it is committed.
    pub async fn accept(
        &self,
        asked: Vec<Asked>,
        bytes: usize,
    ) -> Result<Vec<Accepted>, AcceptError> {
        let kilobytes = u32::try_from(bytes / 1_024 + 1).unwrap_or(u32::MAX);
        let room = self.room.clone().try_acquire_many_owned(kilobytes);
        let (answer, answered) = oneshot::channel();
        let job = Job {
            asked,
            answer,
            room: room.map_err(|_| AcceptError::Full)?,
        };
        self.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => AcceptError::Full,
            mpsc::error::TrySendError::Closed(_) => AcceptError::Stopping,
        })?;
        let accepted = answered.await.map_err(|_| AcceptError::Stopping)?;
        Ok(accepted?)
    }
}

impl Writer {
    /// Commits what comes until `stop`, and then what is still waiting.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                job = self.jobs.recv() => match job {
                    Some(job) => self.commit(job).await,
                    None => return,
                },
                () = stop.cancelled() => break,
            }
        }
        self.jobs.close();
        while let Some(job) = self.jobs.recv().await {
            self.commit(job).await;
        }
    }

    /// Commits a job together with those that came while the last commit was under way.
    async fn commit(&mut self, first: Job) {
        let mut count = first.asked.len();
        let mut jobs = vec![first];
        while count < BATCH
            && let Ok(job) = self.jobs.try_recv()
        {
            count += job.asked.len();
            jobs.push(job);
        }
        // Whoever has been told that it took too long must not find it stored.
        jobs.retain(|job| !job.answer.is_closed());
        let mut sizes = Vec::with_capacity(jobs.len());
        let mut answers = Vec::with_capacity(jobs.len());
        let mut asked = Vec::with_capacity(count);
        for job in jobs {
            sizes.push(job.asked.len());
            asked.extend(job.asked);
            answers.push((job.answer, job.room));
        }
        metrics::histogram!("notification_commit_size").record(asked.len() as f64);
        let accepted = self.accept(asked, &sizes).await;
        for ((answer, room), result) in answers.into_iter().zip(accepted) {
            // Whoever has gone will send again, and with the same key be answered the same.
            let _ = answer.send(result);
            drop(room);
        }
    }

    /// Accepts what several jobs ask, whose sizes are given; one answer a job. Data that the
    /// database refuses cost only the job that brought them.
    async fn accept(&self, mut asked: Vec<Asked>, sizes: &[usize]) -> Vec<Answer> {
        let accepting = accept(&self.lane, &mut asked, &self.clock);
        let accepted = tokio::time::timeout(PATIENCE, accepting).await;
        match accepted.unwrap_or(Err(StoreError::Silent)) {
            Ok(all) => {
                let mut all = asked.into_iter().zip(all);
                let of_job = |size: &usize| Ok(all.by_ref().take(*size).collect());
                sizes.iter().map(of_job).collect()
            }
            Err(error) if error.is_refusal() && sizes.len() > 1 => {
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
