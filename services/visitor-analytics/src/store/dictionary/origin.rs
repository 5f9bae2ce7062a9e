//! Origins: referrer and campaign parameters, with the source, medium and channel derived from
//! them.

use chassis::database::StoreError;
use sqlx::PgConnection;
use url::Url;
use uuid::Uuid;

use super::table::{DimensionId, DimensionTable, bytes, column, key};
use crate::domain::enriched_visit::EnrichedVisit;

pub(super) struct OriginTable;

fn referrer(visit: &EnrichedVisit) -> Option<&str> {
    visit.visit.referrer.as_ref().map(Url::as_str)
}

impl DimensionTable for OriginTable {
    type Value = EnrichedVisit;

    fn key(visit: &EnrichedVisit) -> Option<Uuid> {
        let (origin, utm) = (&visit.traffic_source, &visit.traffic_source.utm);
        Some(key([
            referrer(visit).map(str::as_bytes),
            Some(origin.source.as_bytes()),
            Some(origin.medium.as_bytes()),
            Some(origin.channel.as_str().as_bytes()),
            bytes(utm.source.as_ref()),
            bytes(utm.medium.as_ref()),
            bytes(utm.campaign.as_ref()),
            bytes(utm.term.as_ref()),
            bytes(utm.content.as_ref()),
        ]))
    }

    async fn insert_missing(
        connection: &mut PgConnection,
        keys: &[Uuid],
        visits: &[&EnrichedVisit],
    ) -> Result<Vec<DimensionId>, StoreError> {
        let referrers = column(visits, referrer);
        let sources: Vec<&str> = column(visits, |v| v.traffic_source.source.as_str());
        let mediums: Vec<&str> = column(visits, |v| v.traffic_source.medium.as_str());
        let channels: Vec<&str> = column(visits, |v| v.traffic_source.channel.as_str());
        let utm_sources = column(visits, |v| v.traffic_source.utm.source.as_deref());
        let utm_mediums = column(visits, |v| v.traffic_source.utm.medium.as_deref());
        let utm_campaigns = column(visits, |v| v.traffic_source.utm.campaign.as_deref());
        let utm_terms = column(visits, |v| v.traffic_source.utm.term.as_deref());
        let utm_contents = column(visits, |v| v.traffic_source.utm.content.as_deref());
        let ids = sqlx::query_as!(
            DimensionId,
            r#"with added as (
                   insert into visitor_analytics.origin (key, referrer, source, medium, channel,
                       utm_source, utm_medium, utm_campaign, utm_term, utm_content)
                   select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[],
                       $6::text[], $7::text[], $8::text[], $9::text[], $10::text[])
                   on conflict on constraint origin_key_key do nothing
                   returning key, id)
               select key as "key!", id as "id!" from added
               union all
               select key, id from visitor_analytics.origin where key = any($1)"#,
            keys,
            &referrers as _,
            &sources as _,
            &mediums as _,
            &channels as _,
            &utm_sources as _,
            &utm_mediums as _,
            &utm_campaigns as _,
            &utm_terms as _,
            &utm_contents as _,
        );
        Ok(ids.fetch_all(connection).await?)
    }
}
