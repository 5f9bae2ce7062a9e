//! Hearing what is recorded, on behalf of a process's listeners.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chassis::panics::catch_panics;
use chassis::places::{NoPlace, Place, Places};
use chrono::{DateTime, Utc};
use common::visitor_analytics::Visit;
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio::time::Instant;
use uuid::Uuid;

use super::teller::ASK;
use crate::store::{Ear, Heard, Store, StoreError, visitor_hash};

/// Listeners of a process.
const LISTENERS: usize = 100;
/// Visits that a listener may lag behind, shared by all; each takes about three kilobytes.
const LAG: usize = 1_024;
/// Lists of visits that were heard and not read yet.
const UNREAD: usize = 16;
/// Visits that are read again for a listener who comes back.
const AGAIN: usize = 250;
/// How long the connection is kept without listeners.
const IDLE: Duration = Duration::from_secs(10);
/// A pause after the connection was lost.
const PAUSE: Duration = Duration::from_secs(1);
/// Erased visitors that are remembered; from so many on those of long ago are forgotten.
const ERASED: usize = 10_000;
/// No listener lags behind for longer.
const REMEMBERED: Duration = Duration::from_mins(10);

const NOT_POISONED: &str = "no code panics while it holds this lock";

/// Where listeners come.
#[derive(Clone, Debug)]
pub struct Hub {
    store: Store,
    places: Arc<Places>,
    told: broadcast::Sender<(Told, Instant)>,
    erased: ErasedVisitors,
    wanted: Arc<Notify>,
    /// From when on everything is heard.
    settled: watch::Receiver<Option<Instant>>,
}

/// What a listener hears.
#[derive(Clone, Debug)]
pub enum Told {
    /// A visit.
    Visit(Arc<Visit>),
    /// There were visits that are not told.
    Missed,
}

/// A listener's end.
#[derive(Debug)]
pub struct Listening {
    hub: Hub,
    told: broadcast::Receiver<(Told, Instant)>,
    _place: Place,
}

/// The one that hears.
#[derive(Debug)]
pub(super) struct Hearing {
    store: Store,
    told: broadcast::Sender<(Told, Instant)>,
    erased: ErasedVisitors,
    wanted: Arc<Notify>,
    settled: watch::Sender<Option<Instant>>,
}

impl Hub {
    pub(super) fn new(store: Store) -> (Self, Hearing) {
        let (told, _) = broadcast::channel(LAG);
        let (settled, is_settled) = watch::channel(None);
        let hub = Self {
            store: store.clone(),
            places: Places::new(LISTENERS),
            told: told.clone(),
            erased: ErasedVisitors::default(),
            wanted: Arc::default(),
            settled: is_settled,
        };
        let hearing = Hearing {
            store,
            told,
            erased: hub.erased.clone(),
            wanted: hub.wanted.clone(),
            settled,
        };
        (hub, hearing)
    }

    /// One more listener, whose token is about `subject`.
    pub fn listen(&self, subject: &str) -> Result<Listening, NoPlace> {
        let listening = Listening {
            _place: self.places.take(subject)?,
            hub: self.clone(),
            told: self.told.subscribe(),
        };
        self.wanted.notify_one();
        Ok(listening)
    }
}

impl Listening {
    /// What was recorded after a visit (when, and which) while nobody listened here; and whether
    /// there was more than is read. Waits until whatever is recorded later is heard.
    pub async fn since(
        &mut self,
        site: Option<&str>,
        after: (DateTime<Utc>, Uuid),
    ) -> Result<(Vec<Visit>, bool), StoreError> {
        let settled = self.hub.settled.wait_for(Option::is_some).await;
        let settled = settled.map(|moment| *moment).ok().flatten();
        tokio::time::sleep_until(settled.unwrap_or_else(Instant::now)).await;
        let most = i64::try_from(AGAIN + 1).unwrap_or(i64::MAX);
        let mut visits = self.hub.store.visits_since(site, after, most).await?;
        let is_more = visits.len() > AGAIN;
        if is_more {
            visits.remove(0);
        }
        Ok((visits, is_more))
    }

    /// What is told next; `None` when nothing will be.
    pub async fn next(&mut self) -> Option<Told> {
        loop {
            return match self.told.recv().await {
                Ok((Told::Visit(visit), at)) if self.hub.erased.hold(&visit, at) => continue,
                Ok((told, _)) => Some(told),
                Err(broadcast::error::RecvError::Lagged(_)) => Some(Told::Missed),
                Err(broadcast::error::RecvError::Closed) => None,
            };
        }
    }
}

