//! `POST /analytics/events`: one event or a list of events.

pub(super) mod read;

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use chassis::Problem;
use chassis::extract::{parse_json, parse_object, read_json_bytes};
use chrono::{DateTime, Utc};
use common::geo::ItemError;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::error;
use super::site_scope::SiteScope;
use super::state::SharedState;
use crate::app::admission::{self, AdmissionError};
use crate::domain::event::{EventActor, NewEvent, SubmittedEvent};
use crate::domain::visitor_id::{Salt, SaltPeriod};
use crate::store::{Event, RecordOutcome};

const MAX_EVENTS_PER_REQUEST: usize = 1_000;

/// Result of recording one event.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = EventAnswer)]
pub(super) struct EventReceipt {
    /// Id of the event.
    id: Option<Uuid>,
    status: EventStatus,
    /// Id of the visitor.
    visitor_id: Option<String>,
}

/// Result of recording one event of a list.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = EventItem)]
pub(super) struct EventResult {
    #[serde(flatten)]
    receipt: EventReceipt,
    /// Why the event was rejected; the other fields are `null` then. `null` if the event was not
    /// rejected.
    error: Option<ItemError>,
}

/// `recorded`: the event is stored; `duplicate`: the event was stored before, nothing changed;
/// `rejected`: the event is not stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = EventStatus)]
#[serde(rename_all = "lowercase")]
enum EventStatus {
    Recorded,
    Duplicate,
    #[default]
    Rejected,
}

/// Results of a list of events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventAnswers)]
pub(super) struct EventBatchResponse {
    /// One result per event, in the order of the request.
    results: Vec<EventResult>,
}

/// Record events.
///
/// The body is one event (answered with 201) or an array of up to 1,000 events (answered with 200
/// and one result per event). The status `recorded` or `duplicate` means that the event is
/// committed. Events with an `id` can be retried safely after any error.
#[utoipa::path(post, path = "/analytics/events", tag = "events", request_body = SubmittedEvent,
    responses(
        (status = 201, body = EventReceipt,
            description = "The event was recorded, or is a duplicate"),
        (status = 200, body = EventBatchResponse,
            description = "Results of a list. An invalid event does not affect the others"),
        (status = 409,
            description = "The id belongs to an event of another site (`EVENT_ID_TAKEN`)"),
        (status = 422, description = "The event is invalid; `field` names the field"),
        (status = 429,
            description = "The site is new, and the limit on new sites is reached \
                (`SITE_LIMIT_REACHED`)"),
        (status = 503, description = "No event was stored; retry after `Retry-After`"),
    ))]
pub(super) async fn submit(
    State(state): State<SharedState>,
    scope: SiteScope,
    request: Request,
) -> Result<Response, Problem> {
    let body = read_json_bytes(request).await?;
    let now = state.clock.now();
    if body.trim_ascii_start().first() != Some(&b'[') {
        let event = accept_event(&state, &scope, parse_object(&body)?, now)?;
        let answer = record_admitted(&state, &scope, vec![event], now)
            .await?
            .pop();
        let answer = answer.transpose().map_err(refusal_problem)?;
        return Ok((StatusCode::CREATED, Json(answer)).into_response());
    }
    let items: Vec<&RawValue> = parse_json(&body)?;
    if items.len() > MAX_EVENTS_PER_REQUEST {
        let detail =
            format!("a request has at most {MAX_EVENTS_PER_REQUEST} events; split the list");
        return Err(Problem::invalid("body", "TOO_MANY_EVENTS", detail));
    }
    let mut results: Vec<EventResult> = items.iter().map(|_| EventResult::default()).collect();
    let (mut places, mut events) = (vec![], vec![]);
    for (place, item) in items.iter().enumerate() {
        let event =
            parse_object(item.get().as_bytes()).and_then(|e| accept_event(&state, &scope, e, now));
        match event {
            Ok(event) => {
                places.push(place);
                events.push(event);
            }
            Err(problem) => results[place].error = Some(error::item_error(&problem)),
        }
    }
    let recorded = record_admitted(&state, &scope, events, now).await?;
    for (place, answer) in places.into_iter().zip(recorded) {
        match answer {
            Ok(answer) => results[place].receipt = answer,
            Err(refusal) => {
                results[place].error = Some(error::item_error(&refusal_problem(refusal)));
            }
        }
    }
    Ok(Json(EventBatchResponse { results }).into_response())
}

