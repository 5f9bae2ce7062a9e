//! The planned deliveries of a notification.

use std::sync::atomic::AtomicBool;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::channel_address::ChannelAddress;
use super::rate_window::{DigestEntry, RateWindow};
use super::rule_result::RuleResult;

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
