//! The events that are steps of a funnel.

use chassis::database::StoreError;
use rollups::query::ReportPeriod;

use crate::store::EventStore;
use crate::store::rollup::visitor_hash;

/// An event as a step of a funnel.
#[derive(Clone, Debug)]
pub struct StepEvent {
    pub visitor: u64,
    /// Unix time in seconds.
    pub timestamp: i64,
    pub event_type: String,
}

impl EventStore {
    /// The events of these types in a period. Returns one more than `limit` if there are more.
    pub async fn step_events(
        &self,
        site_id: i32,
        period: &ReportPeriod,
        event_types: &[&str],
        limit: usize,
    ) -> Result<Vec<StepEvent>, StoreError> {
        let rows = sqlx::query!(
            "select timestamp, visitor_id, event_type from visitor_analytics.event
             where site_id = $1 and timestamp >= $2 and timestamp < $3 and event_type = any($4)
             limit $5",
            site_id,
            period.from,
            period.to,
            event_types as _,
            i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1),
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        let events = rows.map(|row| StepEvent {
            visitor: visitor_hash(&row.visitor_id),
            timestamp: row.timestamp.timestamp(),
            event_type: row.event_type,
        });
        Ok(events.collect())
    }
}
