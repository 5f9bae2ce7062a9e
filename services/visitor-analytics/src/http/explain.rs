//! `GET /visits/{id}/explain`.

use axum::Json;
use axum::extract::State;
use chassis::Problem;
use chassis::extract::Path;
use chrono::{DateTime, Utc};
use common::visitor_analytics::Visit;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::error;
use super::site_scope::{SiteScope, found};
use crate::domain::bot::{Reason, THRESHOLD};
use crate::domain::explanation::{Circumstances, Outbox, Session, Told, told};
use crate::domain::session::Telling;
use crate::store::{Facts, SessionFacts};

/// The whole story of one visit.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Explanation {
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
    verdict: Judged,
    location: Located,
    origin: Led,
    session: Option<InSession>,
    notification: Notified,
    /// The visit itself.
    visit: Visit,
}

/// Why it is a bot's or a person's.
#[derive(Debug, Serialize, ToSchema)]
struct Judged {
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
    rules: Vec<Rule>,
}

/// A rule that fired.
#[derive(Debug, Serialize, ToSchema)]
struct Rule {
    code: String,
    /// What it added to the score, or took from it; `null` where today's rules do not know it.
    weight: Option<i8>,
    /// What it says.
    about: Option<&'static str>,
}

/// Where the visitor is, and how that is known.
#[derive(Debug, Serialize, ToSchema)]
struct Located {
    /// `located` by geo from the address, `owed` while geo is asked again, or `unknown`.
    status: &'static str,
    country_code: Option<String>,
    city: Option<String>,
    asn: Option<u32>,
    as_organization: Option<String>,
}

/// What led here.
#[derive(Debug, Serialize, ToSchema)]
struct Led {
    referrer: Option<String>,
    source: String,
    medium: String,
    channel: Option<String>,
}

/// The session that the visit belongs to: the visitor's visits with gaps under 30 minutes.
#[derive(Debug, Serialize, ToSchema)]
struct InSession {
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
struct Notified {
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
        (status = 200, body = Explanation, description = "The whole story"),
        (status = 404, description = "There is no such visit"),
    ))]
pub(super) async fn explain(
    State(state): State<super::State>,
    scope: SiteScope,
    Path(id): Path<Uuid>,
) -> Result<Json<Explanation>, Problem> {
    let facts = state.store.facts(id, scope.sites()).await;
    let facts = facts.map_err(|e| error::store(&e))?;
    let facts = found(facts, "there is no visit with this id")?;
    let import = state
        .store
        .import_of((id, facts.visit.timestamp))
        .await
        .map_err(|e| error::store(&e))?;
    Ok(Json(Explanation::of(facts, import, state.telling)))
}

impl Explanation {
    fn of(facts: Facts, import_id: Option<Uuid>, telling: Telling) -> Self {
        let notification = Notified::of(&facts, telling);
        let visit = facts.visit;
        let in_session = |session: SessionFacts| InSession {
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
            verdict: Judged::of(&visit),
            location: Located::of(&visit, facts.place_is_owed),
            origin: Led {
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

impl Judged {
    fn of(visit: &Visit) -> Self {
        let rule = |code: &String| {
            let known = Reason::with_code(code);
            Rule {
                code: code.clone(),
                weight: known.map(Reason::weight),
                about: known.map(Reason::about),
            }
        };
        Self {
            is_bot: visit.is_bot,
            score: visit.bot_score,
            threshold: THRESHOLD,
            ruleset: visit.ruleset,
            name: visit.bot_name.clone(),
            category: visit.bot_category.clone(),
            rules: visit.bot_reasons.iter().map(rule).collect(),
        }
    }
}

impl Located {
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

impl Notified {
    fn of(facts: &Facts, telling: Telling) -> Self {
        let visit = &facts.visit;
        let session = facts.session.as_ref();
        let waiting = session.and_then(|session| session.waiting.as_ref());
        let outcome: Told = told(
            &Circumstances {
                is_bot: visit.is_bot,
                opted_out: visit.visitor_id == visit.id.simple().to_string(),
                session: session.map(|session| Session {
                    is_bot: session.is_bot,
                    visits: session.visits,
                    announced: session.announced,
                    outbox: waiting.map_or(Outbox::Empty, |entry| {
                        if entry.gave_up {
                            Outbox::Refused
                        } else {
                            Outbox::Waiting
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
