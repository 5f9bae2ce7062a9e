//! Prints due deliveries to the log.

use std::time::Duration;

use chassis::panics::catch_panics;
use common::clock::Clock;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::app::queue_signal::QueueSignal;
use crate::clients::log;
use crate::domain::channel_address::DeliveryChannel;
use crate::domain::log_delivery::LogDelivery;
use crate::store::queue;

/// Deliveries per transaction.
const LOG_BATCH_SIZE: i64 = 500;
/// How long to wait for further deliveries: a batch costs little more than a single delivery.
const LOG_BATCH_DELAY: Duration = Duration::from_millis(10);

/// Prints the deliveries of a channel to the log. Several dispatchers can run concurrently.
pub struct LogDispatcher {
    pub channel: DeliveryChannel,
    pub pool: PgPool,
    pub clock: Clock,
    pub queue_signal: QueueSignal,
}

impl LogDispatcher {
    pub async fn run(self, stop: CancellationToken) {
        let mut wake = self.queue_signal.subscribe(self.channel);
        while !stop.is_cancelled() {
            let told = catch_panics(self.print_batch()).await;
            let more = told.unwrap_or_else(|panic| {
                tracing::error!(%panic, "printing due messages panicked; retrying soon");
                false
            });
            if more {
                continue;
            }
            tokio::select! {
                _ = wake.changed() => tokio::time::sleep(LOG_BATCH_DELAY).await,
                () = stop.cancelled() => {}
            }
        }
    }

    /// Prints a batch. Returns whether there may be more.
    #[tracing::instrument(level = "debug", name = "print_deliveries", skip_all, fields(channel = self.channel.as_str()))]
    async fn print_batch(&self) -> bool {
        let (now, channel) = (self.clock.now(), self.channel);
        let waits = metrics::histogram!("notification_accept_to_sent_seconds",
            "channel" => channel.as_str());
        let print = |told: &LogDelivery| {
            log::print_message(channel, told);
            waits.record((now - told.created_at).as_seconds_f64());
        };
        let told = queue::deliver_to_log(
            &self.pool,
            channel,
            log::PROVIDER_NAME,
            now,
            LOG_BATCH_SIZE,
            print,
        )
        .await;
        let told = told.unwrap_or_else(|error| {
            tracing::warn!(%error, "due messages were not printed; retrying soon");
            0
        });
        let counted = metrics::counter!("notification_deliveries_total",
            "channel" => channel.as_str(), "outcome" => "sent");
        counted.increment(told as u64);
        i64::try_from(told) == Ok(LOG_BATCH_SIZE)
    }
}
