//! Deletes expired rows of sites that have a shorter retention.

use chassis::database::StoreError;
use chrono::{DateTime, Utc};

use super::{DELETE_BATCH_ROWS, TRIM_BATCH_SESSIONS, midnight};
use crate::domain::privacy::RetentionPeriod;
use crate::store::RetentionStore;

/// A site with expired data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiringSite {
    id: i32,
    pub domain: String,
    /// Data before this time expires.
    pub cutoff: DateTime<Utc>,
}

impl RetentionStore {
    /// The sites with data older than their retention.
    pub async fn expiring_sites(
        &self,
        now: DateTime<Utc>,
    ) -> Result<Vec<ExpiringSite>, StoreError> {
        let sites = sqlx::query!(
            r#"select id, domain, retention_days as "days!" from visitor_analytics.site
               where retention_days is not null order by id"#,
        );
        let mut old = vec![];
        for site in sites.fetch_all(&self.pool).await? {
            let retention = RetentionPeriod::from_days(u32::try_from(site.days).ok());
            let Some(cutoff) = retention.first_kept_day(now).map(midnight) else {
                continue;
            };
            let is_old = sqlx::query_scalar!(
                r#"select exists (select from visitor_analytics.visit
                                  where site_id = $1 and timestamp < $2)
                       or exists (select from visitor_analytics.event
                                  where site_id = $1 and timestamp < $2) as "is_old!""#,
                site.id,
                cutoff,
            );
            if is_old.fetch_one(&self.pool).await? {
                old.push(ExpiringSite {
                    id: site.id,
                    domain: site.domain,
                    cutoff,
                });
            }
        }
        Ok(old)
    }

    /// Deletes the expired data of a site. Returns the number of visits, sessions and events.
    /// Rollups of folded days are kept. Safe to repeat and to run concurrently.
    pub async fn expire_site(
        &self,
        site: &ExpiringSite,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        // Before any row is deleted, so that no day is folded from incomplete visits.
        sqlx::query!(
            "with kept as (
                 update visitor_analytics.site set kept_since = greatest(kept_since, $2)
                 where id = $1)
             delete from visitor_analytics.column_block where site_id = $1 and start < $2",
            site.id,
            site.cutoff,
        )
        .execute(&self.pool)
        .await?;
        while self.trim_sessions(site.cutoff, Some(site.id), now).await? {}
        let mut all = 0;
        loop {
            let rows = self.delete_expired_rows(site).await?;
            all += rows;
            if rows == 0 {
                return Ok(all);
            }
        }
    }

    /// Deletes a batch of expired events, and of visits with their sessions.
    async fn delete_expired_rows(&self, site: &ExpiringSite) -> Result<u64, StoreError> {
        let most = i64::try_from(DELETE_BATCH_ROWS).unwrap_or(TRIM_BATCH_SESSIONS);
        let events = self.events.delete(Some(site.id), site.cutoff, most).await?;
        let rows = sqlx::query_scalar!(
            r#"with old as (
                   delete from visitor_analytics.visit v using (
                       select id, timestamp from visitor_analytics.visit
                       where site_id = $1 and timestamp < $2 limit $3) o
                   where v.id = o.id and v.timestamp = o.timestamp
                   returning v.id, v.timestamp, v.session_id),
               imported as (
                   delete from visitor_analytics.imported_visit i using old
                   where i.visit_id = old.id and i.visit_timestamp = old.timestamp),
               copies as (
                   delete from visitor_analytics.visit_copy c using old
                   where c.visit_id = old.id and c.visit_timestamp = old.timestamp),
               sessions as (
                   delete from visitor_analytics.session
                   where id in (select session_id from old) and started_at < $2
                   returning id)
               select (select count(*) from old) + (select count(*) from sessions) as "rows!""#,
            site.id,
            site.cutoff,
            most,
        );
        Ok(events + rows.fetch_one(&self.pool).await?.cast_unsigned())
    }
}
