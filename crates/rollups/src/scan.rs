//! Scans column blocks: computes the metrics of the visits of a day that pass filters, grouped by
//! an attribute.
//!
//! The metrics are defined as in [`super::aggregate`], restricted to the visits that pass: a session
//! counts if its first visit that passes and has the value is in the period.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::aggregate::Metrics;
use super::column_block::{CodedColumn, ColumnBlock, ColumnKind, SessionRows};
use super::distinct_visitors::DistinctVisitors;
use super::goal::EventTimes;

/// A filter on a column, evaluated once per distinct number.
#[derive(Clone, Debug)]
pub struct CodePredicate {
    pub column: ColumnKind,
    /// Whether the number with this code passes.
    pub passes: Vec<bool>,
}

/// How visits are grouped.
#[derive(Clone, Debug)]
pub enum GroupBy {
    /// No grouping: all visits have the value 0.
    None,
    /// The values of a column, by code. A number may have several values, without duplicates.
    Column(ColumnKind, Vec<Vec<u32>>),
}

/// A filter on sessions.
#[derive(Clone, Debug)]
pub enum GoalFilter {
    /// All sessions.
    All,
    /// Sessions with a visit of a page that passes, by the page's code.
    Page(Vec<bool>),
    /// Sessions whose visitor caused one of these events, until 30 minutes after the session's last
    /// visit.
    Event(Arc<EventTimes>),
}

/// A column block with the filters and the grouping of a report.
#[derive(Clone, Debug)]
pub struct ScanBlock<P> {
    /// The column block.
    pub block: P,
    /// Computed columns.
    pub computed_columns: Vec<(ColumnKind, CodedColumn)>,
    /// Filters that a visit must pass.
    pub predicates: Vec<CodePredicate>,
    /// The grouping.
    pub group_by: GroupBy,
    /// The filter on sessions.
    pub goal: GoalFilter,
}

/// How long after a session's last visit events of its visitor belong to the session, in seconds.
const SESSION_EVENT_SECONDS: i64 = 30 * 60;

impl<P: AsRef<ColumnBlock>> ScanBlock<P> {
    /// Whether a session passes the filters on sessions.
    pub fn passes_session(&self, run: &SessionRows<'_>) -> bool {
        self.passes_predicates(run.row, true) && self.reaches_goal(run)
    }

    fn reaches_goal(&self, run: &SessionRows<'_>) -> bool {
        let pack = self.block.as_ref();
        match &self.goal {
            GoalFilter::All => true,
            GoalFilter::Page(passes) => {
                let column = pack.column(ColumnKind::Page);
                run.visits.clone().any(|row| passes[column.code(row)])
            }
            GoalFilter::Event(happened) => {
                let at = |row: usize| pack.start + i64::from(pack.times[row]);
                let from = at(run.visits.start);
                let to = at(run.visits.end - 1) + SESSION_EVENT_SECONDS;
                let moments = happened
                    .get(&run.visitor_key)
                    .map_or(&[][..], Vec::as_slice);
                let next = moments.partition_point(|moment| *moment < from);
                moments.get(next).is_some_and(|moment| *moment < to)
            }
        }
    }

    /// Whether a visit of a session that passes also passes the filters on visits.
    pub fn passes_visit(&self, row: usize) -> bool {
        self.passes_predicates(row, false)
    }

    /// A column, stored or computed.
    pub fn column(&self, field: ColumnKind) -> &CodedColumn {
        let computed = self.computed_columns.iter().find(|(of, _)| *of == field);
        computed.map_or_else(|| self.block.as_ref().column(field), |(_, column)| column)
    }

    fn passes_predicates(&self, row: usize, of_session: bool) -> bool {
        self.predicates
            .iter()
            .filter(|test| test.column.is_per_session() == of_session)
            .all(|test| test.passes[self.column(test.column).code(row)])
    }
}

