//! `POST /rules/test`: a dry run of rules. Nothing is sent or counted.

use std::sync::Arc;

use axum::extract::State;
use chassis::Problem;
use chassis::extract::Json;
use chrono::{DateTime, Utc};
use common::clock::Clock;
use common::notification::{NotificationStatus, NotifyRequest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::error;
use super::state::AppState;
use crate::domain::channel_address::DeliveryChannel;
use crate::domain::delivery_plan::{DeliveryPlan, PlannedDelivery};
use crate::domain::notification::Notification;
use crate::domain::notify_command::NotifyCommand;
use crate::domain::planner::plan_deliveries_unless;
use crate::domain::routing_table::RoutingTable;
use crate::domain::rule::{Rule, RuleSpec};
use crate::domain::rule_result::RuleResult;
use crate::domain::sms::{SmsEncoding, count_segments};
use crate::store::{notification, window_counter};

/// A notification to evaluate, and optionally a rule.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"notification": {"event": "order.paid", "data": {"total": 1200}},
    "rule": {"name": "Big orders", "event": "order.*", "condition": "data.total > 1000"}}))]
pub(super) struct RuleTestRequest {
    /// A notification as in `POST /notify`. Send either this or `notification_id`.
    notification: Option<NotifyRequest>,
    /// Id of a stored notification.
    notification_id: Option<Uuid>,
    /// A rule to evaluate alone, which need not be stored. Default: the stored rules.
    rule: Option<RuleSpec>,
    /// Time at which the notification would arrive (RFC 3339). Default: now.
    #[serde(default, deserialize_with = "super::deserialize::timestamp")]
    at: Option<DateTime<Utc>>,
}

/// Result of a dry run.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RuleTestResponse {
    /// `queued`: deliveries would be created; `suppressed`: nothing would be sent; `digested`: part
    /// of a digest.
    status: NotificationStatus,
    /// Why the notification would not be sent, or not yet.
    reason: Option<String>,
    /// Result of each rule for this event.
    rules: Vec<RuleResult>,
    /// The throttles and dedupe windows that apply, with their current counts.
    gates: Vec<RateWindowView>,
    /// The messages that would be sent.
    deliveries: Vec<DeliveryPreview>,
}

/// A throttle or dedupe window of a rule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Gate)]
pub(super) struct RateWindowView {
    /// Id of the rule.
    rule_id: Uuid,
    /// `dedupe`, `throttle` (per value of `by`) or `total`.
    kind: &'static str,
    /// Key of the window: notifications with the same key are counted together.
    key: String,
    /// Maximum number of notifications per window.
    limit: i32,
    /// Number of notifications in the current window.
    count: i32,
    /// End of the current window; `null` if none is open.
    ends_at: Option<DateTime<Utc>>,
    /// Whether the window would hold the notification back.
    shut: bool,
}

/// A message that would be sent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeliveryPreview {
    /// Channel, such as `sms` or `log`.
    channel: &'static str,
    /// Address of the recipient, masked.
    recipient: String,
    /// Title of the message.
    title: Option<String>,
    /// Text of the message.
    text: String,
    /// HTML text of the message, if the template has one.
    html: Option<String>,
    /// Time at which the message would be due.
    due_at: DateTime<Utc>,
    /// 0 for the recipients of the rule; 1 and higher for the steps of the escalation.
    step: i16,
    /// `pending`, `suppressed`, or `dead` if the template fails.
    status: &'static str,
    /// Why the message would not be sent, or not yet.
    reason: Option<String>,
    /// Size of a text message; `null` on other channels.
    sms: Option<SmsPreview>,
}

/// Size of a text message.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SmsPreview {
    /// `GSM-7` or `UCS-2`.
    encoding: &'static str,
    /// Number of segments, for which the provider charges.
    segments: usize,
}

/// Test rules against a notification.
///
/// Returns which rules match, which messages would be sent to which recipients at what time, and
/// what would hold them back. Nothing is sent, stored or counted.
#[utoipa::path(post, path = "/rules/test", tag = "rules", request_body = RuleTestRequest,
    responses(
        (status = 200, body = RuleTestResponse, description = "Result of the dry run"),
        (status = 404, description = "`NOT_FOUND`: the notification does not exist"),
        (status = 422,
            description = "`NOTIFICATION_REQUIRED`, `RULE_TOO_SLOW`, or an invalid field"),
    ))]
