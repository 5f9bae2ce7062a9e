//! All rules and recipients, as they are looked up for each notification.

use std::collections::HashMap;
use std::sync::Arc;

use chrono_tz::Tz;
use uuid::Uuid;

use super::decision::DefaultRecipient;
use super::recipient::Recipient;
use super::rule::Rule;
use super::target::ChannelAddress;
use super::whom::RecipientRef;

/// The most rules there may be.
pub const MAX_RULES: i64 = 500;
/// The most recipients there may be.
pub const MAX_RECIPIENTS: i64 = 10_000;

/// Rules in the order they were made, and recipients by name and group.
#[derive(Clone, Debug, Default)]
pub struct RoutingTable {
    rules: Vec<Arc<Rule>>,
    recipients: HashMap<String, Recipient>,
    groups: HashMap<String, Vec<String>>,
    unfollowed: Vec<UnusableRule>,
}

/// An active rule that is not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusableRule {
    /// The rule's id.
    pub rule: Uuid,
    /// Why not.
    pub reason: String,
}

/// Somebody to be told, with what is known of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedRecipient {
    /// Where.
    pub target: ChannelAddress,
    /// For quiet hours.
    pub time_zone: Option<Tz>,
    /// For templates.
    pub language: Option<String>,
}

impl RoutingTable {
    /// A book of these rules, in their order, and these recipients with their names and groups.
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

    /// The same book with what is to be known of rules that are not followed.
    #[must_use]
    pub fn with_unfollowed(mut self, unfollowed: Vec<UnusableRule>) -> Self {
        self.unfollowed = unfollowed;
        self
    }

    /// Rules that should be followed and are not.
    #[must_use]
    pub fn unfollowed(&self) -> &[UnusableRule] {
        &self.unfollowed
    }

    /// Whether following the rules may take long: some have conditions or templates.
    #[must_use]
    pub fn is_costly(&self) -> bool {
        let mut followed = self.rules.iter().filter(|rule| rule.active);
        followed.any(|rule| rule.is_costly())
    }

    /// The same recipients with that rule alone.
    #[must_use]
    pub fn with_only(&self, rule: Arc<Rule>) -> Self {
        Self {
            rules: vec![rule],
            ..self.clone()
        }
    }

    /// The rules that are followed for this event.
    pub fn about<'a>(&'a self, event: &'a str) -> impl Iterator<Item = &'a Arc<Rule>> {
        let about = move |rule: &&Arc<Rule>| rule.active && rule.event.matches(event);
        self.rules.iter().filter(about)
    }

    /// The rule with that id.
    #[must_use]
    pub fn rule(&self, id: Uuid) -> Option<&Arc<Rule>> {
        self.rules.iter().find(|rule| rule.id == id)
    }

    /// Whether there is somebody of that name.
    #[must_use]
    pub fn knows(&self, whom: &RecipientRef) -> bool {
        match whom {
            RecipientRef::Default | RecipientRef::Target(_) => true,
            RecipientRef::Recipient(name) => self.recipients.contains_key(name),
            RecipientRef::Group(name) => self.groups.contains_key(name),
        }
    }

    /// Everybody that is meant; nobody where the name is not known.
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
