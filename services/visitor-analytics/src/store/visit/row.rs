//! A visit as it is read.

use chrono::{DateTime, Utc};
use common::visitor_analytics::Visit;
use serde_json::{Map, Value};
use sqlx::types::Json;
use uuid::Uuid;

use crate::store::StoreError;

/// The columns of a visit, from whatever the rest of the statement calls `v` and `s`.
macro_rules! select_visits {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            VisitRow,
            r#"select v.id as "id!", v.timestamp as "timestamp!", v.received_at as "received_at!",
               s.domain as "site!", v.session_id as "session_id!", v.visitor_id as "visitor_id!",
               v.user_id, v.url as "url!", v.path as "path!", v.title, v.referrer,
               v.source as "source!", v.medium as "medium!", v.channel, v.utm_source,
               v.utm_medium, v.utm_campaign, v.utm_term, v.utm_content, v.method as "method!",
               v.status_code, v.response_time_ms, v.browser, v.browser_version, v.os,
               v.os_version, v.device_type as "device_type!", v.language, v.country_code,
               v.country, v.region_code, v.region, v.city, v.latitude, v.longitude, v.time_zone,
               v.asn, v.as_organization, v.is_bot as "is_bot!", v.bot_name,
               v.bot_score as "bot_score!", v.bot_reasons as "bot_reasons!",
               v.ruleset as "ruleset!", v.engagement_seconds, v.scroll_depth,
               v.properties as "properties: crate::store::visit::row::Properties" "# + $tail
            $(, $argument)*
        )
    };
}
pub(super) use select_visits;

pub(super) type Properties = Json<Map<String, Value>>;

pub(super) struct VisitRow {
    pub(super) id: Uuid,
    pub(super) timestamp: DateTime<Utc>,
    pub(super) received_at: DateTime<Utc>,
    pub(super) site: String,
    pub(super) session_id: Uuid,
    pub(super) visitor_id: String,
    pub(super) user_id: Option<String>,
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
    pub(super) bot_score: i16,
    pub(super) bot_reasons: Vec<String>,
    pub(super) ruleset: i16,
    pub(super) engagement_seconds: Option<i32>,
    pub(super) scroll_depth: Option<i16>,
    pub(super) properties: Option<Properties>,
}

/// A number that was stored from a narrower type fits it when it is read.
fn narrow<W, N: TryFrom<W>>(
    value: Option<W>,
    field: &'static str,
) -> Result<Option<N>, StoreError> {
    let narrow = |wide| N::try_from(wide).map_err(|_| StoreError::Unreadable(field));
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
            source: row.source,
            medium: row.medium,
            channel: row.channel,
            utm_source: row.utm_source,
            utm_medium: row.utm_medium,
            utm_campaign: row.utm_campaign,
            utm_term: row.utm_term,
            utm_content: row.utm_content,
            method: row.method,
            status_code: narrow(row.status_code, "status_code")?,
            response_time_ms: narrow(row.response_time_ms, "response_time_ms")?,
            visitor_id: row.visitor_id,
            session_id: row.session_id,
            user_id: row.user_id,
            country_code: row.country_code,
            country: row.country,
            region_code: row.region_code,
            region: row.region,
            city: row.city,
            latitude: row.latitude,
            longitude: row.longitude,
            time_zone: row.time_zone,
            asn: narrow(row.asn, "asn")?,
            as_organization: row.as_organization,
            browser: row.browser,
            browser_version: row.browser_version,
            os: row.os,
            os_version: row.os_version,
            device_type: row.device_type,
            language: row.language,
            is_bot: row.is_bot,
            bot_name: row.bot_name,
            bot_score: narrow(Some(row.bot_score), "bot_score")?.unwrap_or_default(),
            bot_reasons: row.bot_reasons,
            ruleset: narrow(Some(row.ruleset), "ruleset")?.unwrap_or_default(),
            engagement_seconds: narrow(row.engagement_seconds, "engagement_seconds")?,
            scroll_depth: narrow(row.scroll_depth, "scroll_depth")?,
            properties: row.properties.map(|Json(map)| map).unwrap_or_default(),
        })
    }
}
