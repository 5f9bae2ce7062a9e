//! Engagement: how long a page was visible and how far it was scrolled.

use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use common::clock::timestamp_of;
use uuid::Uuid;

use crate::domain::engagement::Engagement;
use crate::store::{SiteLookup, VisitStore};

impl VisitStore {
    /// Raises the engagement of a visit on one of these sites (`None`: on any) to the given values.
    /// Returns the resulting engagement and the time of the visit. A visit whose id contains no
    /// time is searched everywhere; if several visits have the id, the one recorded first is used.
    pub async fn update_engagement(
        &self,
        id: Uuid,
        engagement: Engagement,
        sites: Option<&[String]>,
    ) -> Result<SiteLookup<(Engagement, DateTime<Utc>)>, StoreError> {
        if let Some(moment) = timestamp_of(id) {
            let day = TimeDelta::days(1);
            let period = (
                moment.checked_sub_signed(day),
                moment.checked_add_signed(day),
            );
            let found = self
                .update_engagement_between(id, engagement, sites, period)
                .await?;
            if let Some(found) = found {
                return Ok(SiteLookup::Found(found));
            }
        }
        let found = self.update_engagement_between(id, engagement, sites, (None, None));
        match found.await? {
            Some(found) => Ok(SiteLookup::Found(found)),
            None => Ok(SiteLookup::not_found(
                sites.is_some() && self.exists(id).await?,
            )),
        }
    }

    async fn update_engagement_between(
        &self,
        id: Uuid,
        engagement: Engagement,
        sites: Option<&[String]>,
        (from, to): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    ) -> Result<Option<(Engagement, DateTime<Utc>)>, StoreError> {
        // Writes only if a value grows, since the last report of a page often arrives twice.
        let row = sqlx::query!(
            r#"with old as materialized (
                   select id, timestamp, engagement_seconds as seconds, scroll_depth as depth
                   from visitor_analytics.visit
                   where id = $1 and timestamp >= coalesce($2::timestamptz, '-infinity')
                     and timestamp < coalesce($3::timestamptz, 'infinity')
                     and ($6::text[] is null or site_id in (
                         select id from visitor_analytics.site where domain = any($6)))
                   order by received_at, timestamp limit 1),
               grown as (
                   update visitor_analytics.visit v
                   set engagement_seconds = greatest(v.engagement_seconds, $4),
                       scroll_depth = greatest(v.scroll_depth, $5)
                   from old
                   where v.id = old.id and v.timestamp = old.timestamp
                     and (v.engagement_seconds is null or v.engagement_seconds < $4
                          or v.scroll_depth is null or v.scroll_depth < $5)
                   returning v.engagement_seconds, v.scroll_depth)
               select coalesce((select engagement_seconds from grown), seconds) as "seconds!",
                      coalesce((select scroll_depth from grown), depth) as "depth!",
                      timestamp
               from old"#,
            id,
            from,
            to,
            i32::try_from(engagement.seconds).unwrap_or(i32::MAX),
            i16::from(engagement.scroll_depth),
            sites,
        );
        let row = row.fetch_optional(&self.pool).await?;
        Ok(row.map(|row| {
            let engagement = Engagement {
                seconds: row.seconds.cast_unsigned(),
                scroll_depth: u8::try_from(row.depth).unwrap_or(u8::MAX),
            };
            (engagement, row.timestamp)
        }))
    }
}
