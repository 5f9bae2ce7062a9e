//! Plans deliveries: evaluates rules, resolves recipients, applies quiet hours.

use std::sync::atomic::Ordering;

use chrono::{DateTime, TimeDelta, Utc};
use common::notification::Priority;
use uuid::Uuid;

use super::channel_address::{ChannelAddress, DeliveryChannel};
use super::delivery_plan::{CancelFlag, DeliveryPlan, PlannedDelivery};
use super::expression::LazyFacts;
use super::message_renderer::{MessageRenderer, RenderCache};
use super::notify_command::{InvalidNotification, NotifyCommand};
use super::printable::strip_hidden_chars;
use super::quiet_hours::{self, QuietHoursDecision};
use super::rate_window::{DigestEntry, RateWindow};
use super::recipient::DefaultRecipient;
use super::routing_table::{ResolvedRecipient, RoutingTable};
use super::rule::Rule;
use super::rule_result::{RuleOutcome, RuleResult};
use super::template::DigestSummary;

/// Plans the deliveries of a request at `now`. A request with a message is sent as it is; otherwise
/// the rules decide.
pub fn plan_deliveries(
    command: &NotifyCommand,
    book: &RoutingTable,
    defaults: &DefaultRecipient,
    now: DateTime<Utc>,
) -> Result<Vec<DeliveryPlan>, InvalidNotification> {
    plan_deliveries_unless(&CancelFlag::new(false), command, book, defaults, now)
}

/// Plans the deliveries of a request until `abandoned` is set. The result is then incomplete and
/// must be discarded.
pub fn plan_deliveries_unless(
    abandoned: &CancelFlag,
    command: &NotifyCommand,
    book: &RoutingTable,
    defaults: &DefaultRecipient,
    now: DateTime<Utc>,
) -> Result<Vec<DeliveryPlan>, InvalidNotification> {
    let to = resolve_recipients(command, book, defaults)?;
    if command.message.is_some() {
        return Ok(vec![plan_direct_message(command, to, defaults, now)?]);
    }
    let asked = PlanContext {
        command,
        routing_table: book,
        defaults,
        now,
        recipients: &to,
        cancelled: abandoned,
    };
    let known = LazyFacts::new(command);
    let rules = book.active_rules_for(&command.event);
    let rules = rules.take_while(|_| !abandoned.load(Ordering::Relaxed));
    Ok(rules.map(|rule| asked.apply_rule(rule, &known)).collect())
}

fn resolve_recipients(
    command: &NotifyCommand,
    book: &RoutingTable,
    defaults: &DefaultRecipient,
) -> Result<Vec<ResolvedRecipient>, InvalidNotification> {
    let mut all = Vec::new();
    for (at, recipient_ref) in command.to.iter().enumerate() {
        if !book.contains(recipient_ref) {
            return Err(InvalidNotification::UnknownRecipient(at));
        }
        let mut some = book.resolve(recipient_ref, defaults);
        some.retain(|one| is_allowed_channel(&command.channels, &one.address));
        if some.is_empty() {
            return Err(InvalidNotification::UnreachableRecipient(at));
        }
        all.extend(some);
    }
    Ok(all)
}

fn is_allowed_channel(channels: &[DeliveryChannel], target: &ChannelAddress) -> bool {
    channels.is_empty() || channels.contains(&target.channel())
}

fn plan_direct_message(
    command: &NotifyCommand,
    to: Vec<ResolvedRecipient>,
    defaults: &DefaultRecipient,
    now: DateTime<Utc>,
) -> Result<DeliveryPlan, InvalidNotification> {
    let phone = || defaults.phone.clone().map(ChannelAddress::from);
    let on = |channel: &DeliveryChannel| match channel {
        DeliveryChannel::Sms => {
            phone().ok_or(InvalidNotification::MissingRecipient(DeliveryChannel::Sms))
        }
        DeliveryChannel::Log => Ok(ChannelAddress::log()),
        other => Err(InvalidNotification::MissingRecipient(*other)),
    };
    let targets: Vec<ChannelAddress> = if !to.is_empty() {
        to.into_iter().map(|one| one.address).collect()
    } else if command.channels.is_empty() {
        vec![defaults.address()]
    } else {
        command.channels.iter().map(on).collect::<Result<_, _>>()?
    };
    let draft = |target| PlannedDelivery {
        id: Uuid::nil(),
        address: target,
        title: command.title.as_deref().map(strip_hidden_chars),
        text: strip_hidden_chars(command.message.as_deref().unwrap_or_default()),
        html: None,
        due_at: now,
        step: 0,
        suppressed: false,
        reason: None,
        failure: None,
    };
    Ok(DeliveryPlan {
        rule_result: None,
        deliveries: targets.into_iter().map(draft).collect(),
        windows: vec![],
        digest_entry: None,
        rule_error: None,
    })
}

/// Plans the messages of a digest at the end of its window, to the recipients of the rule.
#[must_use]
pub fn plan_digest(
    rule: &Rule,
    command: &NotifyCommand,
    digest: DigestSummary,
    book: &RoutingTable,
    defaults: &DefaultRecipient,
    now: DateTime<Utc>,
) -> DeliveryPlan {
    let asked = PlanContext {
        command,
        routing_table: book,
        defaults,
        now,
        recipients: &[],
        cancelled: &CancelFlag::new(false),
    };
    asked.plan_rule_messages(rule, Some(digest))
}

