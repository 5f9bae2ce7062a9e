//! Visits from the oldest on, a page after the other.

use chrono::{DateTime, Utc};
use common::visitor_analytics::Visit;
use uuid::Uuid;

use super::row::{VisitRow, select_visits};
use crate::domain::export::ExportedVisit;
use crate::store::{Store, StoreError};

/// Which visits.
#[derive(Clone, Debug)]
pub struct ExportQuery {
    /// Only this site's.
    pub site: Option<String>,
    /// Not earlier than this.
    pub from: Option<DateTime<Utc>>,
    /// Earlier than this.
    pub to: Option<DateTime<Utc>>,
    /// Only bots' visits, or only people's.
    pub is_bot: Option<bool>,
    /// Only after this one.
    pub after: Option<(DateTime<Utc>, Uuid)>,
    /// At most so many.
    pub limit: i64,
}

impl Store {
    /// A page of visits, the oldest first. No connection is kept between two pages.
    pub async fn export_visits(
        &self,
        query: &ExportQuery,
    ) -> Result<Vec<ExportedVisit>, StoreError> {
        let (after, after_id) = query.after.unzip();
        let rows = select_visits!(
            "visitor_analytics.site of cross join lateral (
                 select * from visitor_analytics.visit
                 where site_id = of.id
                   and timestamp >= coalesce($5::timestamptz, $2::timestamptz, '-infinity')
                   and timestamp < coalesce($3::timestamptz, 'infinity')
                   and ($4::bool is null or is_bot = $4)
                   and ($5::timestamptz is null or (timestamp, id) > ($5, $6))
                 order by timestamp, id limit $7) v",
            "where $1::text is null or of.domain = $1
             order by v.timestamp, v.id limit $7",
            query.site.as_deref(),
            query.from,
            query.to,
            query.is_bot,
            after,
            after_id,
            query.limit
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        let visits = rows.map(|mut row: VisitRow| {
            let user_agent = std::mem::take(&mut row.user_agent);
            Ok(ExportedVisit {
                visit: Visit::try_from(row)?,
                user_agent,
            })
        });
        visits.collect()
    }
}
