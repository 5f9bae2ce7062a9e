//! What was found out about a visit's address after it was recorded.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::rejudge::{Change, stored};
use super::{Store, StoreError};
use crate::domain::bot::Reason;

impl Store {
    /// Adds what proves a visit to be a crawler's, or a pretender's, unless something does already.
    pub async fn prove(
        &self,
        (id, timestamp): (Uuid, DateTime<Utc>),
        proof: Reason,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let found = sqlx::query!(
            "select v.site_id, v.visitor_id, v.session_id, v.verdict_id, j.reasons, j.bot_name,
                    j.category
             from visitor_analytics.visit v
             join visitor_analytics.verdict j on j.id = v.verdict_id
             where v.id = $1 and v.timestamp = $2",
            id,
            timestamp,
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(found) = found else {
            return Ok(());
        };
        let before = stored(&found.reasons, found.bot_name, found.category.as_deref());
        if before.is_proven() {
            return Ok(());
        }
        let change = Change {
            visitor: (found.site_id, found.visitor_id),
            session_id: found.session_id,
            id,
            timestamp,
            before: found.verdict_id,
            verdict: before.with([proof]),
            // Bots are counted by their names.
            is_counted: true,
        };
        self.rejudge(&[change], now).await?;
        Ok(())
    }
}
