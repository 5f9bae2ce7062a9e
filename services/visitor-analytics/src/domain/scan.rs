//! Scans column blocks: computes the metrics of the visits that pass filters, for each value of one
//! dimension.
//!
//! The metrics are defined as in [`super::fold`], but over the visits that pass. A session counts
//! if its first visit that passes and has the value lies within the period.

use std::ops::Range;
use std::sync::Arc;

use super::fold::Metrics;
use super::goal::EventTimes;
use super::pack::{CodedColumn, ColumnBlock, ColumnKind, SessionRows};

/// A filter of one column.
#[derive(Clone, Debug)]
pub struct CodePredicate {
    pub field: ColumnKind,
    /// For each code of the column, whether it passes.
    pub passes: Vec<bool>,
}

/// How visits are grouped.
#[derive(Clone, Debug)]
pub enum GroupBy {
    /// All visits form one group with the value 0.
    None,
    /// For each code of a column, the values to which a visit counts, without duplicates.
    Of(ColumnKind, Vec<Vec<u32>>),
}

/// Selects the sessions that reach a goal.
#[derive(Clone, Debug)]
pub enum GoalFilter {
    /// All sessions.
    Anything,
    /// Sessions with a visit of a page that passes. The index is the code in the page column.
    Page(Vec<bool>),
    /// Sessions during which, or up to half an hour after which, their visitor caused one of these
    /// events.
    Event(Arc<EventTimes>),
}

/// A column block with the filters and groups that a scan applies to it.
#[derive(Clone, Debug)]
pub struct ScanBlock<P> {
    pub pack: P,
    /// Columns that the block does not store.
    pub computed: Vec<(ColumnKind, CodedColumn)>,
    /// A visit must pass all filters.
    pub tests: Vec<CodePredicate>,
    pub groups: GroupBy,
    pub reaching: GoalFilter,
}

/// Events of a visitor up to this long after the end of a session belong to the session.
const SESSION_EVENT_SECONDS: i64 = 30 * 60;

impl<P: AsRef<ColumnBlock>> ScanBlock<P> {
    /// Whether a session passes the filters of session columns and reaches the goal.
    pub fn passes_session(&self, run: &SessionRows<'_>) -> bool {
        self.passes(run.row, true) && self.reaches(run)
    }

    fn reaches(&self, run: &SessionRows<'_>) -> bool {
        let pack = self.pack.as_ref();
        match &self.reaching {
            GoalFilter::Anything => true,
            GoalFilter::Page(passes) => {
                let column = pack.column(ColumnKind::Page);
                run.visits.clone().any(|row| passes[column.place(row)])
            }
            GoalFilter::Event(happened) => {
                let at = |row: usize| pack.start + i64::from(pack.at[row]);
                let from = at(run.visits.start);
                let to = at(run.visits.end - 1) + SESSION_EVENT_SECONDS;
                let moments = happened.get(&run.visitor).map_or(&[][..], Vec::as_slice);
                let next = moments.partition_point(|moment| *moment < from);
                moments.get(next).is_some_and(|moment| *moment < to)
            }
        }
    }

    /// Whether a visit passes the filters of visit columns. Its session must have passed before.
    pub fn passes_visit(&self, row: usize) -> bool {
        self.passes(row, false)
    }

    /// Returns a computed or stored column.
    pub fn column(&self, field: ColumnKind) -> &CodedColumn {
        let computed = self.computed.iter().find(|(of, _)| *of == field);
        computed.map_or_else(|| self.pack.as_ref().column(field), |(_, column)| column)
    }

    fn passes(&self, row: usize, of_session: bool) -> bool {
        self.tests
            .iter()
            .filter(|test| test.field.is_of_session() == of_session)
            .all(|test| test.passes[self.column(test.field).place(row)])
    }
}

