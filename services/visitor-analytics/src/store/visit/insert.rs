//! Writing visits down, one statement a batch.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::domain::classified::Classified;
use crate::store::StoreError;
use crate::store::dimension::Numbers;

/// Adds visits with their sites, sessions and dimensions. Returns how many were not there before.
pub(in crate::store) async fn insert(
    connection: &mut PgConnection,
    visits: &[&Classified],
    sites: &[i32],
    sessions: &[Uuid],
    numbers: &Numbers,
    now: DateTime<Utc>,
) -> Result<usize, StoreError> {
    let ids: Vec<Uuid> = column(visits, |v| v.visit.id);
    let moments: Vec<DateTime<Utc>> = column(visits, |v| v.visit.timestamp);
    let visitors: Vec<&str> = column(visits, |v| v.visitor_id.as_str());
    let users = column(visits, |v| v.visit.user_id.as_deref());
    let queries = column(visits, |v| v.visit.url.query());
    let methods: Vec<&str> = column(visits, |v| v.visit.method.as_str());
    let statuses = column(visits, |v| v.visit.status_code.map(u16::cast_signed));
    let times = column(visits, |v| v.visit.response_time_ms.map(u32::cast_signed));
    let languages = column(visits, |v| v.language.as_deref());
    let bots: Vec<bool> = column(visits, |v| v.verdict.is_bot);
    let properties = column(visits, properties);
    let done = sqlx::query!(
        "insert into visitor_analytics.visit (received_at, id, timestamp, site_id, session_id,
             page_id, origin_id, agent_id, verdict_id, place_id, network_id, visitor_id, user_id,
             query, method, status_code, response_time_ms, language, is_bot, properties)
         select $1, * from unnest($2::uuid[], $3::timestamptz[], $4::int[], $5::uuid[], $6::int[],
             $7::int[], $8::int[], $9::int[], $10::int[], $11::int[], $12::text[], $13::text[],
             $14::text[], $15::text[], $16::smallint[], $17::int[], $18::text[], $19::bool[],
             $20::jsonb[])
         on conflict on constraint visit_pkey do nothing",
        now,
        &ids,
        &moments,
        sites,
        sessions,
        &numbers.pages.ids as _,
        &numbers.origins.ids as _,
        &numbers.agents.ids as _,
        &numbers.verdicts.ids as _,
        &numbers.located.places.ids as _,
        &numbers.located.networks.ids as _,
        &visitors as _,
        &users as _,
        &queries as _,
        &methods as _,
        &statuses as _,
        &times as _,
        &languages as _,
        &bots,
        &properties as _,
    )
    .execute(connection)
    .await?;
    Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
}

fn column<'a, T>(visits: &[&'a Classified], field: impl Fn(&'a Classified) -> T) -> Vec<T> {
    visits.iter().map(|visit| field(visit)).collect()
}

fn properties(visit: &Classified) -> Option<Json<&Map<String, Value>>> {
    let properties = &visit.visit.properties;
    (!properties.is_empty()).then_some(Json(properties))
}
