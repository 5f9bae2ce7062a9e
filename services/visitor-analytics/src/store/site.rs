//! Sites: a domain and the number that stands for it in other tables.

mod ignored;
mod settings;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use quick_cache::sync::Cache;

pub use settings::{Changed, Site};

use super::{Store, StoreError};

/// The sites already met, by domain.
#[derive(Clone, Debug)]
pub(super) struct Sites(Arc<Cache<String, i32>>);

impl Sites {
    pub(super) fn new() -> Self {
        Self(Arc::new(Cache::new(10_000)))
    }
}

impl Store {
    /// The numbers of sites by domain; a site that is new gets one.
    pub(super) async fn site_ids<'a>(
        &self,
        domains: impl Iterator<Item = &'a str>,
        now: DateTime<Utc>,
    ) -> Result<HashMap<&'a str, i32>, StoreError> {
        let mut ids = HashMap::new();
        let mut missing = BTreeSet::new();
        for domain in domains {
            match self.sites.0.get(domain) {
                Some(id) => _ = ids.insert(domain, id),
                None => _ = missing.insert(domain),
            }
        }
        if missing.is_empty() {
            return Ok(ids);
        }
        let names: Vec<String> = missing.iter().map(|name| (*name).to_owned()).collect();
        sqlx::query!(
            "insert into visitor_analytics.site (domain, created_at)
             select domain, $2 from unnest($1::text[]) domain
             where domain not in (select domain from visitor_analytics.site_alias)
             on conflict on constraint site_domain_key do nothing",
            &names,
            now,
        )
        .execute(&self.pool)
        .await?;
        let rows = sqlx::query!(
            r#"select id as "id!", domain as "domain!" from visitor_analytics.site
               where domain = any($1)
               union all
               select site_id, domain from visitor_analytics.site_alias where domain = any($1)"#,
            &names,
        )
        .fetch_all(&self.pool)
        .await?;
        for row in rows {
            if let Some(domain) = missing.get(row.domain.as_str()) {
                ids.insert(*domain, row.id);
            }
            self.sites.0.insert(row.domain, row.id);
        }
        Ok(ids)
    }

    /// The properties that these sites have named, by domain.
    pub(super) async fn named_properties(
        &self,
        domains: &[&str],
    ) -> Result<HashMap<String, Vec<String>>, StoreError> {
        let rows = sqlx::query!(
            "select domain, properties from visitor_analytics.site
             where domain = any($1) and properties <> '{}'",
            domains as _,
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        Ok(rows.map(|row| (row.domain, row.properties)).collect())
    }
}
