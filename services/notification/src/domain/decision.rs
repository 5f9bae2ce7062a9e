//! Plans deliveries: evaluates rules, resolves recipients, renders messages, applies quiet hours.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use common::notification::Priority;
use common::visitor_analytics::VISITOR_ARRIVED;
use uuid::Uuid;

use super::arrival;
use super::book::{ResolvedRecipient, RoutingTable};
use super::command::{InvalidNotification, MAX_MESSAGE_CHARS, NotifyCommand};
use super::condition::LazyFacts;
use super::finding::{RuleOutcome, RuleResult};
use super::gate::{DigestEntry, RateWindow};
use super::notification::priority_text;
use super::phone::PhoneNumber;
use super::printable::printable;
use super::quiet::{self, QuietHoursDecision};
use super::rule::{Rule, TemplateVariant};
use super::sms;
use super::target::{Channel, ChannelAddress};
use super::template::{DigestSummary, RenderError, TemplateContext};

/// The recipient of notifications and rules that name no other.
#[derive(Clone, Debug, Default)]
pub struct DefaultRecipient {
    /// Receives text messages. Without a phone, messages go to the log.
    pub phone: Option<PhoneNumber>,
}

impl DefaultRecipient {
    /// Returns the phone, or the log.
    #[must_use]
    pub fn target(&self) -> ChannelAddress {
        let phone = self.phone.clone().map(ChannelAddress::from);
        phone.unwrap_or_else(ChannelAddress::log)
    }
}

/// A message to one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedDelivery {
    pub id: Uuid,
    pub target: ChannelAddress,
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
    pub finding: Option<RuleResult>,
    /// Empty if the rule sends nothing, or only a digest.
    pub drafts: Vec<PlannedDelivery>,
    /// The windows that may hold the messages back, in the order in which they are checked.
    pub gates: Vec<RateWindow>,
    /// The digest that the notification joins.
    pub gather: Option<DigestEntry>,
    /// The error, if the rule's expression or template is at fault.
    pub fault: Option<String>,
}

/// Set when the caller no longer waits for a decision.
pub type CancelFlag = AtomicBool;

/// Plans the deliveries of a request at `now`. A request with a message is sent as it is; otherwise
/// the rules decide.
pub fn decide(
    command: &NotifyCommand,
    book: &RoutingTable,
    defaults: &DefaultRecipient,
    now: DateTime<Utc>,
) -> Result<Vec<DeliveryPlan>, InvalidNotification> {
    decide_unless(&CancelFlag::new(false), command, book, defaults, now)
}

/// Plans the deliveries of a request until `abandoned` is set. The result is then incomplete and
/// must be discarded.
pub fn decide_unless(
    abandoned: &CancelFlag,
    command: &NotifyCommand,
    book: &RoutingTable,
    defaults: &DefaultRecipient,
    now: DateTime<Utc>,
) -> Result<Vec<DeliveryPlan>, InvalidNotification> {
    let to = addressees(command, book, defaults)?;
    if command.message.is_some() {
        return Ok(vec![direct(command, to, defaults, now)?]);
    }
    let asked = PlanContext {
        command,
        book,
        defaults,
        now,
        to: &to,
        abandoned,
    };
    let known = LazyFacts::of(command);
    let rules = book.about(&command.event);
    let rules = rules.take_while(|_| !abandoned.load(Ordering::Relaxed));
    Ok(rules.map(|rule| asked.follow(rule, &known)).collect())
}

fn addressees(
    command: &NotifyCommand,
    book: &RoutingTable,
    defaults: &DefaultRecipient,
) -> Result<Vec<ResolvedRecipient>, InvalidNotification> {
    let mut all = Vec::new();
    for (at, whom) in command.to.iter().enumerate() {
        if !book.knows(whom) {
            return Err(InvalidNotification::Nobody(at));
        }
        let mut some = book.addressees(whom, defaults);
        some.retain(|one| on(&command.channels, &one.target));
        if some.is_empty() {
            return Err(InvalidNotification::Unreachable(at));
        }
        all.extend(some);
    }
    Ok(all)
}

fn on(channels: &[Channel], target: &ChannelAddress) -> bool {
    channels.is_empty() || channels.contains(&target.channel())
}

