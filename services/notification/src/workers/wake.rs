//! Tells the workers of a channel that something has become due.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

use crate::domain::target::Channel;

/// Wakes each channel's worker alone: most notifications concern one.
#[derive(Clone)]
pub struct QueueSignal(Arc<QueueSignals>);

struct QueueSignals {
    channels: [(Channel, watch::Sender<()>); Channel::ALL.len()],
    digests: Notify,
    rescheduled: Notify,
}

impl Default for QueueSignal {
    fn default() -> Self {
        Self(Arc::new(QueueSignals {
            channels: Channel::ALL.map(|channel| (channel, watch::Sender::new(()))),
            digests: Notify::new(),
            rescheduled: Notify::new(),
        }))
    }
}

impl QueueSignal {
    /// Wakes who sends on that channel.
    pub fn wake(&self, channel: Channel) {
        for (own, sender) in &self.0.channels {
            if *own == channel {
                sender.send_replace(());
            }
        }
    }

    /// Wakes all who send.
    pub fn wake_all(&self) {
        self.0.channels.iter().for_each(|(_, sender)| {
            sender.send_replace(());
        });
    }

    /// Changes when something has become due on that channel.
    #[must_use]
    pub fn subscribe(&self, channel: Channel) -> watch::Receiver<()> {
        let own = self.0.channels.iter().find(|(own, _)| *own == channel);
        own.map_or_else(|| watch::channel(()).1, |(_, sender)| sender.subscribe())
    }

    /// Wakes who tells digests.
    pub fn wake_digests(&self) {
        self.0.digests.notify_one();
    }

    /// Returns when a digest has become due.
    pub async fn digest_due(&self) {
        self.0.digests.notified().await;
    }

    /// Something is due at another time than was thought.
    pub fn reschedule(&self) {
        self.0.rescheduled.notify_one();
    }

    /// Returns when something is due at another time than was thought.
    pub async fn rescheduled(&self) {
        self.0.rescheduled.notified().await;
    }
}
