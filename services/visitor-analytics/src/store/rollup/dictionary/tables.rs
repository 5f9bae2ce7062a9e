//! Loads the values of each dictionary table.

use std::collections::BTreeSet;

use chassis::database::StoreError;
use rollups::dimension::Dimension;
use sqlx::PgPool;

use super::ValueDictionary;

impl ValueDictionary {
    pub(super) async fn load_pages(
        &mut self,
        pool: &PgPool,
        ids: &[i32],
    ) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let rows = sqlx::query!(
            "select id, path, title from visitor_analytics.page where id = any($1)",
            ids
        );
        for row in rows.fetch_all(pool).await? {
            // The path must be the first value: the resolved visit takes its page from there.
            let keys = self.texts.dimension_values([
                (Dimension::Page, Some(&row.path)),
                (Dimension::Title, row.title.as_deref()),
            ]);
            self.pages.insert(row.id, keys);
        }
        Ok(())
    }

    pub(super) async fn load_origins(
        &mut self,
        pool: &PgPool,
        ids: &[i32],
    ) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let rows = sqlx::query!(
            "select id, referrer, source, medium, channel, utm_source, utm_medium, utm_campaign,
                    utm_term, utm_content
             from visitor_analytics.origin where id = any($1)",
            ids
        );
        for row in rows.fetch_all(pool).await? {
            let keys = self.texts.dimension_values([
                (Dimension::Referrer, row.referrer.as_deref()),
                (Dimension::Source, Some(&row.source)),
                (Dimension::Medium, Some(&row.medium)),
                (Dimension::Channel, row.channel.as_deref()),
                (Dimension::UtmSource, row.utm_source.as_deref()),
                (Dimension::UtmMedium, row.utm_medium.as_deref()),
                (Dimension::UtmCampaign, row.utm_campaign.as_deref()),
                (Dimension::UtmTerm, row.utm_term.as_deref()),
                (Dimension::UtmContent, row.utm_content.as_deref()),
            ]);
            self.origins.insert(row.id, keys);
        }
        Ok(())
    }

    pub(super) async fn load_agents(
        &mut self,
        pool: &PgPool,
        ids: &[i32],
    ) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let rows = sqlx::query!(
            "select id, browser, browser_version, os, os_version, device_type, brand
             from visitor_analytics.agent where id = any($1)",
            ids
        );
        for row in rows.fetch_all(pool).await? {
            let browser_version =
                product_version(row.browser.as_deref(), row.browser_version.as_deref());
            let os_version = product_version(row.os.as_deref(), row.os_version.as_deref());
            let keys = self.texts.dimension_values([
                (Dimension::Browser, row.browser.as_deref()),
                (Dimension::BrowserVersion, browser_version.as_deref()),
                (Dimension::Os, row.os.as_deref()),
                (Dimension::OsVersion, os_version.as_deref()),
                (Dimension::DeviceType, Some(&row.device_type)),
                (Dimension::Brand, row.brand.as_deref()),
            ]);
            self.agents.insert(row.id, keys);
        }
        Ok(())
    }

    pub(super) async fn load_verdicts(
        &mut self,
        pool: &PgPool,
        ids: &[i32],
    ) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let rows = sqlx::query!(
            "select id, bot_name, category, reasons from visitor_analytics.verdict
             where id = any($1)",
            ids
        );
        for row in rows.fetch_all(pool).await? {
            let reasons = row.reasons.iter().map(String::as_str);
            let mut reasons: BTreeSet<Option<&str>> = reasons.map(Some).collect();
            if reasons.is_empty() {
                reasons.insert(None);
            }
            let texts = &mut self.texts;
            let mut keys = vec![
                texts.dimension_value(Dimension::BotName, row.bot_name.as_deref()),
                texts.dimension_value(Dimension::BotCategory, row.category.as_deref()),
            ];
            let reasons = reasons.into_iter();
            keys.extend(reasons.map(|reason| texts.dimension_value(Dimension::BotReason, reason)));
            self.verdicts.insert(row.id, keys.into());
        }
        Ok(())
    }

    pub(super) async fn load_places(
        &mut self,
        pool: &PgPool,
        ids: &[i32],
    ) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let rows = sqlx::query!(
            "select id, country_code, region_code, city
             from visitor_analytics.place where id = any($1)",
            ids
        );
        for row in rows.fetch_all(pool).await? {
            let country = row.country_code.as_deref();
            let region = row.region_code.map(|code| {
                let country = country.unwrap_or_default();
                format!("{country}-{code}")
            });
            let within = region.as_deref().or(country).unwrap_or_default();
            let city = row.city.map(|city| format!("{within}/{city}"));
            let keys = self.texts.dimension_values([
                (Dimension::Country, country),
                (Dimension::Region, region.as_deref()),
                (Dimension::City, city.as_deref()),
            ]);
            self.places.insert(row.id, keys);
        }
        Ok(())
    }

    pub(super) async fn load_networks(
        &mut self,
        pool: &PgPool,
        ids: &[i32],
    ) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let rows = sqlx::query!(
            "select id, as_organization from visitor_analytics.network where id = any($1)",
            ids
        );
        for row in rows.fetch_all(pool).await? {
            let organization = row.as_organization.as_deref();
            let keys = self
                .texts
                .dimension_values([(Dimension::AsOrganization, organization)]);
            self.networks.insert(row.id, keys);
        }
        Ok(())
    }
}

/// A version with the name of its product.
fn product_version(name: Option<&str>, version: Option<&str>) -> Option<String> {
    let version = version?;
    Some(name.map_or_else(|| version.to_owned(), |name| format!("{name} {version}")))
}
