//! Passing on what was recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chassis::panics::catch_panics;
use chrono::{DateTime, Utc};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::store::{LATE, Store, StoreError};

type Key = (Uuid, DateTime<Utc>);

/// Visits that may wait to be told; those of one round.
const WAITING: usize = 2_000;
/// How often it is asked whether anybody listens.
pub(super) const ASK: Duration = Duration::from_millis(500);
/// How often visits are told while somebody does.
const TELL: Duration = Duration::from_millis(200);

/// Where recorders leave what they have recorded.
#[derive(Clone, Debug)]
pub struct Teller {
    is_heard: Arc<AtomicBool>,
    has_lost: Arc<AtomicBool>,
    visits: mpsc::Sender<Key>,
}

/// The one that tells.
#[derive(Debug)]
pub(super) struct Telling {
    store: Store,
    is_heard: Arc<AtomicBool>,
    has_lost: Arc<AtomicBool>,
    visits: mpsc::Receiver<Key>,
}

impl Teller {
    pub(super) fn new(store: Store) -> (Self, Telling) {
        let (sender, visits) = mpsc::channel(WAITING);
        let teller = Self {
            is_heard: Arc::default(),
            has_lost: Arc::default(),
            visits: sender,
        };
        let telling = Telling {
            store,
            is_heard: teller.is_heard.clone(),
            has_lost: teller.has_lost.clone(),
            visits,
        };
        (teller, telling)
    }

    /// These visits were recorded at `now`. Costs a look at a flag where nobody listens.
    pub fn tell(&self, visits: impl Iterator<Item = Key>, now: DateTime<Utc>) {
        if !self.is_heard.load(Ordering::Relaxed) {
            return;
        }
        for visit in visits.filter(|(_, moment)| *moment > now - LATE) {
            if self.visits.try_send(visit).is_err() {
                self.has_lost.store(true, Ordering::Relaxed);
                return;
            }
        }
    }
}

impl Telling {
    pub(super) async fn run(mut self) {
        let mut told = vec![];
        loop {
            let error = match catch_panics(self.round(&mut told)).await {
                Ok(round) => round.err().map(|error| error.to_string()),
                Err(panic) => Some(panic.to_string()),
            };
            if let Some(error) = error {
                tracing::debug!(error, "visits were not told live");
                self.has_lost.store(true, Ordering::Relaxed);
            }
            let is_heard = self.is_heard.load(Ordering::Relaxed);
            tokio::time::sleep(if is_heard { TELL } else { ASK }).await;
        }
    }

    async fn round(&mut self, told: &mut Vec<Key>) -> Result<(), StoreError> {
        let is_heard = self.store.is_heard().await?;
        self.is_heard.store(is_heard, Ordering::Relaxed);
        told.clear();
        while told.len() < WAITING
            && let Ok(visit) = self.visits.try_recv()
        {
            told.push(visit);
        }
        let lost = self.has_lost.swap(false, Ordering::Relaxed);
        if is_heard && (lost || !told.is_empty()) {
            self.store.tell(told, lost).await?;
        }
        Ok(())
    }
}
