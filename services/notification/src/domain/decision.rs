//! What is said about an event, to whom and when, and why not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use common::notification::Priority;
use common::visitor_analytics::VISITOR_ARRIVED;
use uuid::Uuid;

use super::arrival;
use super::book::{Addressee, Book};
use super::command::{Command, Invalid, MESSAGE_CHARS};
use super::condition::Known;
use super::finding::{Finding, Outcome};
use super::gate::{Gate, Gather};
use super::notification::priority_text;
use super::phone::PhoneNumber;
use super::printable::printable;
use super::quiet::{self, Verdict};
use super::rule::{Rule, Variant};
use super::sms;
use super::target::{Channel, Target};
use super::template::{Digest, Failed, Scope};

/// Whom to tell where nobody else is named.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// The phone that is texted; without one the log is told.
    pub phone: Option<PhoneNumber>,
}

impl Defaults {
    /// The phone, or the log.
    #[must_use]
    pub fn target(&self) -> Target {
        let phone = self.phone.clone().map(Target::from);
        phone.unwrap_or_else(Target::log)
    }
}

/// A message to somebody, as it is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The delivery's id.
    pub id: Uuid,
    /// To whom.
    pub target: Target,
    /// The headline.
    pub title: Option<String>,
    /// What is said.
    pub text: String,
    /// The same as HTML.
    pub html: Option<String>,
    /// When it is to be sent.
    pub due_at: DateTime<Utc>,
    /// 0 for those told at once; later ones only where nobody acknowledges.
    pub step: i16,
    /// Whether it is not to be sent at all.
    pub suppressed: bool,
    /// Why not, or not yet.
    pub reason: Option<String>,
    /// Why it is a dead letter from the beginning: its rule failed.
    pub failure: Option<String>,
}

impl Draft {
    /// What the delivery is at first.
    #[must_use]
    pub const fn status(&self) -> &'static str {
        match (&self.failure, self.suppressed) {
            (Some(_), _) => "dead",
            (None, true) => "suppressed",
            (None, false) => "pending",
        }
    }

    /// Whether it is going to be sent.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        self.failure.is_none() && !self.suppressed
    }
}

/// What follows from one rule, or from a message that needs none.
#[derive(Clone, Debug)]
pub struct Branch {
    /// What the rule said; `None` for a message that needs none.
    pub finding: Option<Finding>,
    /// The messages; empty where nobody is told, or not now.
    pub drafts: Vec<Draft>,
    /// What may still hold it back, in order.
    pub gates: Vec<Gate>,
    /// With what it is told together.
    pub gather: Option<Gather>,
    /// Why the rule failed: its expression or its template is at fault.
    pub fault: Option<String>,
}

/// Says that nobody waits for a decision any more.
pub type Abandoned = AtomicBool;

/// What follows for a request at `now`: a message is sent as it is; else the rules decide.
pub fn decide(
    command: &Command,
    book: &Book,
    defaults: &Defaults,
    now: DateTime<Utc>,
) -> Result<Vec<Branch>, Invalid> {
    decide_unless(&Abandoned::new(false), command, book, defaults, now)
}

/// The same, until it is `abandoned`; what is returned then is of no use.
pub fn decide_unless(
    abandoned: &Abandoned,
    command: &Command,
    book: &Book,
    defaults: &Defaults,
    now: DateTime<Utc>,
) -> Result<Vec<Branch>, Invalid> {
    let to = addressees(command, book, defaults)?;
    if command.message.is_some() {
        return Ok(vec![direct(command, to, defaults, now)?]);
    }
    let asked = Asked {
        command,
        book,
        defaults,
        now,
        to: &to,
        abandoned,
    };
    let known = Known::of(command);
    let rules = book.about(&command.event);
    let rules = rules.take_while(|_| !abandoned.load(Ordering::Relaxed));
    Ok(rules.map(|rule| asked.follow(rule, &known)).collect())
}

