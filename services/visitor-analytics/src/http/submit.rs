//! `POST /visits`: one visit or a list of visits.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use chassis::Problem;
use chassis::extract::{parse_json, parse_object_leniently, read_json_bytes};
use chassis::json_response::json_with_capacity;
use chrono::{DateTime, Utc};
use common::geo::{ItemError, Location};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::error;
use super::site_scope::SiteScope;
use super::state::SharedState;
use crate::app::admission::AdmissionError;
use crate::app::ingest::IngestedVisit;
use crate::domain::visit::{NewVisit, SubmittedVisit};
use crate::store::RecordOutcome;

const MAX_VISITS_PER_REQUEST: usize = 1_000;

/// Result of recording one visit.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct SubmissionResponse {
    /// Id of the visit.
    id: Option<Uuid>,
    status: VisitStatus,
    /// Id of the session to which the visit belongs.
    session_id: Option<Uuid>,
    /// Id of the visitor.
    visitor_id: Option<String>,
    /// Whether the visit started a new session.
    is_new_session: Option<bool>,
    /// Whether the visit is a bot's.
    is_bot: Option<bool>,
    /// From 0 (a person) to 100 (a bot).
    bot_score: Option<u8>,
    /// Stable codes of the bot rules that fired.
    bot_reasons: Vec<&'static str>,
    /// Location of the visitor; `null` if the location is unknown.
    #[serde(serialize_with = "serialize_location")]
    #[schema(value_type = Option<Location>)]
    location: Option<Arc<Location>>,
    /// What may be a mistake of the client: fields with unknown names, which are ignored. Omitted if
    /// there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// Serializes a location without copying it, because many visits share one.
#[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
fn serialize_location<S: Serializer>(
    location: &Option<Arc<Location>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    location.as_deref().serialize(serializer)
}

/// Result of recording one visit of a list.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct VisitResult {
    #[serde(flatten)]
    response: SubmissionResponse,
    /// Why the visit was rejected; the other fields are `null` then. `null` if the visit was not
    /// rejected.
    error: Option<ItemError>,
}

/// Initial capacity of the response buffer per visit.
const RESPONSE_BYTES_PER_VISIT: usize = 1_200;

/// `recorded`: the visit is stored; `duplicate`: the visit was stored before, nothing changed;
/// `ignored`: the site's settings exclude the visit, which is counted but not stored; `rejected`:
/// the visit is not stored.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum VisitStatus {
    Recorded,
    Duplicate,
    Ignored,
    #[default]
    Rejected,
}

/// Results of a list of visits.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VisitBatchResponse {
    /// One result per visit, in the order of the request.
    results: Vec<VisitResult>,
}

/// Record visits.
///
/// The body is one visit (answered with 201) or an array of up to 1,000 visits (answered with 200
/// and one result per visit). The status `recorded` or `duplicate` means that the visit is
/// committed. Visits with an `id` can be retried safely after any error.
#[utoipa::path(post, path = "/visits", tag = "visits", request_body = SubmittedVisit,
    responses(
        (status = 201, body = SubmissionResponse,
            description = "The visit was recorded or ignored, or is a duplicate"),
        (status = 200, body = VisitBatchResponse,
            description = "Results of a list. An invalid visit does not affect the others"),
        (status = 409,
            description = "The id belongs to a visit of another site (`VISIT_ID_TAKEN`)"),
        (status = 422, description = "The visit is invalid; `field` names the field"),
        (status = 429,
            description = "The site is new, and the limit on new sites is reached \
                (`SITE_LIMIT_REACHED`)"),
        (status = 503, description = "No visit was stored; retry after `Retry-After`"),
    ))]
pub(super) async fn submit(
    State(state): State<SharedState>,
    scope: SiteScope,
    request: Request,
) -> Result<Response, Problem> {
    let body = read_json_bytes(request).await?;
    let context = SubmitContext {
        state: &state,
        scope: &scope,
        now: state.clock.now(),
    };
    if body.trim_ascii_start().first() == Some(&b'[') {
        return context.submit_batch(&body).await;
    }
    let (visit, unknown_fields) = parse_object_leniently(&body)?;
    let visit = context.accept(visit)?;
    let warnings = unknown_field_warnings(&unknown_fields);
    if state.ignore_rules.count_if_ignored(&visit) {
        let mut answer = SubmissionResponse::ignored(visit.id);
        answer.warnings = warnings;
        return json_with_capacity(StatusCode::CREATED, &answer, RESPONSE_BYTES_PER_VISIT);
    }
    let received = state
        .ingest
        .ingest(vec![visit], scope.new_site_policy(), context.now);
    let received = received.await.map_err(|e| error::from_record(&e))?;
    let answer = received.into_iter().next().transpose();
    let answer = answer.map_err(refusal_problem)?.map(|received| {
        let mut answer = SubmissionResponse::from(received);
        answer.warnings = warnings;
        answer
    });
    json_with_capacity(StatusCode::CREATED, &answer, RESPONSE_BYTES_PER_VISIT)
}

