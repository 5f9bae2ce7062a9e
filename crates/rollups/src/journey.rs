//! The ways that sessions take through a site.
//!
//! As bytes a day's or a month's are people's and then bots', each after its length: how many
//! sessions, and a line for each way: how many sessions took it, twice the number of its pages (and
//! one more where there are more of them), its pages; all as [`super::varint`].

pub mod around;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::sync::Arc;

pub use around::AdjacentPages;

use super::fold::{NO_VALUE, ValueId};
use super::pack::{ColumnBlock, ColumnKind, SessionRows};
use super::scan::{GroupBy, ScanBlock, each_session};
use super::varint::{put, take};

/// The most pages of a way.
pub const MAX_PATH_DEPTH: usize = 5;
/// Different ways that are told apart; what comes after them is counted together.
const MAX_DISTINCT_PATHS: usize = 200_000;
/// The ways of a day that are kept for each class and depth: the most frequent ones.
pub const MAX_DAY_PATHS: usize = 2_000;
/// The ways of a month.
pub const MAX_MONTH_PATHS: usize = 10_000;

/// A way: its first pages, [`NO_VALUE`] after the last, and whether there are more.
pub type PathKey = ([ValueId; MAX_PATH_DEPTH], bool);

/// Sessions by way. Who visits chooses pages, but not the numbers of their paths.
type SessionsByPath = HashMap<PathKey, i64, BuildHasherDefault<PathHasher>>;

/// Mixes the few numbers of a way; hundreds of thousands are looked up for one answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct PathHasher(u64);

impl PathHasher {
    fn mix(&mut self, number: u64) {
        // The golden ratio of 2^64 (Knuth, The Art of Computer Programming, 6.4).
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for PathHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (eights, rest) = bytes.as_chunks();
        for eight in eights {
            self.mix(u64::from_le_bytes(*eight));
        }
        for byte in rest {
            self.mix((*byte).into());
        }
    }

    fn finish(&self) -> u64 {
        // The table looks at the last bits and at the first seven.
        self.0 ^ self.0 >> 32
    }
}

/// How often sessions take which way.
#[derive(Clone, Debug, Default)]
pub struct PathCounts {
    /// By way.
    pub counts: SessionsByPath,
    /// All sessions, those too whose ways are not told apart.
    pub sessions: i64,
}

impl PathCounts {
    /// Adds the sessions that begin within a period and have a visit that passes, with up to
    /// `depth` pages; a page that follows itself counts once. Visits must be grouped by page.
    pub fn add<P: AsRef<ColumnBlock>>(
        &mut self,
        (packs, mixed): (&[ScanBlock<P>], bool),
        period: &Range<i64>,
        is_bot: Option<bool>,
        depth: usize,
    ) {
        each_session(packs, mixed, |one, run| {
            let is_wanted = is_bot.is_none_or(|is_bot| run.session.is_bot == is_bot)
                && begins(one.pack.as_ref(), &run, period)
                && one.passes_session(&run)
                && run.visits.clone().any(|row| one.passes_visit(row));
            if is_wanted {
                let pages = run.visits.map(|row| page(one, row));
                self.count(cut(&first_pages(pages), depth), 1);
            }
        });
    }

    fn count(&mut self, way: PathKey, sessions: i64) {
        self.sessions += sessions;
        if let Some(count) = self.counts.get_mut(&way) {
            *count += sessions;
        } else if self.counts.len() < MAX_DISTINCT_PATHS {
            self.counts.insert(way, sessions);
        }
    }

    /// Adds the ways of another, whose pages have other numbers: these.
    pub fn add_named(&mut self, other: &Self, numbers: &HashMap<ValueId, ValueId>) {
        for ((pages, goes_on), sessions) in &other.counts {
            let named = pages.map(|page| numbers.get(&page).copied().unwrap_or(NO_VALUE));
            self.count((named, *goes_on), *sessions);
        }
        self.sessions += other.sessions - other.counts.values().sum::<i64>();
    }

    /// The most frequent ones, in order; of those that are equally frequent some.
    #[must_use]
    pub fn first(&self, most: usize) -> Vec<(PathKey, i64)> {
        let mut ways: Vec<(PathKey, i64)> = self.counts.iter().map(|(way, n)| (*way, *n)).collect();
        let rank = |(way, sessions): &(PathKey, i64)| (std::cmp::Reverse(*sessions), *way);
        if ways.len() > most {
            ways.select_nth_unstable_by_key(most, rank);
            ways.truncate(most);
        }
        ways.sort_unstable_by_key(rank);
        ways
    }

    /// Adds a day's or a month's; `None` where these are not such bytes.
    #[must_use]
    pub fn add_bytes(&mut self, bytes: &[u8], is_bot: Option<bool>) -> Option<()> {
        for mut bytes in of_classes(bytes, is_bot)?.into_iter().flatten() {
            // A way takes ten bytes or more, as a rule: a table that grows is filled twice.
            self.counts.reserve(bytes.len() / 10);
            let bytes = &mut bytes;
            let mut rest = number(bytes)?;
            while !bytes.is_empty() {
                let (sessions, length) = (number(bytes)?, take(bytes)?);
                let mut pages = [NO_VALUE; MAX_PATH_DEPTH];
                for page in pages.get_mut(..usize::try_from(length / 2).ok()?)? {
                    *page = ValueId::try_from(take(bytes)?).ok()?;
                }
                self.count((pages, length % 2 == 1), sessions);
                rest -= sessions;
            }
            self.sessions += rest;
        }
        Some(())
    }

