//! Notifies once a day that visits named more new sites than may be added.

use std::time::Duration;

use chassis::database::StoreError;
use common::clock::Clock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{PollSchedule, RoundOutcome, run_rounds};
use crate::clients::notification::NotificationClient;
use crate::store::Store;

const POLL_INTERVAL: Duration = Duration::from_mins(1);

pub struct SiteLimitNotifier {
    pub store: Store,
    pub notifier: NotificationClient,
    pub clock: Clock,
    pub max_new_sites_per_day: u32,
}

impl SiteLimitNotifier {
    pub async fn run(self, stop: CancellationToken) {
        let (pace, wake) = (PollSchedule::every(POLL_INTERVAL), Notify::new());
        let round = async || self.run_round().await;
        run_rounds(
            "notification of refused sites",
            pace,
            &wake,
            &self.clock,
            stop,
            round,
        )
        .await;
    }

    /// The idempotency key is the day, so that several replicas cause one notification.
    #[tracing::instrument(level = "debug", name = "announce_site_limits", skip_all)]
    async fn run_round(&self) -> Result<RoundOutcome, StoreError> {
        for day in self.store.sites.unannounced_limits().await? {
            let most = self.max_new_sites_per_day;
            match self.notifier.notify_site_limit(day, most).await {
                Ok(None) => {}
                Ok(Some(refusal)) => {
                    tracing::error!(
                        %refusal,
                        %day,
                        "notification rejected the message about refused sites"
                    );
                }
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, %day, "the message about refused sites is sent later");
                    return Ok(RoundOutcome::Idle);
                }
                Err(error) => {
                    tracing::error!(%error, %day, "the message about refused sites cannot be sent");
                }
            }
            self.store
                .sites
                .mark_limit_announced(day, self.clock.now())
                .await?;
        }
        Ok(RoundOutcome::Idle)
    }
}
