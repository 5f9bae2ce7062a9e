//! Validates a rule's specification and compiles its expressions and templates.

use chrono::{NaiveTime, TimeDelta};
use chrono_tz::Tz;
use uuid::Uuid;

use super::invalid::{MAX_LIST_ITEMS, MAX_RULE_NAME_CHARS, MAX_WINDOW_SECONDS};
use super::{InvalidRule, QuietHoursSpec, Rule, RuleSpec, RuleWindow, TemplateSpec};
use crate::domain::condition::CelExpression;
use crate::domain::quiet::QuietHours;
use crate::domain::recipient::is_language;
use crate::domain::target::Channel;
use crate::domain::template::{Template, TemplateError};
use crate::domain::whom::RecipientRef;

/// The recipients that are notified after a delay.
#[derive(Clone, Debug)]
pub struct EscalationStep {
    /// Delay after the notification is accepted.
    pub after: TimeDelta,
    /// Restricts the channels; empty allows all.
    pub channels: Vec<Channel>,
    /// Never empty.
    pub recipients: Vec<RecipientRef>,
}

/// The templates of a rule, by channel and language.
#[derive(Clone, Debug, Default)]
pub struct MessageTemplates(Vec<TemplateVariant>);

#[derive(Clone, Debug)]
pub struct TemplateVariant {
    channel: Option<Channel>,
    language: Option<String>,
    pub title: Option<Template>,
    pub text: Template,
    pub html: Option<Template>,
}

impl MessageTemplates {
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the best match: a template for the channel outranks one for the language. Of equal
    /// matches the first wins.
    #[must_use]
    pub fn best(&self, channel: Channel, language: Option<&str>) -> Option<&TemplateVariant> {
        let fit = |variant: &&TemplateVariant| {
            let on = variant.channel.is_none_or(|own| own == channel);
            let own = variant.language.as_deref();
            on && own.is_none_or(|own| Some(own) == language)
        };
        let rank = |v: &&TemplateVariant| (v.channel.is_some(), v.language.is_some());
        self.0.iter().rev().filter(fit).max_by_key(rank)
    }
}

pub(super) fn rule(id: Uuid, spec: &RuleSpec) -> Result<Rule, InvalidRule> {
    let known = |c: char| !c.is_control();
    let length = spec.name.chars().take(MAX_RULE_NAME_CHARS + 1).count();
    if !(1..=MAX_RULE_NAME_CHARS).contains(&length) || !spec.name.chars().all(known) {
        return Err(InvalidRule::Name);
    }
    if !(1..=10).contains(&spec.sms_segments) {
        return Err(InvalidRule::Segments);
    }
    let throttle = spec.throttle.as_ref();
    let is_limit = |limit: i32| (1..=1_000_000).contains(&limit);
    if throttle.is_some_and(|throttle| !is_limit(throttle.limit)) {
        return Err(InvalidRule::Limit("throttle.limit"));
    }
    let total = throttle.and_then(|throttle| Some((throttle.total?, throttle.seconds)));
    if total.is_some_and(|(total, _)| !is_limit(total)) {
        return Err(InvalidRule::Limit("throttle.total"));
    }
    let total = total.map(|(total, seconds)| window(total, seconds, None, "throttle"));
    let throttle_notice = throttle.is_some_and(|throttle| throttle.notice);
    let throttle = throttle.map(|t| window(t.limit, t.seconds, t.by.as_deref(), "throttle"));
    let dedupe = spec.dedupe.as_ref();
    let dedupe = dedupe.map(|d| window(1, d.seconds, d.by.as_deref(), "dedupe"));
    let digest = spec.digest.as_ref();
    let digest = digest.map(|d| window(i32::MAX, d.seconds, d.by.as_deref(), "digest"));
    Ok(Rule {
        id,
        name: spec.name.clone(),
        event: spec.event.parse().map_err(InvalidRule::Event)?,
        condition: expression(spec.condition.as_deref(), "condition")?,
        steps: steps(spec)?,
        texts: texts(&spec.templates)?,
        priority: spec.priority,
        throttle: throttle.transpose()?,
        total: total.transpose()?,
        throttle_notice,
        dedupe: dedupe.transpose()?,
        digest: digest.transpose()?,
        quiet: quiet(&spec.quiet_hours)?,
        sms_segments: spec.sms_segments,
        active: spec.active,
    })
}

fn expression(
    source: Option<&str>,
    field: &'static str,
) -> Result<Option<CelExpression>, InvalidRule> {
    let compiled = source.map(CelExpression::new).transpose();
    compiled.map_err(|error| InvalidRule::Expression(field, error))
}

