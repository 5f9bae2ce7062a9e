//! Translates filters to SQL conditions on a row `v` of the table of visits. The SQL consists of
//! the literals of this file; values are bound as parameters.

use chrono_tz::Tz;
use rollups::dimension::Dimension;
use rollups::pattern::WildcardPattern;
use rollups::query::{Attribute, AttributeFilter};
use sqlx::{Postgres, QueryBuilder};

/// Appends ` and <condition>` for each filter. `hour` and `weekday` use the time zone `zone`; the
/// entry and exit page are those of the visit's session.
pub(super) fn push_filters(
    query: &mut QueryBuilder<Postgres>,
    filters: &[AttributeFilter],
    zone: Tz,
) {
    for filter in filters {
        query.push(" and ");
        push_filter(query, filter, zone);
    }
}

fn push_filter(query: &mut QueryBuilder<Postgres>, filter: &AttributeFilter, zone: Tz) {
    use Dimension as D;
    let of = |table, column| (table, column);
    let (table, value) = match filter.attribute {
        Attribute::Weekday => return push_time_condition(query, filter, zone, "ID"),
        Attribute::Dimension(D::Hour) => return push_time_condition(query, filter, zone, "HH24"),
        Attribute::Dimension(D::Language) => {
            return push_value_condition(query, filter, "v.language");
        }
        Attribute::Dimension(D::StatusCode) => {
            return push_value_condition(query, filter, "v.status_code::text");
        }
        Attribute::Dimension(D::EntryPage) => {
            return push_session_page_condition(query, filter, "entry_visit_id", "started_at");
        }
        Attribute::Dimension(D::ExitPage) => {
            return push_session_page_condition(query, filter, "exit_visit_id", "last_seen_at");
        }
        Attribute::Dimension(D::BotReason) => return push_reason_condition(query, filter),
        Attribute::Dimension(D::Property) => return push_property_condition(query, filter),
        Attribute::Dimension(dimension) => match dimension {
            D::Page => of("page", "t.path"),
            D::Title => of("page", "t.title"),
            D::Referrer => of("origin", "t.referrer"),
            D::Source => of("origin", "t.source"),
            D::Medium => of("origin", "t.medium"),
            D::Channel => of("origin", "t.channel"),
            D::UtmSource => of("origin", "t.utm_source"),
            D::UtmMedium => of("origin", "t.utm_medium"),
            D::UtmCampaign => of("origin", "t.utm_campaign"),
            D::UtmTerm => of("origin", "t.utm_term"),
            D::UtmContent => of("origin", "t.utm_content"),
            D::Country => of("place", "t.country_code"),
            D::Region => of("place", REGION_SQL),
            D::City => of("place", CITY_SQL),
            D::Browser => of("agent", "t.browser"),
            D::BrowserVersion => of(
                "agent",
                "coalesce(t.browser || ' ', '') || t.browser_version",
            ),
            D::Os => of("agent", "t.os"),
            D::OsVersion => of("agent", "coalesce(t.os || ' ', '') || t.os_version"),
            D::DeviceType => of("agent", "t.device_type"),
            D::Brand => of("agent", "t.brand"),
            D::BotName => of("verdict", "t.bot_name"),
            D::BotCategory => of("verdict", "t.category"),
            D::AsOrganization => of("network", "t.as_organization"),
            // These have no table; they returned above.
            D::Total
            | D::Hour
            | D::Language
            | D::StatusCode
            | D::EntryPage
            | D::ExitPage
            | D::BotReason
            | D::Property => return,
        },
    };
    if filter.attribute == Attribute::Dimension(D::DeviceType) {
        // The device type of a bot is `bot`, whatever its user agent says.
        query.push("case when v.is_bot then ");
        query
            .push_bind(filter.passes(&[Some("bot")]))
            .push(" else ");
        push_dimension_condition(query, filter, table, value);
        query.push(" end");
    } else {
        push_dimension_condition(query, filter, table, value);
    }
}

