//! Validates a rule's specification and compiles its expressions and templates.

use std::sync::Arc;

use chrono::TimeDelta;
use chrono_tz::Tz;
use uuid::Uuid;

use super::compiled::{EscalationStep, MessageTemplates, Rule, RuleWindow, TemplateVariant};
use super::invalid_rule::{InvalidRule, MAX_LIST_ITEMS, MAX_RULE_NAME_CHARS, MAX_WINDOW_SECONDS};
use super::spec::{QuietHoursSpec, RuleSpec, TemplateSpec};
use crate::domain::channel_address::DeliveryChannel;
use crate::domain::expression::CelExpression;
use crate::domain::quiet_hours::{QuietHours, parse_end_time, parse_start_time};
use crate::domain::recipient::is_language_tag;
use crate::domain::recipient_ref::RecipientRef;
use crate::domain::template::{Template, TemplateError};

impl Rule {
    pub fn new(id: Uuid, spec: &RuleSpec) -> Result<Arc<Self>, InvalidRule> {
        compile_rule(id, spec).map(Arc::new)
    }
}

fn compile_rule(id: Uuid, spec: &RuleSpec) -> Result<Rule, InvalidRule> {
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
    let total = total.map(|(total, seconds)| compile_window(total, seconds, None, "throttle"));
    let throttle_notice = throttle.is_some_and(|throttle| throttle.notice);
    let throttle =
        throttle.map(|t| compile_window(t.limit, t.seconds, t.by.as_deref(), "throttle"));
    let dedupe = spec.dedupe.as_ref();
    let dedupe = dedupe.map(|d| compile_window(1, d.seconds, d.by.as_deref(), "dedupe"));
    let digest = spec.digest.as_ref();
    let digest = digest.map(|d| compile_window(i32::MAX, d.seconds, d.by.as_deref(), "digest"));
    Ok(Rule {
        id,
        name: spec.name.clone(),
        event: spec.event.parse().map_err(InvalidRule::Event)?,
        condition: compile_expression(spec.condition.as_deref(), "condition")?,
        steps: compile_steps(spec)?,
        templates: compile_templates(&spec.templates)?,
        priority: spec.priority,
        throttle: throttle.transpose()?,
        total_throttle: total.transpose()?,
        throttle_summary: throttle_notice,
        dedupe: dedupe.transpose()?,
        digest: digest.transpose()?,
        quiet_hours: parse_quiet_hours(&spec.quiet_hours)?,
        sms_segments: spec.sms_segments,
        active: spec.active,
    })
}

fn compile_expression(
    source: Option<&str>,
    field: &'static str,
) -> Result<Option<CelExpression>, InvalidRule> {
    let compiled = source.map(CelExpression::new).transpose();
    compiled.map_err(|error| InvalidRule::Expression(field, error))
}

fn compile_window(
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
        length: parse_duration(seconds, || format!("{field}.seconds"))?,
        key_expression: compile_expression(by, by_field)?,
    })
}

fn parse_duration(seconds: i64, field: impl Fn() -> String) -> Result<TimeDelta, InvalidRule> {
    let good = (1..=MAX_WINDOW_SECONDS).contains(&seconds);
    good.then(|| TimeDelta::seconds(seconds))
        .ok_or_else(|| InvalidRule::Duration(field()))
}

fn compile_steps(spec: &RuleSpec) -> Result<Vec<EscalationStep>, InvalidRule> {
    check_list_length(spec.escalation.len(), "escalation")?;
    let mut steps = vec![EscalationStep {
        after: TimeDelta::zero(),
        channels: parse_channels(&spec.channels, "channels")?,
        recipients: parse_recipients(&spec.recipients, "recipients")?,
    }];
    for (at, step) in spec.escalation.iter().enumerate() {
        let field = |name: &str| format!("escalation[{at}].{name}");
        let after = parse_duration(step.after_seconds, || field("after_seconds"))?;
        if steps.last().is_some_and(|before| before.after >= after) {
            return Err(InvalidRule::Order(field("after_seconds")));
        }
        steps.push(EscalationStep {
            after,
            channels: parse_channels(&step.channels, &field("channels"))?,
            recipients: parse_recipients(&step.recipients, &field("recipients"))?,
        });
    }
    Ok(steps)
}

fn check_list_length(length: usize, field: &str) -> Result<(), InvalidRule> {
    let few = length <= MAX_LIST_ITEMS;
    few.then_some(())
        .ok_or_else(|| InvalidRule::ListTooLong(field.into()))
}

fn parse_channels(names: &[String], field: &str) -> Result<Vec<DeliveryChannel>, InvalidRule> {
    check_list_length(names.len(), field)?;
    let channel = |(at, name): (usize, &String)| {
        DeliveryChannel::from_name(name)
            .ok_or_else(|| InvalidRule::UnknownChannel(format!("{field}[{at}]")))
    };
    names.iter().enumerate().map(channel).collect()
}

fn parse_recipients(texts: &[String], field: &str) -> Result<Vec<RecipientRef>, InvalidRule> {
    check_list_length(texts.len(), field)?;
    if texts.is_empty() {
        return Err(InvalidRule::NoRecipients(field.into()));
    }
    let parse = |(at, text): (usize, &String)| {
        let recipient_ref = text.parse::<RecipientRef>();
        recipient_ref.map_err(|error| InvalidRule::Recipient(format!("{field}[{at}]"), error))
    };
    texts.iter().enumerate().map(parse).collect()
}

fn compile_templates(specs: &[TemplateSpec]) -> Result<MessageTemplates, InvalidRule> {
    check_list_length(specs.len(), "templates")?;
    let variant = |(at, spec): (usize, &TemplateSpec)| {
        let field = |name: &str| format!("templates[{at}].{name}");
        let named = |name: &String| {
            DeliveryChannel::from_name(name)
                .ok_or_else(|| InvalidRule::UnknownChannel(field("channel")))
        };
        let language = spec.language.clone();
        if language
            .as_deref()
            .is_some_and(|code| !is_language_tag(code))
        {
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

fn parse_quiet_hours(specs: &[QuietHoursSpec]) -> Result<Vec<QuietHours>, InvalidRule> {
    check_list_length(specs.len(), "quiet_hours")?;
    let quiet = |(at, spec): (usize, &QuietHoursSpec)| {
        let field = |name: &str| format!("quiet_hours[{at}].{name}");
        let zone = spec.time_zone.as_deref().map(str::parse::<Tz>).transpose();
        Ok(QuietHours {
            from: parse_start_time(&spec.from).ok_or_else(|| InvalidRule::Time(field("from")))?,
            to: parse_end_time(&spec.to).ok_or_else(|| InvalidRule::Time(field("to")))?,
            days: spec.days.clone(),
            time_zone: zone
                .map_err(|_| InvalidRule::TimeZone(field("time_zone")))?
                .unwrap_or(Tz::UTC),
            mode: spec.mode,
        })
    };
    specs.iter().enumerate().map(quiet).collect()
}