fn addressees(
    command: &Command,
    book: &Book,
    defaults: &Defaults,
) -> Result<Vec<Addressee>, Invalid> {
    let mut all = Vec::new();
    for (at, whom) in command.to.iter().enumerate() {
        if !book.knows(whom) {
            return Err(Invalid::Nobody(at));
        }
        let mut some = book.addressees(whom, defaults);
        some.retain(|one| on(&command.channels, &one.target));
        if some.is_empty() {
            return Err(Invalid::Unreachable(at));
        }
        all.extend(some);
    }
    Ok(all)
}

fn on(channels: &[Channel], target: &Target) -> bool {
    channels.is_empty() || channels.contains(&target.channel())
}

fn direct(
    command: &Command,
    to: Vec<Addressee>,
    defaults: &Defaults,
    now: DateTime<Utc>,
) -> Result<Branch, Invalid> {
    let phone = || defaults.phone.clone().map(Target::from);
    let on = |channel: &Channel| match channel {
        Channel::Sms => phone().ok_or(Invalid::NobodyOn(Channel::Sms)),
        Channel::Log => Ok(Target::log()),
        other => Err(Invalid::NobodyOn(*other)),
    };
    let targets: Vec<Target> = if !to.is_empty() {
        to.into_iter().map(|one| one.target).collect()
    } else if command.channels.is_empty() {
        vec![defaults.target()]
    } else {
        command.channels.iter().map(on).collect::<Result<_, _>>()?
    };
    let draft = |target| Draft {
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
    Ok(Branch {
        finding: None,
        drafts: targets.into_iter().map(draft).collect(),
        gates: vec![],
        gather: None,
        fault: None,
    })
}

/// What is told together at the end of a digest's window, to whom the rule names, at `now`.
#[must_use]
pub fn digest(
    rule: &Rule,
    command: &Command,
    digest: Digest,
    book: &Book,
    defaults: &Defaults,
    now: DateTime<Utc>,
) -> Branch {
    let asked = Asked {
        command,
        book,
        defaults,
        now,
        to: &[],
        abandoned: &Abandoned::new(false),
    };
    asked.say(rule, Some(digest))
}

/// A request, and what is known where it came.
struct Asked<'a> {
    command: &'a Command,
    book: &'a Book,
    defaults: &'a Defaults,
    now: DateTime<Utc>,
    /// Whom the request names, instead of the rule.
    to: &'a [Addressee],
    /// Whether anybody still waits for it.
    abandoned: &'a Abandoned,
}

/// Headline, text and HTML.
type Words = (Option<String>, String, Option<String>);

/// What was rendered before, as many recipients are told the same.
type Rendered = HashMap<(Channel, Option<*const Variant>), Result<Words, Failed>>;

