//! Folding: computes the metrics of a day for each value of each dimension.
//!
//! Metrics are computed per day and value, separately for sessions of bots and of people. A session
//! is a bot's if at least one of its visits is.
//! - *visits* are the visits on the day with the value; *visitors* are the visitors who made them.
//! - *seconds* is the total duration of these visits. A visit lasts until the next visit of its
//!   session, on whichever day; the last visit of a session lasts 0 seconds. Timestamps are truncated
//!   to seconds.
//! - *sessions* are the sessions whose first visit with the value is on the day; *bounces* are
//!   those of them with a single visit.
//!
//! All metrics can be added up over days (visitors add up to daily visitors), and a session that
//! crosses midnight is counted once. The origin, the entry page and the exit page of a session are
//! values of all of its visits.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use uuid::Uuid;

use super::dimension::Dimension;

/// The id of a value. The caller chooses the dictionary.
pub type ValueId = u32;

/// The id of a missing value; no dictionary entry has this id.
pub const NO_VALUE: ValueId = 0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DimensionValue {
    pub dimension: Dimension,
    pub value: ValueId,
}

impl DimensionValue {
    const TOTAL: Self = Self::new(Dimension::Total, NO_VALUE);

    #[must_use]
    pub const fn new(dimension: Dimension, value: ValueId) -> Self {
        Self { dimension, value }
    }
}

/// The data about a visit that folding needs.
#[derive(Clone, Debug)]
pub struct AggregateVisit {
    /// Seconds since 1970.
    pub timestamp: i64,
    pub is_bot: bool,
    pub page: ValueId,
    /// The values of the visit itself, without duplicates.
    pub values: Vec<DimensionValue>,
    /// The values of the visit's origin; used only for the first visit of a session.
    pub origin_values: Arc<[DimensionValue]>,
}

/// Metrics of a value on a day or over a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    pub visits: i64,
    pub visitors: i64,
    /// Sessions whose first visit with the value is in the period.
    pub sessions: i64,
    /// Sessions with a single visit.
    pub bounces: i64,
    /// Total duration of the visits.
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

/// Metrics by value and by whether the sessions are bots' (`true`) or people's.
pub type MetricsByValue = HashMap<(DimensionValue, bool), Metrics>;

/// Folds a day. Visits must be grouped by visitor and session and ordered by time, and sessions
/// must be complete. Memory grows with the number of values, not of visits.
#[derive(Debug)]
pub struct DayAggregator {
    day: Range<i64>,
    visitor: String,
    open_session: Option<OpenSession>,
    /// The values for which the current visitor was counted.
    counted_for_visitor: HashSet<(DimensionValue, bool)>,
    totals: MetricsByValue,
}

impl DayAggregator {
    /// Creates an aggregator for a day, given in seconds since 1970.
    #[must_use]
    pub fn new(day: Range<i64>) -> Self {
        Self {
            day,
            visitor: String::new(),
            open_session: None,
            counted_for_visitor: HashSet::new(),
            totals: MetricsByValue::new(),
        }
    }

    pub fn add(&mut self, visitor: &str, session: Uuid, visit: AggregateVisit) {
        if let Some(open) = self.open_session.as_mut().filter(|open| open.id == session) {
            open.add_visit(visit, &self.day);
            return;
        }
        self.close_session();
        if self.visitor != visitor {
            visitor.clone_into(&mut self.visitor);
            self.counted_for_visitor.clear();
        }
        self.open_session = Some(OpenSession::new(session, visit));
    }

    /// Returns the metrics of all visits that were added.
    #[must_use]
    pub fn finish(mut self) -> MetricsByValue {
        self.close_session();
        self.totals
    }

    fn close_session(&mut self) {
        let Some(mut session) = self.open_session.take() else {
            return;
        };
        session.count_latest(0, &self.day);
        let class = (session.is_bot, session.visits == 1);
        let pages = [
            DimensionValue::TOTAL,
            DimensionValue::new(Dimension::EntryPage, session.entry_page),
            DimensionValue::new(Dimension::ExitPage, session.latest.page),
        ];
        for key in pages.iter().chain(session.origin.iter()) {
            self.count_share(*key, session.total.unwrap_or_default(), class);
        }
        for (key, share) in session.shares {
            self.count_share(key, share, class);
        }
    }

    fn count_share(
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
        numbers.sessions += i64::from(share.begins_on_day);
        numbers.bounces += i64::from(share.begins_on_day && is_bounce);
        numbers.visitors += i64::from(self.counted_for_visitor.insert((key, is_bot)));
    }
}

/// The part of a session that counts for a value on the day.
#[derive(Clone, Copy, Debug, Default)]
struct SessionShare {
    visits: i64,
    seconds: i64,
    /// Whether the session's first visit with the value is on the day.
    begins_on_day: bool,
}

impl SessionShare {
    /// `begins_on_day` tells whether the first visit with the value is on the day.
    fn new(begins_on_day: bool) -> Self {
        Self {
            begins_on_day,
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
    /// The latest visit, whose duration is not known yet.
    latest: AggregateVisit,
    total: Option<SessionShare>,
    shares: HashMap<DimensionValue, SessionShare>,
}

impl OpenSession {
    fn new(id: Uuid, first: AggregateVisit) -> Self {
        Self {
            id,
            is_bot: first.is_bot,
            visits: 1,
            entry_page: first.page,
            origin: first.origin_values.clone(),
            latest: first,
            total: None,
            shares: HashMap::new(),
        }
    }

    fn add_visit(&mut self, visit: AggregateVisit, day: &Range<i64>) {
        self.count_latest(visit.timestamp - self.latest.timestamp, day);
        self.is_bot |= visit.is_bot;
        self.visits += 1;
        self.latest = visit;
    }

    /// Counts the latest visit with its duration in seconds.
    fn count_latest(&mut self, seconds: i64, day: &Range<i64>) {
        let is_today = day.contains(&self.latest.timestamp);
        let whole = self
            .total
            .get_or_insert_with(|| SessionShare::new(is_today));
        whole.add(seconds, is_today);
        for key in &self.latest.values {
            let share = self.shares.entry(*key);
            let share = share.or_insert_with(|| SessionShare::new(is_today));
            share.add(seconds, is_today);
        }
    }
}

#[cfg(test)]
mod tests;
