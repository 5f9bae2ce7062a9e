//! Reclassification: reads stored visits and stores their new verdicts.

use bot_detection::{BotVerdict, RULESET_VERSION};
use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::verdict_update::VerdictChange;
use crate::store::VerdictStore;

/// The last reclassified visit, in the order of the visits' key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReclassifyCursor {
    pub id: Uuid,
    pub timestamp: DateTime<Utc>,
}

/// The progress of the current ruleset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReclassifyProgress {
    /// Reclassification continues after this visit.
    pub cursor: ReclassifyCursor,
    /// The number of processed visits.
    pub visits: i64,
    /// The number of visits whose verdict changed.
    pub changed: i64,
    pub is_finished: bool,
}

/// The stored attributes of a visit that the rules evaluate.
#[derive(Clone, Debug)]
pub struct StoredVisit {
    pub id: Uuid,
    pub timestamp: DateTime<Utc>,
    pub site_id: i32,
    pub visitor_id: String,
    pub session_id: Uuid,
    /// The id of the verdict in its dictionary.
    pub verdict_id: i32,
    /// The page's URL without its query.
    pub base: String,
    pub path: String,
    pub referrer: Option<String>,
    pub user_agent: String,
    /// The AS number of the visitor's network.
    pub asn: Option<i64>,
    pub is_bot: bool,
    pub score: i16,
    /// The codes of the matching rules.
    pub reasons: Vec<String>,
    pub bot_name: Option<String>,
    pub category: Option<String>,
    /// The version of the rules.
    pub ruleset: i16,
}

#[derive(Clone, Debug)]
pub struct ReclassifiedVisit {
    pub visit: StoredVisit,
    /// The verdict of the current ruleset.
    pub verdict: BotVerdict,
    /// Whether the verdicts differ in more than the version of the ruleset.
    pub differs: bool,
}

impl VerdictStore {
    /// The progress of the current ruleset; `None` before it begins.
    pub async fn reclassify_progress(&self) -> Result<Option<ReclassifyProgress>, StoreError> {
        let row = sqlx::query!(
            r#"select through_timestamp, through_id, visits, changed,
                      finished_at is not null as "is_finished!"
               from visitor_analytics.reclassification where ruleset = $1"#,
            RULESET_VERSION.cast_signed(),
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| ReclassifyProgress {
            cursor: ReclassifyCursor {
                id: row.through_id,
                timestamp: row.through_timestamp,
            },
            visits: row.visits,
            changed: row.changed,
            is_finished: row.is_finished,
        }))
    }

    pub async fn save_reclassify_progress(
        &self,
        progress: ReclassifyProgress,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into visitor_analytics.reclassification (ruleset, through_timestamp,
                 through_id, visits, changed, finished_at)
             values ($1, $2, $3, $4, $5, $6)
             on conflict on constraint reclassification_pkey do update
             set through_timestamp = excluded.through_timestamp,
                 through_id = excluded.through_id, visits = excluded.visits,
                 changed = excluded.changed, finished_at = excluded.finished_at",
            RULESET_VERSION.cast_signed(),
            progress.cursor.timestamp,
            progress.cursor.id,
            progress.visits,
            progress.changed,
            progress.is_finished.then_some(now),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The visits after the cursor, in the order of their key.
    pub async fn visits_to_reclassify(
        &self,
        after: Option<ReclassifyCursor>,
        limit: u16,
    ) -> Result<Vec<StoredVisit>, StoreError> {
        let rows = sqlx::query_as!(
            StoredVisit,
            r#"select v.id as "id!", v.timestamp as "timestamp!", v.site_id as "site_id!",
                      v.visitor_id as "visitor_id!", v.session_id as "session_id!",
                      v.verdict_id as "verdict_id!", p.base, p.path, o.referrer, a.user_agent,
                      n.asn as "asn?", v.is_bot as "is_bot!", j.score, j.reasons, j.bot_name,
                      j.category, j.ruleset
               from (select * from visitor_analytics.visit
                     where $1::uuid is null or (id, timestamp) > ($1, $2)
                     order by id, timestamp limit $3) v
               join visitor_analytics.page p on p.id = v.page_id
               join visitor_analytics.origin o on o.id = v.origin_id
               join visitor_analytics.agent a on a.id = v.agent_id
               join visitor_analytics.verdict j on j.id = v.verdict_id
               left join visitor_analytics.network n on n.id = v.network_id
               order by v.id, v.timestamp"#,
            after.map(|cursor| cursor.id),
            after.map(|cursor| cursor.timestamp),
            i64::from(limit),
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// Stores the verdicts of the current ruleset, and updates sessions and rollups accordingly.
    pub async fn apply_reclassification(
        &self,
        judged: &[ReclassifiedVisit],
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let changes: Vec<VerdictChange> = judged
            .iter()
            .map(ReclassifiedVisit::to_verdict_change)
            .collect();
        self.update(&changes, now).await
    }
}

impl ReclassifiedVisit {
    fn to_verdict_change(&self) -> VerdictChange {
        let visit = &self.visit;
        VerdictChange {
            visitor: (visit.site_id, visit.visitor_id.clone()),
            session_id: visit.session_id,
            id: visit.id,
            timestamp: visit.timestamp,
            previous_verdict_id: visit.verdict_id,
            verdict: self.verdict.clone(),
            affects_rollups: self.differs,
        }
    }
}
