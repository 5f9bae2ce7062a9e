//! The row of a visit joined with its dictionary values.

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use common::visitor_analytics::Visit;
use serde_json::{Map, Value};
use sqlx::types::Json;
use uuid::Uuid;

use crate::domain::source::display_name;

/// Selects visits with their dictionary values. The first argument follows `from` and provides
/// visits as `v`; the second one follows the joins.
macro_rules! select_visits {
    ($visits:literal, $rest:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            VisitRow,
            r#"select v.id as "id!", v.timestamp as "timestamp!", v.received_at as "received_at!",
               s.domain as "site!", v.session_id as "session_id!", v.visitor_id as "visitor_id!",
               v.user_id, v.ip as "ip: crate::store::visit::row::Address", p.base || coalesce('?' || v.query, '') as "url!", p.path as "path!",
               p.title, o.referrer, o.source as "source!", o.medium as "medium!", o.channel,
               o.utm_source, o.utm_medium, o.utm_campaign, o.utm_term, o.utm_content,
               v.method as "method!", v.status_code, v.response_time_ms, a.browser,
               a.browser_version, a.os, a.os_version, a.brand, a.model,
               a.user_agent as "user_agent!",
               case when v.is_bot then 'bot' else a.device_type end as "device_type!",
               v.language, l.country_code as "country_code?", l.country as "country?",
               l.region_code as "region_code?", l.region as "region?", l.city as "city?",
               l.latitude as "latitude?", l.longitude as "longitude?",
               l.time_zone as "time_zone?", n.asn as "asn?",
               n.as_organization as "as_organization?", v.is_bot as "is_bot!", j.bot_name, j.category as bot_category,
               j.score as "bot_score!", j.reasons as "bot_reasons!", j.ruleset as "ruleset!",
               v.engagement_seconds, v.scroll_depth,
               v.properties as "properties: crate::store::visit::row::Properties"
               from "# + $visits + "
               join visitor_analytics.site s on s.id = v.site_id
               join visitor_analytics.page p on p.id = v.page_id
               join visitor_analytics.origin o on o.id = v.origin_id
               join visitor_analytics.agent a on a.id = v.agent_id
               join visitor_analytics.verdict j on j.id = v.verdict_id
               left join visitor_analytics.place l on l.id = v.place_id
               left join visitor_analytics.network n on n.id = v.network_id " + $rest
            $(, $argument)*
        )
    };
}
pub(super) use select_visits;

pub(super) type Properties = Json<Map<String, Value>>;

pub(super) type Address = sqlx::types::ipnet::IpNet;

pub(super) struct VisitRow {
    pub(super) id: Uuid,
    pub(super) timestamp: DateTime<Utc>,
    pub(super) received_at: DateTime<Utc>,
    pub(super) site: String,
    pub(super) session_id: Uuid,
    pub(super) visitor_id: String,
    pub(super) user_id: Option<String>,
    pub(super) ip: Option<Address>,
    pub(super) url: String,
    pub(super) path: String,
    pub(super) title: Option<String>,
    pub(super) referrer: Option<String>,
    pub(super) source: String,
    pub(super) medium: String,
    pub(super) channel: Option<String>,
    pub(super) utm_source: Option<String>,
    pub(super) utm_medium: Option<String>,
    pub(super) utm_campaign: Option<String>,
    pub(super) utm_term: Option<String>,
    pub(super) utm_content: Option<String>,
    pub(super) method: String,
    pub(super) status_code: Option<i16>,
    pub(super) response_time_ms: Option<i32>,
    pub(super) browser: Option<String>,
    pub(super) browser_version: Option<String>,
    pub(super) os: Option<String>,
    pub(super) os_version: Option<String>,
    pub(super) device_type: String,
    pub(super) brand: Option<String>,
    pub(super) model: Option<String>,
    pub(super) user_agent: String,
    pub(super) language: Option<String>,
    pub(super) country_code: Option<String>,
    pub(super) country: Option<String>,
    pub(super) region_code: Option<String>,
    pub(super) region: Option<String>,
    pub(super) city: Option<String>,
    pub(super) latitude: Option<f64>,
    pub(super) longitude: Option<f64>,
    pub(super) time_zone: Option<String>,
    pub(super) asn: Option<i64>,
    pub(super) as_organization: Option<String>,
    pub(super) is_bot: bool,
    pub(super) bot_name: Option<String>,
    pub(super) bot_category: Option<String>,
    pub(super) bot_score: i16,
    pub(super) bot_reasons: Vec<String>,
    pub(super) ruleset: i16,
    pub(super) engagement_seconds: Option<i32>,
    pub(super) scroll_depth: Option<i16>,
    pub(super) properties: Option<Properties>,
}

/// Converts a number that was stored from a narrower type.
fn narrow_integer<W, N: TryFrom<W>>(
    value: Option<W>,
    field: &'static str,
) -> Result<Option<N>, StoreError> {
    let narrow = |wide| N::try_from(wide).map_err(|_| StoreError::Corrupt(field));
    value.map(narrow).transpose()
}

impl TryFrom<VisitRow> for Visit {
    type Error = StoreError;

    fn try_from(row: VisitRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            site: row.site,
            timestamp: row.timestamp,
            received_at: row.received_at,
            url: row.url,
            path: row.path,
            title: row.title,
            referrer: row.referrer,
            source_name: display_name(&row.source).to_owned(),
            source: row.source,
            medium: row.medium,
            channel: row.channel,
            utm_source: row.utm_source,
            utm_medium: row.utm_medium,
            utm_campaign: row.utm_campaign,
            utm_term: row.utm_term,
            utm_content: row.utm_content,
            method: row.method,
            status_code: narrow_integer(row.status_code, "status_code")?,
            response_time_ms: narrow_integer(row.response_time_ms, "response_time_ms")?,
            visitor_id: row.visitor_id,
            session_id: row.session_id,
            user_id: row.user_id,
            ip: row.ip.map(|ip| ip.addr()),
            country_code: row.country_code,
            country: row.country,
            region_code: row.region_code,
            region: row.region,
            city: row.city,
            latitude: row.latitude,
            longitude: row.longitude,
            time_zone: row.time_zone,
            asn: narrow_integer(row.asn, "asn")?,
            as_organization: row.as_organization,
            browser: row.browser,
            browser_version: row.browser_version,
            os: row.os,
            os_version: row.os_version,
            device_type: row.device_type,
            brand: row.brand,
            model: row.model,
            language: row.language,
            is_bot: row.is_bot,
            bot_name: row.bot_name,
            bot_category: row.bot_category,
            bot_score: narrow_integer(Some(row.bot_score), "bot_score")?.unwrap_or_default(),
            bot_reasons: row.bot_reasons,
            ruleset: narrow_integer(Some(row.ruleset), "ruleset")?.unwrap_or_default(),
            engagement_seconds: narrow_integer(row.engagement_seconds, "engagement_seconds")?,
            scroll_depth: narrow_integer(row.scroll_depth, "scroll_depth")?,
            properties: row.properties.map(|Json(map)| map).unwrap_or_default(),
        })
    }
}
