//! Wakes the workers of a process when work becomes due.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

use crate::domain::channel_address::DeliveryChannel;

/// Wakes the workers of each channel separately, because most notifications use one channel.
#[derive(Clone)]
pub struct QueueSignal(Arc<QueueSignals>);

struct QueueSignals {
    channels: [(DeliveryChannel, watch::Sender<()>); DeliveryChannel::ALL.len()],
    digests: Notify,
    rescheduled: Notify,
}

impl Default for QueueSignal {
    fn default() -> Self {
        Self(Arc::new(QueueSignals {
            channels: DeliveryChannel::ALL.map(|channel| (channel, watch::Sender::new(()))),
            digests: Notify::new(),
            rescheduled: Notify::new(),
        }))
    }
}

impl QueueSignal {
    /// Wakes the worker of a channel.
    pub fn wake_channel(&self, channel: DeliveryChannel) {
        for (own, sender) in &self.0.channels {
            if *own == channel {
                sender.send_replace(());
            }
        }
    }

    /// Wakes the workers of all channels.
    pub fn wake_all(&self) {
        self.0.channels.iter().for_each(|(_, sender)| {
            sender.send_replace(());
        });
    }

    /// Returns a receiver that changes when a delivery on the channel becomes due.
    #[must_use]
    pub fn subscribe(&self, channel: DeliveryChannel) -> watch::Receiver<()> {
        let own = self.0.channels.iter().find(|(own, _)| *own == channel);
        own.map_or_else(|| watch::channel(()).1, |(_, sender)| sender.subscribe())
    }

    /// Wakes the worker that sends digests.
    pub fn wake_digests(&self) {
        self.0.digests.notify_one();
    }

    /// Waits until a digest becomes due.
    pub async fn wait_for_digest(&self) {
        self.0.digests.notified().await;
    }

    /// Makes the scheduler query the database again, because a due time has changed.
    pub fn reschedule(&self) {
        self.0.rescheduled.notify_one();
    }

    /// Waits for [`QueueSignal::reschedule`].
    pub async fn wait_for_reschedule(&self) {
        self.0.rescheduled.notified().await;
    }
}