/// A request and the context of its decision.
struct PlanContext<'a> {
    command: &'a NotifyCommand,
    routing_table: &'a RoutingTable,
    defaults: &'a DefaultRecipient,
    now: DateTime<Utc>,
    /// Recipients of the request; they replace those of the rule.
    recipients: &'a [ResolvedRecipient],
    cancelled: &'a CancelFlag,
}

impl PlanContext<'_> {
    const fn renderer(&self) -> MessageRenderer<'_> {
        MessageRenderer {
            command: self.command,
            cancelled: self.cancelled,
        }
    }

    fn apply_rule(&self, rule: &Rule, known: &LazyFacts) -> DeliveryPlan {
        let closed = |outcome, detail| DeliveryPlan {
            rule_result: Some(RuleResult::new(rule, outcome, detail)),
            deliveries: vec![],
            windows: vec![],
            digest_entry: None,
            rule_error: None,
        };
        match rule
            .condition
            .as_ref()
            .map(|c| c.evaluate_bool(known.get()))
        {
            Some(Ok(false)) => return closed(RuleOutcome::ConditionFalse, None),
            Some(Err(error)) => {
                let text = error.to_string();
                return DeliveryPlan {
                    rule_error: error.is_expression_fault().then(|| text.clone()),
                    ..closed(RuleOutcome::ConditionFailed, Some(text))
                };
            }
            Some(Ok(true)) | None => {}
        }
        let gates = RateWindow::for_rule(rule, self.command, known, || {
            self.renderer().digest_line(rule).0
        });
        if let Some(window) = &rule.digest
            && rule.priority_for(self.command.priority) != Priority::Urgent
        {
            let (text, fault) = self.renderer().digest_line(rule);
            return DeliveryPlan {
                windows: gates,
                digest_entry: Some(DigestEntry::new(rule, window, known, &text)),
                rule_error: fault,
                ..closed(RuleOutcome::Digested, None)
            };
        }
        DeliveryPlan {
            windows: gates,
            ..self.plan_rule_messages(rule, None)
        }
    }

    fn plan_rule_messages(&self, rule: &Rule, digest: Option<DigestSummary>) -> DeliveryPlan {
        let (mut drafts, mut fault) = (vec![], None);
        let mut cache = RenderCache::new();
        let renderer = self.renderer();
        for (place, step) in rule.steps.iter().enumerate() {
            let named = || {
                let all = step.recipients.iter();
                all.flat_map(|recipient_ref| {
                    self.routing_table.resolve(recipient_ref, self.defaults)
                })
            };
            let to = match (place, self.recipients) {
                (_, []) => named()
                    .filter(|one| is_allowed_channel(&step.channels, &one.address))
                    .collect(),
                (0, to) => to.to_vec(),
                // A request that names recipients has no escalation.
                _ => vec![],
            };
            for one in to {
                if !is_allowed_channel(&self.command.channels, &one.address) {
                    continue;
                }
                let words = renderer.cached_text(rule, &one, digest, &mut cache);
                let draft = PlannedDelivery {
                    step: i16::try_from(place).unwrap_or(i16::MAX),
                    ..self.plan_delivery(rule, one, step.after)
                };
                drafts.push(match words {
                    Ok((title, text, html)) => PlannedDelivery {
                        title,
                        text,
                        html,
                        ..draft
                    },
                    Err(error) => {
                        let error = strip_hidden_chars(&error.to_string());
                        let failure = format!("the rule {:?} failed: {error}", rule.name);
                        fault = Some(error);
                        PlannedDelivery {
                            title: self.command.title.as_deref().map(strip_hidden_chars),
                            text: renderer.default_text(rule, draft.address.channel(), digest),
                            failure: Some(failure),
                            ..draft
                        }
                    }
                });
            }
        }
        let outcome = if drafts.is_empty() {
            RuleOutcome::Nobody
        } else if drafts.iter().all(|draft| draft.failure.is_some()) {
            RuleOutcome::TemplateFailed
        } else {
            RuleOutcome::Matched
        };
        DeliveryPlan {
            rule_result: Some(RuleResult::new(rule, outcome, fault.clone())),
            deliveries: drafts,
            windows: vec![],
            digest_entry: None,
            rule_error: fault,
        }
    }

    /// Plans a message without its text.
    fn plan_delivery(
        &self,
        rule: &Rule,
        to: ResolvedRecipient,
        after: TimeDelta,
    ) -> PlannedDelivery {
        let due = self.now + after;
        let verdict = match rule.priority_for(self.command.priority) {
            Priority::Urgent => QuietHoursDecision::Send,
            _ => quiet_hours::apply_quiet_hours(&rule.quiet_hours, due, to.time_zone),
        };
        let (due_at, reason) = match verdict {
            QuietHoursDecision::Send => (due, None),
            QuietHoursDecision::Hold(until) => {
                let until_text = until.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
                (until, Some(format!("quiet hours: held until {until_text}")))
            }
            QuietHoursDecision::Drop => (due, Some("quiet hours: dropped".to_owned())),
        };
        PlannedDelivery {
            id: Uuid::nil(),
            address: to.address,
            title: None,
            text: String::new(),
            html: None,
            due_at,
            step: 0,
            suppressed: verdict == QuietHoursDecision::Drop,
            reason,
            failure: None,
        }
    }
}
