//! Receives recorded visits and distributes them to the subscribers of this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chassis::panics::catch_panics;
use chassis::request_slots::{NoFreeSlot, RequestSlot, RequestSlots};
use chrono::{DateTime, Utc};
use common::visitor_analytics::Visit;
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio::time::Instant;
use uuid::Uuid;

use super::publisher::LISTENER_CHECK_INTERVAL;
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
const MAX_ERASED_VISITORS: usize = 10_000;
/// Longer than any subscriber lags behind.
const ERASED_VISITOR_TTL: Duration = Duration::from_mins(10);

const LOCK_NOT_POISONED: &str = "no code panics while holding this lock";

/// Accepts subscribers.
#[derive(Clone, Debug)]
pub struct LiveHub {
    store: Store,
    slots: Arc<RequestSlots>,
    events: broadcast::Sender<(LiveEvent, Instant)>,
    erased: ErasedVisitors,
    subscriber_added: Arc<Notify>,
    /// The time from which every recorded visit is received; `None` while not listening.
    complete_since: watch::Receiver<Option<Instant>>,
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
    events: broadcast::Receiver<(LiveEvent, Instant)>,
    _slot: RequestSlot,
}

/// The worker that listens to notices.
#[derive(Debug)]
pub(super) struct ListenTask {
    store: Store,
    events: broadcast::Sender<(LiveEvent, Instant)>,
    erased: ErasedVisitors,
    subscriber_added: Arc<Notify>,
    complete_since: watch::Sender<Option<Instant>>,
}

impl LiveHub {
    pub(super) fn new(store: Store) -> (Self, ListenTask) {
        let (told, _) = broadcast::channel(EVENT_BUFFER);
        let (settled, is_settled) = watch::channel(None);
        let hub = Self {
            store: store.clone(),
            slots: RequestSlots::new(MAX_SUBSCRIBERS),
            events: told.clone(),
            erased: ErasedVisitors::default(),
            subscriber_added: Arc::default(),
            complete_since: is_settled,
        };
        let hearing = ListenTask {
            store,
            events: told,
            erased: hub.erased.clone(),
            subscriber_added: hub.subscriber_added.clone(),
            complete_since: settled,
        };
        (hub, hearing)
    }

    /// Adds a subscriber with a token for `subject`.
    pub fn subscribe(&self, subject: &str) -> Result<Subscription, NoFreeSlot> {
        let listening = Subscription {
            _slot: self.slots.acquire(subject)?,
            hub: self.clone(),
            events: self.events.subscribe(),
        };
        self.subscriber_added.notify_one();
        Ok(listening)
    }
}

impl Subscription {
    /// Returns the visits that were recorded after a visit (its timestamp and id), and whether
    /// there were more than are replayed. Waits until the hub receives all later visits, so that
    /// none is missed in between.
    pub async fn replay_after(
        &mut self,
        site: Option<&str>,
        after: (DateTime<Utc>, Uuid),
    ) -> Result<(Vec<Visit>, bool), StoreError> {
        let settled = self.hub.complete_since.wait_for(Option::is_some).await;
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
    pub async fn next_event(&mut self) -> Option<LiveEvent> {
        loop {
            return match self.events.recv().await {
                Ok((LiveEvent::Visit(visit), at))
                    if self.hub.erased.is_erased_since(&visit, at) =>
                {
                    continue;
                }
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
            while self.events.receiver_count() == 0 {
                self.subscriber_added.notified().await;
            }
            let ended = catch_panics(self.listen_until_idle()).await;
            self.complete_since.send_replace(None);
            let error = match ended {
                Ok(ended) => ended.err().map(|error| error.to_string()),
                Err(panic) => Some(panic.to_string()),
            };
            if let Some(error) = error {
                tracing::warn!(error, "the live stream is interrupted; listening again");
                self.send_event(LiveEvent::Missed);
                tokio::time::sleep(LISTEN_RETRY_DELAY).await;
            }
        }
    }

    /// Listens until there are no subscribers.
    async fn listen_until_idle(&self) -> Result<(), StoreError> {
        let ear = self.store.listen().await?;
        // By then, every recorder has checked for listeners again.
        self.complete_since
            .send_replace(Some(Instant::now() + 2 * LISTENER_CHECK_INTERVAL));
        let (sender, unread) = mpsc::channel(MAX_UNREAD_NOTICES);
        tokio::select! {
            ended = self.receive_notices(ear, sender) => ended,
            ended = self.read_visits(unread) => ended,
            () = self.wait_until_idle() => Ok(()),
        }
    }

    /// Receives notices. Those that arrive faster than they are read are dropped, which bounds
    /// memory.
    async fn receive_notices(
        &self,
        mut ear: VisitListener,
        unread: mpsc::Sender<VisitNotice>,
    ) -> Result<(), StoreError> {
        loop {
            let heard = ear.recv().await?;
            if let VisitNotice::Erased(visitors) = &heard {
                self.erased.insert(visitors);
            } else if unread.try_send(heard).is_err() {
                self.send_event(LiveEvent::Missed);
            }
        }
    }

    async fn read_visits(&self, mut unread: mpsc::Receiver<VisitNotice>) -> Result<(), StoreError> {
        while let Some(heard) = unread.recv().await {
            match heard {
                VisitNotice::Visits(keys) => {
                    let read_at = Instant::now();
                    for visit in self.store.notified_visits(&keys).await? {
                        // Fails only without subscribers.
                        let _ = self
                            .events
                            .send((LiveEvent::Visit(Arc::new(visit)), read_at));
                    }
                }
                VisitNotice::Overflow => self.send_event(LiveEvent::Missed),
                VisitNotice::Erased(visitors) => self.erased.insert(&visitors),
            }
        }
        Ok(())
    }

    fn send_event(&self, told: LiveEvent) {
        // Fails only without subscribers.
        let _ = self.events.send((told, Instant::now()));
    }

    async fn wait_until_idle(&self) {
        loop {
            tokio::time::sleep(IDLE_TIMEOUT).await;
            if self.events.receiver_count() == 0 {
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
        let mut erased = self.0.lock().expect(LOCK_NOT_POISONED);
        if erased.len() + visitors.len() > MAX_ERASED_VISITORS {
            erased.retain(|_, at| now - *at < ERASED_VISITOR_TTL);
        }
        erased.extend(visitors.iter().map(|visitor| (*visitor, now)));
    }

    /// Whether a visit that was read at `read_at` is of a visitor that was erased afterwards.
    fn is_erased_since(&self, visit: &Visit, read_at: Instant) -> bool {
        let erased = self.0.lock().expect(LOCK_NOT_POISONED);
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
        let mut slow = hub.subscribe("test").unwrap();
        for _ in 0..EVENT_BUFFER {
            hub.events
                .send((LiveEvent::Missed, Instant::now()))
                .unwrap();
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
            hub.events.send((told, Instant::now())).unwrap();
        }
        assert!(matches!(slow.next_event().await, Some(LiveEvent::Missed)));
        for _ in 0..EVENT_BUFFER {
            assert!(matches!(slow.next_event().await, Some(LiveEvent::Visit(_))));
        }
    }
}