fn direct(
    command: &NotifyCommand,
    to: Vec<ResolvedRecipient>,
    defaults: &DefaultRecipient,
    now: DateTime<Utc>,
) -> Result<DeliveryPlan, InvalidNotification> {
    let phone = || defaults.phone.clone().map(ChannelAddress::from);
    let on = |channel: &Channel| match channel {
        Channel::Sms => phone().ok_or(InvalidNotification::NobodyOn(Channel::Sms)),
        Channel::Log => Ok(ChannelAddress::log()),
        other => Err(InvalidNotification::NobodyOn(*other)),
    };
    let targets: Vec<ChannelAddress> = if !to.is_empty() {
        to.into_iter().map(|one| one.target).collect()
    } else if command.channels.is_empty() {
        vec![defaults.target()]
    } else {
        command.channels.iter().map(on).collect::<Result<_, _>>()?
    };
    let draft = |target| PlannedDelivery {
        id: Uuid::nil(),
        target,
        title: command.title.as_deref().map(printable),
        text: printable(command.message.as_deref().unwrap_or_default()),
        html: None,
        due_at: now,
        step: 0,
        suppressed: false,
        reason: None,
        failure: None,
    };
    Ok(DeliveryPlan {
        finding: None,
        drafts: targets.into_iter().map(draft).collect(),
        gates: vec![],
        gather: None,
        fault: None,
    })
}

/// Plans the messages of a digest at the end of its window, to the recipients of the rule.
#[must_use]
pub fn digest(
    rule: &Rule,
    command: &NotifyCommand,
    digest: DigestSummary,
    book: &RoutingTable,
    defaults: &DefaultRecipient,
    now: DateTime<Utc>,
) -> DeliveryPlan {
    let asked = PlanContext {
        command,
        book,
        defaults,
        now,
        to: &[],
        abandoned: &CancelFlag::new(false),
    };
    asked.say(rule, Some(digest))
}

/// A request and the context of its decision.
struct PlanContext<'a> {
    command: &'a NotifyCommand,
    book: &'a RoutingTable,
    defaults: &'a DefaultRecipient,
    now: DateTime<Utc>,
    /// Recipients of the request; they replace those of the rule.
    to: &'a [ResolvedRecipient],
    abandoned: &'a CancelFlag,
}

/// Title, text and HTML.
type RenderedText = (Option<String>, String, Option<String>);

/// Rendered texts by channel and template, because many recipients get the same text.
type RenderCache =
    HashMap<(Channel, Option<*const TemplateVariant>), Result<RenderedText, RenderError>>;