const REGION_SQL: &str = "coalesce(t.country_code, '') || '-' || t.region_code";
const CITY_SQL: &str = "coalesce(coalesce(t.country_code, '') || '-' || t.region_code, \
                    t.country_code, '') || '/' || t.city";

/// A value of a dimension table: the matching ids are looked up once.
fn push_dimension_condition(
    query: &mut QueryBuilder<Postgres>,
    filter: &AttributeFilter,
    table: &'static str,
    value: &'static str,
) {
    // A visit without an id has no value.
    query
        .push("case when v.")
        .push(table)
        .push("_id is null then ");
    query.push_bind(filter.passes(&[None]));
    query.push(" else v.").push(table);
    query.push("_id = any(array(select t.id from visitor_analytics.");
    query.push(table).push(" t where ");
    push_value_condition(query, filter, value);
    query.push(")) end");
}

fn push_time_condition(
    query: &mut QueryBuilder<Postgres>,
    filter: &AttributeFilter,
    zone: Tz,
    format: &'static str,
) {
    // The name comes from the compiled-in list of time zones.
    let local = format!(
        "to_char(v.timestamp at time zone '{}', '{format}')",
        zone.name()
    );
    push_value_condition(query, filter, &local);
}

fn push_session_page_condition(
    query: &mut QueryBuilder<Postgres>,
    filter: &AttributeFilter,
    id: &'static str,
    moment: &'static str,
) {
    query.push(
        "exists (select from visitor_analytics.session s
                 join visitor_analytics.visit e on e.id = s.",
    );
    query.push(id).push(" and e.timestamp = s.").push(moment);
    query.push(
        " join visitor_analytics.page t on t.id = e.page_id
          where s.id = v.session_id and ",
    );
    push_value_condition(query, filter, "t.path");
    query.push(")");
}

fn push_property_condition(query: &mut QueryBuilder<Postgres>, filter: &AttributeFilter) {
    // Always one row, whose value is null if the visit lacks the property.
    query.push(
        "exists (select from (select case
             when jsonb_typeof(v.properties -> n.name) in ('string', 'number', 'boolean')
             then left(v.properties ->> n.name, 200) end as value
         from (values (",
    );
    query.push_bind(filter.property.clone().unwrap_or_default());
    query.push(")) n (name)) p where ");
    push_value_condition(query, filter, "p.value");
    query.push(")");
}

fn push_reason_condition(query: &mut QueryBuilder<Postgres>, filter: &AttributeFilter) {
    let reasons = "exists (select from unnest(case t.reasons when '{}' then array[null]
                   else t.reasons end) r where ";
    query.push("v.verdict_id = any(array(select t.id from visitor_analytics.verdict t where true");
    if !filter.included.is_empty() {
        query.push(" and ").push(reasons);
        push_pattern_match(query, &filter.included, "r");
        query.push(")");
    }
    if !filter.excluded.is_empty() {
        query.push(" and not ").push(reasons);
        push_pattern_match(query, &filter.excluded, "r");
        query.push(")");
    }
    query.push("))");
}

/// Requires that the value matches one of `filter.any` and none of `filter.none`.
fn push_value_condition(query: &mut QueryBuilder<Postgres>, filter: &AttributeFilter, value: &str) {
    query.push("true");
    if !filter.included.is_empty() {
        query.push(" and ");
        push_pattern_match(query, &filter.included, value);
    }
    if !filter.excluded.is_empty() {
        query.push(" and not ");
        push_pattern_match(query, &filter.excluded, value);
    }
}

/// Whether the value matches a pattern. A missing value matches if a pattern stands for missing
/// values.
fn push_pattern_match(
    query: &mut QueryBuilder<Postgres>,
    patterns: &[WildcardPattern],
    value: &str,
) {
    let is_missing = patterns.iter().any(WildcardPattern::is_empty);
    let patterns: Vec<String> = patterns.iter().map(WildcardPattern::to_like).collect();
    query.push("coalesce(").push(value).push(" like any(");
    query.push_bind(patterns).push("), ");
    query.push_bind(is_missing).push(")");
}