fn accept_event(
    state: &SharedState,
    scope: &SiteScope,
    event: SubmittedEvent,
    now: DateTime<Utc>,
) -> Result<NewEvent, Problem> {
    let event = NewEvent::accept(event, &state.privacy_policy, now)
        .map_err(|e| error::from_validation(&e))?;
    scope.check_site(&event.site)?;
    Ok(event)
}

fn refusal_problem(refusal: AdmissionError) -> Problem {
    error::from_admission(refusal, "EVENT_ID_TAKEN")
}

/// Records the events whose site exists or may be created.
async fn record_admitted(
    state: &SharedState,
    scope: &SiteScope,
    events: Vec<NewEvent>,
    now: DateTime<Utc>,
) -> Result<Vec<Result<EventReceipt, AdmissionError>>, Problem> {
    let sites = events.iter().map(|event| event.site.as_str());
    let new_sites = scope.new_site_policy();
    let unknown = state.admission.ensure_sites(sites, now, new_sites).await?;
    if unknown.is_empty() {
        return record_all(state, events, now).await;
    }
    let is_known: Vec<bool> = events
        .iter()
        .map(|event| !unknown.contains(&event.site))
        .collect();
    let events = events
        .into_iter()
        .zip(&is_known)
        .filter(|(_, is_known)| **is_known);
    let events = events.map(|(event, _)| event).collect();
    let mut recorded = record_all(state, events, now).await?.into_iter();
    let answers = is_known.into_iter().map(|is_known| {
        if is_known {
            recorded.next()
        } else {
            Some(Err(admission::unknown_site_error(new_sites)))
        }
    });
    Ok(answers.flatten().collect())
}

async fn record_all(
    state: &SharedState,
    events: Vec<NewEvent>,
    now: DateTime<Utc>,
) -> Result<Vec<Result<EventReceipt, AdmissionError>>, Problem> {
    if events.is_empty() {
        return Ok(vec![]);
    }
    let period = |event: &NewEvent| {
        state
            .privacy_policy
            .visitor_id_lifetime
            .period(event.timestamp)
    };
    let seen = events
        .iter()
        .filter(|event| matches!(event.actor, EventActor::AddressAndAgent(..)));
    let periods: BTreeSet<SaltPeriod> = seen.map(period).collect();
    let salts = state.store.salts.get_or_create(periods, now).await?;
    let events = events.into_iter().map(|event| {
        let period = period(&event);
        with_visitor_id(event, period, &salts, now)
    });
    let events: Vec<Event> = events.collect();
    let outcomes = state.store.events.record(&events, now).await?;
    let answers = events.into_iter().zip(outcomes).map(|(event, outcome)| {
        let status = match outcome {
            RecordOutcome::Recorded => EventStatus::Recorded,
            RecordOutcome::Duplicate => EventStatus::Duplicate,
            RecordOutcome::IdConflict => return Err(AdmissionError::IdTaken),
        };
        Ok(EventReceipt {
            id: Some(event.id),
            status,
            visitor_id: Some(event.visitor_id),
        })
    });
    Ok(answers.collect())
}

/// Assigns the visitor id that a visit of the same visitor would have.
fn with_visitor_id(
    event: NewEvent,
    period: SaltPeriod,
    salts: &BTreeMap<SaltPeriod, Salt>,
    now: DateTime<Utc>,
) -> Event {
    let visitor_id = match (event.actor, salts.get(&period)) {
        (EventActor::VisitorId(id), _) => id,
        (EventActor::AddressAndAgent(ip, agent), Some(salt)) => {
            period.visitor_id(salt, &event.site, ip, &agent)
        }
        (EventActor::AddressAndAgent(..), None) => {
            unreachable!("a salt was read for each period of anonymous events")
        }
    };
    Event {
        id: event.id,
        timestamp: event.timestamp,
        received_at: now,
        site: event.site,
        event_type: event.event_type,
        visitor_id,
        user_id: event.user_id,
        metadata: event.metadata,
    }
}
