//! Receives recorded visits from all replicas for the subscribers of this process.

use std::sync::Arc;
use std::time::Duration;

use chassis::database::StoreError;
use chassis::panics::catch_panics;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::publisher::LISTENER_CHECK_INTERVAL;
use crate::app::live::{LiveEvent, LiveFeed};
use crate::store::{Store, VisitListener, VisitNotice};

/// Notices that were received and whose visits are not read yet.
const MAX_UNREAD_NOTICES: usize = 16;
/// How long the connection is kept without subscribers.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after the connection was lost.
const LISTEN_RETRY_DELAY: Duration = Duration::from_secs(1);

/// The worker that listens to notices.
#[derive(Debug)]
pub(super) struct ListenTask {
    pub(super) store: Store,
    pub(super) feed: LiveFeed,
}

impl ListenTask {
    pub(super) async fn run(self) {
        loop {
            self.feed.wait_for_subscriber().await;
            let ended = catch_panics(self.listen_until_idle()).await;
            self.feed.set_complete_since(None);
            let error = match ended {
                Ok(ended) => ended.err().map(|error| error.to_string()),
                Err(panic) => Some(panic.to_string()),
            };
            if let Some(error) = error {
                tracing::warn!(error, "the live stream is interrupted; listening again");
                self.send_missed();
                tokio::time::sleep(LISTEN_RETRY_DELAY).await;
            }
        }
    }

    /// Listens until there are no subscribers.
    async fn listen_until_idle(&self) -> Result<(), StoreError> {
        let listener = self.store.live.listen().await?;
        // By then, every recorder has checked for listeners again.
        let complete_since = Instant::now() + 2 * LISTENER_CHECK_INTERVAL;
        self.feed.set_complete_since(Some(complete_since));
        let (sender, unread) = mpsc::channel(MAX_UNREAD_NOTICES);
        tokio::select! {
            ended = self.receive_notices(listener, sender) => ended,
            ended = self.read_visits(unread) => ended,
            () = self.wait_until_idle() => Ok(()),
        }
    }

    /// Receives notices. Those that arrive faster than they are read are dropped, which bounds
    /// memory.
    async fn receive_notices(
        &self,
        mut listener: VisitListener,
        unread: mpsc::Sender<VisitNotice>,
    ) -> Result<(), StoreError> {
        loop {
            let notice = listener.recv().await?;
            if let VisitNotice::Erased(visitors) = &notice {
                self.feed.erased.insert(visitors);
            } else if unread.try_send(notice).is_err() {
                self.send_missed();
            }
        }
    }

    async fn read_visits(&self, mut unread: mpsc::Receiver<VisitNotice>) -> Result<(), StoreError> {
        while let Some(notice) = unread.recv().await {
            match notice {
                VisitNotice::Visits(keys) => {
                    let read_at = Instant::now();
                    for visit in self.store.live.notified_visits(&keys).await? {
                        self.feed.send(LiveEvent::Visit(Arc::new(visit)), read_at);
                    }
                }
                VisitNotice::Overflow => self.send_missed(),
                VisitNotice::Erased(visitors) => self.feed.erased.insert(&visitors),
            }
        }
        Ok(())
    }

    fn send_missed(&self) {
        self.feed.send(LiveEvent::Missed, Instant::now());
    }

    async fn wait_until_idle(&self) {
        loop {
            tokio::time::sleep(IDLE_TIMEOUT).await;
            if !self.feed.has_subscribers() {
                return;
            }
        }
    }
}
