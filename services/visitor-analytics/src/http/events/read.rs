//! What happened: `GET /analytics/events` and its relatives.

use axum::Json;
use axum::extract::State;
use chassis::Problem;
use chassis::extract::{Path, Query};
use chrono::{DateTime, Days, NaiveDate, Utc};
use rollups::day::LocalDay;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::domain::event::event_type;
use crate::domain::visit::own_id;
use crate::http::error;
use crate::http::list::{bot_filter, cursor, limit, moment, named_site, read_cursor, wrong};
use crate::http::site_scope::{ScopedPairs, SiteScope};
use crate::store::{Event, EventQuery, Store};

/// Values in all conditions.
const MAX_METADATA_FILTERS: usize = 20;
/// Kinds of events.
const MAX_EVENT_TYPES: i64 = 1_000;

/// The parameters of all of these.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it only describes; `query` reads")]
pub(in crate::http) struct EventListParams {
    /// Only this site's events.
    site: Option<String>,
    /// Not earlier than this (RFC 3339).
    from: Option<DateTime<Utc>>,
    /// Earlier than this (RFC 3339).
    to: Option<DateTime<Utc>>,
    /// What happened; several times for any of several.
    event_type: Option<String>,
    /// Only this user's.
    user_id: Option<String>,
    /// Only this visitor's.
    visitor_id: Option<String>,
    /// Those of bots' sessions: `false` (without it), `true` or `only`.
    include_bots: Option<String>,
    /// At most so many, 1 to 1,000; 50 without it. A condition on metadata is a parameter, too:
    /// `metadata.plan=pro`.
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventPage)]
pub(in crate::http) struct EventPage {
    /// The events, the newest first.
    data: Vec<EventResponse>,
    /// Leads to the next page; `null` on the last.
    next_cursor: Option<String>,
}

/// Something that a visitor did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(in crate::http) struct EventResponse {
    id: Uuid,
    event_type: String,
    site: String,
    timestamp: DateTime<Utc>,
    received_at: DateTime<Utc>,
    visitor_id: String,
    user_id: Option<String>,
    metadata: Map<String, Value>,
}

/// What happened how often.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventTypes)]
pub(in crate::http) struct EventTypesResponse {
    /// The most frequent first, at most 1,000.
    data: Vec<EventTypeSummary>,
}

/// How often something happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventType)]
pub(in crate::http) struct EventTypeSummary {
    event_type: String,
    events: i64,
    /// Different visitors who did it.
    visitors: i64,
    /// Different users who did it.
    users: i64,
}

type EventQueryPairs = Vec<(String, String)>;

/// Events, the newest first.
#[utoipa::path(get, path = "/analytics/events", tag = "events", params(EventListParams),
    responses(
        (status = 200, body = EventPage, description = "A page of events"),
        (status = 400, description = "A parameter is wrong; `field` names it"),
    ))]
pub(in crate::http) async fn list(
    State(state): State<crate::http::SharedState>,
    scope: SiteScope,
    Query(pairs): Query<EventQueryPairs>,
) -> Result<Json<EventPage>, Problem> {
    page(&state.store, query(scope.limit(pairs)?)?).await
}

/// What happened how often.
#[utoipa::path(get, path = "/analytics/events/by-type", tag = "events", params(EventListParams),
    responses(
        (status = 200, body = EventTypesResponse, description = "The kinds of events"),
        (status = 400, description = "A parameter is wrong; `field` names it"),
    ))]
pub(in crate::http) async fn by_type(
    State(state): State<crate::http::SharedState>,
    scope: SiteScope,
    Query(pairs): Query<EventQueryPairs>,
) -> Result<Json<EventTypesResponse>, Problem> {
    let paging = pairs
        .iter()
        .find(|(name, _)| matches!(&**name, "limit" | "cursor"));
    if let Some((name, _)) = paging {
        return Err(wrong(name, "all kinds are told at once"));
    }
    let query = EventQuery {
        limit: MAX_EVENT_TYPES,
        ..query(scope.limit(pairs)?)?
    };
    let found = state.store.events_by_type(&query).await;
    let found = found.map_err(|e| error::store(&e))?.into_iter();
    let data = found.map(|of| EventTypeSummary {
        event_type: of.event_type,
        events: of.events,
        visitors: of.visitors,
        users: of.users,
    });
    Ok(Json(EventTypesResponse {
        data: data.collect(),
    }))
}

/// Events of some days (UTC), the newest first.
#[utoipa::path(get, path = "/analytics/events/date-range", tag = "events",
    params(
        ("start_date" = NaiveDate, Query, description = "The first day"),
        ("end_date" = NaiveDate, Query, description = "The last day"),
        EventListParams,
    ),
    responses(
        (status = 200, body = EventPage, description = "A page of events"),
        (status = 400, description = "A parameter is wrong; `field` names it"),
    ))]
