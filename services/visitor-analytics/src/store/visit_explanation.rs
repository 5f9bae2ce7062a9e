//! Explains a visit: what is stored about it besides its own row.

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use common::visitor_analytics::Visit;
use uuid::Uuid;

use super::SiteLookup;
use crate::store::VisitStore;

#[derive(Clone, Debug)]
pub struct VisitExplanation {
    pub visit: Visit,
    /// Whether its location is still to be looked up.
    pub location_is_pending: bool,
    /// How often the visit was submitted again; `None` if never.
    pub duplicates: Option<DuplicateCount>,
    /// `None` if the session has expired.
    pub session: Option<SessionSummary>,
}

#[derive(Clone, Copy, Debug)]
pub struct DuplicateCount {
    pub count: u64,
    /// When the last duplicate arrived.
    pub last_at: DateTime<Utc>,
}

#[derive(Clone, Debug)]
pub struct SessionSummary {
    pub started_at: DateTime<Utc>,
    /// The time of the last visit so far.
    pub last_seen_at: DateTime<Utc>,
    pub visits: u32,
    /// Whether one of the visits is a bot's.
    pub is_bot: bool,
    /// The first visit.
    pub entry_visit_id: Uuid,
    /// Whether the session was announced, or is in the outbox.
    pub announced: bool,
    /// The outbox entry, if it was not sent yet.
    pub outbox_entry: Option<OutboxEntry>,
}

#[derive(Clone, Debug)]
pub struct OutboxEntry {
    /// The visit for which the session is announced.
    pub visit_id: Uuid,
    /// The number of attempts so far.
    pub attempts: u32,
    /// When the next attempt is due.
    pub due_at: DateTime<Utc>,
    /// Whether notification rejected the entry for good.
    pub gave_up: bool,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
}

impl VisitStore {
    /// Everything that is stored about a visit of one of these sites (`None`: of any site).
    pub async fn explain(
        &self,
        id: Uuid,
        sites: Option<&[String]>,
    ) -> Result<SiteLookup<VisitExplanation>, StoreError> {
        let visit = match self.find(id, sites).await? {
            SiteLookup::Found(visit) => visit,
            SiteLookup::OtherSite => return Ok(SiteLookup::OtherSite),
            SiteLookup::Missing => return Ok(SiteLookup::Missing),
        };
        let row = sqlx::query!(
            r#"select exists (select from visitor_analytics.pending_location
                              where visit_id = $1 and visit_timestamp = $2) as "owed!",
                      s.started_at as "started_at?", s.last_seen_at as "last_seen_at?",
                      s.visits as "visits?", s.is_bot as "is_bot?",
                      s.entry_visit_id as "entry_visit_id?", s.announced as "announced?",
                      o.visit_id as "told_visit_id?", o.attempts as "attempts?",
                      o.due_at as "due_at?", o.gave_up_at, o.last_error,
                      c.copies as "copies?", c.last_at as "copied_at?"
               from (select $3::uuid as id) w
               left join visitor_analytics.session s on s.id = w.id
               left join visitor_analytics.outbox o on o.session_id = w.id
               left join visitor_analytics.visit_copy c
                 on c.visit_id = $1 and c.visit_timestamp = $2"#,
            id,
            visit.timestamp,
            visit.session_id,
        )
        .fetch_one(&self.pool)
        .await?;
        let outbox_entry = || {
            Some(OutboxEntry {
                visit_id: row.told_visit_id?,
                attempts: row.attempts?.try_into().unwrap_or_default(),
                due_at: row.due_at?,
                gave_up: row.gave_up_at.is_some(),
                last_error: row.last_error.clone(),
            })
        };
        let copies = || {
            Some(DuplicateCount {
                count: row.copies?.try_into().unwrap_or_default(),
                last_at: row.copied_at?,
            })
        };
        let session = || {
            Some(SessionSummary {
                started_at: row.started_at?,
                last_seen_at: row.last_seen_at?,
                visits: row.visits?.try_into().unwrap_or_default(),
                is_bot: row.is_bot?,
                entry_visit_id: row.entry_visit_id?,
                announced: row.announced?,
                outbox_entry: outbox_entry(),
            })
        };
        Ok(SiteLookup::Found(VisitExplanation {
            location_is_pending: row.owed,
            duplicates: copies(),
            session: session(),
            visit,
        }))
    }
}