impl PlanContext<'_> {
    fn follow(&self, rule: &Rule, known: &LazyFacts) -> DeliveryPlan {
        let closed = |outcome, detail| DeliveryPlan {
            finding: Some(RuleResult::of(rule, outcome, detail)),
            drafts: vec![],
            gates: vec![],
            gather: None,
            fault: None,
        };
        match rule.condition.as_ref().map(|c| c.holds(known.facts())) {
            Some(Ok(false)) => return closed(RuleOutcome::ConditionFalse, None),
            Some(Err(error)) => {
                let text = error.to_string();
                return DeliveryPlan {
                    fault: error.is_fault().then(|| text.clone()),
                    ..closed(RuleOutcome::ConditionFailed, Some(text))
                };
            }
            Some(Ok(true)) | None => {}
        }
        let gates = RateWindow::of(rule, self.command, known, || self.line(rule).0);
        if let Some(window) = &rule.digest
            && self.priority(rule) != Priority::Urgent
        {
            let (text, fault) = self.line(rule);
            return DeliveryPlan {
                gates,
                gather: Some(DigestEntry::new(rule, window, known, &text)),
                fault,
                ..closed(RuleOutcome::Digested, None)
            };
        }
        DeliveryPlan {
            gates,
            ..self.say(rule, None)
        }
    }

    /// Returns the line of a digest about this notification. If the template fails, returns the
    /// default text and the error.
    fn line(&self, rule: &Rule) -> (String, Option<String>) {
        match self.text(
            rule,
            Channel::Log,
            rule.texts.best(Channel::Log, None),
            None,
        ) {
            Ok((_, text, _)) => (text, None),
            Err(error) => (printable(&unsaid(self.command)), Some(error.to_string())),
        }
    }

    fn priority(&self, rule: &Rule) -> Priority {
        rule.priority.unwrap_or(self.command.priority)
    }

    fn say(&self, rule: &Rule, digest: Option<DigestSummary>) -> DeliveryPlan {
        let (mut drafts, mut fault) = (vec![], None);
        let mut rendered = RenderCache::new();
        for (place, step) in rule.steps.iter().enumerate() {
            let named = || {
                let all = step.recipients.iter();
                all.flat_map(|whom| self.book.addressees(whom, self.defaults))
            };
            let to = match (place, self.to) {
                (_, []) => named()
                    .filter(|one| on(&step.channels, &one.target))
                    .collect(),
                (0, to) => to.to_vec(),
                // A request that names recipients has no escalation.
                _ => vec![],
            };
            for one in to {
                if !on(&self.command.channels, &one.target) {
                    continue;
                }
                let words = self.words(rule, &one, digest, &mut rendered);
                let draft = PlannedDelivery {
                    step: i16::try_from(place).unwrap_or(i16::MAX),
                    ..self.draft(rule, one, step.after)
                };
                drafts.push(match words {
                    Ok((title, text, html)) => PlannedDelivery {
                        title,
                        text,
                        html,
                        ..draft
                    },
                    Err(error) => {
                        let error = printable(&error.to_string());
                        let failure = format!("the rule {:?} failed: {error}", rule.name);
                        fault = Some(error);
                        PlannedDelivery {
                            title: self.command.title.as_deref().map(printable),
                            text: self.plain(rule, draft.target.channel(), digest),
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
            finding: Some(RuleResult::of(rule, outcome, fault.clone())),
            drafts,
            gates: vec![],
            gather: None,
            fault,
        }
    }

    /// Plans a message without its text.
    fn draft(&self, rule: &Rule, to: ResolvedRecipient, after: TimeDelta) -> PlannedDelivery {
        let due = self.now + after;
        let verdict = match self.priority(rule) {
            Priority::Urgent => QuietHoursDecision::Send,
            _ => quiet::verdict(&rule.quiet, due, to.time_zone),
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
            target: to.target,
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
    fn words(
        &self,
        rule: &Rule,
        to: &ResolvedRecipient,
        digest: Option<DigestSummary>,
        rendered: &mut RenderCache,
    ) -> Result<RenderedText, RenderError> {
        let channel = to.target.channel();
        let variant = rule.texts.best(channel, to.language.as_deref());
        let key = (channel, variant.map(std::ptr::from_ref));
        let words = rendered.entry(key);
        words
            .or_insert_with(|| self.text(rule, channel, variant, digest))
            .clone()
    }

    /// Renders title, text and HTML with the template, or the default text without one.
    fn text(
        &self,
        rule: &Rule,
        channel: Channel,
        variant: Option<&TemplateVariant>,
        digest: Option<DigestSummary>,
    ) -> Result<RenderedText, RenderError> {
        let command = self.command;
        let title = command.title.as_deref();
        let Some(variant) = variant.filter(|_| !self.abandoned.load(Ordering::Relaxed)) else {
            return Ok((
                title.map(printable),
                self.plain(rule, channel, digest),
                None,
            ));
        };
        let scope = TemplateContext {
            event: &command.event,
            title,
            priority: priority_text(self.priority(rule)),
            data: &command.data,
            digest,
        };
        let render = |t: &super::template::Template| t.render(&scope);
        let own = variant.title.as_ref().map(render).transpose()?;
        let html = variant.html.as_ref().map(render).transpose()?;
        let html = html.as_deref().map(printable);
        let text = variant.text.render(&scope)?;
        let title = own.as_deref().or(title).map(printable);
        Ok((title, self.fit(rule, channel, printable(text.trim())), html))
    }

    /// Returns the default text.
    fn plain(&self, rule: &Rule, channel: Channel, digest: Option<DigestSummary>) -> String {
        let text = match digest {
            Some(digest) => gathered(&self.command.event, digest),
            None => unsaid(self.command),
        };
        self.fit(rule, channel, printable(&text))
    }

    /// Truncates a text to the limits of the channel. Replaces an empty text with the event's name.
    fn fit(&self, rule: &Rule, channel: Channel, text: String) -> String {
        let text = match channel {
            Channel::Sms => sms::cut(text, rule.sms_segments),
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
fn unsaid(command: &NotifyCommand) -> String {
    match command.event.as_str() {
        VISITOR_ARRIVED => arrival::message(&command.data),
        event => command.title.clone().unwrap_or_else(|| event.to_owned()),
    }
}

/// Formats a digest: `7 visitor.arrived in the last hour:` and one line for each of the first
/// notifications.
fn gathered(event: &str, digest: DigestSummary) -> String {
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
