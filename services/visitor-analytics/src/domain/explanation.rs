//! Why somebody was told of a visit's session, or was not.

use super::session::NotifyPolicy;

/// What is known of a visit when it is asked why.
#[derive(Clone, Copy, Debug)]
pub struct NotificationFacts {
    /// Whether the visit is a bot's.
    pub is_bot: bool,
    /// Whether the visitor asked not to be followed: each visit is a visitor of its own.
    pub opted_out: bool,
    /// The session's, where it is still there.
    pub session: Option<SessionState>,
}

/// The visit's session.
#[derive(Clone, Copy, Debug)]
pub struct SessionState {
    /// Whether one of its visits is a bot's.
    pub is_bot: bool,
    /// How many visits it has.
    pub visits: u32,
    /// Whether it was told of, or is to be.
    pub announced: bool,
    /// What is in the outbox.
    pub outbox: OutboxState,
}

/// What is still to be told of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutboxState {
    /// Nothing, or nothing any more.
    #[default]
    Empty,
    /// It waits.
    Waiting,
    /// It was refused for good.
    Refused,
}

/// Whether somebody was told, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotificationStatus {
    /// notification took it.
    Told,
    /// It is to be told.
    Waiting,
    /// notification refused it for good.
    Refused,
    /// The visit is a bot's.
    Bot,
    /// Another visit of the session is a bot's.
    BotSession,
    /// The visitor asked not to be followed.
    OptedOut,
    /// It was old when it arrived.
    TooOld,
    /// A second signal is waited for.
    NoSecondSignal,
    /// The session is not there any more.
    Gone,
}

impl NotificationStatus {
    /// `told`, `waiting`, `refused` or `not_told`.
    #[must_use]
    pub const fn status(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::Waiting => "waiting",
            Self::Refused => "refused",
            _ => "not_told",
        }
    }

    /// A stable code, where nobody was told.
    #[must_use]
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Told | Self::Waiting | Self::Refused => None,
            Self::Bot => Some("bot"),
            Self::BotSession => Some("bot_session"),
            Self::OptedOut => Some("opted_out"),
            Self::TooOld => Some("too_old"),
            Self::NoSecondSignal => Some("no_second_signal"),
            Self::Gone => Some("session_gone"),
        }
    }
}

/// What became of telling somebody, and why.
#[must_use]
pub fn told(visit: &NotificationFacts, telling: NotifyPolicy) -> NotificationStatus {
    match visit.session {
        None => NotificationStatus::Gone,
        Some(session) if session.outbox == OutboxState::Refused => NotificationStatus::Refused,
        Some(session) if session.outbox == OutboxState::Waiting => NotificationStatus::Waiting,
        Some(session) if session.announced && !session.is_bot => NotificationStatus::Told,
        Some(_) if visit.is_bot => NotificationStatus::Bot,
        Some(session) if session.is_bot => NotificationStatus::BotSession,
        Some(_) if visit.opted_out => NotificationStatus::OptedOut,
        Some(session) if session.visits < telling.when.visits() => {
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
            told(&visit, NotifyPolicy { max_age, when })
        };
        let first = NotifyTrigger::FirstVisit;
        let announced = SessionState {
            announced: true,
            ..person
        };
        assert_eq!(
            why(visit(false, false, Some(announced)), first),
            NotificationStatus::Told
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
