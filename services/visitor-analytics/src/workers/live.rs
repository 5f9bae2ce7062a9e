//! The workers of the live stream.

mod listener;
mod publisher;

use tokio_util::sync::CancellationToken;

use self::listener::ListenTask;
use self::publisher::PublishTask;
use crate::app::live::{LiveFeed, PublishQueue};
use crate::store::Store;

/// The workers of publisher and hub.
pub struct LiveTasks {
    publish_task: PublishTask,
    listen_task: ListenTask,
}

impl LiveTasks {
    #[must_use]
    pub fn new(store: &Store, queue: PublishQueue, feed: LiveFeed) -> Self {
        Self {
            publish_task: PublishTask {
                store: store.clone(),
                queue,
            },
            listen_task: ListenTask {
                store: store.clone(),
                feed,
            },
        }
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
