//! Plans deliveries: evaluates rules, resolves recipients, renders messages, applies quiet hours.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use common::notification::Priority;
use common::visitor_analytics::VISITOR_ARRIVED;
use uuid::Uuid;

use super::channel_address::{Channel, ChannelAddress};
use super::expression::LazyFacts;
use super::notify_command::{InvalidNotification, MAX_MESSAGE_CHARS, NotifyCommand};
use super::printable::strip_hidden_chars;
use super::priority::priority_name;
use super::quiet_hours::{self, QuietHoursDecision};
use super::rate_window::{DigestEntry, RateWindow};
use super::recipient::DefaultRecipient;
use super::routing_table::{ResolvedRecipient, RoutingTable};
use super::rule::{Rule, TemplateVariant};
use super::rule_result::{RuleOutcome, RuleResult};
use super::sms;
use super::template::{DigestSummary, RenderError, TemplateContext};
use super::visitor_message;

/// A message to one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedDelivery {
    pub id: Uuid,
    pub address: ChannelAddress,
    pub title: Option<String>,
    pub text: String,
    pub html: Option<String>,
    pub due_at: DateTime<Utc>,
    /// 0 for messages that are sent at once; later steps are sent only if nobody acknowledges.
    pub step: i16,
    /// Whether the message is recorded but not sent.
    pub suppressed: bool,
    /// Why the message is suppressed or delayed.
    pub reason: Option<String>,
    /// The rule's error, which makes the delivery a dead letter.
    pub failure: Option<String>,
}

impl PlannedDelivery {
    /// Returns the initial status of the delivery.
    #[must_use]
    pub const fn status(&self) -> &'static str {
        match (&self.failure, self.suppressed) {
            (Some(_), _) => "dead",
            (None, true) => "suppressed",
            (None, false) => "pending",
        }
    }

    #[must_use]
    pub const fn is_pending(&self) -> bool {
        self.failure.is_none() && !self.suppressed
    }
}

/// The deliveries of one rule, or of a message that is sent without rules.
#[derive(Clone, Debug)]
pub struct DeliveryPlan {
    /// `None` for a message that is sent without rules.
    pub rule_result: Option<RuleResult>,
    /// Empty if the rule sends nothing, or only a digest.
    pub deliveries: Vec<PlannedDelivery>,
    /// The windows that may hold the messages back, in the order in which they are checked.
    pub windows: Vec<RateWindow>,
    /// The digest that the notification joins.
    pub digest_entry: Option<DigestEntry>,
    /// The error, if the rule's expression or template is at fault.
    pub rule_error: Option<String>,
}

/// Set when the caller no longer waits for a decision.
pub type CancelFlag = AtomicBool;

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
    for (at, whom) in command.to.iter().enumerate() {
        if !book.contains(whom) {
            return Err(InvalidNotification::UnknownRecipient(at));
        }
        let mut some = book.resolve(whom, defaults);
        some.retain(|one| is_allowed_channel(&command.channels, &one.address));
        if some.is_empty() {
            return Err(InvalidNotification::UnreachableRecipient(at));
        }
        all.extend(some);
    }
    Ok(all)
}

fn is_allowed_channel(channels: &[Channel], target: &ChannelAddress) -> bool {
    channels.is_empty() || channels.contains(&target.channel())
}

