//! Explains whether a notification about a visit's session was sent, and why not.

use super::session::NotifyPolicy;

/// The facts about a visit that determine the notification status.
#[derive(Clone, Copy, Debug)]
pub struct NotificationFacts {
    /// Whether the visit is a bot's.
    pub is_bot: bool,
    /// Whether the visitor opted out of tracking.
    pub opted_out: bool,
    /// `None` if the session has been deleted.
    pub session: Option<SessionState>,
}

/// The state of the visit's session.
#[derive(Clone, Copy, Debug)]
pub struct SessionState {
    /// Whether one of its visits is a bot's.
    pub is_bot: bool,
    /// The number of visits.
    pub visits: u32,
    /// Whether an announcement has been sent or is in the outbox.
    pub announced: bool,
    pub outbox: OutboxState,
}

/// The state of a session's announcement in the outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutboxState {
    /// The outbox contains no announcement, or it has been sent.
    #[default]
    Empty,
    /// The announcement is not sent yet.
    Waiting,
    /// notification has refused the announcement permanently.
    Refused,
}

/// Whether a notification was sent, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotificationStatus {
    /// notification has accepted the announcement.
    Sent,
    /// The announcement is in the outbox.
    Waiting,
    /// notification has refused the announcement permanently.
    Refused,
    /// The visit is a bot's.
    Bot,
    /// Another visit of the session is a bot's.
    BotSession,
    /// The visitor opted out of tracking.
    OptedOut,
    /// The visit was already too old when it arrived.
    TooOld,
    /// The policy requires a second visit or an engagement report.
    NoSecondSignal,
    /// The session has been deleted.
    SessionDeleted,
}

impl NotificationStatus {
    /// The status in the API: `told`, `waiting`, `refused` or `not_told`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "told",
            Self::Waiting => "waiting",
            Self::Refused => "refused",
            _ => "not_told",
        }
    }

    /// The stable code of the reason, if no notification is sent.
    #[must_use]
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Sent | Self::Waiting | Self::Refused => None,
            Self::Bot => Some("bot"),
            Self::BotSession => Some("bot_session"),
            Self::OptedOut => Some("opted_out"),
            Self::TooOld => Some("too_old"),
            Self::NoSecondSignal => Some("no_second_signal"),
            Self::SessionDeleted => Some("session_gone"),
        }
    }
}

/// Determines the notification status of a visit. The first reason that applies wins.
#[must_use]
pub fn notification_status(visit: &NotificationFacts, telling: NotifyPolicy) -> NotificationStatus {
    match visit.session {
        None => NotificationStatus::SessionDeleted,
        Some(session) if session.outbox == OutboxState::Refused => NotificationStatus::Refused,
        Some(session) if session.outbox == OutboxState::Waiting => NotificationStatus::Waiting,
        Some(session) if session.announced && !session.is_bot => NotificationStatus::Sent,
        Some(_) if visit.is_bot => NotificationStatus::Bot,
        Some(session) if session.is_bot => NotificationStatus::BotSession,
        Some(_) if visit.opted_out => NotificationStatus::OptedOut,
        Some(session) if session.visits < telling.trigger.min_visits() => {
            NotificationStatus::NoSecondSignal
        }
        Some(_) => NotificationStatus::TooOld,
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::session::NotifyTrigger;

    #[test]
    fn the_reason_is_the_first_that_fits() {
        let person = SessionState {
            is_bot: false,
            visits: 1,
            announced: false,
            outbox: OutboxState::Empty,
        };
        let visit = |is_bot, opted_out, session| NotificationFacts {
            is_bot,
            opted_out,
            session,
        };
        let why = |visit: NotificationFacts, when| {
            let max_age = TimeDelta::minutes(15);
            notification_status(
                &visit,
                NotifyPolicy {
                    max_age,
                    trigger: when,
                },
            )
        };
        let first = NotifyTrigger::FirstVisit;
        let announced = SessionState {
            announced: true,
            ..person
        };
        assert_eq!(
            why(visit(false, false, Some(announced)), first),
            NotificationStatus::Sent
        );
        let waits = SessionState {
            outbox: OutboxState::Waiting,
            ..announced
        };
        assert_eq!(
            why(visit(false, false, Some(waits)), first),
            NotificationStatus::Waiting
        );
        let bots = SessionState {
            is_bot: true,
            ..person
        };
        assert_eq!(
            why(visit(true, false, Some(bots)), first),
            NotificationStatus::Bot
        );
        assert_eq!(
            why(visit(false, false, Some(bots)), first),
            NotificationStatus::BotSession
        );
        assert_eq!(
            why(visit(false, true, Some(person)), first),
            NotificationStatus::OptedOut
        );
        assert_eq!(
            why(visit(false, false, Some(person)), first),
            NotificationStatus::TooOld
        );
        let second = NotifyTrigger::SecondSignal;
        assert_eq!(
            why(visit(false, false, Some(person)), second),
            NotificationStatus::NoSecondSignal
        );
        assert_eq!(
            why(visit(false, false, None), second).reason(),
            Some("session_gone")
        );
    }
}
