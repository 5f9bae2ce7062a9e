//! `POST /rules/test`: what would be said to whom when, and why not. Nothing is sent or counted.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use chassis::Problem;
use chassis::extract::Json;
use chrono::{DateTime, Utc};
use common::clock::Clock;
use common::notification::{NotificationStatus, NotifyRequest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{AppState, error};
use crate::domain::book::RoutingTable;
use crate::domain::command::NotifyCommand;
use crate::domain::decision::{DeliveryPlan, PlannedDelivery, decide_unless};
use crate::domain::finding::RuleResult;
use crate::domain::notification::Notification;
use crate::domain::rule::{Rule, RuleSpec};
use crate::domain::sms::{SmsEncoding, segments};
use crate::domain::target::Channel;
use crate::store::{gates, notification};

/// What is to be tried.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"notification": {"event": "order.paid", "data": {"total": 1200}},
    "rule": {"name": "Big orders", "event": "order.*", "condition": "data.total > 1000"}}))]
pub(super) struct RuleTestRequest {
    /// A notification as it would be sent; or else name a stored one.
    notification: Option<NotifyRequest>,
    /// The id of a stored notification.
    notification_id: Option<Uuid>,
    /// A rule that is not kept yet, which is tried alone; without it the rules that are followed.
    rule: Option<RuleSpec>,
    /// When it would come; now unless told.
    #[serde(default, deserialize_with = "super::moment")]
    at: Option<DateTime<Utc>>,
}

/// What would happen.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RuleTestResponse {
    /// Whether it would go out.
    status: NotificationStatus,
    /// Why not, or not yet.
    reason: Option<String>,
    /// What each rule says that is about this event.
    rules: Vec<RuleResult>,
    /// What would hold it back, with what was counted so far.
    gates: Vec<RateWindowView>,
    /// What would be said to whom.
    deliveries: Vec<DeliveryPreview>,
}

/// A window that lets so many through.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Gate)]
pub(super) struct RateWindowView {
    /// Whose.
    rule_id: Uuid,
    /// `dedupe`, `throttle` or `total`.
    kind: &'static str,
    /// What is counted together.
    key: String,
    /// The most there may be.
    limit: i32,
    /// How many there were in the window that is open now.
    count: i32,
    /// When that window ends.
    ends_at: Option<DateTime<Utc>>,
    /// Whether it would be held back.
    shut: bool,
}

/// A message as it would be sent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeliveryPreview {
    /// `sms`, `log` …
    channel: &'static str,
    /// To whom; phone numbers are masked.
    recipient: String,
    /// The headline.
    title: Option<String>,
    /// What is said.
    text: String,
    /// The same as HTML.
    html: Option<String>,
    /// When it would be sent.
    due_at: DateTime<Utc>,
    /// 0 for those told at once; later ones only where nobody acknowledges.
    step: i16,
    /// `pending`, `suppressed`, or `dead` where the rule fails.
    status: &'static str,
    /// Why not, or not yet.
    reason: Option<String>,
    /// What a text message takes; null on other channels.
    sms: Option<SmsPreview>,
}

/// What a text message takes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SmsPreview {
    /// `GSM-7` or `UCS-2`.
    encoding: &'static str,
    /// How many segments are paid for.
    segments: usize,
}

/// Tries rules on a notification: which match, what would be said to whom when, and what holds it
/// back. Nothing is sent, stored or counted.
#[utoipa::path(post, path = "/rules/test", tag = "rules", request_body = RuleTestRequest,
    responses(
        (status = 200, body = RuleTestResponse, description = "What would happen"),
        (status = 404, description = "`NOT_FOUND`: there is no such notification"),
        (status = 422,
            description = "`NOTIFICATION_REQUIRED`, `RULE_TOO_SLOW`, or a field that cannot be \
                accepted"),
    ))]
