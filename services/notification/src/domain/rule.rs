//! Rules: which events are told to whom, how, when, and how often.

mod invalid;
mod parts;
mod spec;

use std::sync::Arc;

use chrono::TimeDelta;
use common::notification::Priority;
use uuid::Uuid;

pub use self::invalid::Invalid;
pub use self::parts::{Step, Texts, Variant};
pub use self::spec::{Dedupe, Digest, Escalation, QuietHours, Spec, TemplateSpec, Throttle};
use super::condition::Expression;
use super::event_pattern::EventPattern;
use super::quiet::Quiet;

/// A rule that can be followed.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its id.
    pub id: Uuid,
    /// What people call it.
    pub name: String,
    /// Which events it is about.
    pub event: EventPattern,
    /// Of those, which ones; all without.
    pub condition: Option<Expression>,
    /// Who is told at once, and who later where nobody acknowledges; never empty.
    pub steps: Vec<Step>,
    /// What is said.
    pub texts: Texts,
    /// How urgent it is; without it as the notification says.
    pub priority: Option<Priority>,
    /// How often, at most, for each of a kind.
    pub throttle: Option<Window>,
    /// How often, at most, in all.
    pub total: Option<Window>,
    /// Whether what the two held back is told once.
    pub throttle_notice: bool,
    /// How long the same thing is not said again.
    pub dedupe: Option<Window>,
    /// How long notifications are gathered to be told together.
    pub digest: Option<Window>,
    /// When nobody is told.
    pub quiet: Vec<Quiet>,
    /// The most segments of its text messages.
    pub sms_segments: usize,
    /// Whether it is followed.
    pub active: bool,
}

/// A stretch of time in which things of the same kind are counted.
#[derive(Clone, Debug)]
pub struct Window {
    /// The most there may be.
    pub limit: i32,
    /// How long it is.
    pub length: TimeDelta,
    /// What is of the same kind; all without.
    pub by: Option<Expression>,
}

impl Rule {
    /// Whether it evaluates what people wrote, beside keys of its windows.
    #[must_use]
    pub fn is_costly(&self) -> bool {
        self.condition.is_some() || !self.texts.is_empty()
    }

    /// Makes a rule of what was asked for.
    pub fn new(id: Uuid, spec: &Spec) -> Result<Arc<Self>, Invalid> {
        parts::rule(id, spec).map(Arc::new)
    }
}
