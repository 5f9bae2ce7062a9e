//! Crawler verification of visits that are already recorded.

use bot_detection::BotRule;
use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::VerdictStore;

impl VerdictStore {
    /// Adds the result of the crawler verification to a visit's verdict, unless it has one.
    pub async fn add_crawler_verification(
        &self,
        visit: (Uuid, DateTime<Utc>),
        proof: BotRule,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let found = self.of_visit(visit).await?;
        if let Some(found) = found.filter(|found| !found.verdict.has_crawler_verification()) {
            self.update(&[found.with_reason(proof)], now).await?;
        }
        Ok(())
    }
}
