//! `GET /visits/{id}/explain`.

use axum::Json;
use axum::extract::State;
use bot_detection::{BOT_SCORE_THRESHOLD, BotRule};
use chassis::Problem;
use chassis::extract::Path;
use chrono::{DateTime, Utc};
use common::visitor_analytics::Visit;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::error;
use super::site_scope::{SiteScope, found};
use crate::domain::explanation::{
    NotificationFacts, NotificationStatus, OutboxState, SessionState, told,
};
use crate::domain::session::NotifyPolicy;
use crate::store::{SessionSummary, VisitExplanation};

/// The whole story of one visit.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ExplanationResponse {
    id: Uuid,
    /// `recorded`: copies that came again changed nothing.
    status: &'static str,
    /// How many came, each answered as `duplicate`.
    copies: u64,
    /// When the last of them came.
    last_copy_at: Option<DateTime<Utc>>,
    timestamp: DateTime<Utc>,
    received_at: DateTime<Utc>,
    /// The import that brought it, if one did (`GET /imports/{id}`).
    import_id: Option<Uuid>,
    verdict: ExplainedVerdict,
    location: ExplainedLocation,
    origin: ExplainedSource,
    session: Option<ExplainedSession>,
    notification: ExplainedNotification,
    /// The visit itself.
    visit: Visit,
}

/// Why it is a bot's or a person's.
#[derive(Debug, Serialize, ToSchema)]
struct ExplainedVerdict {
    is_bot: bool,
    /// The sum of the weights, between 0 and 100.
    score: u8,
    /// From this score on it is a bot's.
    threshold: u8,
    /// The version of the rules.
    ruleset: u16,
    name: Option<String>,
    category: Option<String>,
    /// The rules that fired.
    rules: Vec<FiredRule>,
}

/// A rule that fired.
#[derive(Debug, Serialize, ToSchema)]
struct FiredRule {
    code: String,
    /// What it added to the score, or took from it; `null` where today's rules do not know it.
    weight: Option<i8>,
    /// What it says.
    about: Option<&'static str>,
}

/// Where the visitor is, and how that is known.
#[derive(Debug, Serialize, ToSchema)]
struct ExplainedLocation {
    /// `located` by geo from the address, `owed` while geo is asked again, or `unknown`.
    status: &'static str,
    country_code: Option<String>,
    city: Option<String>,
    asn: Option<u32>,
    as_organization: Option<String>,
}

/// What led here.
#[derive(Debug, Serialize, ToSchema)]
struct ExplainedSource {
    referrer: Option<String>,
    source: String,
    medium: String,
    channel: Option<String>,
}

/// The session that the visit belongs to: the visitor's visits with gaps under 30 minutes.
#[derive(Debug, Serialize, ToSchema)]
struct ExplainedSession {
    id: Uuid,
    visitor_id: String,
    started_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
    visits: u32,
    is_bot: bool,
    /// Whether the session began with this visit.
    begins: bool,
}

/// Whether somebody was told of the session.
#[derive(Debug, Serialize, ToSchema)]
struct ExplainedNotification {
    /// `told`, `waiting`, `refused` or `not_told`.
    status: &'static str,
    /// Why nobody was told: `bot`, `bot_session`, `opted_out`, `too_old`, `no_second_signal` or
    /// `session_gone`.
    reason: Option<&'static str>,
    /// The visit that is told of, where it is known.
    visit_id: Option<Uuid>,
    attempts: Option<u32>,
    due_at: Option<DateTime<Utc>>,
    last_error: Option<String>,
}

/// Why a visit is what it is: each rule that fired, its place, its session, and who was told.
#[utoipa::path(get, path = "/visits/{id}/explain", tag = "visits",
    params(("id" = Uuid, Path, description = "The visit's id")),
    responses(
        (status = 200, body = ExplanationResponse, description = "The whole story"),
        (status = 404, description = "There is no such visit"),
    ))]
