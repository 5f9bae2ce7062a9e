//! Sites and their settings.

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use sqlx::{PgConnection, Postgres, Transaction};

use crate::domain::site::SiteSettings;
use crate::store::SiteStore;
use crate::store::rollup::{mark_all_days, parse_time_zone};

#[derive(Clone, Debug)]
pub struct Site {
    pub domain: String,
    /// An IANA time zone.
    pub time_zone: String,
    /// In alphabetical order.
    pub aliases: Vec<String>,
    /// Visits from these networks are not stored.
    pub ignored_addresses: Vec<String>,
    /// Visits of these paths are not stored.
    pub ignored_paths: Vec<String>,
    /// Properties of visits by which reports group.
    pub properties: Vec<String>,
    /// The site's own retention, if it has one.
    pub retention_days: Option<i32>,
    /// The number of ignored visits.
    pub ignored_visits: i64,
    pub created_at: DateTime<Utc>,
}

/// The result of adding or changing a site.
#[derive(Clone, Debug)]
pub enum SiteUpdateOutcome {
    Saved(Site),
    /// The domain or an alias belongs to another site; names the invalid field.
    Conflict(&'static str),
    /// The site does not exist.
    NotFound,
}

impl SiteStore {
    /// Lists sites by domain, after the domain `after`. Returns one more than the limit if there
    /// are more.
    pub async fn list(
        &self,
        among: Option<&[String]>,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<Site>, StoreError> {
        let sites = sqlx::query_as!(
            Site,
            r#"select s.domain, s.time_zone, s.created_at, s.ignored_addresses, s.ignored_paths,
                      s.ignored_visits, s.properties, s.retention_days,
                      array(select a.domain from visitor_analytics.site_alias a
                            where a.site_id = s.id order by a.domain) as "aliases!"
               from visitor_analytics.site s
               where ($1::text is null or s.domain > $1)
                 and ($3::text[] is null or s.domain = any($3))
               order by s.domain limit $2"#,
            after,
            limit + 1,
            among,
        );
        Ok(sites.fetch_all(&self.pool).await?)
    }

    pub async fn add(
        &self,
        domain: &str,
        settings: &SiteSettings,
        now: DateTime<Utc>,
    ) -> Result<SiteUpdateOutcome, StoreError> {
        let mut transaction = self.begin_site_change().await?;
        let added = sqlx::query_scalar!(
            "insert into visitor_analytics.site (domain, created_at, time_zone)
             select $1, $2, $3
             where not exists (select from visitor_analytics.site_alias where domain = $1)
             on conflict on constraint site_domain_key do nothing returning id",
            domain,
            now,
            settings.time_zone.unwrap_or(Tz::UTC).name(),
        );
        let Some(id) = added.fetch_optional(&mut *transaction).await? else {
            return Ok(SiteUpdateOutcome::Conflict("domain"));
        };
        if !set_aliases(&mut transaction, id, settings).await? {
            return Ok(SiteUpdateOutcome::Conflict("aliases"));
        }
        update_settings(&mut transaction, id, settings).await?;
        transaction.commit().await?;
        self.load_saved_site(domain).await
    }

    /// Changes a site. A new time zone or new properties mark all days dirty.
    pub async fn update(
        &self,
        domain: &str,
        settings: &SiteSettings,
        now: DateTime<Utc>,
    ) -> Result<SiteUpdateOutcome, StoreError> {
        let mut transaction = self.begin_site_change().await?;
        let site = sqlx::query!(
            "select id, time_zone, properties from visitor_analytics.site where domain = $1",
            domain
        );
        let Some(site) = site.fetch_optional(&mut *transaction).await? else {
            return Ok(SiteUpdateOutcome::NotFound);
        };
        if !set_aliases(&mut transaction, site.id, settings).await? {
            return Ok(SiteUpdateOutcome::Conflict("aliases"));
        }
        update_settings(&mut transaction, site.id, settings).await?;
        let properties = settings.properties.as_ref();
        if properties.is_some_and(|names| *names != site.properties) {
            let zone = parse_time_zone(&site.time_zone);
            mark_all_days(&mut transaction, site.id, zone, now).await?;
        }
        transaction.commit().await?;
        if let Some(zone) = settings
            .time_zone
            .filter(|zone| zone.name() != site.time_zone)
        {
            self.rollups.set_time_zone(site.id, zone, now).await?;
        }
        self.load_saved_site(domain).await
    }

    /// Serializes changes, so that no domain is assigned to two sites.
    async fn begin_site_change(&self) -> Result<Transaction<'_, Postgres>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query!("lock table visitor_analytics.site_alias in share row exclusive mode")
            .execute(&mut *transaction)
            .await?;
        Ok(transaction)
    }

    async fn load_saved_site(&self, domain: &str) -> Result<SiteUpdateOutcome, StoreError> {
        let site = sqlx::query_as!(
            Site,
            r#"select s.domain, s.time_zone, s.created_at, s.ignored_addresses, s.ignored_paths,
                      s.ignored_visits, s.properties, s.retention_days,
                      array(select a.domain from visitor_analytics.site_alias a
                            where a.site_id = s.id order by a.domain) as "aliases!"
               from visitor_analytics.site s where s.domain = $1"#,
            domain,
        );
        let site = site.fetch_optional(&self.pool).await?;
        Ok(site.map_or(SiteUpdateOutcome::NotFound, SiteUpdateOutcome::Saved))
    }
}

/// Returns `false` if an alias belongs to another site.
async fn set_aliases(
    connection: &mut PgConnection,
    site_id: i32,
    settings: &SiteSettings,
) -> Result<bool, StoreError> {
    let Some(aliases) = &settings.aliases else {
        return Ok(true);
    };
    let aliases: Vec<String> = aliases.iter().cloned().collect();
    let taken = sqlx::query_scalar!(
        r#"select exists (select from visitor_analytics.site where domain = any($1))
               or exists (select from visitor_analytics.site_alias
                          where domain = any($1) and site_id <> $2) as "taken!""#,
        &aliases,
        site_id,
    );
    if taken.fetch_one(&mut *connection).await? {
        return Ok(false);
    }
    sqlx::query!(
        "delete from visitor_analytics.site_alias where site_id = $1",
        site_id
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "insert into visitor_analytics.site_alias (domain, site_id)
         select domain, $2 from unnest($1::text[]) domain",
        &aliases,
        site_id,
    )
    .execute(connection)
    .await?;
    Ok(true)
}

async fn update_settings(
    connection: &mut PgConnection,
    site_id: i32,
    settings: &SiteSettings,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update visitor_analytics.site
         set ignored_addresses = coalesce($2, ignored_addresses),
             ignored_paths = coalesce($3, ignored_paths),
             properties = coalesce($4, properties),
             retention_days = case when $5 then $6 else retention_days end
         where id = $1",
        site_id,
        settings.ignored_addresses.as_deref(),
        settings.ignored_paths.as_deref(),
        settings.properties.as_deref(),
        settings.retention_days.is_some(),
        settings.retention_days.flatten().map(u32::cast_signed),
    )
    .execute(connection)
    .await?;
    Ok(())
}
