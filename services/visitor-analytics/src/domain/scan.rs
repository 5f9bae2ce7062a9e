//! Scanning: the numbers of some of a day's visits, by the value of one dimension.
//!
//! The numbers mean what those of a fold mean ([`super::fold`]), over the visits that pass: a
//! session counts where its first visit that passes, with the value, lies within the period.

use std::ops::Range;
use std::sync::Arc;

use super::fold::Numbers;
use super::goal::Happened;
use super::pack::{Column, Field, Pack, Run};

/// Which of a column's numbers pass; by their place in the column.
#[derive(Clone, Debug)]
pub struct Test {
    /// The column.
    pub field: Field,
    /// Whether the number at this place passes.
    pub passes: Vec<bool>,
}

/// What visits are grouped by.
#[derive(Clone, Debug)]
pub enum Groups {
    /// Nothing: all have the value 0.
    None,
    /// The values of a column's numbers, by their place; a number may have several, each once.
    Of(Field, Vec<Vec<u32>>),
}

/// Which sessions count.
#[derive(Clone, Debug)]
pub enum Reaching {
    /// All of them.
    Anything,
    /// Those with a visit of a page that passes; by its place in the column.
    Page(Vec<bool>),
    /// Those whose visitor caused one of these events, until half an hour after their end.
    Event(Arc<Happened>),
}

/// A pack, and what is asked of its visits.
#[derive(Clone, Debug)]
pub struct Prepared<P> {
    /// The visits.
    pub pack: P,
    /// Columns that are computed.
    pub computed: Vec<(Field, Column)>,
    /// What they have to pass.
    pub tests: Vec<Test>,
    /// What they are grouped by.
    pub groups: Groups,
    /// Which sessions count.
    pub reaching: Reaching,
}

/// For how long after a session its visitor's events belong to it, in seconds.
const AFTER: i64 = 30 * 60;

impl<P: AsRef<Pack>> Prepared<P> {
    /// Whether a session may have visits that pass.
    pub fn passes_session(&self, run: &Run<'_>) -> bool {
        self.passes(run.row, true) && self.reaches(run)
    }

    fn reaches(&self, run: &Run<'_>) -> bool {
        let pack = self.pack.as_ref();
        match &self.reaching {
            Reaching::Anything => true,
            Reaching::Page(passes) => {
                let column = pack.column(Field::Page);
                run.visits.clone().any(|row| passes[column.place(row)])
            }
            Reaching::Event(happened) => {
                let at = |row: usize| pack.start + i64::from(pack.at[row]);
                let from = at(run.visits.start);
                let to = at(run.visits.end - 1) + AFTER;
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
    pub fn column(&self, field: Field) -> &Column {
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
fn in_order<P: AsRef<Pack>>(packs: &[Prepared<P>]) -> Vec<(usize, Run<'_>)> {
    let runs = packs.iter().enumerate();
    let runs = runs.flat_map(|(index, one)| one.pack.as_ref().runs().map(move |run| (index, run)));
    let mut runs: Vec<(usize, Run<'_>)> = runs.collect();
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
pub fn each_session<P: AsRef<Pack>>(
    packs: &[Prepared<P>],
    mixed: bool,
    mut take: impl FnMut(&Prepared<P>, Run<'_>),
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
pub struct Counts {
    slots: Vec<Slot>,
    visitors: u64,
    sessions: u64,
}

/// A value's numbers, and by whom it was met last.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    numbers: Numbers,
    visitor: u64,
    session: u64,
}

impl Counts {
    /// Makes room for values up to `last`.
    pub fn grow(&mut self, last: u32) {
        let length = (last as usize + 1) * 2;
        if self.slots.len() < length {
            self.slots.resize(length, Slot::default());
        }
    }

    /// Adds a day's visits that lie within `period` (seconds since 1970) and pass. A visitor
    /// counts once a call and class.
    pub fn add<P: AsRef<Pack>>(&mut self, packs: &[Prepared<P>], period: &Range<i64>, mixed: bool) {
        each_session(packs, mixed, |one, run| self.session(one, run, period));
    }

    fn session<P: AsRef<Pack>>(&mut self, one: &Prepared<P>, run: Run<'_>, period: &Range<i64>) {
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
            let visit = Met {
                is_within: period.contains(&at),
                seconds: pack.seconds[row].into(),
                is_bounce,
            };
            match &one.groups {
                Groups::None => self.meet(class, &visit),
                Groups::Of(field, values) => {
                    let row = if field.is_of_session() { run.row } else { row };
                    for value in &values[one.column(*field).place(row)] {
                        self.meet(*value as usize * 2 + class, &visit);
                    }
                }
            }
        }
    }

    fn meet(&mut self, slot: usize, visit: &Met) {
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
    pub fn values(&self) -> impl Iterator<Item = (u32, [Numbers; 2])> {
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
struct Met {
    is_within: bool,
    seconds: i64,
    is_bounce: bool,
}
