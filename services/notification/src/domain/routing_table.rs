//! A snapshot of all rules and recipients, with which notifications are routed.

use std::collections::HashMap;
use std::sync::Arc;

use chrono_tz::Tz;
use uuid::Uuid;

use super::channel_address::ChannelAddress;
use super::recipient::{DefaultRecipient, Recipient};
use super::recipient_ref::RecipientRef;
use super::rule::Rule;

pub const MAX_RULES: i64 = 500;
pub const MAX_RECIPIENTS: i64 = 10_000;

/// Rules in the order of their creation, and recipients by name and group.
#[derive(Clone, Debug, Default)]
pub struct RoutingTable {
    rules: Vec<Arc<Rule>>,
    recipients: HashMap<String, Recipient>,
    groups: HashMap<String, Vec<String>>,
    unusable_rules: Vec<UnusableRule>,
}

/// An active rule that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusableRule {
    pub rule_id: Uuid,
    pub reason: String,
}

/// An address with the settings of its recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedRecipient {
    pub address: ChannelAddress,
    /// For quiet hours.
    pub time_zone: Option<Tz>,
    /// Selects templates.
    pub language: Option<String>,
}

impl RoutingTable {
    /// Builds the table from rules in their order, and from recipients with name and groups.
    #[must_use]
    pub fn new(rules: Vec<Arc<Rule>>, recipients: Vec<(String, Vec<String>, Recipient)>) -> Self {
        let mut book = Self {
            rules,
            ..Self::default()
        };
        for (name, groups, recipient) in recipients {
            for group in groups {
                book.groups.entry(group).or_default().push(name.clone());
            }
            book.recipients.insert(name, recipient);
        }
        book
    }

    /// Adds the rules that cannot be applied.
    #[must_use]
    pub fn with_unusable_rules(mut self, unfollowed: Vec<UnusableRule>) -> Self {
        self.unusable_rules = unfollowed;
        self
    }

    /// Returns the active rules that cannot be applied.
    #[must_use]
    pub fn unusable_rules(&self) -> &[UnusableRule] {
        &self.unusable_rules
    }

    /// Whether an active rule has a condition or templates, so that evaluation may take long.
    #[must_use]
    pub fn is_expensive(&self) -> bool {
        let mut followed = self.rules.iter().filter(|rule| rule.active);
        followed.any(|rule| rule.is_expensive())
    }

    /// Returns a copy that contains only this rule.
    #[must_use]
    pub fn with_single_rule(&self, rule: Arc<Rule>) -> Self {
        Self {
            rules: vec![rule],
            ..self.clone()
        }
    }

    /// Returns the active rules that match the event.
    pub fn active_rules_for<'a>(&'a self, event: &'a str) -> impl Iterator<Item = &'a Arc<Rule>> {
        let about = move |rule: &&Arc<Rule>| rule.active && rule.event.matches(event);
        self.rules.iter().filter(about)
    }

    #[must_use]
    pub fn rule(&self, id: Uuid) -> Option<&Arc<Rule>> {
        self.rules.iter().find(|rule| rule.id == id)
    }

    /// Whether the recipient or group exists. Addresses and `default` always do.
    #[must_use]
    pub fn contains(&self, recipient_ref: &RecipientRef) -> bool {
        match recipient_ref {
            RecipientRef::Default | RecipientRef::Address(_) => true,
            RecipientRef::Recipient(name) => self.recipients.contains_key(name),
            RecipientRef::Group(name) => self.groups.contains_key(name),
        }
    }

    /// Resolves a reference to its addresses; empty if the name is unknown.
    #[must_use]
    pub fn resolve(
        &self,
        recipient_ref: &RecipientRef,
        defaults: &DefaultRecipient,
    ) -> Vec<ResolvedRecipient> {
        let unknown = |target: ChannelAddress| ResolvedRecipient {
            address: target,
            time_zone: None,
            language: None,
        };
        match recipient_ref {
            RecipientRef::Default => vec![unknown(defaults.address())],
            RecipientRef::Address(target) => vec![unknown(target.clone())],
            RecipientRef::Recipient(name) => self.addresses_of(name).collect(),
            RecipientRef::Group(name) => {
                let names = self.groups.get(name).into_iter().flatten();
                names.flat_map(|name| self.addresses_of(name)).collect()
            }
        }
    }

    fn addresses_of(&self, name: &str) -> impl Iterator<Item = ResolvedRecipient> {
        let recipient = self.recipients.get(name).into_iter();
        recipient.flat_map(|recipient| {
            recipient.addresses.iter().map(|target| ResolvedRecipient {
                address: target.clone(),
                time_zone: recipient.time_zone,
                language: recipient.language.clone(),
            })
        })
    }
}
