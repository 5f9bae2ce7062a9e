//! The recorder: gathers what concurrent requests bring and commits it together. A request is
//! answered when its visits are committed, and not before.

use std::sync::Arc;
use std::time::Duration;

use chassis::gather::{self, Batch, Gatherer, Line, NotBrought};
use common::clock::Clock;
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

/// Why visits were not recorded; all of them can be sent again.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// They were not even tried.
    #[error(transparent)]
    NotBrought(#[from] NotBrought),
    /// The database did not take them.
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
}

type Answer = Result<Vec<Recorded>, Arc<StoreError>>;

/// Where requests bring their visits.
#[derive(Clone, Debug)]
pub struct Recorder(Line<Classified, Answer>);

/// The one that commits.
pub struct Writer {
    store: Store,
    clock: Clock,
    telling: Telling,
    live: Teller,
    visits: Gatherer<Classified, Answer>,
}

impl Recorder {
    /// A recorder and its writer, which must run for visits to be recorded. Sessions that are worth
    /// `telling` of are announced; every visit is left with `live`.
    #[must_use]
    pub fn new(store: Store, clock: Clock, telling: Telling, live: Teller) -> (Self, Writer) {
        let (queue, visits) = gather::line(WAITING, BATCH);
        let writer = Writer {
            store,
            clock,
            telling,
            live,
            visits,
        };
        (Self(queue), writer)
    }

    /// How many visits wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        WAITING.saturating_sub(self.0.free())
    }

    /// Records visits; when this returns well, they are committed.
    pub async fn record(&self, visits: Vec<Classified>) -> Result<Vec<Recorded>, RecordError> {
        let count = visits.len();
        Ok(self.0.bring(visits, count).await??)
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
                batch = self.visits.next(&stop) => match batch {
                    Some(batch) => self.commit(batch).await,
                    None => return,
                },
            }
        }
    }

    async fn tend(&self) {
        let now = self.clock.now();
        let tended = tokio::time::timeout(PATIENCE, self.store.tend_recording(now)).await;
        if let Err(error) = tended.unwrap_or(Err(StoreError::Silent)) {
            tracing::debug!(%error, "the recording connection is lost");
        }
    }

    /// Commits what came while the last commit was under way. Whoever has gone will send again, and
    /// be told `duplicate`.
    async fn commit(&mut self, batch: Batch<Classified, Answer>) {
        metrics::histogram!("visits_commit_size").record(batch.things.len() as f64);
        let recorded = self.record(&batch.things, &batch.sizes).await;
        batch.waiting.answer(recorded);
    }

    /// Records the visits of several jobs, whose sizes are given; one answer a job. Data that the
    /// database refuses cost only the job that brought them.
    async fn record(&self, visits: &[Classified], sizes: &[usize]) -> Vec<Answer> {
        let now = self.clock.now();
        let recording = self.store.record(visits, now, self.telling);
        let recorded = tokio::time::timeout(PATIENCE, recording).await;
        match recorded.unwrap_or(Err(StoreError::Silent)) {
            Ok(all) => {
                self.store.wake_workers(visits);
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
