//! Scanning: the numbers of some of a day's visits, by the value of one dimension.
//!
//! The numbers mean what those of a fold mean ([`super::fold`]), over the visits that pass: a
//! session counts where its first visit that passes, with the value, lies within the period.

use std::ops::Range;
use std::sync::Arc;

use super::fold::Metrics;
use super::goal::EventTimes;
use super::pack::{CodedColumn, ColumnBlock, ColumnKind, SessionRows};

/// Which of a column's numbers pass; by their place in the column.
#[derive(Clone, Debug)]
pub struct CodePredicate {
    /// The column.
    pub field: ColumnKind,
    /// Whether the number at this place passes.
    pub passes: Vec<bool>,
}

/// What visits are grouped by.
#[derive(Clone, Debug)]
pub enum GroupBy {
    /// Nothing: all have the value 0.
    None,
    /// The values of a column's numbers, by their place; a number may have several, each once.
    Of(ColumnKind, Vec<Vec<u32>>),
}

/// Which sessions count.
#[derive(Clone, Debug)]
pub enum GoalFilter {
    /// All of them.
    Anything,
    /// Those with a visit of a page that passes; by its place in the column.
    Page(Vec<bool>),
    /// Those whose visitor caused one of these events, until half an hour after their end.
    Event(Arc<EventTimes>),
}

/// A pack, and what is asked of its visits.
#[derive(Clone, Debug)]
pub struct ScanBlock<P> {
    /// The visits.
    pub pack: P,
    /// Columns that are computed.
    pub computed: Vec<(ColumnKind, CodedColumn)>,
    /// What they have to pass.
    pub tests: Vec<CodePredicate>,
    /// What they are grouped by.
    pub groups: GroupBy,
    /// Which sessions count.
    pub reaching: GoalFilter,
}

/// For how long after a session its visitor's events belong to it, in seconds.
const SESSION_EVENT_SECONDS: i64 = 30 * 60;

impl<P: AsRef<ColumnBlock>> ScanBlock<P> {
    /// Whether a session may have visits that pass.
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

    /// Whether a visit of such a session passes.
    pub fn passes_visit(&self, row: usize) -> bool {
        self.passes(row, false)
    }

    /// A column, kept or computed.
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

/// The sessions of packs in an order in which each visitor's stand together. A session that lies
/// in several packs comes once: it is whole in each.
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

/// Gives each session of a day's packs to `take`, each visitor's after each other. `mixed` tells
/// that visitors may lie in several packs.
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

/// Numbers by value, of people's sessions and of bots'.
#[derive(Clone, Debug, Default)]
pub struct GroupedMetrics {
    slots: Vec<GroupSlot>,
    visitors: u64,
    sessions: u64,
}

/// A value's numbers, and by whom it was met last.
#[derive(Clone, Copy, Debug, Default)]
struct GroupSlot {
    numbers: Metrics,
    visitor: u64,
    session: u64,
}

impl GroupedMetrics {
    /// Makes room for values up to `last`.
    pub fn grow(&mut self, last: u32) {
        let length = (last as usize + 1) * 2;
        if self.slots.len() < length {
            self.slots.resize(length, GroupSlot::default());
        }
    }

    /// Adds a day's visits that lie within `period` (seconds since 1970) and pass. A visitor
    /// counts once a call and class.
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

    /// The values that were met, with the numbers of people's and of bots' sessions.
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

/// A visit as it is met.
struct ScannedVisit {
    is_within: bool,
    seconds: i64,
    is_bounce: bool,
}
