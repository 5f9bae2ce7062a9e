//! Receives recorded visits and distributes them to the subscribers of this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chassis::panics::catch_panics;
use chassis::places::{NoFreeSlot, RequestSlot, RequestSlots};
use chrono::{DateTime, Utc};
use common::visitor_analytics::Visit;
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio::time::Instant;
use uuid::Uuid;

use super::teller::LISTENER_CHECK_INTERVAL;
use crate::store::{Store, StoreError, VisitListener, VisitNotice, visitor_hash};

/// Subscribers of a process.
const MAX_SUBSCRIBERS: usize = 100;
/// Visits that a subscriber may lag behind. The buffer is shared by all; a visit uses about three
/// kilobytes.
const EVENT_BUFFER: usize = 1_024;
/// Notices that were received and whose visits are not read yet.
const MAX_UNREAD_NOTICES: usize = 16;
/// Visits that are replayed for a subscriber that reconnects.
const MAX_REPLAYED_VISITS: usize = 250;
/// How long the connection is kept without subscribers.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after the connection was lost.
const LISTEN_RETRY_DELAY: Duration = Duration::from_secs(1);
/// Erased visitors that are remembered; above this number, expired ones are removed.
const ERASED: usize = 10_000;
/// Longer than any subscriber lags behind.
const REMEMBERED: Duration = Duration::from_mins(10);

const NOT_POISONED: &str = "no code panics while holding this lock";

/// Accepts subscribers.
#[derive(Clone, Debug)]
pub struct LiveHub {
    store: Store,
    places: Arc<RequestSlots>,
    told: broadcast::Sender<(LiveEvent, Instant)>,
    erased: ErasedVisitors,
    wanted: Arc<Notify>,
    /// The time from which every recorded visit is received; `None` while not listening.
    settled: watch::Receiver<Option<Instant>>,
}

/// An event for subscribers.
#[derive(Clone, Debug)]
pub enum LiveEvent {
    /// A recorded visit.
    Visit(Arc<Visit>),
    /// Some visits were not delivered.
    Missed,
}

/// A subscriber's end of the stream.
#[derive(Debug)]
pub struct Subscription {
    hub: LiveHub,
    told: broadcast::Receiver<(LiveEvent, Instant)>,
    _place: RequestSlot,
}

/// The worker that listens to notices.
#[derive(Debug)]
pub(super) struct ListenTask {
    store: Store,
    told: broadcast::Sender<(LiveEvent, Instant)>,
    erased: ErasedVisitors,
    wanted: Arc<Notify>,
    settled: watch::Sender<Option<Instant>>,
}

impl LiveHub {
    pub(super) fn new(store: Store) -> (Self, ListenTask) {
        let (told, _) = broadcast::channel(EVENT_BUFFER);
        let (settled, is_settled) = watch::channel(None);
        let hub = Self {
            store: store.clone(),
            places: RequestSlots::new(MAX_SUBSCRIBERS),
            told: told.clone(),
            erased: ErasedVisitors::default(),
            wanted: Arc::default(),
            settled: is_settled,
        };
        let hearing = ListenTask {
            store,
            told,
            erased: hub.erased.clone(),
            wanted: hub.wanted.clone(),
            settled,
        };
        (hub, hearing)
    }

    /// Adds a subscriber with a token for `subject`.
    pub fn listen(&self, subject: &str) -> Result<Subscription, NoFreeSlot> {
        let listening = Subscription {
            _place: self.places.take(subject)?,
            hub: self.clone(),
            told: self.told.subscribe(),
        };
        self.wanted.notify_one();
        Ok(listening)
    }
}

impl Subscription {
    /// Returns the visits that were recorded after a visit (its timestamp and id), and whether
    /// there were more than are replayed. Waits until the hub receives all later visits, so that
    /// none is missed in between.
    pub async fn since(
        &mut self,
        site: Option<&str>,
        after: (DateTime<Utc>, Uuid),
    ) -> Result<(Vec<Visit>, bool), StoreError> {
        let settled = self.hub.settled.wait_for(Option::is_some).await;
        let settled = settled.map(|moment| *moment).ok().flatten();
        tokio::time::sleep_until(settled.unwrap_or_else(Instant::now)).await;
        let most = i64::try_from(MAX_REPLAYED_VISITS + 1).unwrap_or(i64::MAX);
        let mut visits = self.hub.store.visits_since(site, after, most).await?;
        let is_more = visits.len() > MAX_REPLAYED_VISITS;
        if is_more {
            visits.remove(0);
        }
        Ok((visits, is_more))
    }

