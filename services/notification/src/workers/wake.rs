//! Tells the workers of a channel that something has become due.

use std::sync::Arc;

use tokio::sync::watch;

use crate::domain::target::Channel;

/// Wakes each channel's worker alone: most notifications concern one.
#[derive(Clone)]
pub struct Wake(Arc<[(Channel, watch::Sender<()>)]>);

impl Default for Wake {
    fn default() -> Self {
        let each = Channel::ALL.map(|channel| (channel, watch::Sender::new(())));
        Self(Arc::new(each))
    }
}

impl Wake {
    /// Wakes who sends on that channel.
    pub fn wake(&self, channel: Channel) {
        for (own, sender) in self.0.iter() {
            if *own == channel {
                sender.send_replace(());
            }
        }
    }

    /// Wakes all who send.
    pub fn wake_all(&self) {
        self.0.iter().for_each(|(_, sender)| {
            sender.send_replace(());
        });
    }

    /// Changes when something has become due on that channel.
    #[must_use]
    pub fn subscribe(&self, channel: Channel) -> watch::Receiver<()> {
        let own = self.0.iter().find(|(own, _)| *own == channel);
        own.map_or_else(|| watch::channel(()).1, |(_, sender)| sender.subscribe())
    }
}