fn plan_direct_message(
    command: &NotifyCommand,
    to: Vec<ResolvedRecipient>,
    defaults: &DefaultRecipient,
    now: DateTime<Utc>,
) -> Result<DeliveryPlan, InvalidNotification> {
    let phone = || defaults.phone.clone().map(ChannelAddress::from);
    let on = |channel: &Channel| match channel {
        Channel::Sms => phone().ok_or(InvalidNotification::MissingRecipient(Channel::Sms)),
        Channel::Log => Ok(ChannelAddress::log()),
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

/// Title, text and HTML.
type RenderedText = (Option<String>, String, Option<String>);

/// Rendered texts by channel and template, because many recipients get the same text.
type RenderCache =
    HashMap<(Channel, Option<*const TemplateVariant>), Result<RenderedText, RenderError>>;

impl PlanContext<'_> {
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
        let gates = RateWindow::for_rule(rule, self.command, known, || self.digest_line(rule).0);
        if let Some(window) = &rule.digest
            && self.priority(rule) != Priority::Urgent
        {
            let (text, fault) = self.digest_line(rule);
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

    /// Returns the line of a digest about this notification. If the template fails, returns the
    /// default text and the error.
    fn digest_line(&self, rule: &Rule) -> (String, Option<String>) {
        match self.render_text(
            rule,
            Channel::Log,
            rule.templates.best_match(Channel::Log, None),
            None,
        ) {
            Ok((_, text, _)) => (text, None),
            Err(error) => (
                strip_hidden_chars(&default_event_text(self.command)),
                Some(error.to_string()),
            ),
        }
    }

    fn priority(&self, rule: &Rule) -> Priority {
        rule.priority.unwrap_or(self.command.priority)
    }

    fn plan_rule_messages(&self, rule: &Rule, digest: Option<DigestSummary>) -> DeliveryPlan {
        let (mut drafts, mut fault) = (vec![], None);
        let mut rendered = RenderCache::new();
        for (place, step) in rule.steps.iter().enumerate() {
            let named = || {
                let all = step.recipients.iter();
                all.flat_map(|whom| self.routing_table.resolve(whom, self.defaults))
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
                let words = self.cached_text(rule, &one, digest, &mut rendered);
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
                            text: self.default_text(rule, draft.address.channel(), digest),
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
        let verdict = match self.priority(rule) {
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

    /// Renders the text for a recipient, once per channel and template.
    fn cached_text(
        &self,
        rule: &Rule,
        to: &ResolvedRecipient,
        digest: Option<DigestSummary>,
        rendered: &mut RenderCache,
    ) -> Result<RenderedText, RenderError> {
        let channel = to.address.channel();
        let variant = rule.templates.best_match(channel, to.language.as_deref());
        let key = (channel, variant.map(std::ptr::from_ref));
        let words = rendered.entry(key);
        words
            .or_insert_with(|| self.render_text(rule, channel, variant, digest))
            .clone()
    }

    /// Renders title, text and HTML with the template, or the default text without one.
    fn render_text(
        &self,
        rule: &Rule,
        channel: Channel,
        variant: Option<&TemplateVariant>,
        digest: Option<DigestSummary>,
    ) -> Result<RenderedText, RenderError> {
        let command = self.command;
        let title = command.title.as_deref();
        let Some(variant) = variant.filter(|_| !self.cancelled.load(Ordering::Relaxed)) else {
            return Ok((
                title.map(strip_hidden_chars),
                self.default_text(rule, channel, digest),
                None,
            ));
        };
        let scope = TemplateContext {
            event: &command.event,
            title,
            priority: priority_name(self.priority(rule)),
            data: &command.data,
            digest,
        };
        let render = |t: &super::template::Template| t.render(&scope);
        let own = variant.title.as_ref().map(render).transpose()?;
        let html = variant.html.as_ref().map(render).transpose()?;
        let html = html.as_deref().map(strip_hidden_chars);
        let text = variant.text.render(&scope)?;
        let title = own.as_deref().or(title).map(strip_hidden_chars);
        Ok((
            title,
            self.truncate_for_channel(rule, channel, strip_hidden_chars(text.trim())),
            html,
        ))
    }

    /// Returns the default text.
    fn default_text(&self, rule: &Rule, channel: Channel, digest: Option<DigestSummary>) -> String {
        let text = match digest {
            Some(digest) => format_digest(&self.command.event, digest),
            None => default_event_text(self.command),
        };
        self.truncate_for_channel(rule, channel, strip_hidden_chars(&text))
    }

    /// Truncates a text to the limits of the channel. Replaces an empty text with the event's name.
    fn truncate_for_channel(&self, rule: &Rule, channel: Channel, text: String) -> String {
        let text = match channel {
            Channel::Sms => sms::truncate_to_segments(text, rule.sms_segments),
            _ => text,
        };
        if text.is_empty() {
            self.command.event.clone()
        } else {
            text.chars().take(MAX_TEXT_CHARS).collect()
        }
    }
}

/// Bounds a rendered text; channels truncate further.
const MAX_TEXT_CHARS: usize = 10 * MAX_MESSAGE_CHARS;

/// Returns the text of an event without a template.
fn default_event_text(command: &NotifyCommand) -> String {
    match command.event.as_str() {
        VISITOR_ARRIVED => visitor_message::format_visitor_message(&command.data),
        event => command.title.clone().unwrap_or_else(|| event.to_owned()),
    }
}

/// Formats a digest: `7 visitor.arrived in the last hour:` and one line for each of the first
/// notifications.
fn format_digest(event: &str, digest: DigestSummary) -> String {
    let what = match event {
        VISITOR_ARRIVED if digest.count == 1 => "visitor",
        VISITOR_ARRIVED => "visitors",
        event => event,
    };
    let mut text = match digest.since {
        Some(since) => format!("{} more {what} since {since}:", digest.count),
        None => format!("{} {what} in the last {}:", digest.count, digest.window),
    };
    for line in digest.texts {
        let first = line.lines().next().unwrap_or_default();
        text.push_str("\n- ");
        text.extend(first.chars().take(100));
    }
    let more = digest.count - i64::try_from(digest.texts.len()).unwrap_or(0);
    if more > 0 {
        text.extend(["\nand ", &more.to_string(), " more"]);
    }
    text
}