/// Returns the sessions of several blocks, grouped by visitor. A session that several blocks
/// contain is returned once, because each of them contains all its visits.
fn in_order<P: AsRef<ColumnBlock>>(packs: &[ScanBlock<P>]) -> Vec<(usize, SessionRows<'_>)> {
    let runs = packs.iter().enumerate();
    let runs = runs.flat_map(|(index, one)| one.pack.as_ref().runs().map(move |run| (index, run)));
    let mut runs: Vec<(usize, SessionRows<'_>)> = runs.collect();
    runs.sort_by_key(|(_, run)| (run.visitor, run.session.key));
    runs.dedup_by_key(|(_, run)| (run.visitor, run.session.key));
    let mut last = None;
    for (_, run) in &mut runs {
        run.begins_visitor = last.replace(run.visitor) != Some(run.visitor);
    }
    runs
}

/// Calls `take` for each session of a day's blocks, grouped by visitor. `mixed` says whether a
/// visitor may occur in several blocks.
pub fn each_session<P: AsRef<ColumnBlock>>(
    packs: &[ScanBlock<P>],
    mixed: bool,
    mut take: impl FnMut(&ScanBlock<P>, SessionRows<'_>),
) {
    if mixed {
        for (index, run) in in_order(packs) {
            take(&packs[index], run);
        }
    } else {
        for one in packs {
            one.pack.as_ref().runs().for_each(|run| take(one, run));
        }
    }
}

/// Metrics by value, separately for sessions of people and of bots.
#[derive(Clone, Debug, Default)]
pub struct GroupedMetrics {
    /// Two slots for each value: people, bots.
    slots: Vec<GroupSlot>,
    /// The number of visitors so far, which identifies the current one.
    visitors: u64,
    /// The number of sessions so far, which identifies the current one.
    sessions: u64,
}

/// The metrics of one value, and the last visitor and session that were counted.
#[derive(Clone, Copy, Debug, Default)]
struct GroupSlot {
    numbers: Metrics,
    visitor: u64,
    session: u64,
}

impl GroupedMetrics {
    /// Allocates slots for the values up to `last`. Must be called before [`Self::add`].
    pub fn grow(&mut self, last: u32) {
        let length = (last as usize + 1) * 2;
        if self.slots.len() < length {
            self.slots.resize(length, GroupSlot::default());
        }
    }

    /// Adds the visits of a day that pass and lie within `period` (seconds since 1970). A visitor
    /// counts once per call, value and class (people, bots).
    pub fn add<P: AsRef<ColumnBlock>>(
        &mut self,
        packs: &[ScanBlock<P>],
        period: &Range<i64>,
        mixed: bool,
    ) {
        each_session(packs, mixed, |one, run| self.session(one, run, period));
    }

    fn session<P: AsRef<ColumnBlock>>(
        &mut self,
        one: &ScanBlock<P>,
        run: SessionRows<'_>,
        period: &Range<i64>,
    ) {
        self.visitors += u64::from(run.begins_visitor);
        self.sessions += 1;
        if !one.passes_session(&run) {
            return;
        }
        let pack = one.pack.as_ref();
        let class = usize::from(run.session.is_bot);
        let is_bounce = run.session.visits == 1;
        for row in run.visits.filter(|row| one.passes_visit(*row)) {
            let at = pack.start + i64::from(pack.at[row]);
            let visit = ScannedVisit {
                is_within: period.contains(&at),
                seconds: pack.seconds[row].into(),
                is_bounce,
            };
            match &one.groups {
                GroupBy::None => self.meet(class, &visit),
                GroupBy::Of(field, values) => {
                    let row = if field.is_of_session() { run.row } else { row };
                    for value in &values[one.column(*field).place(row)] {
                        self.meet(*value as usize * 2 + class, &visit);
                    }
                }
            }
        }
    }

    fn meet(&mut self, slot: usize, visit: &ScannedVisit) {
        let slot = &mut self.slots[slot];
        let is_first = std::mem::replace(&mut slot.session, self.sessions) != self.sessions;
        if !visit.is_within {
            return;
        }
        let numbers = &mut slot.numbers;
        numbers.visits += 1;
        numbers.seconds += visit.seconds;
        numbers.sessions += i64::from(is_first);
        numbers.bounces += i64::from(is_first && visit.is_bounce);
        if std::mem::replace(&mut slot.visitor, self.visitors) != self.visitors {
            numbers.visitors += 1;
        }
    }

    /// Returns the values with visits, each with the metrics of people and of bots.
    pub fn values(&self) -> impl Iterator<Item = (u32, [Metrics; 2])> {
        let pairs = self.slots.chunks_exact(2).enumerate();
        pairs.filter_map(|(value, pair)| {
            let value = u32::try_from(value).ok()?;
            let numbers = [pair[0].numbers, pair[1].numbers];
            let is_met = numbers.iter().any(|numbers| numbers.visits > 0);
            is_met.then_some((value, numbers))
        })
    }
}

struct ScannedVisit {
    is_within: bool,
    seconds: i64,
    is_bounce: bool,
}
