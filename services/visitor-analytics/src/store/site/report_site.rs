//! The sites on which reports are made.

use chassis::database::StoreError;
use chrono_tz::Tz;

use crate::store::SiteStore;
use crate::store::rollup::parse_time_zone;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportSite {
    pub id: i32,
    pub domain: String,
    pub zone: Tz,
    /// The properties by which the site's reports group.
    pub properties: Vec<String>,
}

impl SiteStore {
    /// The site with this domain. Without a domain, the only site; `None` if there are several.
    pub async fn report_site(
        &self,
        domain: Option<&str>,
    ) -> Result<Option<ReportSite>, StoreError> {
        let rows = sqlx::query!(
            "select id, domain, time_zone, properties from visitor_analytics.site
             where $1::text is null or domain = $1 limit 2",
            domain,
        );
        let mut rows = rows.fetch_all(&self.pool).await?;
        let only = rows.pop().filter(|_| rows.is_empty());
        Ok(only.map(|row| ReportSite {
            id: row.id,
            domain: row.domain,
            zone: parse_time_zone(&row.time_zone),
            properties: row.properties,
        }))
    }
}
