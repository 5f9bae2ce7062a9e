//! Distributes recorded visits to the subscribers of this process.

use std::sync::Arc;

use chassis::database::StoreError;
use chassis::request_slots::{NoFreeSlot, RequestSlot, RequestSlots};
use chrono::{DateTime, Utc};
use common::visitor_analytics::Visit;
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::Instant;
use uuid::Uuid;

use super::erased_visitors::ErasedVisitors;
use crate::store::Store;

/// Subscribers of a process.
const MAX_SUBSCRIBERS: usize = 100;
/// Visits that a subscriber may lag behind. The buffer is shared by all; a visit uses about three
/// kilobytes.
const EVENT_BUFFER: usize = 1_024;
/// Visits that are replayed for a subscriber that reconnects.
const MAX_REPLAYED_VISITS: usize = 250;

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

/// The worker's end of a hub.
#[derive(Debug)]
pub struct LiveFeed {
    events: broadcast::Sender<(LiveEvent, Instant)>,
    pub(crate) erased: ErasedVisitors,
    subscriber_added: Arc<Notify>,
    complete_since: watch::Sender<Option<Instant>>,
}

impl LiveFeed {
    /// Sends an event whose data were read at `read_at` to all subscribers.
    pub(crate) fn send(&self, event: LiveEvent, read_at: Instant) {
        // Fails only without subscribers.
        let _ = self.events.send((event, read_at));
    }

    pub(crate) fn has_subscribers(&self) -> bool {
        self.events.receiver_count() > 0
    }

    /// Waits until there are subscribers.
    pub(crate) async fn wait_for_subscriber(&self) {
        while !self.has_subscribers() {
            self.subscriber_added.notified().await;
        }
    }

    /// Sets the time from which every recorded visit is received; `None` while not listening.
    pub(crate) fn set_complete_since(&self, since: Option<Instant>) {
        self.complete_since.send_replace(since);
    }
}

impl LiveHub {
    /// Creates a hub and the feed of its worker, which must run for visits to be received.
    #[must_use]
    pub fn new(store: Store) -> (Self, LiveFeed) {
        let (events, _) = broadcast::channel(EVENT_BUFFER);
        let (complete_sender, complete_since) = watch::channel(None);
        let hub = Self {
            store,
            slots: RequestSlots::new(MAX_SUBSCRIBERS),
            events: events.clone(),
            erased: ErasedVisitors::default(),
            subscriber_added: Arc::default(),
            complete_since,
        };
        let feed = LiveFeed {
            events,
            erased: hub.erased.clone(),
            subscriber_added: hub.subscriber_added.clone(),
            complete_since: complete_sender,
        };
        (hub, feed)
    }

    /// Adds a subscriber with a token for `subject`.
    pub fn subscribe(&self, subject: &str) -> Result<Subscription, NoFreeSlot> {
        let subscription = Subscription {
            _slot: self.slots.acquire(subject)?,
            hub: self.clone(),
            events: self.events.subscribe(),
        };
        self.subscriber_added.notify_one();
        Ok(subscription)
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
        let complete_since = self.hub.complete_since.wait_for(Option::is_some).await;
        let complete_since = complete_since.map(|since| *since).ok().flatten();
        tokio::time::sleep_until(complete_since.unwrap_or_else(Instant::now)).await;
        let limit = i64::try_from(MAX_REPLAYED_VISITS + 1).unwrap_or(i64::MAX);
        let mut visits = self.hub.store.visits.since(site, after, limit).await?;
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
                Ok((event, _)) => Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => Some(LiveEvent::Missed),
                Err(broadcast::error::RecvError::Closed) => None,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_too_slow_is_told_so() {
        let options = sqlx::postgres::PgPoolOptions::new();
        let pool = options.connect_lazy("postgres://nobody").unwrap();
        let (hub, _feed) = LiveHub::new(Store::new(pool));
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
            let event = LiveEvent::Visit(visit.clone());
            hub.events.send((event, Instant::now())).unwrap();
        }
        assert!(matches!(slow.next_event().await, Some(LiveEvent::Missed)));
        for _ in 0..EVENT_BUFFER {
            assert!(matches!(slow.next_event().await, Some(LiveEvent::Visit(_))));
        }
    }
}
