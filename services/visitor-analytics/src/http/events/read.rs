//! `GET /analytics/events` and the other endpoints that read events.

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

use crate::domain::event::validate_event_type;
use crate::domain::visit::validate_external_id;
use crate::http::query_params::{
    ListParams, decode_cursor, encode_cursor, invalid_param, parse_bot_filter, parse_cursor,
    parse_limit, parse_site, parse_timestamp, truncate_page,
};
use crate::http::site_scope::{ScopedPairs, SiteScope};
use crate::http::state::SharedState;
use crate::store::{Event, EventQuery, Store};

/// Values of all `event_type` and `metadata.` filters together.
const MAX_METADATA_FILTERS: usize = 20;
const MAX_EVENT_TYPES: i64 = 1_000;

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documentation only; `query` parses")]
pub(crate) struct EventFilterParams {
    /// Only events of this site. Required if the token is limited to several sites.
    site: Option<String>,
    /// Only events at or after this time (RFC 3339).
    from: Option<DateTime<Utc>>,
    /// Only events before this time (RFC 3339).
    to: Option<DateTime<Utc>>,
    /// Only events of this type. Repeat the parameter to match any of several types.
    event_type: Option<String>,
    /// Only events of this user (the site's own user id).
    user_id: Option<String>,
    /// Only events of this visitor.
    visitor_id: Option<String>,
    /// `false` (default): no events of bots' sessions; `true`: all events; `only`: only events of
    /// bots' sessions.
    include_bots: Option<String>,
}

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventPage)]
pub(crate) struct EventPage {
    /// The events, newest first.
    data: Vec<EventResponse>,
    /// Pass as `cursor` to get the next page; `null` on the last page.
    next_cursor: Option<String>,
}

/// An event: something that a visitor does besides viewing pages.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventResponse {
    /// Id of the event.
    id: Uuid,
    /// Type of the event, such as `purchase`.
    event_type: String,
    /// Domain of the site.
    site: String,
    /// Time at which the event happened.
    timestamp: DateTime<Utc>,
    /// When the event was recorded.
    received_at: DateTime<Utc>,
    /// Id of the visitor.
    visitor_id: String,
    /// The site's own id of the user.
    user_id: Option<String>,
    /// Further data, as submitted by the site.
    metadata: Map<String, Value>,
}

/// Event types with their counts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventTypes)]
pub(crate) struct EventTypesResponse {
    /// The event types, most frequent first, at most 1,000.
    data: Vec<EventTypeSummary>,
}

/// Counts of an event type.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventType)]
pub(crate) struct EventTypeSummary {
    event_type: String,
    /// Number of events.
    events: i64,
    /// Number of distinct visitors.
    visitors: i64,
    /// Number of distinct users.
    users: i64,
}

type EventQueryPairs = Vec<(String, String)>;

/// List events.
///
/// Newest first. Parameters such as `metadata.plan=pro` filter by metadata. A request has at most
/// 20 values of `event_type` and metadata filters.
#[utoipa::path(get, path = "/analytics/events", tag = "events", params(EventFilterParams, ListParams),
    responses(
        (status = 200, body = EventPage, description = "A page of events"),
        (status = 400, description = "A parameter is invalid; `field` names it"),
    ))]
pub(crate) async fn list(
    State(state): State<SharedState>,
    scope: SiteScope,
    Query(pairs): Query<EventQueryPairs>,
) -> Result<Json<EventPage>, Problem> {
    fetch_page(&state.store, parse_query(scope.restrict(pairs)?)?).await
}

/// Count events by type.
///
/// Takes the filters of `GET /analytics/events`, but neither `limit` nor `cursor`.
#[utoipa::path(get, path = "/analytics/events/by-type", tag = "events", params(EventFilterParams, ListParams),
    responses(
        (status = 200, body = EventTypesResponse, description = "The event types"),
        (status = 400, description = "A parameter is invalid; `field` names it"),
    ))]
pub(crate) async fn by_type(
    State(state): State<SharedState>,
    scope: SiteScope,
    Query(pairs): Query<EventQueryPairs>,
) -> Result<Json<EventTypesResponse>, Problem> {
    let paging = pairs
        .iter()
        .find(|(name, _)| matches!(&**name, "limit" | "cursor"));
    if let Some((name, _)) = paging {
        return Err(invalid_param(
            name,
            "this list is not paged; omit `limit` and `cursor`",
        ));
    }
    let query = EventQuery {
        limit: MAX_EVENT_TYPES,
        ..parse_query(scope.restrict(pairs)?)?
    };
    let found = state.store.events.count_by_type(&query).await;
    let found = found?.into_iter();
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

/// List the events of a range of days.
///
/// Newest first. Days are in UTC. Takes the filters of `GET /analytics/events` except `from` and
/// `to`.
#[utoipa::path(get, path = "/analytics/events/date-range", tag = "events",
    params(
        ("start_date" = NaiveDate, Query, description = "First day (UTC), such as `2026-11-20`"),
        ("end_date" = NaiveDate, Query, description = "Last day (UTC), included"),
        EventFilterParams,
        ListParams,
    ),
    responses(
        (status = 200, body = EventPage, description = "A page of events"),
        (status = 400, description = "A parameter is invalid; `field` names it"),
    ))]
