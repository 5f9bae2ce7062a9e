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

use super::site_scope::{SiteScope, require_found};
use super::state::SharedState;
use crate::domain::notification_status::{
    NotificationFacts, NotificationStatus, OutboxState, SessionState, notification_status,
};
use crate::domain::session::NotifyPolicy;
use crate::store::{SessionSummary, VisitExplanation};

/// Everything that is stored about one visit, and why.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ExplanationResponse {
    id: Uuid,
    /// Always `recorded`; later submissions of the same visit change nothing.
    status: &'static str,
    /// Later submissions of the same visit, each answered with `duplicate`.
    copies: u64,
    /// Time of the last duplicate submission; `null` if there was none.
    last_copy_at: Option<DateTime<Utc>>,
    /// Time of the page view.
    timestamp: DateTime<Utc>,
    /// Time at which the visit was recorded.
    received_at: DateTime<Utc>,
    /// The import that recorded the visit (`GET /imports/{id}`); `null` for other visits.
    import_id: Option<Uuid>,
    verdict: ExplainedVerdict,
    location: ExplainedLocation,
    origin: ExplainedSource,
    /// `null` if the session is no longer stored.
    session: Option<ExplainedSession>,
    notification: ExplainedNotification,
    /// The visit, as `GET /visits/{id}` returns it.
    visit: Visit,
}

/// The bot verdict of a visit, with the rules that fired.
#[derive(Debug, Serialize, ToSchema)]
struct ExplainedVerdict {
    is_bot: bool,
    /// Sum of the weights of the rules that fired, from 0 (a person) to 100 (a bot).
    score: u8,
    /// A visit with at least this score is a bot's.
    threshold: u8,
    /// Version of the rules that classified the visit.
    ruleset: u16,
    /// Name of the bot, if known.
    name: Option<String>,
    /// Category of the bot, such as `search_engine`, if known.
    category: Option<String>,
    rules: Vec<FiredRule>,
}

/// A bot rule that fired for the visit.
#[derive(Debug, Serialize, ToSchema)]
struct FiredRule {
    /// Stable code of the rule.
    code: String,
    /// Points that the rule adds to the score; negative if it speaks for a person. `null` if the
    /// current ruleset no longer has the rule.
    weight: Option<i8>,
    /// Description of the rule; `null` if the current ruleset no longer has the rule.
    about: Option<&'static str>,
}

/// Location of the visitor.
#[derive(Debug, Serialize, ToSchema)]
struct ExplainedLocation {
    /// `located`: the geo service found the location; `owed`: the lookup is pending and will be
    /// retried; `unknown`: no location was found.
    status: &'static str,
    /// ISO 3166-1 alpha-2 code.
    country_code: Option<String>,
    /// Name of the city, in English.
    city: Option<String>,
    /// Number of the autonomous system.
    asn: Option<u32>,
    /// Organization that runs the autonomous system.
    as_organization: Option<String>,
}

/// Acquisition source of the visit.
#[derive(Debug, Serialize, ToSchema)]
struct ExplainedSource {
    /// URL of the referring page.
    referrer: Option<String>,
    /// Where the visitor came from, such as `google` or `(direct)`.
    source: String,
    /// How the visitor came, such as `organic` or `(none)`.
    medium: String,
    /// Acquisition channel, such as `Organic Search`.
    channel: Option<String>,
}

/// Session of the visit: the visitor's visits with gaps under 30 minutes.
#[derive(Debug, Serialize, ToSchema)]
struct ExplainedSession {
    id: Uuid,
    visitor_id: String,
    /// Time of the first visit.
    started_at: DateTime<Utc>,
    /// Time of the last visit.
    last_seen_at: DateTime<Utc>,
    /// Number of visits.
    visits: u32,
    /// Whether a visit of the session is a bot's.
    is_bot: bool,
    /// Whether this visit is the first of the session.
    begins: bool,
}

/// Whether the session was announced to the notification service.
#[derive(Debug, Serialize, ToSchema)]
struct ExplainedNotification {
    /// `told`: the notification service accepted the announcement; `waiting`: the announcement is
    /// queued; `refused`: the notification service rejected it permanently; `not_told`: the
    /// session is not announced, see `reason`.
    status: &'static str,
    /// Reason for `not_told`: `bot`, `bot_session`, `opted_out`, `too_old`, `no_second_signal` or
    /// `session_gone`.
    reason: Option<&'static str>,
    /// The visit that the waiting or refused announcement names; `null` for other statuses.
    visit_id: Option<Uuid>,
    /// Attempts to send the announcement so far; `null` for other statuses.
    attempts: Option<u32>,
    /// Time of the next attempt; `null` for other statuses.
    due_at: Option<DateTime<Utc>>,
    /// Error of the last attempt.
    last_error: Option<String>,
}

/// Explain a visit.
///
/// Returns the bot rules that fired with their weights, the location, the acquisition source, the
/// session, duplicate submissions, and whether the session was announced to the notification
/// service.
#[utoipa::path(get, path = "/visits/{id}/explain", tag = "visits",
    params(("id" = Uuid, Path, description = "The visit's id")),
    responses(
        (status = 200, body = ExplanationResponse, description = "The visit and its explanation"),
        (status = 404, description = "The visit does not exist"),
    ))]
pub(super) async fn explain(
    State(state): State<SharedState>,
    scope: SiteScope,
    Path(id): Path<Uuid>,
) -> Result<Json<ExplanationResponse>, Problem> {
    let facts = state.store.visits.explain(id, scope.sites()).await?;
    let facts = require_found(facts, "there is no visit with this id")?;
    let import = state
        .store
        .imports
        .of_visit((id, facts.visit.timestamp))
        .await?;
    Ok(Json(ExplanationResponse::new(
        facts,
        import,
        state.notify_policy,
    )))
}

impl ExplanationResponse {
    fn new(facts: VisitExplanation, import_id: Option<Uuid>, notify_policy: NotifyPolicy) -> Self {
        let notification = ExplainedNotification::new(&facts, notify_policy);
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
            copies: facts.duplicates.map_or(0, |copies| copies.count),
            last_copy_at: facts.duplicates.map(|copies| copies.last_at),
            timestamp: visit.timestamp,
            received_at: visit.received_at,
            import_id,
            verdict: ExplainedVerdict::new(&visit),
            location: ExplainedLocation::new(&visit, facts.location_is_pending),
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
    fn new(visit: &Visit) -> Self {
        let rule = |code: &String| {
            let known = BotRule::from_code(code);
            FiredRule {
                code: code.clone(),
                weight: known.map(BotRule::weight),
                about: known.map(BotRule::description),
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
    fn new(visit: &Visit, is_owed: bool) -> Self {
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
    fn new(facts: &VisitExplanation, notify_policy: NotifyPolicy) -> Self {
        let visit = &facts.visit;
        let session = facts.session.as_ref();
        let waiting = session.and_then(|session| session.outbox_entry.as_ref());
        let outcome: NotificationStatus = notification_status(
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
            notify_policy,
        );
        Self {
            status: outcome.as_str(),
            reason: outcome.reason(),
            visit_id: waiting.map(|entry| entry.visit_id),
            attempts: waiting.map(|entry| entry.attempts),
            due_at: waiting.map(|entry| entry.due_at),
            last_error: waiting.and_then(|entry| entry.last_error.clone()),
        }
    }
}
