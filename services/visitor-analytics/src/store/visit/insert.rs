//! Adding visits: an array a column, one statement a batch.

use chrono::{DateTime, Utc};
use common::geo::Location;
use serde_json::{Map, Value};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::domain::bot::RULESET;
use crate::domain::classified::Classified;
use crate::store::StoreError;

/// Adds visits with their sites and sessions. Returns how many were not there before.
#[expect(
    clippy::too_many_lines,
    reason = "a line or two a column, in the columns' order"
)]
pub(in crate::store) async fn insert(
    connection: &mut PgConnection,
    visits: &[&Classified],
    sites: &[i32],
    sessions: &[Uuid],
    now: DateTime<Utc>,
) -> Result<usize, StoreError> {
    if visits.is_empty() {
        return Ok(0);
    }
    let ids: Vec<Uuid> = column(visits, |v| v.visit.id);
    let moments: Vec<DateTime<Utc>> = column(visits, |v| v.visit.timestamp);
    let visitors: Vec<&str> = column(visits, |v| v.visitor_id.as_str());
    let users = column(visits, |v| v.visit.user_id.as_deref());
    let urls: Vec<&str> = column(visits, |v| v.visit.url.as_str());
    let paths: Vec<&str> = column(visits, |v| v.visit.url.path());
    let titles = column(visits, |v| v.visit.title.as_deref());
    let referrers = column(visits, |v| v.visit.referrer.as_ref().map(url::Url::as_str));
    let sources: Vec<&str> = column(visits, |v| v.origin.source.as_str());
    let mediums: Vec<&str> = column(visits, |v| v.origin.medium.as_str());
    let utm_sources = column(visits, |v| v.origin.utm.source.as_deref());
    let utm_mediums = column(visits, |v| v.origin.utm.medium.as_deref());
    let utm_campaigns = column(visits, |v| v.origin.utm.campaign.as_deref());
    let utm_terms = column(visits, |v| v.origin.utm.term.as_deref());
    let utm_contents = column(visits, |v| v.origin.utm.content.as_deref());
    let methods: Vec<&str> = column(visits, |v| v.visit.method.as_str());
    let statuses = column(visits, |v| v.visit.status_code.map(u16::cast_signed));
    let times = column(visits, |v| v.visit.response_time_ms.map(u32::cast_signed));
    let agents: Vec<&str> = column(visits, |v| v.visit.user_agent.as_str());
    let browsers = column(visits, |v| v.findings.agent.browser.as_deref());
    let browser_versions = column(visits, |v| v.findings.agent.browser_version.as_deref());
    let systems = column(visits, |v| v.findings.agent.os.as_deref());
    let system_versions = column(visits, |v| v.findings.agent.os_version.as_deref());
    let devices: Vec<&str> = column(visits, Classified::device_type);
    let languages = column(visits, |v| v.language.as_deref());
    let country_codes = place(visits, |l| l.country_code.as_deref());
    let countries = place(visits, |l| l.country.as_deref());
    let region_codes = place(visits, |l| l.region_code.as_deref());
    let regions = place(visits, |l| l.region.as_deref());
    let cities = place(visits, |l| l.city.as_deref());
    let latitudes = place(visits, |l| l.latitude);
    let longitudes = place(visits, |l| l.longitude);
    let time_zones = place(visits, |l| l.time_zone.as_deref());
    let asns = place(visits, |l| l.asn.map(i64::from));
    let organizations = place(visits, |l| l.as_organization.as_deref());
    let bots: Vec<bool> = column(visits, |v| v.verdict.is_bot);
    let bot_names = column(visits, |v| v.verdict.name.as_deref());
    let scores: Vec<i16> = column(visits, |v| i16::from(v.verdict.score));
    // PostgreSQL's arrays of arrays are rectangles; the reasons travel as one text each.
    let reasons: Vec<String> = column(visits, reasons);
    let properties = column(visits, properties);
    let done = sqlx::query!(
        "insert into visitor_analytics.visit (received_at, ruleset, id, timestamp, site_id,
             session_id, visitor_id, user_id, url, path, title, referrer, source, medium,
             utm_source, utm_medium, utm_campaign, utm_term, utm_content, method, status_code,
             response_time_ms, user_agent, browser, browser_version, os, os_version, device_type,
             language, country_code, country, region_code, region, city, latitude, longitude,
             time_zone, asn, as_organization, is_bot, bot_name, bot_score, properties, bot_reasons)
         select $1, $2, id, moment, site_id, session_id, visitor_id, user_id, url, path, title,
             referrer, source, medium, utm_source, utm_medium, utm_campaign, utm_term,
             utm_content, method, status_code, response_time_ms, user_agent, browser,
             browser_version, os, os_version, device_type, language, country_code, country,
             region_code, region, city, latitude, longitude, time_zone, asn, as_organization,
             is_bot, bot_name, bot_score, properties,
             coalesce(string_to_array(nullif(reasons, ''), ' '), '{}')
         from unnest($3::uuid[], $4::timestamptz[], $5::int[], $6::uuid[], $7::text[],
             $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[],
             $14::text[], $15::text[], $16::text[], $17::text[], $18::text[], $19::text[],
             $20::text[], $21::smallint[], $22::int[], $23::text[], $24::text[], $25::text[],
             $26::text[], $27::text[], $28::text[], $29::text[], $30::text[], $31::text[],
             $32::text[], $33::text[], $34::text[], $35::float8[], $36::float8[], $37::text[],
             $38::bigint[], $39::text[], $40::bool[], $41::text[], $42::smallint[], $43::jsonb[],
             $44::text[])
             as n (id, moment, site_id, session_id, visitor_id, user_id, url, path, title,
                 referrer, source, medium, utm_source, utm_medium, utm_campaign, utm_term,
                 utm_content, method, status_code, response_time_ms, user_agent, browser,
                 browser_version, os, os_version, device_type, language, country_code, country,
                 region_code, region, city, latitude, longitude, time_zone, asn, as_organization,
                 is_bot, bot_name, bot_score, properties, reasons)
         on conflict on constraint visit_pkey do nothing",
        now,
        RULESET.cast_signed(),
        &ids,
        &moments,
        sites,
        sessions,
        &visitors as _,
        &users as _,
        &urls as _,
        &paths as _,
        &titles as _,
        &referrers as _,
        &sources as _,
        &mediums as _,
        &utm_sources as _,
        &utm_mediums as _,
        &utm_campaigns as _,
        &utm_terms as _,
        &utm_contents as _,
        &methods as _,
        &statuses as _,
        &times as _,
        &agents as _,
        &browsers as _,
        &browser_versions as _,
        &systems as _,
        &system_versions as _,
        &devices as _,
        &languages as _,
        &country_codes as _,
        &countries as _,
        &region_codes as _,
        &regions as _,
        &cities as _,
        &latitudes as _,
        &longitudes as _,
        &time_zones as _,
        &asns as _,
        &organizations as _,
        &bots,
        &bot_names as _,
        &scores,
        &properties as _,
        &reasons,
    )
    .execute(connection)
    .await?;
    Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
}

fn column<'a, T>(visits: &[&'a Classified], field: impl Fn(&'a Classified) -> T) -> Vec<T> {
    visits.iter().map(|visit| field(visit)).collect()
}

fn place<'a, T>(
    visits: &[&'a Classified],
    field: impl Fn(&'a Location) -> Option<T>,
) -> Vec<Option<T>> {
    column(visits, |visit| visit.location().and_then(&field))
}

fn reasons(visit: &Classified) -> String {
    let codes: Vec<_> = visit.verdict.reasons.iter().map(|r| r.code()).collect();
    codes.join(" ")
}

fn properties(visit: &Classified) -> Option<Json<&Map<String, Value>>> {
    let properties = &visit.visit.properties;
    (!properties.is_empty()).then_some(Json(properties))
}
