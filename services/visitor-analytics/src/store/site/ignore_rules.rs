//! Ignore rules of sites.

use std::collections::HashMap;

use chassis::database::StoreError;

use crate::domain::site::SiteIgnoreRules;
use crate::store::SiteStore;

impl SiteStore {
    /// The ignore rules of all sites that have some, by domain and alias.
    pub async fn ignore_rules(&self) -> Result<HashMap<String, SiteIgnoreRules>, StoreError> {
        let rows = sqlx::query!(
            r#"select s.ignored_addresses, s.ignored_paths, s.kept_since,
                      array(select a.domain from visitor_analytics.site_alias a
                            where a.site_id = s.id) || s.domain as "domains!"
               from visitor_analytics.site s
               where s.ignored_addresses <> '{}' or s.ignored_paths <> '{}'
                  or s.kept_since is not null"#,
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        let ignored = rows.flat_map(|row| {
            let ignored =
                SiteIgnoreRules::new(&row.ignored_addresses, &row.ignored_paths, row.kept_since);
            let domains = row.domains.into_iter();
            domains.map(move |domain| (domain, ignored.clone()))
        });
        Ok(ignored.collect())
    }

    /// Adds to the number of ignored visits by domain.
    pub async fn add_ignored_visits(
        &self,
        counts: &HashMap<String, i64>,
    ) -> Result<(), StoreError> {
        let (domains, counts): (Vec<String>, Vec<i64>) = counts
            .iter()
            .map(|(domain, count)| (domain.clone(), *count))
            .unzip();
        sqlx::query!(
            "update visitor_analytics.site s set ignored_visits = s.ignored_visits + n.visits
             from (select coalesce(a.site_id, o.id) as id, sum(c.visits)::bigint as visits
                   from unnest($1::text[], $2::bigint[]) as c (domain, visits)
                   left join visitor_analytics.site o on o.domain = c.domain
                   left join visitor_analytics.site_alias a on a.domain = c.domain
                   group by 1) n
             where s.id = n.id",
            &domains,
            &counts,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