impl Asked<'_> {
    fn follow(&self, rule: &Rule, known: &Known) -> Branch {
        let closed = |outcome, detail| Branch {
            finding: Some(Finding::of(rule, outcome, detail)),
            drafts: vec![],
            gates: vec![],
            gather: None,
            fault: None,
        };
        match rule.condition.as_ref().map(|c| c.holds(known.facts())) {
            Some(Ok(false)) => return closed(Outcome::ConditionFalse, None),
            Some(Err(error)) => {
                let text = error.to_string();
                return Branch {
                    fault: error.is_fault().then(|| text.clone()),
                    ..closed(Outcome::ConditionFailed, Some(text))
                };
            }
            Some(Ok(true)) | None => {}
        }
        let gates = Gate::of(rule, self.command, known, || self.line(rule).0);
        if let Some(window) = &rule.digest
            && self.priority(rule) != Priority::Urgent
        {
            let (text, fault) = self.line(rule);
            return Branch {
                gates,
                gather: Some(Gather::new(rule, window, known, &text)),
                fault,
                ..closed(Outcome::Digested, None)
            };
        }
        Branch {
            gates,
            ..self.say(rule, None)
        }
    }

    /// What a digest says about it; and why the rule failed, where the words are not its own.
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

    fn say(&self, rule: &Rule, digest: Option<Digest>) -> Branch {
        let (mut drafts, mut fault) = (vec![], None);
        let mut rendered = Rendered::new();
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
                // Whoever names the recipients wants no others.
                _ => vec![],
            };
            for one in to {
                if !on(&self.command.channels, &one.target) {
                    continue;
                }
                let words = self.words(rule, &one, digest, &mut rendered);
                let draft = Draft {
                    step: i16::try_from(place).unwrap_or(i16::MAX),
                    ..self.draft(rule, one, step.after)
                };
                drafts.push(match words {
                    Ok((title, text, html)) => Draft {
                        title,
                        text,
                        html,
                        ..draft
                    },
                    Err(error) => {
                        let error = printable(&error.to_string());
                        let failure = format!("the rule {:?} failed: {error}", rule.name);
                        fault = Some(error);
                        Draft {
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
            Outcome::Nobody
        } else if drafts.iter().all(|draft| draft.failure.is_some()) {
            Outcome::TemplateFailed
        } else {
            Outcome::Matched
        };
        Branch {
            finding: Some(Finding::of(rule, outcome, fault.clone())),
            drafts,
            gates: vec![],
            gather: None,
            fault,
        }
    }

    /// A message to somebody, without its words.
    fn draft(&self, rule: &Rule, to: Addressee, after: TimeDelta) -> Draft {
        let due = self.now + after;
        let verdict = match self.priority(rule) {
            Priority::Urgent => Verdict::Send,
            _ => quiet::verdict(&rule.quiet, due, to.time_zone),
        };
        let (due_at, reason) = match verdict {
            Verdict::Send => (due, None),
            Verdict::Hold(until) => {
                let until_text = until.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
                (until, Some(format!("quiet hours: held until {until_text}")))
            }
            Verdict::Drop => (due, Some("quiet hours: dropped".to_owned())),
        };
        Draft {
            id: Uuid::nil(),
            target: to.target,
            title: None,
            text: String::new(),
            html: None,
            due_at,
            step: 0,
            suppressed: verdict == Verdict::Drop,
            reason,
            failure: None,
        }
    }

    /// What that one is told; the same for all on a channel who are told by one template.
    fn words(
        &self,
        rule: &Rule,
        to: &Addressee,
        digest: Option<Digest>,
        rendered: &mut Rendered,
    ) -> Result<Words, Failed> {
        let channel = to.target.channel();
        let variant = rule.texts.best(channel, to.language.as_deref());
        let key = (channel, variant.map(std::ptr::from_ref));
        let words = rendered.entry(key);
        words
            .or_insert_with(|| self.text(rule, channel, variant, digest))
            .clone()
    }

    /// Headline, text and HTML for that channel, by that template or without one.
    fn text(
        &self,
        rule: &Rule,
        channel: Channel,
        variant: Option<&Variant>,
        digest: Option<Digest>,
    ) -> Result<Words, Failed> {
        let command = self.command;
        let title = command.title.as_deref();
        let Some(variant) = variant.filter(|_| !self.abandoned.load(Ordering::Relaxed)) else {
            return Ok((
                title.map(printable),
                self.plain(rule, channel, digest),
                None,
            ));
        };
        let scope = Scope {
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

    /// What is said without a template.
    fn plain(&self, rule: &Rule, channel: Channel, digest: Option<Digest>) -> String {
        let text = match digest {
            Some(digest) => gathered(&self.command.event, digest),
            None => unsaid(self.command),
        };
        self.fit(rule, channel, printable(&text))
    }

    /// What a channel carries of a text; never nothing.
    fn fit(&self, rule: &Rule, channel: Channel, text: String) -> String {
        let text = match channel {
            Channel::Sms => sms::cut(text, rule.sms_segments),
            _ => text,
        };
        if text.is_empty() {
            self.command.event.clone()
        } else {
            text.chars().take(LONGEST_TEXT).collect()
        }
    }
}

/// The longest text of a template, in characters; channels cut further.
const LONGEST_TEXT: usize = 10 * MESSAGE_CHARS;

/// What is known about an event that nobody wrote a template for.
fn unsaid(command: &Command) -> String {
    match command.event.as_str() {
        VISITOR_ARRIVED => arrival::message(&command.data),
        event => command.title.clone().unwrap_or_else(|| event.to_owned()),
    }
}

/// `7 visitor.arrived in the last hour:` and the first of them, one line each.
fn gathered(event: &str, digest: Digest) -> String {
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