    /// Returns the next event; `None` when the stream ends.
    pub async fn next(&mut self) -> Option<LiveEvent> {
        loop {
            return match self.told.recv().await {
                Ok((LiveEvent::Visit(visit), at)) if self.hub.erased.hold(&visit, at) => continue,
                Ok((told, _)) => Some(told),
                Err(broadcast::error::RecvError::Lagged(_)) => Some(LiveEvent::Missed),
                Err(broadcast::error::RecvError::Closed) => None,
            };
        }
    }
}

impl ListenTask {
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
                tracing::warn!(error, "the live stream is interrupted; listening again");
                self.tell(LiveEvent::Missed);
                tokio::time::sleep(LISTEN_RETRY_DELAY).await;
            }
        }
    }

    /// Listens until there are no subscribers.
    async fn listen(&self) -> Result<(), StoreError> {
        let ear = self.store.listen().await?;
        // By then, every recorder has checked for listeners again.
        self.settled
            .send_replace(Some(Instant::now() + 2 * LISTENER_CHECK_INTERVAL));
        let (sender, unread) = mpsc::channel(MAX_UNREAD_NOTICES);
        tokio::select! {
            ended = self.hear(ear, sender) => ended,
            ended = self.read(unread) => ended,
            () = self.until_idle() => Ok(()),
        }
    }

    /// Receives notices. Those that arrive faster than they are read are dropped, which bounds
    /// memory.
    async fn hear(
        &self,
        mut ear: VisitListener,
        unread: mpsc::Sender<VisitNotice>,
    ) -> Result<(), StoreError> {
        loop {
            let heard = ear.hear().await?;
            if let VisitNotice::Erased(visitors) = &heard {
                self.erased.insert(visitors);
            } else if unread.try_send(heard).is_err() {
                self.tell(LiveEvent::Missed);
            }
        }
    }

    async fn read(&self, mut unread: mpsc::Receiver<VisitNotice>) -> Result<(), StoreError> {
        while let Some(heard) = unread.recv().await {
            match heard {
                VisitNotice::Visits(keys) => {
                    let read_at = Instant::now();
                    for visit in self.store.told_visits(&keys).await? {
                        // Fails only without subscribers.
                        let _ = self.told.send((LiveEvent::Visit(Arc::new(visit)), read_at));
                    }
                }
                VisitNotice::Lost => self.tell(LiveEvent::Missed),
                VisitNotice::Erased(visitors) => self.erased.insert(&visitors),
            }
        }
        Ok(())
    }

    fn tell(&self, told: LiveEvent) {
        // Fails only without subscribers.
        let _ = self.told.send((told, Instant::now()));
    }

    async fn until_idle(&self) {
        loop {
            tokio::time::sleep(IDLE_TIMEOUT).await;
            if self.told.receiver_count() == 0 {
                return;
            }
        }
    }
}

/// Recently erased visitors. Visits of them that were read before are not delivered.
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

    /// Whether a visit that was read at `read_at` is of a visitor that was erased afterwards.
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
        let (hub, _hearing) = LiveHub::new(Store::new(pool));
        let mut slow = hub.listen("test").unwrap();
        for _ in 0..EVENT_BUFFER {
            hub.told.send((LiveEvent::Missed, Instant::now())).unwrap();
        }
        let visit = serde_json::json!({
            "id": Uuid::nil(), "site": "a", "timestamp": "2026-11-20T12:00:00Z",
            "received_at": "2026-11-20T12:00:00Z", "url": "https://a/", "path": "/",
            "source": "a", "medium": "a", "method": "GET", "visitor_id": "v",
            "session_id": Uuid::nil(), "device_type": "other", "is_bot": false, "bot_score": 0,
            "bot_reasons": [], "ruleset": 1, "properties": {},
        });
        let visit: Arc<Visit> = Arc::new(serde_json::from_value(visit).unwrap());
        // One more than the buffer holds.
        for _ in 0..=EVENT_BUFFER {
            let told = LiveEvent::Visit(visit.clone());
            hub.told.send((told, Instant::now())).unwrap();
        }
        assert!(matches!(slow.next().await, Some(LiveEvent::Missed)));
        for _ in 0..EVENT_BUFFER {
            assert!(matches!(slow.next().await, Some(LiveEvent::Visit(_))));
        }
    }
}
