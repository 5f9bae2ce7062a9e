//! A snapshot of all rules and recipients, with which notifications are routed.

use std::collections::HashMap;
use std::sync::Arc;

use chrono_tz::Tz;
use uuid::Uuid;

use super::decision::DefaultRecipient;
use super::recipient::Recipient;
use super::rule::Rule;
use super::target::ChannelAddress;
use super::whom::RecipientRef;

pub const MAX_RULES: i64 = 500;
pub const MAX_RECIPIENTS: i64 = 10_000;

/// Rules in the order of their creation, and recipients by name and group.
#[derive(Clone, Debug, Default)]
pub struct RoutingTable {
    rules: Vec<Arc<Rule>>,
    recipients: HashMap<String, Recipient>,
    groups: HashMap<String, Vec<String>>,
    unfollowed: Vec<UnusableRule>,
}

/// An active rule that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusableRule {
    pub rule: Uuid,
    pub reason: String,
}

/// An address with the settings of its recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedRecipient {
    pub target: ChannelAddress,
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
    pub fn with_unfollowed(mut self, unfollowed: Vec<UnusableRule>) -> Self {
        self.unfollowed = unfollowed;
        self
    }

    /// Returns the active rules that cannot be applied.
    #[must_use]
    pub fn unfollowed(&self) -> &[UnusableRule] {
        &self.unfollowed
    }

    /// Whether an active rule has a condition or templates, so that evaluation may take long.
    #[must_use]
    pub fn is_costly(&self) -> bool {
        let mut followed = self.rules.iter().filter(|rule| rule.active);
        followed.any(|rule| rule.is_costly())
    }

    /// Returns a copy that contains only this rule.
    #[must_use]
    pub fn with_only(&self, rule: Arc<Rule>) -> Self {
        Self {
            rules: vec![rule],
            ..self.clone()
        }
    }

    /// Returns the active rules that match the event.
    pub fn about<'a>(&'a self, event: &'a str) -> impl Iterator<Item = &'a Arc<Rule>> {
        let about = move |rule: &&Arc<Rule>| rule.active && rule.event.matches(event);
        self.rules.iter().filter(about)
    }

    #[must_use]
    pub fn rule(&self, id: Uuid) -> Option<&Arc<Rule>> {
        self.rules.iter().find(|rule| rule.id == id)
    }

    /// Whether the recipient or group exists. Addresses and `default` always do.
    #[must_use]
    pub fn knows(&self, whom: &RecipientRef) -> bool {
        match whom {
            RecipientRef::Default | RecipientRef::Target(_) => true,
            RecipientRef::Recipient(name) => self.recipients.contains_key(name),
            RecipientRef::Group(name) => self.groups.contains_key(name),
        }
    }

    /// Resolves a reference to its addresses; empty if the name is unknown.
    #[must_use]
    pub fn addressees(
        &self,
        whom: &RecipientRef,
        defaults: &DefaultRecipient,
    ) -> Vec<ResolvedRecipient> {
        let unknown = |target: ChannelAddress| ResolvedRecipient {
            target,
            time_zone: None,
            language: None,
        };
        match whom {
            RecipientRef::Default => vec![unknown(defaults.target())],
            RecipientRef::Target(target) => vec![unknown(target.clone())],
            RecipientRef::Recipient(name) => self.of(name).collect(),
            RecipientRef::Group(name) => {
                let names = self.groups.get(name).into_iter().flatten();
                names.flat_map(|name| self.of(name)).collect()
            }
        }
    }

    fn of(&self, name: &str) -> impl Iterator<Item = ResolvedRecipient> {
        let recipient = self.recipients.get(name).into_iter();
        recipient.flat_map(|recipient| {
            recipient.targets.iter().map(|target| ResolvedRecipient {
                target: target.clone(),
                time_zone: recipient.time_zone,
                language: recipient.language.clone(),
            })
        })
    }
}
