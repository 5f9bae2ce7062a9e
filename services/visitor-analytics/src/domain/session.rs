//! Sessions: a visitor's visits with gaps under 30 minutes, whatever the order they arrive in.
//!
//! [`assign`] is a pure function over the sessions a visitor already has and the visits that have
//! just come: a late visit may extend a session at either end, or bridge two into one.

use chrono::{DateTime, TimeDelta, Utc};
use common::clock::Clock;
use uuid::Uuid;

/// A pause this long ends a session.
pub const SESSION_TIMEOUT: TimeDelta = TimeDelta::minutes(30);

/// Which sessions are told of, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotifyPolicy {
    /// A visit that is older when it arrives tells nobody.
    pub max_age: TimeDelta,
    /// What has to have happened.
    pub when: NotifyTrigger,
}

/// What makes a session worth telling, beside its being a person's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum NotifyTrigger {
    /// The first visit.
    #[default]
    #[value(name = "first_visit")]
    FirstVisit,
    /// A second visit, or the word of the page's script that the page is looked at: who asks for one
    /// page only may be a bot that nothing gave away.
    #[value(name = "second_signal")]
    SecondSignal,
}

impl NotifyTrigger {
    /// How many visits a session must have that no script confirmed.
    #[must_use]
    pub const fn visits(self) -> u32 {
        match self {
            Self::FirstVisit => 1,
            Self::SecondSignal => 2,
        }
    }
}

/// A session of one visitor on one site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The session's id.
    pub id: Uuid,
    /// The first visit: when, and which.
    pub entry: (DateTime<Utc>, Uuid),
    /// The last visit: when, and which.
    pub exit: (DateTime<Utc>, Uuid),
    /// How many visits.
    pub visits: u32,
    /// Whether one of them was a bot's.
    pub is_bot: bool,
    /// Whether somebody has been told of it.
    pub announced: bool,
}

/// A visit that is to find its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IncomingVisit {
    /// When it happened.
    pub timestamp: DateTime<Utc>,
    /// Which visit it is.
    pub id: Uuid,
    /// Whether a bot made it.
    pub is_bot: bool,
    /// Whether it is recent enough to tell somebody.
    pub is_fresh: bool,
}

/// What becomes of one visitor's sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionChanges {
    /// Sessions that did not exist.
    pub new: Vec<Session>,
    /// Sessions that changed, with the moment they began before.
    pub changed: Vec<(DateTime<Utc>, Session)>,
    /// Sessions that are part of another now: (the one that is gone, the one that remains).
    pub merged: Vec<(Session, Uuid)>,
    /// The session of each arrival, in the order given.
    pub of_arrivals: Vec<Uuid>,
    /// Sessions to tell about now, with the visit that makes them worth telling.
    pub announce: Vec<(Uuid, IncomingVisit)>,
}

/// Gives each arrival its session. `existing` holds every session of the visitor that lies within
/// [`SESSION_TIMEOUT`] of an arrival; the others do not matter.
#[must_use]
pub fn assign(
    existing: Vec<Session>,
    arrivals: &[IncomingVisit],
    when: NotifyTrigger,
) -> SessionChanges {
    let mut pieces: Vec<TimelineItem> = existing.into_iter().map(TimelineItem::Known).collect();
    pieces.extend(arrivals.iter().copied().map(TimelineItem::New));
    pieces.sort_by_key(|piece| (piece.start(), piece.end()));

    let mut plan = SessionChanges {
        of_arrivals: vec![Uuid::nil(); arrivals.len()],
        ..SessionChanges::default()
    };
    let mut group: Vec<TimelineItem> = vec![];
    let mut end = DateTime::<Utc>::MIN_UTC;
    for piece in pieces {
        if !group.is_empty() && piece.start().0 - end >= SESSION_TIMEOUT {
            settle(std::mem::take(&mut group), arrivals, when, &mut plan);
            end = DateTime::<Utc>::MIN_UTC;
        }
        end = end.max(piece.end().0);
        group.push(piece);
    }
    if !group.is_empty() {
        settle(group, arrivals, when, &mut plan);
    }
    plan
}

enum TimelineItem {
    Known(Session),
    New(IncomingVisit),
}

impl TimelineItem {
    fn start(&self) -> (DateTime<Utc>, Uuid) {
        match self {
            Self::Known(session) => session.entry,
            Self::New(arrival) => (arrival.timestamp, arrival.id),
        }
    }

    fn end(&self) -> (DateTime<Utc>, Uuid) {
        match self {
            Self::Known(session) => session.exit,
            Self::New(arrival) => (arrival.timestamp, arrival.id),
        }
    }
}

/// Pieces that belong together become one session: the earliest known one goes on, with the
/// others and the arrivals in it.
fn settle(
    group: Vec<TimelineItem>,
    arrivals: &[IncomingVisit],
    when: NotifyTrigger,
    plan: &mut SessionChanges,
) {
    let (known, new) = split(group);
    if new.is_empty() {
        return;
    }
    let mut known = known.into_iter();
    let before = known.next();
    let mut session = before.clone().unwrap_or_else(|| Session::of(new[0]));
    for other in known {
        session.absorb(&other);
        plan.merged.push((other, session.id));
    }
    for arrival in &new {
        session.add(arrival);
        for (index, given) in arrivals.iter().enumerate() {
            if given.id == arrival.id && given.timestamp == arrival.timestamp {
                plan.of_arrivals[index] = session.id;
            }
        }
    }
    let genuine = |arrival: &&IncomingVisit| arrival.is_fresh && !arrival.is_bot;
    if !session.announced
        && !session.is_bot
        && session.visits >= when.visits()
        && let Some(arrival) = new.iter().find(genuine)
    {
        session.announced = true;
        plan.announce.push((session.id, *arrival));
    }
    match before {
        Some(before) => plan.changed.push((before.entry.0, session)),
        None => plan.new.push(session),
    }
}

fn split(group: Vec<TimelineItem>) -> (Vec<Session>, Vec<IncomingVisit>) {
    let mut known = vec![];
    let mut new = vec![];
    for piece in group {
        match piece {
            TimelineItem::Known(session) => known.push(session),
            TimelineItem::New(arrival) => new.push(arrival),
        }
    }
    (known, new)
}

impl Session {
    fn of(first: IncomingVisit) -> Self {
        let at = (first.timestamp, first.id);
        Self {
            id: Clock::id_at(first.timestamp),
            entry: at,
            exit: at,
            visits: 0,
            is_bot: false,
            announced: false,
        }
    }

    fn add(&mut self, arrival: &IncomingVisit) {
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
