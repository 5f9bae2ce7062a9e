//! The columns of new visits, for one statement.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::types::Json;
use sqlx::types::ipnet::IpNet;
use uuid::Uuid;

use crate::domain::enriched_visit::EnrichedVisit;

/// The attributes that are stored in the visit's row, without ids of dictionaries.
pub(in crate::store) struct VisitColumns<'a> {
    pub(in crate::store) ids: Vec<Uuid>,
    pub(in crate::store) timestamps: Vec<DateTime<Utc>>,
    pub(in crate::store) visitors: Vec<&'a str>,
    pub(in crate::store) users: Vec<Option<&'a str>>,
    pub(in crate::store) queries: Vec<Option<&'a str>>,
    pub(in crate::store) methods: Vec<&'a str>,
    pub(in crate::store) statuses: Vec<Option<i16>>,
    pub(in crate::store) response_times: Vec<Option<i32>>,
    pub(in crate::store) languages: Vec<Option<&'a str>>,
    pub(in crate::store) bots: Vec<bool>,
    pub(in crate::store) properties: Vec<Option<Json<&'a Map<String, Value>>>>,
    pub(in crate::store) ips: Vec<Option<IpNet>>,
}

impl<'a> VisitColumns<'a> {
    pub(in crate::store) fn of(visits: &[&'a EnrichedVisit]) -> Self {
        Self {
            ids: column(visits, |v| v.visit.id),
            timestamps: column(visits, |v| v.visit.timestamp),
            visitors: column(visits, |v| v.visitor_id.as_str()),
            users: column(visits, |v| v.visit.user_id.as_deref()),
            queries: column(visits, |v| v.visit.url.query()),
            methods: column(visits, |v| v.visit.method.as_str()),
            statuses: column(visits, |v| v.visit.status_code.map(u16::cast_signed)),
            response_times: column(visits, |v| v.visit.response_time_ms.map(u32::cast_signed)),
            languages: column(visits, |v| v.language.as_deref()),
            bots: column(visits, |v| v.verdict.is_bot),
            properties: column(visits, properties),
            ips: column(visits, |v| v.visit.stored_ip.map(IpNet::from)),
        }
    }
}

fn column<'a, T>(visits: &[&'a EnrichedVisit], field: impl Fn(&'a EnrichedVisit) -> T) -> Vec<T> {
    visits.iter().map(|visit| field(visit)).collect()
}

fn properties(visit: &EnrichedVisit) -> Option<Json<&Map<String, Value>>> {
    let properties = &visit.visit.properties;
    (!properties.is_empty()).then_some(Json(properties))
}