pub(super) async fn explain(
    State(state): State<super::SharedState>,
    scope: SiteScope,
    Path(id): Path<Uuid>,
) -> Result<Json<ExplanationResponse>, Problem> {
    let facts = state.store.facts(id, scope.sites()).await;
    let facts = facts.map_err(|e| error::store(&e))?;
    let facts = found(facts, "there is no visit with this id")?;
    let import = state
        .store
        .import_of((id, facts.visit.timestamp))
        .await
        .map_err(|e| error::store(&e))?;
    Ok(Json(ExplanationResponse::of(facts, import, state.telling)))
}

impl ExplanationResponse {
    fn of(facts: VisitExplanation, import_id: Option<Uuid>, telling: NotifyPolicy) -> Self {
        let notification = ExplainedNotification::of(&facts, telling);
        let visit = facts.visit;
        let in_session = |session: SessionSummary| ExplainedSession {
            id: visit.session_id,
            visitor_id: visit.visitor_id.clone(),
            started_at: session.started_at,
            last_seen_at: session.last_seen_at,
            visits: session.visits,
            is_bot: session.is_bot,
            begins: session.entry_visit_id == visit.id,
        };
        Self {
            id: visit.id,
            status: "recorded",
            copies: facts.copies.map_or(0, |copies| copies.count),
            last_copy_at: facts.copies.map(|copies| copies.last_at),
            timestamp: visit.timestamp,
            received_at: visit.received_at,
            import_id,
            verdict: ExplainedVerdict::of(&visit),
            location: ExplainedLocation::of(&visit, facts.place_is_owed),
            origin: ExplainedSource {
                referrer: visit.referrer.clone(),
                source: visit.source.clone(),
                medium: visit.medium.clone(),
                channel: visit.channel.clone(),
            },
            session: facts.session.map(in_session),
            notification,
            visit,
        }
    }
}

impl ExplainedVerdict {
    fn of(visit: &Visit) -> Self {
        let rule = |code: &String| {
            let known = BotRule::with_code(code);
            FiredRule {
                code: code.clone(),
                weight: known.map(BotRule::weight),
                about: known.map(BotRule::about),
            }
        };
        Self {
            is_bot: visit.is_bot,
            score: visit.bot_score,
            threshold: BOT_SCORE_THRESHOLD,
            ruleset: visit.ruleset,
            name: visit.bot_name.clone(),
            category: visit.bot_category.clone(),
            rules: visit.bot_reasons.iter().map(rule).collect(),
        }
    }
}

impl ExplainedLocation {
    fn of(visit: &Visit, is_owed: bool) -> Self {
        let is_known = visit.country_code.is_some() || visit.latitude.is_some();
        Self {
            status: match (is_known, is_owed) {
                (true, _) => "located",
                (false, true) => "owed",
                (false, false) => "unknown",
            },
            country_code: visit.country_code.clone(),
            city: visit.city.clone(),
            asn: visit.asn,
            as_organization: visit.as_organization.clone(),
        }
    }
}

impl ExplainedNotification {
    fn of(facts: &VisitExplanation, telling: NotifyPolicy) -> Self {
        let visit = &facts.visit;
        let session = facts.session.as_ref();
        let waiting = session.and_then(|session| session.waiting.as_ref());
        let outcome: NotificationStatus = told(
            &NotificationFacts {
                is_bot: visit.is_bot,
                opted_out: visit.visitor_id == visit.id.simple().to_string(),
                session: session.map(|session| SessionState {
                    is_bot: session.is_bot,
                    visits: session.visits,
                    announced: session.announced,
                    outbox: waiting.map_or(OutboxState::Empty, |entry| {
                        if entry.gave_up {
                            OutboxState::Refused
                        } else {
                            OutboxState::Waiting
                        }
                    }),
                }),
            },
            telling,
        );
        Self {
            status: outcome.status(),
            reason: outcome.reason(),
            visit_id: waiting.map(|entry| entry.visit_id),
            attempts: waiting.map(|entry| entry.attempts),
            due_at: waiting.map(|entry| entry.due_at),
            last_error: waiting.and_then(|entry| entry.last_error.clone()),
        }
    }
}
