//! Bot detection by the visits of a whole session.

use bot_detection::BotRule;
use bot_detection::behaviour::{SessionVisit, evaluate_session};
use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::verdict_update::{VerdictChange, restore_verdict};
use crate::store::VerdictStore;

/// Only the last visits of a longer session are checked.
const MAX_CHECKED_VISITS: i64 = 2_000;

struct SessionVisitRow {
    id: Uuid,
    timestamp: DateTime<Utc>,
    page_id: i32,
    status_code: Option<i16>,
    is_bot: bool,
    verdict_id: i32,
    reasons: Vec<String>,
    bot_name: Option<String>,
    category: Option<String>,
    site_id: i32,
    visitor_id: String,
}

impl VerdictStore {
    /// Evaluates the visits of a session together, plus a rule that is known to match. If a rule
    /// matches, all visits of the session become a bot's. Returns the matching rules.
    pub async fn check_session(
        &self,
        session: Uuid,
        known: Option<BotRule>,
        now: DateTime<Utc>,
    ) -> Result<Vec<BotRule>, StoreError> {
        let mut rows = sqlx::query_as!(
            SessionVisitRow,
            r#"select v.id, v.timestamp, v.page_id, v.status_code, v.is_bot, v.verdict_id,
                      j.reasons, j.bot_name, j.category, v.site_id, v.visitor_id
               from visitor_analytics.session s
               join visitor_analytics.visit v on v.site_id = s.site_id and v.session_id = s.id
                and v.timestamp between s.started_at and s.last_seen_at
               join visitor_analytics.verdict j on j.id = v.verdict_id
               where s.id = $1 order by v.timestamp desc, v.id desc limit $2"#,
            session,
            MAX_CHECKED_VISITS,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.reverse();
        let steps: Vec<SessionVisit> = rows.iter().map(SessionVisitRow::to_session_visit).collect();
        let mut reasons = evaluate_session(&steps);
        reasons.extend(known.filter(|reason| !reasons.contains(reason)));
        if reasons.is_empty() {
            return Ok(reasons);
        }
        let people = rows.into_iter().filter(|row| !row.is_bot);
        let changes: Vec<VerdictChange> = people
            .map(|row| row.into_verdict_change(session, &reasons))
            .collect();
        self.update(&changes, now).await?;
        Ok(reasons)
    }
}

impl SessionVisitRow {
    fn to_session_visit(&self) -> SessionVisit {
        SessionVisit {
            timestamp: self.timestamp,
            page: self.page_id,
            status: self.status_code.and_then(|code| u16::try_from(code).ok()),
        }
    }

    fn into_verdict_change(self, session_id: Uuid, reasons: &[BotRule]) -> VerdictChange {
        let before = restore_verdict(&self.reasons, self.bot_name, self.category.as_deref());
        VerdictChange {
            visitor: (self.site_id, self.visitor_id),
            session_id,
            id: self.id,
            timestamp: self.timestamp,
            previous_verdict_id: self.verdict_id,
            verdict: before.with_rules(reasons.iter().copied()),
            affects_rollups: true,
        }
    }
}
