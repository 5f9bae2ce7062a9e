//! Tells what is due to the log.

use std::time::Duration;

use chassis::panics::catch_panics;
use common::clock::Clock;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::wake::QueueSignal;
use crate::clients::log;
use crate::domain::target::Channel;
use crate::store::queue::{self, LogDelivery};

/// How many are told in one transaction.
const LOG_BATCH_SIZE: i64 = 500;
/// How long more may gather before the first of them is told: many cost little more than one.
const LOG_BATCH_DELAY: Duration = Duration::from_millis(10);

/// Tells a channel's deliveries to the log until it is stopped; several may run beside each other.
pub struct LogDispatcher {
    /// What is told to the log.
    pub channel: Channel,
    /// Where the queue is.
    pub pool: PgPool,
    /// What time it is.
    pub clock: Clock,
    /// Changes when something has become due.
    pub wake: QueueSignal,
}

impl LogDispatcher {
    /// Tells until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut wake = self.wake.subscribe(self.channel);
        while !stop.is_cancelled() {
            let told = catch_panics(self.tell()).await;
            let more = told.unwrap_or_else(|panic| {
                tracing::error!(%panic, "nothing told");
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

    /// Tells as many as there may be at once; whether there may be more.
    async fn tell(&self) -> bool {
        let (now, channel) = (self.clock.now(), self.channel);
        let waits = metrics::histogram!("notification_accept_to_sent_seconds",
            "channel" => channel.as_str());
        let print = |told: &LogDelivery| {
            log::print(channel, told);
            waits.record((now - told.created_at).as_seconds_f64());
        };
        let told = queue::tell(
            &self.pool,
            channel,
            log::PROVIDER_NAME,
            now,
            LOG_BATCH_SIZE,
            print,
        )
        .await;
        let told = told.unwrap_or_else(|error| {
            tracing::warn!(%error, "nothing told");
            0
        });
        let counted = metrics::counter!("notification_deliveries_total",
            "channel" => channel.as_str(), "outcome" => "sent");
        counted.increment(told as u64);
        i64::try_from(told) == Ok(LOG_BATCH_SIZE)
    }
}
