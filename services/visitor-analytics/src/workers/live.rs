//! Visits as they are recorded, told to whoever listens on any replica.
//!
//! A recorder hands the keys of its visits to its process's [`VisitPublisher`], which passes them on through
//! PostgreSQL's `notify`, and only while some process listens. The [`LiveHub`] of a process that has
//! listeners hears them over one connection, reads the visits once, and shares them.

mod hub;
mod teller;

pub use hub::{LiveEvent, LiveHub, Subscription};
pub use teller::VisitPublisher;

use tokio_util::sync::CancellationToken;

use crate::store::Store;

/// Both ends' background work.
pub struct LiveTasks {
    telling: teller::PublishTask,
    hearing: hub::ListenTask,
}

impl LiveTasks {
    /// What recorders tell, what listeners hear, and what has to run for it.
    #[must_use]
    pub fn new(store: &Store) -> (VisitPublisher, LiveHub, Self) {
        let (teller, telling) = VisitPublisher::new(store.clone());
        let (hub, hearing) = LiveHub::new(store.clone());
        (teller, hub, Self { telling, hearing })
    }

    /// Tells and hears until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = self.telling.run() => {}
            () = self.hearing.run() => {}
            () = stop.cancelled() => {}
        }
    }
}
