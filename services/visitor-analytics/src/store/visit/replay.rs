//! Visits in the order in which they were recorded, to replay the live stream.

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use common::visitor_analytics::Visit;
use sqlx::postgres::types::PgInterval;
use uuid::Uuid;

use super::row::{VisitRow, select_visits};
use crate::store::{MAX_LIVE_AGE, VisitStore};

impl VisitStore {
    /// The newest `limit` visits that were recorded after the given visit and at most
    /// [`MAX_LIVE_AGE`] after they happened, in the order of recording.
    pub async fn since(
        &self,
        site: Option<&str>,
        (after, after_id): (DateTime<Utc>, Uuid),
        limit: i64,
    ) -> Result<Vec<Visit>, StoreError> {
        let rows = select_visits!(
            "visitor_analytics.site of cross join lateral (
                 select * from visitor_analytics.visit
                 where site_id = of.id and timestamp >= $2
                   and (received_at, id) > ($3, $4)
                 order by timestamp desc limit $5) v",
            "where ($1::text is null or of.domain = $1) and v.timestamp > v.received_at - $6::interval
             order by v.received_at desc, v.id desc limit $5",
            site,
            after - MAX_LIVE_AGE,
            after,
            after_id,
            limit,
            max_live_age()
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        let visits = rows.map(Visit::try_from);
        let visits: Result<Vec<_>, _> = visits
            .map(|visit| visit.map(|visit| Visit { ip: None, ..visit }))
            .collect();
        let mut visits = visits?;
        visits.reverse();
        Ok(visits)
    }
}

fn max_live_age() -> PgInterval {
    PgInterval {
        months: 0,
        days: 0,
        microseconds: MAX_LIVE_AGE.num_microseconds().unwrap_or(i64::MAX),
    }
}