struct SubmitContext<'a> {
    state: &'a SharedState,
    scope: &'a SiteScope,
    now: DateTime<Utc>,
}

impl SubmitContext<'_> {
    async fn submit_batch(&self, body: &[u8]) -> Result<Response, Problem> {
        let items: Vec<&RawValue> = parse_json(body)?;
        if items.len() > MAX_VISITS_PER_REQUEST {
            let detail =
                format!("a request has at most {MAX_VISITS_PER_REQUEST} visits; split the list");
            return Err(Problem::invalid("body", "TOO_MANY_VISITS", detail));
        }
        let mut results: Vec<VisitResult> = items.iter().map(|_| VisitResult::default()).collect();
        let mut warnings = vec![vec![]; items.len()];
        let (mut places, mut visits) = (vec![], Vec::with_capacity(items.len()));
        for (place, item) in items.iter().enumerate() {
            let parsed = parse_object_leniently(item.get().as_bytes());
            let visit = parsed.and_then(|(visit, unknown_fields)| {
                warnings[place] = unknown_field_warnings(&unknown_fields);
                self.accept(visit)
            });
            match visit {
                Ok(visit) if self.state.ignore_rules.count_if_ignored(&visit) => {
                    results[place].response = SubmissionResponse::ignored(visit.id);
                }
                Ok(visit) => {
                    places.push(place);
                    visits.push(visit);
                }
                Err(problem) => results[place].error = Some(error::item_error(&problem)),
            }
        }
        let new_sites = self.scope.new_site_policy();
        let received = self.state.ingest.ingest(visits, new_sites, self.now).await;
        let received = received.map_err(|e| error::from_record(&e))?;
        for (place, one) in places.into_iter().zip(received) {
            match one {
                Ok(one) => results[place].response = SubmissionResponse::from(one),
                Err(refusal) => {
                    results[place].error = Some(error::item_error(&refusal_problem(refusal)));
                }
            }
        }
        for (result, warnings) in results.iter_mut().zip(warnings) {
            result.response.warnings = warnings;
        }
        let room = RESPONSE_BYTES_PER_VISIT * results.len();
        json_with_capacity(StatusCode::OK, &VisitBatchResponse { results }, room)
    }

    fn accept(&self, visit: SubmittedVisit) -> Result<NewVisit, Problem> {
        let visit = NewVisit::accept(visit, &self.state.privacy_policy, self.now);
        let visit = visit.map_err(|e| error::from_validation(&e))?;
        self.scope.check_site(&visit.site)?;
        Ok(visit)
    }
}

pub(super) fn unknown_field_warnings(names: &[String]) -> Vec<String> {
    const MAX_WARNINGS: usize = 10;
    const MAX_NAME_CHARS: usize = 64;
    let names = names.iter().take(MAX_WARNINGS);
    let shown = names.map(|name| name.chars().take(MAX_NAME_CHARS).collect::<String>());
    shown
        .map(|name| format!("the field `{name}` is unknown and was ignored"))
        .collect()
}

fn refusal_problem(refusal: AdmissionError) -> Problem {
    error::from_admission(refusal, "VISIT_ID_TAKEN")
}

impl SubmissionResponse {
    fn ignored(id: Uuid) -> Self {
        Self {
            id: Some(id),
            status: VisitStatus::Ignored,
            ..Self::default()
        }
    }
}

impl From<IngestedVisit> for SubmissionResponse {
    fn from(received: IngestedVisit) -> Self {
        let recorded = received.recorded;
        Self {
            id: Some(received.id),
            status: match recorded.outcome {
                RecordOutcome::Recorded => VisitStatus::Recorded,
                RecordOutcome::Duplicate => VisitStatus::Duplicate,
                RecordOutcome::IdConflict => VisitStatus::Rejected,
            },
            session_id: Some(recorded.session_id),
            visitor_id: Some(recorded.visitor_id),
            is_new_session: Some(recorded.is_new_session),
            is_bot: Some(received.verdict.is_bot),
            bot_score: Some(received.verdict.score),
            bot_reasons: received.verdict.reasons.iter().map(|r| r.code()).collect(),
            location: received.location,
            warnings: vec![],
        }
    }
}