    /// The most frequent of people's and of bots' as bytes.
    #[must_use]
    pub fn write([people, bots]: [&Self; 2], most: usize) -> Vec<u8> {
        both([people.bytes(most), bots.bytes(most)])
    }

    fn bytes(&self, most: usize) -> Vec<u8> {
        let mut bytes = vec![];
        put(&mut bytes, self.sessions.cast_unsigned());
        for ((pages, goes_on), sessions) in self.first(most) {
            let pages = || pages.iter().take_while(|page| **page != NO_VALUE);
            put(&mut bytes, sessions.cast_unsigned());
            put(&mut bytes, pages().count() as u64 * 2 + u64::from(goes_on));
            pages().for_each(|page| put(&mut bytes, (*page).into()));
        }
        bytes
    }
}

/// The ways of the sessions that begin on a day, for each depth from 1 on, as bytes; `path` tells
/// the number of a page's path.
#[must_use]
pub fn of_day(
    packs: &[Arc<ColumnBlock>],
    day: &Range<i64>,
    path: impl Fn(u32) -> ValueId,
) -> [Vec<u8>; MAX_PATH_DEPTH] {
    let mut taken: [Vec<[ValueId; MAX_PATH_DEPTH + 1]>; 2] = Default::default();
    each_of_packs(packs, path, |pack, run, pages| {
        if begins(pack, run, day) {
            let pages = run.visits.clone().map(pages);
            taken[usize::from(run.session.is_bot)].push(first_pages(pages));
        }
    });
    let mut depth = 0;
    [(); MAX_PATH_DEPTH].map(|()| {
        depth += 1;
        let ways = taken.each_ref().map(|taken| {
            let mut ways = PathCounts::default();
            for pages in taken {
                let (way, sessions) = (cut(pages, depth), 1);
                *ways.counts.entry(way).or_default() += sessions;
                ways.sessions += sessions;
            }
            ways
        });
        PathCounts::write(ways.each_ref(), MAX_DAY_PATHS)
    })
}

/// The sum of days; `None` where these are not such bytes.
#[must_use]
pub fn sum(days: &[Vec<u8>]) -> Option<Vec<u8>> {
    let of_class = |is_bot| {
        let mut ways = PathCounts::default();
        for day in days {
            ways.add_bytes(day, Some(is_bot))?;
        }
        Some(ways)
    };
    let [people, bots] = [of_class(false)?, of_class(true)?];
    Some(PathCounts::write([&people, &bots], MAX_MONTH_PATHS))
}

/// Gives each session of some packs, and by which path's number each of its rows is known.
fn each_of_packs(
    packs: &[Arc<ColumnBlock>],
    path: impl Fn(u32) -> ValueId,
    mut take: impl FnMut(&ColumnBlock, &SessionRows<'_>, &dyn Fn(usize) -> ValueId),
) {
    for pack in packs {
        let column = pack.column(ColumnKind::Page);
        let paths: Vec<ValueId> = column.numbers.iter().map(|number| path(*number)).collect();
        for run in pack.runs() {
            take(pack, &run, &|row| paths[column.place(row)]);
        }
    }
}

fn begins(pack: &ColumnBlock, run: &SessionRows<'_>, period: &Range<i64>) -> bool {
    let at = pack.start + i64::from(pack.at[run.visits.start]);
    period.contains(&at)
}

/// The first pages, one more than the deepest way has; one that follows itself stands there once.
fn first_pages(all: impl Iterator<Item = ValueId>) -> [ValueId; MAX_PATH_DEPTH + 1] {
    let (mut pages, mut length) = ([NO_VALUE; MAX_PATH_DEPTH + 1], 0);
    for page in all {
        if length > 0 && pages[length - 1] == page {
            continue;
        }
        pages[length] = page;
        length += 1;
        if length == pages.len() {
            break;
        }
    }
    pages
}

/// The way that these pages are, `depth` deep.
fn cut(pages: &[ValueId; MAX_PATH_DEPTH + 1], depth: usize) -> PathKey {
    let mut way = [NO_VALUE; MAX_PATH_DEPTH];
    way[..depth].copy_from_slice(&pages[..depth]);
    (way, pages[depth] != NO_VALUE)
}

/// The page of a visit.
pub fn page<P: AsRef<ColumnBlock>>(one: &ScanBlock<P>, row: usize) -> ValueId {
    match &one.groups {
        GroupBy::Of(field, values) => {
            let values = &values[one.column(*field).place(row)];
            values.first().copied().unwrap_or_default()
        }
        GroupBy::None => ValueId::default(),
    }
}

/// People's and bots' bytes after each other.
fn both([people, bots]: [Vec<u8>; 2]) -> Vec<u8> {
    let mut bytes = vec![];
    put(&mut bytes, people.len() as u64);
    bytes.extend(people);
    bytes.extend(bots);
    bytes
}

/// Those of people and of bots, as far as they are wanted.
fn of_classes(mut bytes: &[u8], is_bot: Option<bool>) -> Option<[Option<&[u8]>; 2]> {
    let length = usize::try_from(take(&mut bytes)?).ok()?;
    let (people, bots) = bytes.split_at_checked(length)?;
    let wanted = |class| is_bot.is_none_or(|is_bot| is_bot == class);
    Some([
        Some(people).filter(|_| wanted(false)),
        Some(bots).filter(|_| wanted(true)),
    ])
}

fn number(bytes: &mut &[u8]) -> Option<i64> {
    i64::try_from(take(bytes)?).ok()
}

#[cfg(test)]
mod tests;