pub(in crate::http) async fn date_range(
    State(state): State<crate::http::SharedState>,
    scope: SiteScope,
    Query(pairs): Query<EventQueryPairs>,
) -> Result<Json<EventPage>, Problem> {
    let (dates, rest): (EventQueryPairs, EventQueryPairs) = pairs
        .into_iter()
        .partition(|(name, _)| matches!(&**name, "start_date" | "end_date"));
    let date = |wanted: &str| {
        let found = dates.iter().find(|(name, _)| name == wanted);
        let date: Option<NaiveDate> = found.and_then(|(_, text)| text.parse().ok());
        let date = date.filter(|date| (1990..=2200).contains(&chrono::Datelike::year(date)));
        date.ok_or_else(|| wrong(wanted, "a day such as 2026-11-20"))
    };
    let (first, last) = (date("start_date")?, date("end_date")?);
    if first > last {
        return Err(wrong("start_date", "the period ends before it begins"));
    }
    if let Some((name, _)) = rest
        .iter()
        .find(|(name, _)| matches!(&**name, "from" | "to"))
    {
        return Err(wrong(name, "the days say when"));
    }
    let query = EventQuery {
        from: Some(LocalDay::new(chrono_tz::Tz::UTC, first).from),
        to: Some(LocalDay::new(chrono_tz::Tz::UTC, last + Days::new(1)).from),
        ..query(scope.limit(rest)?)?
    };
    page(&state.store, query).await
}

/// A user's events, the newest first.
#[utoipa::path(get, path = "/analytics/users/{user_id}/events", tag = "events",
    params(("user_id" = String, Path, description = "The site's own id for the user"), EventListParams),
    responses(
        (status = 200, body = EventPage, description = "A page of events"),
        (status = 400, description = "A parameter is wrong; `field` names it"),
    ))]
pub(in crate::http) async fn of_user(
    State(state): State<crate::http::SharedState>,
    scope: SiteScope,
    Path(user): Path<String>,
    Query(pairs): Query<EventQueryPairs>,
) -> Result<Json<EventPage>, Problem> {
    if pairs.iter().any(|(name, _)| name == "user_id") {
        return Err(wrong("user_id", "the path says which user"));
    }
    let user = own_id(user, "user_id").map_err(|e| wrong("user_id", e.to_string()))?;
    let query = EventQuery {
        user_id: Some(user),
        ..query(scope.limit(pairs)?)?
    };
    page(&state.store, query).await
}

async fn page(store: &Store, query: EventQuery) -> Result<Json<EventPage>, Problem> {
    let mut found = store.events(&query).await.map_err(|e| error::store(&e))?;
    let limit = usize::try_from(query.limit).unwrap_or_default();
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    Ok(Json(EventPage {
        next_cursor: last.map(|event| cursor(event.timestamp, event.id)),
        data: found.into_iter().map(line).collect(),
    }))
}

pub(in crate::http) fn line(event: Event) -> EventResponse {
    EventResponse {
        id: event.id,
        event_type: event.event_type,
        site: event.site,
        timestamp: event.timestamp,
        received_at: event.received_at,
        visitor_id: event.visitor_id,
        user_id: event.user_id,
        metadata: event.metadata,
    }
}

fn query(pairs: ScopedPairs) -> Result<EventQuery, Problem> {
    let mut query = EventQuery {
        limit: limit(None)?,
        ..EventQuery::default()
    };
    let mut met = std::collections::BTreeSet::new();
    for (name, value) in pairs {
        if query.metadata.len() + query.types.len() >= MAX_METADATA_FILTERS {
            return Err(wrong(&name, "at most 20 values in all conditions"));
        }
        let own = |value, field| own_id(value, field).map_err(|e| wrong(field, e.to_string()));
        if name != "event_type" && !met.insert(name.clone()) {
            return Err(wrong(&name, "it is there twice"));
        }
        match &*name {
            "site" => query.site = Some(named_site(&value)?),
            "from" => query.from = Some(moment("from", &value)?),
            "to" => query.to = Some(moment("to", &value)?),
            "user_id" => query.user_id = Some(own(value, "user_id")?),
            "visitor_id" => query.visitor_id = Some(own(value, "visitor_id")?),
            "include_bots" => query.bots = bot_filter(Some(&value))?,
            "limit" => query.limit = limit(Some(&value))?,
            "cursor" => {
                let after = read_cursor(&value);
                query.after = Some(after.ok_or_else(|| wrong("cursor", "this is no cursor"))?);
            }
            "event_type" => {
                let name = event_type(value);
                let name = name.map_err(|e| wrong("event_type", e.to_string()))?;
                query.types.push(name);
            }
            _ => query.metadata.push(condition(&name, &value)?),
        }
    }
    if query.from.zip(query.to).is_some_and(|(from, to)| from > to) {
        return Err(wrong("from", "from lies after to"));
    }
    Ok(query)
}

/// `metadata.plan=pro`: the text, or what it is as JSON, such as a number.
fn condition(name: &str, value: &str) -> Result<(Value, Value), Problem> {
    let key = name.strip_prefix("metadata.").filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| wrong(name, "there is no such parameter"))?;
    if key.len() > 256 || value.len() > 1_024 || key.contains('\0') {
        return Err(wrong(name, "a condition has at most 256 and 1024 bytes"));
    }
    let as_json: Option<Value> = serde_json::from_str(value).ok();
    let scalar = as_json.filter(|json| !json.is_object() && !json.is_array());
    let text = json!({ key: value });
    Ok((
        scalar.map_or_else(|| text.clone(), |scalar| json!({ key: scalar })),
        text,
    ))
}
