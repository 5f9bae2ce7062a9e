//! The recorder: gathers what concurrent requests bring and commits it together. A request is
//! answered when its visits are committed, and not before.

use std::sync::Arc;
use std::time::Duration;

use common::clock::Clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::domain::classified::Classified;
use crate::domain::session::Telling;
use crate::store::{Outcome, Recorded, Store, StoreError};
use crate::workers::live::Teller;

/// Visits in one transaction: enough to share its cost, few enough to keep answers quick.
const BATCH: usize = 500;
/// Visits that may wait; each takes about two kilobytes.
const WAITING: usize = 10_000;
/// A database that does not answer within this time must not keep everybody waiting.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often others are asked whether they want to record, too.
const TEND: Duration = Duration::from_millis(250);
/// Requests that may wait.
const JOBS: usize = 4_096;

/// Why visits were not recorded; all of them can be sent again.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// More visits come than can be stored.
    #[error("too many visits are waiting")]
    Full,
    /// The recorder has ended, since the service is stopping.
    #[error("the service is stopping")]
    Stopping,
    /// The database did not take them.
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
}

type Answer = Result<Vec<Recorded>, Arc<StoreError>>;

struct Job {
    visits: Vec<Classified>,
    answer: oneshot::Sender<Answer>,
    /// Given back when the job is answered.
    room: OwnedSemaphorePermit,
}

/// Where requests bring their visits.
#[derive(Clone, Debug)]
pub struct Recorder {
    jobs: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
}

/// The one that commits.
pub struct Writer {
    store: Store,
    clock: Clock,
    telling: Telling,
    live: Teller,
    jobs: mpsc::Receiver<Job>,
}

impl Recorder {
    /// A recorder and its writer, which must run for visits to be recorded. Sessions that are worth
    /// `telling` of are announced; every visit is left with `live`.
    #[must_use]
    pub fn new(store: Store, clock: Clock, telling: Telling, live: Teller) -> (Self, Writer) {
        let (sender, jobs) = mpsc::channel(JOBS);
        let recorder = Self {
            jobs: sender,
            room: Arc::new(Semaphore::new(WAITING)),
        };
        let writer = Writer {
            store,
            clock,
            telling,
            live,
            jobs,
        };
        (recorder, writer)
    }

    /// Records visits; when this returns well, they are committed.
    pub async fn record(&self, visits: Vec<Classified>) -> Result<Vec<Recorded>, RecordError> {
        let count = u32::try_from(visits.len()).unwrap_or(u32::MAX);
        let room = self.room.clone().try_acquire_many_owned(count);
        let (answer, answered) = oneshot::channel();
        let job = Job {
            visits,
            answer,
            room: room.map_err(|_| RecordError::Full)?,
        };
        self.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => RecordError::Full,
            mpsc::error::TrySendError::Closed(_) => RecordError::Stopping,
        })?;
        let recorded = answered.await.map_err(|_| RecordError::Stopping)?;
        Ok(recorded?)
    }
}

impl Writer {
    /// Commits what comes until `stop`, and then what is still waiting.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(TEND);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => self.tend().await,
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

    async fn tend(&self) {
        let now = self.clock.now();
        let tended = tokio::time::timeout(PATIENCE, self.store.tend_recording(now)).await;
        if let Err(error) = tended.unwrap_or(Err(StoreError::Silent)) {
            tracing::debug!(%error, "the recording connection is lost");
        }
    }

    /// Commits a job together with those that came while the last commit was under way.
    async fn commit(&mut self, first: Job) {
        let mut jobs = vec![first];
        let mut count = jobs[0].visits.len();
        while count < BATCH
            && let Ok(job) = self.jobs.try_recv()
        {
            count += job.visits.len();
            jobs.push(job);
        }
        // Whoever has been told that it took too long must not find the visits stored.
        jobs.retain(|job| !job.answer.is_closed());
        let mut sizes = vec![];
        let mut answers = vec![];
        let mut visits = Vec::with_capacity(count);
        for job in jobs {
            sizes.push(job.visits.len());
            visits.extend(job.visits);
            answers.push((job.answer, job.room));
        }
        metrics::histogram!("visits_commit_size").record(visits.len() as f64);
        let recorded = self.record(&visits, &sizes).await;
        for ((answer, room), result) in answers.into_iter().zip(recorded) {
            // Whoever has gone will send again, and be told `duplicate`.
            let _ = answer.send(result);
            drop(room);
        }
    }

    /// Records the visits of several jobs, whose sizes are given; one answer a job. Data that the
    /// database refuses cost only the job that brought them.
    async fn record(&self, visits: &[Classified], sizes: &[usize]) -> Vec<Answer> {
        let now = self.clock.now();
        let recording = self.store.record(visits, now, self.telling);
        let recorded = tokio::time::timeout(PATIENCE, recording).await;
        match recorded.unwrap_or(Err(StoreError::Silent)) {
            Ok(all) => {
                let told = visits.iter().zip(&all);
                let told = told.filter(|(_, recorded)| recorded.outcome == Outcome::Recorded);
                let told = told.map(|(visit, _)| (visit.visit.id, visit.visit.timestamp));
                self.live.tell(told, now);
                let mut all = all.into_iter();
                let of_job = |size: &usize| Ok(all.by_ref().take(*size).collect());
                sizes.iter().map(of_job).collect()
            }
            Err(StoreError::Refused(_)) if sizes.len() > 1 => {
                let (left, right) = sizes.split_at(sizes.len() / 2);
                let (first, second) = visits.split_at(left.iter().sum());
                let mut answers = Box::pin(self.record(first, left)).await;
                answers.extend(Box::pin(self.record(second, right)).await);
                answers
            }
            Err(error) => {
                let error = Arc::new(error);
                sizes.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }
}
