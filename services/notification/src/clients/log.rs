//! The log as a provider: prints the message. Stands in for text messages where there is no key.
//! It answers at once and always well, so that it needs no lease and no second try.

use crate::domain::target::{Channel, ChannelAddress};
use crate::store::queue::LogDelivery;

/// Its name, as the API and the database have it.
pub const PROVIDER_NAME: &str = "log";

/// Prints a message as one event; the recipient is masked.
pub fn print(channel: Channel, told: &LogDelivery) {
    let recipient = told.recipient.parse::<ChannelAddress>().ok();
    let recipient = recipient.map(tracing::field::display);
    let (channel, delivery) = (channel.as_str(), told.id);
    tracing::info!(%delivery, channel, recipient, text = told.body, "message");
}