impl Hearing {
    pub(super) async fn run(self) {
        loop {
            while self.told.receiver_count() == 0 {
                self.wanted.notified().await;
            }
            let ended = catch_panics(self.listen()).await;
            self.settled.send_replace(None);
            let error = match ended {
                Ok(ended) => ended.err().map(|error| error.to_string()),
                Err(panic) => Some(panic.to_string()),
            };
            if let Some(error) = error {
                tracing::warn!(error, "visits are not heard live");
                self.tell(Told::Missed);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Hears until nobody listens here any more.
    async fn listen(&self) -> Result<(), StoreError> {
        let ear = self.store.listen().await?;
        // By then every recorder has asked whether somebody listens.
        self.settled.send_replace(Some(Instant::now() + 2 * ASK));
        let (sender, unread) = mpsc::channel(UNREAD);
        tokio::select! {
            ended = self.hear(ear, sender) => ended,
            ended = self.read(unread) => ended,
            () = self.until_idle() => Ok(()),
        }
    }

    /// What comes faster than it is read is left out, so that it piles up nowhere.
    async fn hear(&self, mut ear: Ear, unread: mpsc::Sender<Heard>) -> Result<(), StoreError> {
        loop {
            let heard = ear.hear().await?;
            if let Heard::Erased(visitors) = &heard {
                self.erased.insert(visitors);
            } else if unread.try_send(heard).is_err() {
                self.tell(Told::Missed);
            }
        }
    }

    async fn read(&self, mut unread: mpsc::Receiver<Heard>) -> Result<(), StoreError> {
        while let Some(heard) = unread.recv().await {
            match heard {
                Heard::Visits(keys) => {
                    let read_at = Instant::now();
                    for visit in self.store.told_visits(&keys).await? {
                        // Nobody may be there to hear it.
                        let _ = self.told.send((Told::Visit(Arc::new(visit)), read_at));
                    }
                }
                Heard::Lost => self.tell(Told::Missed),
                Heard::Erased(visitors) => self.erased.insert(&visitors),
            }
        }
        Ok(())
    }

    fn tell(&self, told: Told) {
        // Nobody may be there to hear it.
        let _ = self.told.send((told, Instant::now()));
    }

    async fn until_idle(&self) {
        loop {
            tokio::time::sleep(IDLE).await;
            if self.told.receiver_count() == 0 {
                return;
            }
        }
    }
}

/// Visitors erased lately: what was read of them before is told to nobody.
#[derive(Clone, Debug, Default)]
struct ErasedVisitors(Arc<Mutex<HashMap<u64, Instant>>>);

impl ErasedVisitors {
    fn insert(&self, visitors: &[u64]) {
        let now = Instant::now();
        let mut erased = self.0.lock().expect(NOT_POISONED);
        if erased.len() + visitors.len() > ERASED {
            erased.retain(|_, at| now - *at < REMEMBERED);
        }
        erased.extend(visitors.iter().map(|visitor| (*visitor, now)));
    }

    /// Whether a visit that was read at this moment is an erased visitor's.
    fn hold(&self, visit: &Visit, read_at: Instant) -> bool {
        let erased = self.0.lock().expect(NOT_POISONED);
        let at = erased.get(&visitor_hash(&visit.visitor_id));
        at.is_some_and(|at| read_at <= *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_too_slow_is_told_so() {
        let options = sqlx::postgres::PgPoolOptions::new();
        let pool = options.connect_lazy("postgres://nobody").unwrap();
        let (hub, _hearing) = Hub::new(Store::new(pool));
        let mut slow = hub.listen("test").unwrap();
        for _ in 0..LAG {
            hub.told.send((Told::Missed, Instant::now())).unwrap();
        }
        let visit = serde_json::json!({
            "id": Uuid::nil(), "site": "a", "timestamp": "2026-11-20T12:00:00Z",
            "received_at": "2026-11-20T12:00:00Z", "url": "https://a/", "path": "/",
            "source": "a", "medium": "a", "method": "GET", "visitor_id": "v",
            "session_id": Uuid::nil(), "device_type": "other", "is_bot": false, "bot_score": 0,
            "bot_reasons": [], "ruleset": 1, "properties": {},
        });
        let visit: Arc<Visit> = Arc::new(serde_json::from_value(visit).unwrap());
        // One more than is held for the slowest.
        for _ in 0..=LAG {
            let told = Told::Visit(visit.clone());
            hub.told.send((told, Instant::now())).unwrap();
        }
        assert!(matches!(slow.next().await, Some(Told::Missed)));
        for _ in 0..LAG {
            assert!(matches!(slow.next().await, Some(Told::Visit(_))));
        }
    }
}
