//! The live stream: publishes recorded visits to the subscribers on all replicas.
//!
//! Recorders hand the keys of their visits to the [`VisitPublisher`] of their process. While any
//! process has subscribers, the publisher sends the keys with PostgreSQL's `NOTIFY`. The
//! [`LiveHub`] of a process with subscribers receives them on one connection, reads each visit
//! once, and shares the visits among its subscribers.

mod hub;
mod publisher;

pub use hub::{LiveEvent, LiveHub, Subscription};
pub use publisher::VisitPublisher;

use tokio_util::sync::CancellationToken;

use crate::store::Store;

/// The workers of publisher and hub.
pub struct LiveTasks {
    publish_task: publisher::PublishTask,
    listen_task: hub::ListenTask,
}

impl LiveTasks {
    /// Creates the publisher, the hub, and the workers, which must run.
    #[must_use]
    pub fn new(store: &Store) -> (VisitPublisher, LiveHub, Self) {
        let (teller, telling) = VisitPublisher::new(store.clone());
        let (hub, hearing) = LiveHub::new(store.clone());
        (
            teller,
            hub,
            Self {
                publish_task: telling,
                listen_task: hearing,
            },
        )
    }

    /// Runs both workers until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = self.publish_task.run() => {}
            () = self.listen_task.run() => {}
            () = stop.cancelled() => {}
        }
    }
}
