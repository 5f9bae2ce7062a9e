//! The current verdict of a visit, as the basis for changes.

use bot_detection::{BotRule, BotVerdict};
use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::session::VisitorKey;
use super::verdict_update::{VerdictChange, restore_verdict};
use crate::store::VerdictStore;

pub(super) struct VisitVerdict {
    id: Uuid,
    timestamp: DateTime<Utc>,
    pub(super) visitor: VisitorKey,
    pub(super) session_id: Uuid,
    /// Whether the session was announced; `None` if the session does not exist.
    pub(super) announced: Option<bool>,
    verdict_id: i32,
    pub(super) verdict: BotVerdict,
}

impl VisitVerdict {
    pub(super) fn with_reason(&self, reason: BotRule) -> VerdictChange {
        VerdictChange {
            visitor: self.visitor.clone(),
            session_id: self.session_id,
            id: self.id,
            timestamp: self.timestamp,
            previous_verdict_id: self.verdict_id,
            verdict: self.verdict.with_rules([reason]),
            affects_rollups: true,
        }
    }
}

impl VerdictStore {
    pub(super) async fn of_visit(
        &self,
        (id, timestamp): (Uuid, DateTime<Utc>),
    ) -> Result<Option<VisitVerdict>, StoreError> {
        let found = sqlx::query!(
            r#"select v.site_id, v.visitor_id, v.session_id, v.verdict_id, j.reasons, j.bot_name,
                      j.category,
                      (select announced from visitor_analytics.session s
                       where s.id = v.session_id) as announced
               from visitor_analytics.visit v
               join visitor_analytics.verdict j on j.id = v.verdict_id
               where v.id = $1 and v.timestamp = $2"#,
            id,
            timestamp,
        );
        let found = found.fetch_optional(&self.pool).await?;
        Ok(found.map(|row| VisitVerdict {
            id,
            timestamp,
            visitor: (row.site_id, row.visitor_id),
            session_id: row.session_id,
            announced: row.announced,
            verdict_id: row.verdict_id,
            verdict: restore_verdict(&row.reasons, row.bot_name, row.category.as_deref()),
        }))
    }
}
