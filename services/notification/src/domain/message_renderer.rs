//! Renders the texts of messages: with a template of the rule, or the default text of the event.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use common::visitor_analytics::VISITOR_ARRIVED;

use super::channel_address::DeliveryChannel;
use super::delivery_plan::CancelFlag;
use super::notify_command::{MAX_MESSAGE_CHARS, NotifyCommand};
use super::printable::strip_hidden_chars;
use super::priority::priority_name;
use super::routing_table::ResolvedRecipient;
use super::rule::{Rule, TemplateVariant};
use super::sms;
use super::template::{DigestSummary, RenderError, Template, TemplateContext};
use super::truncate::truncate_chars;
use super::visitor_message;

/// Bounds a rendered text; channels truncate further.
const MAX_TEXT_CHARS: usize = 10 * MAX_MESSAGE_CHARS;

/// Title, text and HTML.
pub(super) type RenderedText = (Option<String>, String, Option<String>);

/// Rendered texts by channel and template, because many recipients get the same text.
pub(super) type RenderCache =
    HashMap<(DeliveryChannel, Option<*const TemplateVariant>), Result<RenderedText, RenderError>>;

/// Renders the messages about a notification.
#[derive(Clone, Copy)]
pub(super) struct MessageRenderer<'a> {
    pub(super) command: &'a NotifyCommand,
    /// After it is set, templates are not rendered.
    pub(super) cancelled: &'a CancelFlag,
}

impl MessageRenderer<'_> {
    /// Returns the line of a digest about this notification. If the template fails, returns the
    /// default text and the error.
    pub(super) fn digest_line(&self, rule: &Rule) -> (String, Option<String>) {
        match self.render_text(
            rule,
            DeliveryChannel::Log,
            rule.templates.best_match(DeliveryChannel::Log, None),
            None,
        ) {
            Ok((_, text, _)) => (text, None),
            Err(error) => (
                strip_hidden_chars(&default_event_text(self.command)),
                Some(error.to_string()),
            ),
        }
    }

    /// Renders the text for a recipient, once per channel and template.
    pub(super) fn cached_text(
        &self,
        rule: &Rule,
        to: &ResolvedRecipient,
        digest: Option<DigestSummary>,
        cache: &mut RenderCache,
    ) -> Result<RenderedText, RenderError> {
        let channel = to.address.channel();
        let variant = rule.templates.best_match(channel, to.language.as_deref());
        let key = (channel, variant.map(std::ptr::from_ref));
        let words = cache.entry(key);
        words
            .or_insert_with(|| self.render_text(rule, channel, variant, digest))
            .clone()
    }

    /// Renders title, text and HTML with the template, or the default text without one.
    fn render_text(
        &self,
        rule: &Rule,
        channel: DeliveryChannel,
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
            priority: priority_name(rule.priority_for(command.priority)),
            data: &command.data,
            digest,
        };
        let render = |t: &Template| t.render(&scope);
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
    pub(super) fn default_text(
        &self,
        rule: &Rule,
        channel: DeliveryChannel,
        digest: Option<DigestSummary>,
    ) -> String {
        let text = match digest {
            Some(digest) => format_digest(&self.command.event, digest),
            None => default_event_text(self.command),
        };
        self.truncate_for_channel(rule, channel, strip_hidden_chars(&text))
    }

    /// Truncates a text to the limits of the channel. Replaces an empty text with the event's name.
    fn truncate_for_channel(&self, rule: &Rule, channel: DeliveryChannel, text: String) -> String {
        let text = match channel {
            DeliveryChannel::Sms => sms::truncate_to_segments(text, rule.sms_segments),
            _ => text,
        };
        if text.is_empty() {
            self.command.event.clone()
        } else {
            truncate_chars(&text, MAX_TEXT_CHARS).to_owned()
        }
    }
}

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
        text.push_str(truncate_chars(first, 100));
    }
    let more = digest.count - i64::try_from(digest.texts.len()).unwrap_or(0);
    if more > 0 {
        text.extend(["\nand ", &more.to_string(), " more"]);
    }
    text
}
