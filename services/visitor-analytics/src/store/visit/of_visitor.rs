//! The visits of a visitor, for data export.

use std::collections::HashMap;
use std::net::IpAddr;

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use common::visitor_analytics::Visit;
use uuid::Uuid;

use super::VisitKey;
use super::row::{Address, VisitRow, select_visits};
use crate::store::VisitorStore;

/// A visit with the data that lists of visits omit.
#[derive(Clone, Debug)]
pub struct VisitorVisit {
    pub visit: Visit,
    pub user_agent: String,
    /// The IP address, while its location is pending.
    pub pending_address: Option<IpAddr>,
}

impl VisitorStore {
    /// Lists the visits of a visitor, found by their sessions. Returns one more than the limit if
    /// there are more.
    pub async fn visits(
        &self,
        visitor: &str,
        site: Option<&str>,
        after: Option<(DateTime<Utc>, Uuid)>,
        limit: i64,
    ) -> Result<Vec<VisitorVisit>, StoreError> {
        let (after, after_id) = after.unzip();
        let rows = select_visits!(
            "visitor_analytics.session k
             join visitor_analytics.visit v on v.site_id = k.site_id and v.session_id = k.id
              and v.visitor_id = k.visitor_id
              and v.timestamp between k.started_at and k.last_seen_at",
            "where k.visitor_id = $1 and ($2::text is null or s.domain = $2)
               and ($3::timestamptz is null
                    or k.started_at <= $3 and (v.timestamp, v.id) < ($3, $4::uuid))
             order by v.timestamp desc, v.id desc limit $5",
            visitor,
            site,
            after,
            after_id,
            limit + 1
        );
        let rows: Vec<VisitRow> = rows.fetch_all(&self.pool).await?;
        let keys: Vec<_> = rows.iter().map(|row| (row.id, row.timestamp)).collect();
        let mut pending_addresses = self.pending_addresses(&keys).await?;
        let visits = rows.into_iter().map(|row| {
            let key = (row.id, row.timestamp);
            let user_agent = row.user_agent.clone();
            Ok(VisitorVisit {
                visit: Visit::try_from(row)?,
                user_agent,
                pending_address: pending_addresses.remove(&key),
            })
        });
        visits.collect()
    }

    async fn pending_addresses(
        &self,
        visits: &[VisitKey],
    ) -> Result<HashMap<VisitKey, IpAddr>, StoreError> {
        let (ids, moments): (Vec<Uuid>, Vec<DateTime<Utc>>) = visits.iter().copied().unzip();
        let rows = sqlx::query!(
            r#"select o.visit_id, o.visit_timestamp, o.ip as "ip: Address"
               from unnest($1::uuid[], $2::timestamptz[]) as n (id, moment)
               join visitor_analytics.pending_location o
                 on o.visit_id = n.id and o.visit_timestamp = n.moment"#,
            &ids,
            &moments,
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        let pending_addresses =
            rows.map(|row| ((row.visit_id, row.visit_timestamp), row.ip.addr()));
        Ok(pending_addresses.collect())
    }
}