/// The sessions of several blocks, grouped by visitor. A session that is in several blocks occurs
/// once, since each block contains all of it.
fn ordered_sessions<P: AsRef<ColumnBlock>>(
    packs: &[ScanBlock<P>],
) -> Vec<(usize, SessionRows<'_>)> {
    let runs = packs.iter().enumerate();
    let runs = runs.flat_map(|(index, one)| {
        one.block
            .as_ref()
            .session_rows()
            .map(move |run| (index, run))
    });
    let mut runs: Vec<(usize, SessionRows<'_>)> = runs.collect();
    runs.sort_by_key(|(_, run)| (run.visitor_key, run.session.key));
    runs.dedup_by_key(|(_, run)| (run.visitor_key, run.session.key));
    let mut last = None;
    for (_, run) in &mut runs {
        run.is_first_of_visitor = last.replace(run.visitor_key) != Some(run.visitor_key);
    }
    runs
}

/// Passes each session of a day's blocks to `take`, grouped by visitor. `mixed` tells that a
/// visitor may be in several blocks.
pub fn for_each_session<P: AsRef<ColumnBlock>>(
    packs: &[ScanBlock<P>],
    mixed: bool,
    mut take: impl FnMut(&ScanBlock<P>, SessionRows<'_>),
) {
    if mixed {
        for (index, run) in ordered_sessions(packs) {
            take(&packs[index], run);
        }
    } else {
        for one in packs {
            one.block
                .as_ref()
                .session_rows()
                .for_each(|run| take(one, run));
        }
    }
}

/// Metrics by value, of people's and of bots' sessions.
#[derive(Clone, Debug, Default)]
pub struct GroupedMetrics {
    slots: Vec<GroupSlot>,
    visitor_number: u64,
    session_number: u64,
    /// By slot, if requested.
    distinct_visitors: Option<DistinctVisitors>,
}

/// The metrics of a value, and the visitor and session that were counted last.
#[derive(Clone, Copy, Debug, Default)]
struct GroupSlot {
    metrics: Metrics,
    last_visitor: u64,
    last_session: u64,
}

impl GroupedMetrics {
    /// Also counts the visitors of several calls once.
    #[must_use]
    pub fn with_distinct_visitors() -> Self {
        Self {
            distinct_visitors: Some(DistinctVisitors::default()),
            ..Self::default()
        }
    }

    /// How often people and bots were counted again, by value, and whether this is an estimate.
    #[must_use]
    pub fn repeat_visitors(&self) -> (HashMap<u32, [i64; 2]>, bool) {
        let Some(distinct) = &self.distinct_visitors else {
            return (HashMap::new(), false);
        };
        let counts = distinct.counts();
        let repeats = self.values().map(|(value, metrics)| {
            let slots = [value * 2, value * 2 + 1].into_iter().zip(metrics);
            let mut repeats = slots.map(|(slot, metrics)| {
                let distinct = counts.get(&slot).copied().unwrap_or_default();
                (metrics.visitors - distinct).max(0)
            });
            (value, [(); 2].map(|()| repeats.next().unwrap_or_default()))
        });
        (repeats.collect(), distinct.is_estimated())
    }

    /// Allocates slots for values up to `last`.
    pub fn reserve_values(&mut self, last: u32) {
        let length = (last as usize + 1) * 2;
        if self.slots.len() < length {
            self.slots.resize(length, GroupSlot::default());
        }
    }

    /// Adds the visits of a day that are in `period` (in seconds since 1970) and pass. A visitor
    /// counts once per call and class.
    pub fn add_blocks<P: AsRef<ColumnBlock>>(
        &mut self,
        packs: &[ScanBlock<P>],
        period: &Range<i64>,
        mixed: bool,
    ) {
        for_each_session(packs, mixed, |one, run| self.add_session(one, run, period));
    }

    fn add_session<P: AsRef<ColumnBlock>>(
        &mut self,
        one: &ScanBlock<P>,
        run: SessionRows<'_>,
        period: &Range<i64>,
    ) {
        self.visitor_number += u64::from(run.is_first_of_visitor);
        self.session_number += 1;
        if !one.passes_session(&run) {
            return;
        }
        let pack = one.block.as_ref();
        let class = usize::from(run.session.is_bot);
        let is_bounce = run.session.visits == 1;
        for row in run.visits.filter(|row| one.passes_visit(*row)) {
            let at = pack.start + i64::from(pack.times[row]);
            let visit = ScannedVisit {
                is_in_period: period.contains(&at),
                seconds: pack.durations[row].into(),
                is_bounce,
                visitor_key: run.visitor_key,
            };
            match &one.group_by {
                GroupBy::None => self.count_visit(class, &visit),
                GroupBy::Column(field, values) => {
                    let row = if field.is_per_session() { run.row } else { row };
                    for value in &values[one.column(*field).code(row)] {
                        self.count_visit(*value as usize * 2 + class, &visit);
                    }
                }
            }
        }
    }

    fn count_visit(&mut self, slot_number: usize, visit: &ScannedVisit) {
        let slot = &mut self.slots[slot_number];
        let is_first =
            std::mem::replace(&mut slot.last_session, self.session_number) != self.session_number;
        if !visit.is_in_period {
            return;
        }
        let numbers = &mut slot.metrics;
        numbers.visits += 1;
        numbers.seconds += visit.seconds;
        numbers.sessions += i64::from(is_first);
        numbers.bounces += i64::from(is_first && visit.is_bounce);
        if std::mem::replace(&mut slot.last_visitor, self.visitor_number) != self.visitor_number {
            numbers.visitors += 1;
            if let Some(distinct) = &mut self.distinct_visitors {
                let group = u32::try_from(slot_number).unwrap_or(u32::MAX);
                distinct.insert(group, visit.visitor_key);
            }
        }
    }

    /// The values with visits, with the metrics of people's and of bots' sessions.
    pub fn values(&self) -> impl Iterator<Item = (u32, [Metrics; 2])> {
        let pairs = self.slots.chunks_exact(2).enumerate();
        pairs.filter_map(|(value, pair)| {
            let value = u32::try_from(value).ok()?;
            let numbers = [pair[0].metrics, pair[1].metrics];
            let is_met = numbers.iter().any(|numbers| numbers.visits > 0);
            is_met.then_some((value, numbers))
        })
    }
}

struct ScannedVisit {
    is_in_period: bool,
    seconds: i64,
    is_bounce: bool,
    visitor_key: u64,
}
