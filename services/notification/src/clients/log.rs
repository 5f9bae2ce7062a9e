//! The log as a provider. It also replaces providers without settings. Printing cannot fail, so it
//! needs no lease and no retry.

use crate::domain::channel_address::{ChannelAddress, DeliveryChannel};
use crate::domain::log_delivery::LogDelivery;

/// The name in the API and the database.
pub const PROVIDER_NAME: &str = "log";

/// Logs a message with a masked recipient.
pub fn print_message(channel: DeliveryChannel, told: &LogDelivery) {
    let recipient = told.recipient.parse::<ChannelAddress>().ok();
    let recipient = recipient.map(tracing::field::display);
    let (channel, delivery) = (channel.as_str(), told.id);
    tracing::info!(%delivery, channel, recipient, text = told.body, "message");
}
