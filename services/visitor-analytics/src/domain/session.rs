//! Sessionization: groups a visitor's visits into sessions, with gaps under 30 minutes, in whatever
//! order they arrive.
//!
//! [`sessionize`] is a pure function over a visitor's existing sessions and the incoming visits. A late
//! visit may extend a session at either end, or merge two sessions.

use chrono::{DateTime, TimeDelta, Utc};
use common::clock::Clock;
use uuid::Uuid;

/// A gap of this length ends a session.
pub const SESSION_TIMEOUT: TimeDelta = TimeDelta::minutes(30);

/// Which sessions are announced to notification, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotifyPolicy {
    /// Maximum age of a visit on arrival.
    pub max_age: TimeDelta,
    pub trigger: NotifyTrigger,
}

/// When a person's session is announced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum NotifyTrigger {
    /// At the first visit.
    #[default]
    #[value(name = "first_visit")]
    FirstVisit,
    /// At the second visit, or when the page script reports that the page is viewed. A client that
    /// requests a single page may be an undetected bot.
    #[value(name = "second_signal")]
    SecondSignal,
}

impl NotifyTrigger {
    /// The number of visits that an announced session must have if the page script did not confirm
    /// it.
    #[must_use]
    pub const fn min_visits(self) -> u32 {
        match self {
            Self::FirstVisit => 1,
            Self::SecondSignal => 2,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub id: Uuid,
    /// Timestamp and id of the first visit.
    pub entry: (DateTime<Utc>, Uuid),
    /// Timestamp and id of the last visit.
    pub exit: (DateTime<Utc>, Uuid),
    pub visits: u32,
    /// Whether at least one of the visits is a bot's.
    pub is_bot: bool,
    pub announced: bool,
}

/// A visit to assign to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IncomingVisit {
    pub timestamp: DateTime<Utc>,
    pub id: Uuid,
    pub is_bot: bool,
    /// Whether the visit is recent enough to announce its session ([`NotifyPolicy::max_age`]).
    pub is_recent: bool,
}

/// Changes to the sessions of one visitor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionChanges {
    pub new: Vec<Session>,
    /// Changed sessions with their previous start.
    pub changed: Vec<(DateTime<Utc>, Session)>,
    /// Merged sessions: (the session to delete, the id of the session that absorbs it).
    pub merged: Vec<(Session, Uuid)>,
    /// The session of each incoming visit, in the order given.
    pub session_ids: Vec<Uuid>,
    /// Sessions to announce, each with the visit that triggers the announcement.
    pub announcements: Vec<(Uuid, IncomingVisit)>,
}

/// Assigns each incoming visit to a session. `existing` must contain all sessions of the visitor
/// within [`SESSION_TIMEOUT`] of an incoming visit; other sessions have no effect.
#[must_use]
pub fn sessionize(
    existing: Vec<Session>,
    arrivals: &[IncomingVisit],
    when: NotifyTrigger,
) -> SessionChanges {
    let mut pieces: Vec<TimelineItem> = existing.into_iter().map(TimelineItem::Session).collect();
    pieces.extend(arrivals.iter().copied().map(TimelineItem::Visit));
    pieces.sort_by_key(|piece| (piece.start(), piece.end()));

    let mut plan = SessionChanges {
        session_ids: vec![Uuid::nil(); arrivals.len()],
        ..SessionChanges::default()
    };
    let mut group: Vec<TimelineItem> = vec![];
    let mut end = DateTime::<Utc>::MIN_UTC;
    for piece in pieces {
        if !group.is_empty() && piece.start().0 - end >= SESSION_TIMEOUT {
            merge_group(std::mem::take(&mut group), arrivals, when, &mut plan);
            end = DateTime::<Utc>::MIN_UTC;
        }
        end = end.max(piece.end().0);
        group.push(piece);
    }
    if !group.is_empty() {
        merge_group(group, arrivals, when, &mut plan);
    }
    plan
}

enum TimelineItem {
    Session(Session),
    Visit(IncomingVisit),
}

impl TimelineItem {
    fn start(&self) -> (DateTime<Utc>, Uuid) {
        match self {
            Self::Session(session) => session.entry,
            Self::Visit(arrival) => (arrival.timestamp, arrival.id),
        }
    }

    fn end(&self) -> (DateTime<Utc>, Uuid) {
        match self {
            Self::Session(session) => session.exit,
            Self::Visit(arrival) => (arrival.timestamp, arrival.id),
        }
    }
}

/// Combines a group into one session. The earliest existing session is extended and absorbs the
/// other sessions and the incoming visits.
fn merge_group(
    group: Vec<TimelineItem>,
    arrivals: &[IncomingVisit],
    when: NotifyTrigger,
    plan: &mut SessionChanges,
) {
    let (known, new) = split_group(group);
    if new.is_empty() {
        return;
    }
    let mut known = known.into_iter();
    let before = known.next();
    let mut session = before.clone().unwrap_or_else(|| Session::new(new[0]));
    for other in known {
        session.absorb(&other);
        plan.merged.push((other, session.id));
    }
    for arrival in &new {
        session.add_visit(arrival);
        for (index, given) in arrivals.iter().enumerate() {
            if given.id == arrival.id && given.timestamp == arrival.timestamp {
                plan.session_ids[index] = session.id;
            }
        }
    }
    let genuine = |arrival: &&IncomingVisit| arrival.is_recent && !arrival.is_bot;
    if !session.announced
        && !session.is_bot
        && session.visits >= when.min_visits()
        && let Some(arrival) = new.iter().find(genuine)
    {
        session.announced = true;
        plan.announcements.push((session.id, *arrival));
    }
    match before {
        Some(before) => plan.changed.push((before.entry.0, session)),
        None => plan.new.push(session),
    }
}

fn split_group(group: Vec<TimelineItem>) -> (Vec<Session>, Vec<IncomingVisit>) {
    let mut known = vec![];
    let mut new = vec![];
    for piece in group {
        match piece {
            TimelineItem::Session(session) => known.push(session),
            TimelineItem::Visit(arrival) => new.push(arrival),
        }
    }
    (known, new)
}

impl Session {
    fn new(first: IncomingVisit) -> Self {
        let at = (first.timestamp, first.id);
        Self {
            id: Clock::new_id_at(first.timestamp),
            entry: at,
            exit: at,
            visits: 0,
            is_bot: false,
            announced: false,
        }
    }

    fn add_visit(&mut self, arrival: &IncomingVisit) {
        let at = (arrival.timestamp, arrival.id);
        self.entry = self.entry.min(at);
        self.exit = self.exit.max(at);
        self.visits += 1;
        self.is_bot |= arrival.is_bot;
    }

    fn absorb(&mut self, other: &Self) {
        self.entry = self.entry.min(other.entry);
        self.exit = self.exit.max(other.exit);
        self.visits += other.visits;
        self.is_bot |= other.is_bot;
        self.announced |= other.announced;
    }
}

#[cfg(test)]
mod tests;
