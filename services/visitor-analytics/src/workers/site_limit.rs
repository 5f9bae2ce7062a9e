//! Announces, once a day, that visits named more new sites than may be added.

use std::time::Duration;

use common::clock::Clock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{PollSchedule, RoundOutcome, repeat};
use crate::clients::notification::NotificationClient;
use crate::store::{Store, StoreError};

/// How often refusals are looked for.
const POLL_INTERVAL: Duration = Duration::from_mins(1);

/// Announces refused sites.
pub struct SiteLimitNotifier {
    /// Where refusals are noted.
    pub store: Store,
    /// Who is told.
    pub notifier: NotificationClient,
    /// The time.
    pub clock: Clock,
    /// How many new sites may come with visits within 24 hours.
    pub max_new_sites_per_day: u32,
}

impl SiteLimitNotifier {
    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let (pace, wake) = (PollSchedule::steady(POLL_INTERVAL), Notify::new());
        let round = async || self.round().await;
        repeat(
            "announcing refused sites",
            pace,
            &wake,
            &self.clock,
            stop,
            round,
        )
        .await;
    }

    /// Replicas that announce the same day share an idempotency key, so that it is told once.
    async fn round(&self) -> Result<RoundOutcome, StoreError> {
        for day in self.store.untold_site_limits().await? {
            let most = self.max_new_sites_per_day;
            match self.notifier.tell_site_limit(day, most).await {
                Ok(None) => {}
                Ok(Some(refusal)) => {
                    tracing::error!(%refusal, %day, "refused sites are not announced");
                }
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, %day, "refused sites are announced later");
                    return Ok(RoundOutcome::Idle);
                }
                Err(error) => tracing::error!(%error, %day, "refused sites are not announced"),
            }
            self.store.told_site_limit(day, self.clock.now()).await?;
        }
        Ok(RoundOutcome::Idle)
    }
}
