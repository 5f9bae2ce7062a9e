//! Sites and their ids.

mod id_cache;
mod ignore_rules;
mod new_site_limit;
mod report_site;
mod settings;

use std::collections::{BTreeSet, HashMap};

use chassis::database::StoreError;
use sqlx::PgPool;

pub(super) use id_cache::SiteIdCache;
pub use new_site_limit::NewSiteCount;
pub use report_site::ReportSite;
pub use settings::{Site, SiteUpdateOutcome};

use crate::store::RollupStore;

/// Sites and their settings.
#[derive(Clone, Debug)]
pub struct SiteStore {
    pub(super) pool: PgPool,
    pub(super) site_ids: SiteIdCache,
    pub(super) rollups: RollupStore,
}

impl SiteStore {
    /// Whether this domain is cached as a site's; does not query the database.
    #[must_use]
    pub fn is_cached(&self, domain: &str) -> bool {
        self.site_ids.0.peek(domain).is_some()
    }

    /// The ids of sites by domain. All sites exist, since visits of other sites are not admitted.
    pub(super) async fn ids<'a>(
        &self,
        domains: impl Iterator<Item = &'a str>,
    ) -> Result<HashMap<&'a str, i32>, StoreError> {
        let mut ids = HashMap::new();
        let mut missing = BTreeSet::new();
        for domain in domains {
            match self.site_ids.0.get(domain) {
                Some(id) => _ = ids.insert(domain, id),
                None => _ = missing.insert(domain),
            }
        }
        if missing.is_empty() {
            return Ok(ids);
        }
        let found = self.find_ids(&missing).await?;
        for domain in missing {
            let id = found.get(domain);
            let id = id.ok_or(StoreError::Corrupt("an admitted site that was not found"))?;
            ids.insert(domain, *id);
        }
        Ok(ids)
    }

    /// Looks up and caches the ids of those domains that belong to sites.
    async fn find_ids(&self, domains: &BTreeSet<&str>) -> Result<HashMap<String, i32>, StoreError> {
        let names: Vec<String> = domains.iter().map(|name| (*name).to_owned()).collect();
        let rows = sqlx::query!(
            r#"select id as "id!", domain as "domain!" from visitor_analytics.site
               where domain = any($1)
               union all
               select site_id, domain from visitor_analytics.site_alias where domain = any($1)"#,
            &names,
        )
        .fetch_all(&self.pool)
        .await?;
        for row in &rows {
            self.site_ids.0.insert(row.domain.clone(), row.id);
        }
        Ok(rows.into_iter().map(|row| (row.domain, row.id)).collect())
    }

    /// The properties on which these sites report, by domain.
    pub(super) async fn report_properties(
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
