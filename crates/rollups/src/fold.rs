//! Folding: what a day's visits are in numbers, for each value of each dimension.
//!
//! For a day and a value, with bots' sessions and people's apart (a session is a bot's when one of
//! its visits is):
//! - *visits* are those on the day with the value, and *visitors* those who made them,
//! - *seconds* is how long these visits lasted: until the session's next visit, wherever that
//!   lies, and nothing for its last; each moment counts as its whole second,
//! - *sessions* are those whose first visit with the value lies on the day, and *bounces* those of
//!   them that have one visit.
//!
//! So all numbers add up over days (visitors to daily visitors), and a session that goes on over
//! midnight is counted once. What led to a session, and its first and last page, belong to each of
//! its visits.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use uuid::Uuid;

use super::dimension::Dimension;

/// A text's number; whoever brings visits knows which.
pub type ValueId = u32;

/// There is no value; no text has this number.
pub const NO_VALUE: ValueId = 0;

/// A value of a dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DimensionValue {
    /// The dimension.
    pub dimension: Dimension,
    /// The value.
    pub value: ValueId,
}

impl DimensionValue {
    const TOTAL: Self = Self::new(Dimension::Total, NO_VALUE);

    /// A value of a dimension.
    #[must_use]
    pub const fn new(dimension: Dimension, value: ValueId) -> Self {
        Self { dimension, value }
    }
}

/// A visit, as far as it matters here.
#[derive(Clone, Debug)]
pub struct AggregateVisit {
    /// When, in seconds since 1970.
    pub at: i64,
    /// Whether it is a bot's.
    pub is_bot: bool,
    /// The page's path.
    pub page: ValueId,
    /// Its own values, each once.
    pub own: Vec<DimensionValue>,
    /// What led to it; counts where it is its session's first.
    pub origin: Arc<[DimensionValue]>,
}

/// What is told about a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Page views.
    pub visits: i64,
    /// Who made them.
    pub visitors: i64,
    /// Sessions that had the value first on this day.
    pub sessions: i64,
    /// Those of them that have one visit.
    pub bounces: i64,
    /// How long the visits lasted.
    pub seconds: i64,
}

impl std::ops::AddAssign for Metrics {
    fn add_assign(&mut self, other: Self) {
        self.visits += other.visits;
        self.visitors += other.visitors;
        self.sessions += other.sessions;
        self.bounces += other.bounces;
        self.seconds += other.seconds;
    }
}

impl std::ops::Add for Metrics {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

/// Numbers by value, bots' (true) and people's apart.
pub type MetricsByValue = HashMap<(DimensionValue, bool), Metrics>;

/// Folds a day. Sessions have to come whole, each visitor's together and each one's visits in
/// their order; what is kept grows with the values and not with the visits.
#[derive(Debug)]
pub struct DayAggregator {
    day: Range<i64>,
    visitor: String,
    session: Option<OpenSession>,
    /// The values the visitor was counted for.
    counted: HashSet<(DimensionValue, bool)>,
    totals: MetricsByValue,
}

impl DayAggregator {
    /// For a day of these seconds since 1970.
    #[must_use]
    pub fn new(day: Range<i64>) -> Self {
        Self {
            day,
            visitor: String::new(),
            session: None,
            counted: HashSet::new(),
            totals: MetricsByValue::new(),
        }
    }

    /// Adds the next visit.
    pub fn add(&mut self, visitor: &str, session: Uuid, visit: AggregateVisit) {
        if let Some(open) = self.session.as_mut().filter(|open| open.id == session) {
            open.go_on(visit, &self.day);
            return;
        }
        self.close();
        if self.visitor != visitor {
            visitor.clone_into(&mut self.visitor);
            self.counted.clear();
        }
        self.session = Some(OpenSession::begin(session, visit));
    }

    /// The numbers of all that was added.
    #[must_use]
    pub fn finish(mut self) -> MetricsByValue {
        self.close();
        self.totals
    }

    fn close(&mut self) {
        let Some(mut session) = self.session.take() else {
            return;
        };
        session.settle(0, &self.day);
        let class = (session.is_bot, session.visits == 1);
        let pages = [
            DimensionValue::TOTAL,
            DimensionValue::new(Dimension::EntryPage, session.entry_page),
            DimensionValue::new(Dimension::ExitPage, session.last.page),
        ];
        for key in pages.iter().chain(session.origin.iter()) {
            self.count(*key, session.whole.unwrap_or_default(), class);
        }
        for (key, share) in session.shares {
            self.count(key, share, class);
        }
    }

    fn count(
        &mut self,
        key: DimensionValue,
        share: SessionShare,
        (is_bot, is_bounce): (bool, bool),
    ) {
        if share.visits == 0 {
            return;
        }
        let numbers = self.totals.entry((key, is_bot)).or_default();
        numbers.visits += share.visits;
        numbers.seconds += share.seconds;
        numbers.sessions += i64::from(share.begins);
        numbers.bounces += i64::from(share.begins && is_bounce);
        numbers.visitors += i64::from(self.counted.insert((key, is_bot)));
    }
}

/// What a value has of a session on the day.
#[derive(Clone, Copy, Debug, Default)]
struct SessionShare {
    visits: i64,
    seconds: i64,
    /// Whether the session's first visit with the value lies on the day.
    begins: bool,
}

impl SessionShare {
    /// Of a value whose first visit lies on the day, or before it.
    fn new(begins: bool) -> Self {
        Self {
            begins,
            ..Self::default()
        }
    }

    fn add(&mut self, seconds: i64, is_today: bool) {
        if is_today {
            self.visits += 1;
            self.seconds += seconds;
        }
    }
}

#[derive(Debug)]
struct OpenSession {
    id: Uuid,
    is_bot: bool,
    visits: u64,
    entry_page: ValueId,
    origin: Arc<[DimensionValue]>,
    /// The visit whose length is not known yet.
    last: AggregateVisit,
    whole: Option<SessionShare>,
    shares: HashMap<DimensionValue, SessionShare>,
}

impl OpenSession {
    fn begin(id: Uuid, first: AggregateVisit) -> Self {
        Self {
            id,
            is_bot: first.is_bot,
            visits: 1,
            entry_page: first.page,
            origin: first.origin.clone(),
            last: first,
            whole: None,
            shares: HashMap::new(),
        }
    }

    fn go_on(&mut self, visit: AggregateVisit, day: &Range<i64>) {
        self.settle(visit.at - self.last.at, day);
        self.is_bot |= visit.is_bot;
        self.visits += 1;
        self.last = visit;
    }

    /// Counts the last visit, which lasted so long.
    fn settle(&mut self, seconds: i64, day: &Range<i64>) {
        let is_today = day.contains(&self.last.at);
        let whole = self
            .whole
            .get_or_insert_with(|| SessionShare::new(is_today));
        whole.add(seconds, is_today);
        for key in &self.last.own {
            let share = self.shares.entry(*key);
            let share = share.or_insert_with(|| SessionShare::new(is_today));
            share.add(seconds, is_today);
        }
    }
}

#[cfg(test)]
mod tests;