pub(super) async fn test(
    State(shared): State<AppState>,
    Json(trial): Json<RuleTestRequest>,
) -> Result<axum::Json<RuleTestResponse>, Problem> {
    let command = resolve_command(&shared, trial.notification, trial.notification_id).await?;
    let routing_table = shared.routing_cache.table().await?;
    let now = trial.at.unwrap_or_else(|| shared.clock.now());
    let (clock, defaults) = (shared.clock.clone(), shared.default_recipient.clone());
    let decided = shared.rule_engine.run_trial(move |abandoned| {
        let routing_table = replace_rules(trial.rule, routing_table, &clock)?;
        let branches = plan_deliveries_unless(abandoned, &command, &routing_table, &defaults, now)?;
        Ok::<_, Problem>(Notification::new(command, branches, &clock))
    });
    build_response(&shared, decided.await??, now)
        .await
        .map(axum::Json)
}

/// Replaces all rules by the given one.
fn replace_rules(
    rule: Option<RuleSpec>,
    routing_table: Arc<RoutingTable>,
    clock: &Clock,
) -> Result<Arc<RoutingTable>, Problem> {
    let Some(spec) = rule else {
        return Ok(routing_table);
    };
    let active = RuleSpec {
        active: true,
        ..spec.normalize()?
    };
    let rule = Rule::new(clock.new_id(), &active)?;
    Ok(Arc::new(routing_table.with_single_rule(rule)))
}

async fn resolve_command(
    shared: &AppState,
    given: Option<NotifyRequest>,
    stored: Option<Uuid>,
) -> Result<NotifyCommand, Problem> {
    let request = match (given, stored) {
        (Some(request), None) => request,
        (None, Some(id)) => {
            let row = notification::get(&shared.pool, id).await?;
            let row = row.ok_or_else(error::notification_not_found)?;
            NotifyRequest {
                event: Some(row.event),
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

async fn build_response(
    shared: &AppState,
    mut new: Notification,
    now: DateTime<Utc>,
) -> Result<RuleTestResponse, Problem> {
    let mut views = Vec::new();
    for (place, branch) in new.plans.clone().iter().enumerate() {
        for gate in &branch.windows {
            let open = window_counter::current_count(&shared.pool, gate, now).await?;
            let (count, ends_at) = open.map_or((0, None), |(count, ends)| (count, Some(ends)));
            let shut = count >= gate.limit;
            if shut {
                new.hold_back(place, gate, ends_at.unwrap_or(now));
            }
            views.push(RateWindowView {
                rule_id: gate.rule_id,
                kind: gate.kind.as_str(),
                key: gate.key.clone(),
                limit: gate.limit,
                count,
                ends_at,
                shut,
            });
        }
        explain_digest(branch, &mut new, place, now);
    }
    Ok(RuleTestResponse {
        status: new.status(),
        reason: new.reason(),
        rules: new.rule_results().cloned().collect(),
        gates: views,
        deliveries: new.deliveries().map(DeliveryPreview::from).collect(),
    })
}

/// Adds the time at which the digest would be sent.
fn explain_digest(branch: &DeliveryPlan, new: &mut Notification, place: usize, now: DateTime<Utc>) {
    let open = new.plans.get_mut(place);
    let finding = open.and_then(|open| open.digest_entry.as_ref().and(open.rule_result.as_mut()));
    if let (Some(gather), Some(finding)) = (&branch.digest_entry, finding) {
        let due = (now + gather.length).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let detail = format!("would be sent as part of a digest, at {due} at the latest");
        finding.detail = Some(detail);
    }
}

impl From<&PlannedDelivery> for DeliveryPreview {
    fn from(draft: &PlannedDelivery) -> Self {
        let channel = draft.address.channel();
        Self {
            channel: channel.as_str(),
            recipient: draft.address.to_string(),
            title: draft.title.clone(),
            text: draft.text.clone(),
            html: draft.html.clone(),
            due_at: draft.due_at,
            step: draft.step,
            status: draft.status(),
            reason: draft.failure.clone().or_else(|| draft.reason.clone()),
            sms: (channel == DeliveryChannel::Sms).then(|| SmsPreview {
                encoding: SmsEncoding::for_text(&draft.text).as_str(),
                segments: count_segments(&draft.text),
            }),
        }
    }
}
