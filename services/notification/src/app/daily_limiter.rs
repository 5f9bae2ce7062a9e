//! Enforces the daily limits, and notifies once per day about each limit that is reached.

use chassis::database::StoreError;
use common::clock::Clock;
use sqlx::PgPool;

use super::service_notices::ServiceNotices;
use crate::domain::attempt::ClaimedDelivery;
use crate::domain::daily_limit::{DailyLimits, ExceededLimits, LIMIT_REACHED_EVENT};
use crate::store::daily_usage;

#[derive(Clone)]
pub struct DailyLimiter {
    pub limits: DailyLimits,
    pub pool: PgPool,
    pub clock: Clock,
    pub notices: ServiceNotices,
}

impl DailyLimiter {
    /// Suppresses deliveries that exceed a limit. If they cannot be counted, all are sent.
    pub async fn suppress_exceeding(&self, claimed: &mut [ClaimedDelivery]) {
        if self.limits == DailyLimits::default() {
            return;
        }
        let over = self.check_limits(claimed).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the daily limits cannot be checked; all messages are sent");
            ExceededLimits::default()
        });
        for one in claimed {
            if let Some(why) = over.refused.get(&one.id) {
                one.suppression_reason = Some(why.clone());
            }
        }
        for limit in over.reached {
            if let Err(error) = self.notify_limit_reached(&limit).await {
                tracing::warn!(%error, limit, "the notification about a daily limit was not sent");
            }
        }
    }

    async fn check_limits(
        &self,
        claimed: &[ClaimedDelivery],
    ) -> Result<ExceededLimits, StoreError> {
        let batch = self.limits.count_usage(claimed);
        if batch.added.is_empty() {
            return Ok(ExceededLimits::default());
        }
        let counts = daily_usage::add_usage(&self.pool, &batch, self.clock.now()).await?;
        Ok(batch.exceeded_limits(&counts))
    }

    async fn notify_limit_reached(&self, limit: &str) -> Result<(), StoreError> {
        tracing::warn!(
            limit,
            "a daily limit is reached; further messages are suppressed until midnight UTC"
        );
        let message = format!("{limit}; further messages are suppressed until midnight UTC");
        self.notices.send(LIMIT_REACHED_EVENT, message).await
    }
}