fn window(
    limit: i32,
    seconds: i64,
    by: Option<&str>,
    field: &'static str,
) -> Result<RuleWindow, InvalidRule> {
    let by_field = match field {
        "throttle" => "throttle.by",
        "dedupe" => "dedupe.by",
        _ => "digest.by",
    };
    Ok(RuleWindow {
        limit,
        length: length(seconds, || format!("{field}.seconds"))?,
        by: expression(by, by_field)?,
    })
}

fn length(seconds: i64, field: impl Fn() -> String) -> Result<TimeDelta, InvalidRule> {
    let good = (1..=MAX_WINDOW_SECONDS).contains(&seconds);
    good.then(|| TimeDelta::seconds(seconds))
        .ok_or_else(|| InvalidRule::Seconds(field()))
}

fn steps(spec: &RuleSpec) -> Result<Vec<EscalationStep>, InvalidRule> {
    few(spec.escalation.len(), "escalation")?;
    let mut steps = vec![EscalationStep {
        after: TimeDelta::zero(),
        channels: channels(&spec.channels, "channels")?,
        recipients: recipients(&spec.recipients, "recipients")?,
    }];
    for (at, step) in spec.escalation.iter().enumerate() {
        let field = |name: &str| format!("escalation[{at}].{name}");
        let after = length(step.after_seconds, || field("after_seconds"))?;
        if steps.last().is_some_and(|before| before.after >= after) {
            return Err(InvalidRule::Order(field("after_seconds")));
        }
        steps.push(EscalationStep {
            after,
            channels: channels(&step.channels, &field("channels"))?,
            recipients: recipients(&step.recipients, &field("recipients"))?,
        });
    }
    Ok(steps)
}

fn few(length: usize, field: &str) -> Result<(), InvalidRule> {
    let few = length <= MAX_LIST_ITEMS;
    few.then_some(())
        .ok_or_else(|| InvalidRule::TooMany(field.into()))
}

fn channels(names: &[String], field: &str) -> Result<Vec<Channel>, InvalidRule> {
    few(names.len(), field)?;
    let channel = |(at, name): (usize, &String)| {
        Channel::named(name).ok_or_else(|| InvalidRule::Channel(format!("{field}[{at}]")))
    };
    names.iter().enumerate().map(channel).collect()
}

fn recipients(texts: &[String], field: &str) -> Result<Vec<RecipientRef>, InvalidRule> {
    few(texts.len(), field)?;
    if texts.is_empty() {
        return Err(InvalidRule::Empty(field.into()));
    }
    let parse = |(at, text): (usize, &String)| {
        let whom = text.parse::<RecipientRef>();
        whom.map_err(|error| InvalidRule::Recipient(format!("{field}[{at}]"), error))
    };
    texts.iter().enumerate().map(parse).collect()
}

fn texts(specs: &[TemplateSpec]) -> Result<MessageTemplates, InvalidRule> {
    few(specs.len(), "templates")?;
    let variant = |(at, spec): (usize, &TemplateSpec)| {
        let field = |name: &str| format!("templates[{at}].{name}");
        let named = |name: &String| {
            Channel::named(name).ok_or_else(|| InvalidRule::Channel(field("channel")))
        };
        let language = spec.language.clone();
        if language.as_deref().is_some_and(|code| !is_language(code)) {
            return Err(InvalidRule::Language(field("language")));
        }
        let wrong =
            |name: &'static str| move |e: TemplateError| InvalidRule::Template(field(name), e);
        let title = spec.title.as_deref().map(Template::text).transpose();
        let html = spec.html.as_deref().map(Template::html).transpose();
        Ok(TemplateVariant {
            channel: spec.channel.as_ref().map(named).transpose()?,
            language,
            title: title.map_err(wrong("title"))?,
            text: Template::text(&spec.text).map_err(wrong("text"))?,
            html: html.map_err(wrong("html"))?,
        })
    };
    let variants = specs.iter().enumerate().map(variant);
    variants.collect::<Result<_, _>>().map(MessageTemplates)
}

fn quiet(specs: &[QuietHoursSpec]) -> Result<Vec<QuietHours>, InvalidRule> {
    few(specs.len(), "quiet_hours")?;
    let quiet = |(at, spec): (usize, &QuietHoursSpec)| {
        let field = |name: &str| format!("quiet_hours[{at}].{name}");
        let time = |text: &str, name| {
            let time = NaiveTime::parse_from_str(text, "%H:%M");
            time.map_err(|_| InvalidRule::Time(field(name)))
        };
        let zone = spec.time_zone.as_deref().map(str::parse::<Tz>).transpose();
        Ok(QuietHours {
            from: time(&spec.from, "from")?,
            to: time(&spec.to, "to")?,
            days: spec.days.clone(),
            time_zone: zone
                .map_err(|_| InvalidRule::TimeZone(field("time_zone")))?
                .unwrap_or(Tz::UTC),
            mode: spec.mode,
        })
    };
    specs.iter().enumerate().map(quiet).collect()
}
