//! What was found out about a visit's address after it was recorded.

use bot_detection::BotRule;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Store, StoreError};

impl Store {
    /// Adds what proves a visit to be a crawler's, or a pretender's, unless something does already.
    pub async fn prove(
        &self,
        visit: (Uuid, DateTime<Utc>),
        proof: BotRule,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let found = self.judged_visit(visit).await?;
        if let Some(found) = found.filter(|found| !found.verdict.is_proven()) {
            self.rejudge(&[found.with(proof)], now).await?;
        }
        Ok(())
    }
}
