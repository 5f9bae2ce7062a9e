//! Limits how many sites may be created by visits per day.

use std::collections::{BTreeSet, HashMap, HashSet};

use chassis::database::StoreError;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::store::SiteStore;

const NEW_SITE_WINDOW: TimeDelta = TimeDelta::hours(24);
/// Serializes the creation of sites by visits across replicas, so that the limit holds. The lock is
/// a statement of its own, so that the next statement sees what the previous holder committed.
const BEGIN_WITH_NEW_SITE_LOCK: &str =
    "begin; select pg_advisory_xact_lock(hashtext('visitor_analytics.new_sites'))";

/// The number of sites that visits created recently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewSiteCount {
    /// Within the last 24 hours.
    pub count: i64,
    /// Whether further sites were rejected today (UTC).
    pub has_rejected: bool,
}

fn unknown_domains(domains: &BTreeSet<&str>, found: &HashMap<String, i32>) -> HashSet<String> {
    let unknown = domains
        .iter()
        .filter(|domain| !found.contains_key(**domain));
    unknown.map(|domain| (*domain).to_owned()).collect()
}

impl SiteStore {
    /// Creates sites for unknown domains of visits, at most `most` within 24 hours. Returns the
    /// domains that belong to no site afterwards.
    pub async fn add_discovered(
        &self,
        domains: &BTreeSet<&str>,
        most: u32,
        now: DateTime<Utc>,
    ) -> Result<HashSet<String>, StoreError> {
        let found = self.find_ids(domains).await?;
        let new = unknown_domains(domains, &found);
        if new.is_empty() || most == 0 {
            return Ok(new);
        }
        // Checked without the lock first, so that visits that keep naming new sites do not queue
        // for it.
        if self.count_new(now).await?.count >= i64::from(most) {
            return Ok(new);
        }
        let names: Vec<String> = new.into_iter().collect();
        let mut transaction = self.pool.begin_with(BEGIN_WITH_NEW_SITE_LOCK).await?;
        sqlx::query!(
            "insert into visitor_analytics.site (domain, created_at, discovered_at)
             select n.domain, $2::timestamptz, $2::timestamptz from unnest($1::text[]) as n (domain)
             where not exists (select from visitor_analytics.site s where s.domain = n.domain)
               and not exists (select from visitor_analytics.site_alias a where a.domain = n.domain)
             order by n.domain
             limit greatest(0, $3 - (select count(*) from visitor_analytics.site
                                     where discovered_at > $4))
             on conflict on constraint site_domain_key do nothing",
            &names,
            now,
            i64::from(most),
            now - NEW_SITE_WINDOW,
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(unknown_domains(domains, &self.find_ids(domains).await?))
    }

    /// The number of sites that visits created within the last 24 hours.
    pub async fn count_new(&self, now: DateTime<Utc>) -> Result<NewSiteCount, StoreError> {
        let row = sqlx::query!(
            r#"select (select count(*) from visitor_analytics.site
                       where discovered_at > $1) as "count!",
                      exists (select from visitor_analytics.site_limit_notice
                              where day = $2) as "has_refused!""#,
            now - NEW_SITE_WINDOW,
            now.date_naive(),
        );
        let row = row.fetch_one(&self.pool).await?;
        Ok(NewSiteCount {
            count: row.count,
            has_rejected: row.has_refused,
        })
    }

    /// Records that a new site was rejected, to notify about it once per day (UTC).
    pub async fn record_limit(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into visitor_analytics.site_limit_notice (day, reached_at) values ($1, $2)
             on conflict on constraint site_limit_notice_pkey do nothing",
            now.date_naive(),
            now,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The days on which new sites were rejected and no notification was sent.
    pub async fn unannounced_limits(&self) -> Result<Vec<NaiveDate>, StoreError> {
        let days = sqlx::query_scalar!(
            "select day from visitor_analytics.site_limit_notice where told_at is null order by day"
        );
        Ok(days.fetch_all(&self.pool).await?)
    }

    /// Records that the notification about a day was sent.
    pub async fn mark_limit_announced(
        &self,
        day: NaiveDate,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "update visitor_analytics.site_limit_notice set told_at = $2 where day = $1",
            day,
            now,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