pub(super) async fn test(
    State(shared): State<AppState>,
    Json(trial): Json<RuleTestRequest>,
) -> Result<Answer<RuleTestResponse>, Problem> {
    let command = command(&shared, trial.notification, trial.notification_id).await?;
    let book = shared.shelf.book().await?;
    let now = trial.at.unwrap_or_else(|| shared.clock.now());
    let (clock, defaults) = (shared.clock.clone(), shared.defaults.clone());
    let decided = shared.engine.attempt(move |abandoned| {
        let book = alone(trial.rule, book, &clock)?;
        let branches = decide_unless(abandoned, &command, &book, &defaults, now)?;
        Ok::<_, Problem>(Notification::new(command, branches, &clock))
    });
    verdict(&shared, decided.await??, now).await.map(Answer)
}

/// A book with that rule alone, where there is one.
fn alone(
    rule: Option<RuleSpec>,
    book: Arc<RoutingTable>,
    clock: &Clock,
) -> Result<Arc<RoutingTable>, Problem> {
    let Some(spec) = rule else {
        return Ok(book);
    };
    let active = RuleSpec {
        active: true,
        ..spec
    };
    let rule = Rule::new(clock.new_id(), &active)?;
    Ok(Arc::new(book.with_only(rule)))
}

async fn command(
    shared: &AppState,
    given: Option<NotifyRequest>,
    stored: Option<Uuid>,
) -> Result<NotifyCommand, Problem> {
    let request = match (given, stored) {
        (Some(request), None) => request,
        (None, Some(id)) => {
            let row = notification::get(&shared.pool, id).await?;
            let row = row.ok_or_else(error::no_such_notification)?;
            NotifyRequest {
                event: row.event,
                title: row.title,
                message: row.message,
                data: row.data.as_object().cloned().unwrap_or_default(),
                priority: row.priority,
                dedupe_key: row.dedupe_key,
                ..NotifyRequest::default()
            }
        }
        _ => return Err(error::notification_required()),
    };
    Ok(NotifyCommand::try_from(request)?)
}

async fn verdict(
    shared: &AppState,
    mut new: Notification,
    now: DateTime<Utc>,
) -> Result<RuleTestResponse, Problem> {
    let mut views = Vec::new();
    for (place, branch) in new.branches.clone().iter().enumerate() {
        for gate in &branch.gates {
            let open = gates::look(&shared.pool, gate, now).await?;
            let (count, ends_at) = open.map_or((0, None), |(count, ends)| (count, Some(ends)));
            let shut = count >= gate.limit;
            if shut {
                new.hold_back(place, gate, ends_at.unwrap_or(now));
            }
            views.push(RateWindowView {
                rule_id: gate.rule,
                kind: gate.kind.as_str(),
                key: gate.key.clone(),
                limit: gate.limit,
                count,
                ends_at,
                shut,
            });
        }
        hold_in_digest(branch, &mut new, place, now);
    }
    Ok(RuleTestResponse {
        status: new.status(),
        reason: new.reason(),
        rules: new.findings().cloned().collect(),
        gates: views,
        deliveries: new.deliveries().map(DeliveryPreview::from).collect(),
    })
}

/// Says until when it would wait for others.
fn hold_in_digest(branch: &DeliveryPlan, new: &mut Notification, place: usize, now: DateTime<Utc>) {
    let open = new.branches.get_mut(place);
    let finding = open.and_then(|open| open.gather.as_ref().and(open.finding.as_mut()));
    if let (Some(gather), Some(finding)) = (&branch.gather, finding) {
        let due = (now + gather.length).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let detail = format!("told together with others at {due} at the latest");
        finding.detail = Some(detail);
    }
}

impl From<&PlannedDelivery> for DeliveryPreview {
    fn from(draft: &PlannedDelivery) -> Self {
        let channel = draft.target.channel();
        Self {
            channel: channel.as_str(),
            recipient: draft.target.to_string(),
            title: draft.title.clone(),
            text: draft.text.clone(),
            html: draft.html.clone(),
            due_at: draft.due_at,
            step: draft.step,
            status: draft.status(),
            reason: draft.failure.clone().or_else(|| draft.reason.clone()),
            sms: (channel == Channel::Sms).then(|| SmsPreview {
                encoding: SmsEncoding::of(&draft.text).as_str(),
                segments: segments(&draft.text),
            }),
        }
    }
}
