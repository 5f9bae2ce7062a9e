//! Export of visits, page by page.

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use common::visitor_analytics::Visit;
use uuid::Uuid;

use super::row::{VisitRow, select_visits};
use crate::domain::export::ExportedVisit;
use crate::store::VisitStore;

#[derive(Clone, Debug)]
pub struct ExportQuery {
    pub site: Option<String>,
    /// Inclusive.
    pub from: Option<DateTime<Utc>>,
    /// Exclusive.
    pub to: Option<DateTime<Utc>>,
    /// Only bots (`true`) or people (`false`).
    pub is_bot: Option<bool>,
    pub after: Option<(DateTime<Utc>, Uuid)>,
    pub limit: i64,
}

impl VisitStore {
    /// A page of visits, oldest first. No connection is held between pages.
    pub async fn export(&self, query: &ExportQuery) -> Result<Vec<ExportedVisit>, StoreError> {
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
