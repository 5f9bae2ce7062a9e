//! A notification that was accepted.

use chrono::{DateTime, Utc};
use common::clock::Clock;
use common::notification::NotificationStatus;
use uuid::Uuid;

use super::command::Command;
use super::decision::Decision;
use super::target::Target;

/// Something to be said, and the deliveries that say it.
#[derive(Clone, Debug)]
pub struct Notification {
    /// Its id, from the moment it was accepted.
    pub id: Uuid,
    /// What was asked for.
    pub command: Command,
    /// Whether it goes out.
    pub status: NotificationStatus,
    /// Why not.
    pub reason: Option<&'static str>,
    /// What is said; empty where nobody is told.
    pub text: String,
    /// To whom, each with the delivery's id.
    pub deliveries: Vec<(Uuid, Target)>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
}

impl Notification {
    /// Gives what was decided its ids and time.
    #[must_use]
    pub fn new(command: Command, decision: Decision, clock: &Clock) -> Self {
        let (status, reason, text, targets) = match decision {
            Decision::Send { text, targets } => (NotificationStatus::Queued, None, text, targets),
            Decision::Suppress { reason } => (
                NotificationStatus::Suppressed,
                Some(reason),
                String::new(),
                vec![],
            ),
        };
        let id = clock.new_id();
        let deliveries = targets.into_iter().map(|target| (clock.new_id(), target));
        Self {
            id,
            command,
            status,
            reason,
            text,
            deliveries: deliveries.collect(),
            created_at: clock.now(),
        }
    }
}
