//! Visit ids that another site uses.

use std::collections::HashSet;

use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use common::clock::timestamp_of;
use uuid::Uuid;

use crate::domain::visit::NewVisit;
use crate::store::VisitStore;

/// Id and time of a visit, and the site that it names.
type VisitIdOnSite<'a> = (Uuid, DateTime<Utc>, &'a str);

impl VisitStore {
    /// The visits whose id another site's visit has, at the time in the id or within a day of the
    /// visit's own time. Visits whose ids contain their time need no check, since the primary key
    /// rejects the same id at the same time.
    pub async fn foreign_ids<'a>(
        &self,
        visits: &[&'a NewVisit],
    ) -> Result<HashSet<VisitIdOnSite<'a>>, StoreError> {
        if visits.is_empty() {
            return Ok(HashSet::new());
        }
        let day = TimeDelta::days(1);
        let ids: Vec<Uuid> = visits.iter().map(|visit| visit.id).collect();
        let sites: Vec<String> = visits.iter().map(|visit| visit.site.clone()).collect();
        let from: Vec<_> = visits.iter().map(|visit| visit.timestamp - day).collect();
        let to: Vec<_> = visits.iter().map(|visit| visit.timestamp + day).collect();
        let id_timestamps: Vec<_> = visits.iter().map(|visit| timestamp_of(visit.id)).collect();
        let foreign = sqlx::query_scalar!(
            r#"select n.place as "place!"
               from (select u.*, coalesce(
                         (select s.id from visitor_analytics.site s where s.domain = u.site),
                         (select a.site_id from visitor_analytics.site_alias a
                          where a.domain = u.site)) as site_id
                     from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[],
                                 $5::timestamptz[])
                         with ordinality as u (id, site, earliest, latest, carried, place)) n
               where exists (select from visitor_analytics.visit v
                             where v.id = n.id and v.timestamp between n.earliest and n.latest
                               and v.site_id is distinct from n.site_id)
                  or exists (select from visitor_analytics.visit v
                             where v.id = n.id and v.timestamp = n.carried
                               and v.site_id is distinct from n.site_id)"#,
            &ids,
            &sites,
            &from,
            &to,
            &id_timestamps as _,
        );
        let foreign = foreign.fetch_all(&self.pool).await?.into_iter();
        let visit = |place: i64| visits.get(usize::try_from(place).ok()?.checked_sub(1)?);
        let foreign = foreign.filter_map(visit);
        let named = |visit: &&'a NewVisit| (visit.id, visit.timestamp, visit.site.as_str());
        Ok(foreign.map(named).collect())
    }
}
