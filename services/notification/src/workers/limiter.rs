//! Keeps deliveries back that are over a day's limit, and tells each limit once.

use common::clock::Clock;
use sqlx::PgPool;

use super::notices::ServiceNotices;
use crate::domain::attempt::ClaimedDelivery;
use crate::domain::limit::{DailyLimits, ExceededLimits, LIMIT_REACHED_EVENT};
use crate::store::{StoreError, spent};

/// Counts what is sent.
#[derive(Clone)]
pub struct DailyLimiter {
    /// How much may be sent in a day.
    pub limits: DailyLimits,
    /// Where it is counted.
    pub pool: PgPool,
    /// What time it is.
    pub clock: Clock,
    /// Tells of a limit.
    pub notices: ServiceNotices,
}

impl DailyLimiter {
    /// Marks those that are not to be sent. Where they cannot be counted all are sent.
    pub async fn mark(&self, claimed: &mut [ClaimedDelivery]) {
        if self.limits == DailyLimits::default() {
            return;
        }
        let over = self.over(claimed).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "not counted");
            ExceededLimits::default()
        });
        for one in claimed {
            if let Some(why) = over.refused.get(&one.id) {
                one.suppressed = Some(why.clone());
            }
        }
        for limit in over.reached {
            if let Err(error) = self.tell(&limit).await {
                tracing::warn!(%error, limit, "nobody told");
            }
        }
    }

    async fn over(&self, claimed: &[ClaimedDelivery]) -> Result<ExceededLimits, StoreError> {
        let batch = self.limits.batch(claimed);
        if batch.added.is_empty() {
            return Ok(ExceededLimits::default());
        }
        let counts = spent::add(&self.pool, &batch, self.clock.now()).await?;
        Ok(batch.over(&counts))
    }

    /// Says it once.
    async fn tell(&self, limit: &str) -> Result<(), StoreError> {
        tracing::warn!(limit, "no more is sent today");
        let message = format!("{limit}; no more is sent today, and nothing more is said about it");
        self.notices.send(LIMIT_REACHED_EVENT, message).await
    }
}