pub(crate) async fn date_range(
    State(state): State<SharedState>,
    scope: SiteScope,
    Query(pairs): Query<EventQueryPairs>,
) -> Result<Json<EventPage>, Problem> {
    let (dates, rest): (EventQueryPairs, EventQueryPairs) = pairs
        .into_iter()
        .partition(|(name, _)| matches!(&**name, "start_date" | "end_date"));
    let date = |parameter: &str| {
        let found = dates.iter().find(|(name, _)| name == parameter);
        let date: Option<NaiveDate> = found.and_then(|(_, text)| text.parse().ok());
        let date = date.filter(|date| (1990..=2200).contains(&chrono::Datelike::year(date)));
        date.ok_or_else(|| {
            invalid_param(
                parameter,
                "expected a day such as 2026-11-20, between 1990 and 2200",
            )
        })
    };
    let (first, last) = (date("start_date")?, date("end_date")?);
    if first > last {
        return Err(invalid_param(
            "start_date",
            "`start_date` must not be later than `end_date`",
        ));
    }
    if let Some((name, _)) = rest
        .iter()
        .find(|(name, _)| matches!(&**name, "from" | "to"))
    {
        return Err(invalid_param(
            name,
            "use `start_date` and `end_date` instead",
        ));
    }
    let query = EventQuery {
        from: Some(LocalDay::new(chrono_tz::Tz::UTC, first).from),
        to: Some(LocalDay::new(chrono_tz::Tz::UTC, last + Days::new(1)).from),
        ..parse_query(scope.restrict(rest)?)?
    };
    fetch_page(&state.store, query).await
}

/// List a user's events.
///
/// Newest first. Takes the filters of `GET /analytics/events` except `user_id`.
#[utoipa::path(get, path = "/analytics/users/{user_id}/events", tag = "events",
    params(("user_id" = String, Path,
        description = "The site's own id of the user"), EventFilterParams, ListParams),
    responses(
        (status = 200, body = EventPage, description = "A page of events"),
        (status = 400, description = "A parameter is invalid; `field` names it"),
    ))]
pub(crate) async fn user_events(
    State(state): State<SharedState>,
    scope: SiteScope,
    Path(user): Path<String>,
    Query(pairs): Query<EventQueryPairs>,
) -> Result<Json<EventPage>, Problem> {
    if pairs.iter().any(|(name, _)| name == "user_id") {
        return Err(invalid_param(
            "user_id",
            "the user is already named in the path",
        ));
    }
    let user = validate_external_id(user, "user_id")
        .map_err(|e| invalid_param("user_id", e.to_string()))?;
    let query = EventQuery {
        user_id: Some(user),
        ..parse_query(scope.restrict(pairs)?)?
    };
    fetch_page(&state.store, query).await
}

async fn fetch_page(store: &Store, query: EventQuery) -> Result<Json<EventPage>, Problem> {
    let mut found = store.events.list(&query).await?;
    Ok(Json(EventPage {
        next_cursor: truncate_page(&mut found, query.limit, |event| {
            encode_cursor(event.timestamp, event.id)
        }),
        data: found.into_iter().map(to_response).collect(),
    }))
}

pub(crate) fn to_response(event: Event) -> EventResponse {
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

fn parse_query(pairs: ScopedPairs) -> Result<EventQuery, Problem> {
    let mut query = EventQuery {
        limit: parse_limit(None)?,
        ..EventQuery::default()
    };
    let mut seen = std::collections::BTreeSet::new();
    for (name, value) in pairs {
        if query.metadata.len() + query.event_types.len() >= MAX_METADATA_FILTERS {
            return Err(invalid_param(
                &name,
                "a request has at most 20 values of `event_type` and metadata filters",
            ));
        }
        let own = |value, field| {
            validate_external_id(value, field).map_err(|e| invalid_param(field, e.to_string()))
        };
        if name != "event_type" && !seen.insert(name.clone()) {
            return Err(invalid_param(&name, "the parameter occurs more than once"));
        }
        match &*name {
            "site" => query.site = Some(parse_site(&value)?),
            "from" => query.from = Some(parse_timestamp("from", &value)?),
            "to" => query.to = Some(parse_timestamp("to", &value)?),
            "user_id" => query.user_id = Some(own(value, "user_id")?),
            "visitor_id" => query.visitor_id = Some(own(value, "visitor_id")?),
            "include_bots" => query.bots = parse_bot_filter(Some(&value))?,
            "limit" => query.limit = parse_limit(Some(&value))?,
            "cursor" => query.after = parse_cursor(Some(&value), decode_cursor)?,
            "event_type" => {
                let name = validate_event_type(value);
                let name = name.map_err(|e| invalid_param("event_type", e.to_string()))?;
                query.event_types.push(name);
            }
            _ => query.metadata.push(parse_metadata_filter(&name, &value)?),
        }
    }
    if query.from.zip(query.to).is_some_and(|(from, to)| from > to) {
        return Err(invalid_param("from", "`from` must not be later than `to`"));
    }
    Ok(query)
}

/// Parses `metadata.plan=pro`. The value matches as a string and, if it is a JSON scalar such as a
/// number, as that scalar.
fn parse_metadata_filter(name: &str, value: &str) -> Result<(Value, Value), Problem> {
    let key = name.strip_prefix("metadata.").filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| invalid_param(name, "this endpoint has no such parameter"))?;
    if key.len() > 256 || value.len() > 1_024 || key.contains('\0') {
        return Err(invalid_param(
            name,
            "a metadata filter has a name of at most 256 bytes and a value of at most 1024 bytes",
        ));
    }
    let as_json: Option<Value> = serde_json::from_str(value).ok();
    let scalar = as_json.filter(|json| !json.is_object() && !json.is_array());
    let text = json!({ key: value });
    Ok((
        scalar.map_or_else(|| text.clone(), |scalar| json!({ key: scalar })),
        text,
    ))
}
