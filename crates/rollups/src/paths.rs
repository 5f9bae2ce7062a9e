//! Paths: the sequences of pages that sessions view.
//!
//! The byte format of a day or a month: the length in bytes of the people's paths, the people's
//! paths, the bots' paths. Each begins with the number of sessions, followed by an entry per path:
//! the number of sessions, twice the number of pages (plus one if the session has more pages), and
//! the pages; all as [`super::varint`].

pub mod adjacent_pages;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::sync::Arc;

pub use adjacent_pages::AdjacentPages;

use super::aggregate::{NO_VALUE, ValueId};
use super::column_block::{ColumnBlock, ColumnKind, SessionRows};
use super::scan::{GroupBy, ScanBlock, for_each_session};
use super::varint::{read_varint, write_varint};

/// Maximum number of pages of a path.
pub const MAX_PATH_DEPTH: usize = 5;
/// Distinct paths that are counted; sessions with further paths are only counted in total.
const MAX_DISTINCT_PATHS: usize = 200_000;
/// Paths that are stored per day, class and depth: the most frequent ones.
pub const MAX_DAY_PATHS: usize = 2_000;
/// Paths that are stored per month, class and depth.
pub const MAX_MONTH_PATHS: usize = 10_000;

/// A path: its first pages, padded with [`NO_VALUE`], and whether the session has more pages.
pub type PathKey = ([ValueId; MAX_PATH_DEPTH], bool);

/// Sessions by path. Visitors choose the pages but not their ids, so that a hash without a secret
/// key is safe.
type SessionsByPath = HashMap<PathKey, i64, BuildHasherDefault<PathHasher>>;

/// A fast hash for the few integers of a path: a report looks up hundreds of thousands of paths.
#[derive(Clone, Copy, Debug, Default)]
pub struct PathHasher(u64);

impl PathHasher {
    fn mix(&mut self, number: u64) {
        // 2^64 divided by the golden ratio (Knuth, The Art of Computer Programming, section 6.4).
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
        // The hash table uses the lowest bits and the seven highest bits.
        self.0 ^ self.0 >> 32
    }
}

/// Numbers of sessions by path.
#[derive(Clone, Debug, Default)]
pub struct PathCounts {
    /// Sessions by path.
    pub counts: SessionsByPath,
    /// All sessions, including those whose paths are not in `counts`.
    pub sessions: i64,
}

impl PathCounts {
    /// Adds the paths, up to `depth` pages long, of the sessions that begin in `period` and have a
    /// visit that passes the filters. Repeated views of the same page in a row count once. Visits
    /// must be grouped by page.
    pub fn add_blocks<P: AsRef<ColumnBlock>>(
        &mut self,
        (packs, mixed): (&[ScanBlock<P>], bool),
        period: &Range<i64>,
        is_bot: Option<bool>,
        depth: usize,
    ) {
        for_each_session(packs, mixed, |one, run| {
            let is_wanted = is_bot.is_none_or(|is_bot| run.session.is_bot == is_bot)
                && begins_within(one.block.as_ref(), &run, period)
                && one.passes_session(&run)
                && run.visits.clone().any(|row| one.passes_visit(row));
            if is_wanted {
                let pages = run.visits.map(|row| page_of_visit(one, row));
                self.add_path(truncate_path(&first_pages(pages), depth), 1);
            }
        });
    }

    fn add_path(&mut self, way: PathKey, sessions: i64) {
        self.sessions += sessions;
        if let Some(count) = self.counts.get_mut(&way) {
            *count += sessions;
        } else if self.counts.len() < MAX_DISTINCT_PATHS {
            self.counts.insert(way, sessions);
        }
    }

    /// Adds paths with other page ids, which `numbers` maps to the ids used here.
    pub fn add_translated(&mut self, other: &Self, numbers: &HashMap<ValueId, ValueId>) {
        for ((pages, goes_on), sessions) in &other.counts {
            let named = pages.map(|page| numbers.get(&page).copied().unwrap_or(NO_VALUE));
            self.add_path((named, *goes_on), *sessions);
        }
        self.sessions += other.sessions - other.counts.values().sum::<i64>();
    }

    /// The `most` most frequent paths, in descending order.
    #[must_use]
    pub fn most_frequent(&self, most: usize) -> Vec<(PathKey, i64)> {
        let mut ways: Vec<(PathKey, i64)> = self.counts.iter().map(|(way, n)| (*way, *n)).collect();
        let rank = |(way, sessions): &(PathKey, i64)| (std::cmp::Reverse(*sessions), *way);
        if ways.len() > most {
            ways.select_nth_unstable_by_key(most, rank);
            ways.truncate(most);
        }
        ways.sort_unstable_by_key(rank);
        ways
    }

    /// Adds the encoded paths of a day or a month; `None` if the bytes are invalid.
    #[must_use]
    pub fn add_encoded(&mut self, bytes: &[u8], is_bot: Option<bool>) -> Option<()> {
        for mut bytes in split_classes(bytes, is_bot)?.into_iter().flatten() {
            // An entry usually takes ten bytes or more; reserving avoids rehashing.
            self.counts.reserve(bytes.len() / 10);
            let bytes = &mut bytes;
            let mut rest = read_count(bytes)?;
            while !bytes.is_empty() {
                let (sessions, length) = (read_count(bytes)?, read_varint(bytes)?);
                let mut pages = [NO_VALUE; MAX_PATH_DEPTH];
                for page in pages.get_mut(..usize::try_from(length / 2).ok()?)? {
                    *page = ValueId::try_from(read_varint(bytes)?).ok()?;
                }
                self.add_path((pages, length % 2 == 1), sessions);
                rest -= sessions;
            }
            self.sessions += rest;
        }
        Some(())
    }

    /// Encodes the `most` most frequent paths of people and of bots.
    #[must_use]
    pub fn encode([people, bots]: [&Self; 2], most: usize) -> Vec<u8> {
        join_classes([people.encode_class(most), bots.encode_class(most)])
    }

    fn encode_class(&self, most: usize) -> Vec<u8> {
        let mut bytes = vec![];
        write_varint(&mut bytes, self.sessions.cast_unsigned());
        for ((pages, goes_on), sessions) in self.most_frequent(most) {
            let pages = || pages.iter().take_while(|page| **page != NO_VALUE);
            write_varint(&mut bytes, sessions.cast_unsigned());
            write_varint(&mut bytes, pages().count() as u64 * 2 + u64::from(goes_on));
            pages().for_each(|page| write_varint(&mut bytes, (*page).into()));
        }
        bytes
    }
}

/// Encodes the paths of the sessions that begin on a day, for each depth from 1. `path` maps a page
/// id to the id of the page's path.
#[must_use]
pub fn encode_day(
    packs: &[Arc<ColumnBlock>],
    day: &Range<i64>,
    path: impl Fn(u32) -> ValueId,
) -> [Vec<u8>; MAX_PATH_DEPTH] {
    let mut taken: [Vec<[ValueId; MAX_PATH_DEPTH + 1]>; 2] = Default::default();
    for_each_path(packs, path, |pack, run, pages| {
        if begins_within(pack, run, day) {
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
                let (way, sessions) = (truncate_path(pages, depth), 1);
                *ways.counts.entry(way).or_default() += sessions;
                ways.sessions += sessions;
            }
            ways
        });
        PathCounts::encode(ways.each_ref(), MAX_DAY_PATHS)
    })
}

/// Adds up the paths of several days; `None` if the bytes are invalid.
#[must_use]
pub fn sum_days(days: &[Vec<u8>]) -> Option<Vec<u8>> {
    let of_class = |is_bot| {
        let mut ways = PathCounts::default();
        for day in days {
            ways.add_encoded(day, Some(is_bot))?;
        }
        Some(ways)
    };
    let [people, bots] = [of_class(false)?, of_class(true)?];
    Some(PathCounts::encode([&people, &bots], MAX_MONTH_PATHS))
}

/// Passes each session to `take`, with a function from a row to the id of the page's path.
fn for_each_path(
    packs: &[Arc<ColumnBlock>],
    path: impl Fn(u32) -> ValueId,
    mut take: impl FnMut(&ColumnBlock, &SessionRows<'_>, &dyn Fn(usize) -> ValueId),
) {
    for pack in packs {
        let column = pack.column(ColumnKind::Page);
        let paths: Vec<ValueId> = column.values.iter().map(|number| path(*number)).collect();
        for run in pack.session_rows() {
            take(pack, &run, &|row| paths[column.code(row)]);
        }
    }
}

fn begins_within(pack: &ColumnBlock, run: &SessionRows<'_>, period: &Range<i64>) -> bool {
    let at = pack.start + i64::from(pack.times[run.visits.start]);
    period.contains(&at)
}

/// The first pages, one more than the maximum depth. Repeated views of a page in a row count once.
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

/// The path of these pages with a maximum depth.
fn truncate_path(pages: &[ValueId; MAX_PATH_DEPTH + 1], depth: usize) -> PathKey {
    let mut way = [NO_VALUE; MAX_PATH_DEPTH];
    way[..depth].copy_from_slice(&pages[..depth]);
    (way, pages[depth] != NO_VALUE)
}

/// The page of a visit, by which visits must be grouped.
pub fn page_of_visit<P: AsRef<ColumnBlock>>(one: &ScanBlock<P>, row: usize) -> ValueId {
    match &one.group_by {
        GroupBy::Column(field, values) => {
            let values = &values[one.column(*field).code(row)];
            values.first().copied().unwrap_or_default()
        }
        GroupBy::None => ValueId::default(),
    }
}

/// Concatenates two encodings, with the length of the first in front.
fn join_classes([people, bots]: [Vec<u8>; 2]) -> Vec<u8> {
    let mut bytes = vec![];
    write_varint(&mut bytes, people.len() as u64);
    bytes.extend(people);
    bytes.extend(bots);
    bytes
}

/// Splits the encodings of people and of bots, and keeps the classes that are wanted.
fn split_classes(mut bytes: &[u8], is_bot: Option<bool>) -> Option<[Option<&[u8]>; 2]> {
    let length = usize::try_from(read_varint(&mut bytes)?).ok()?;
    let (people, bots) = bytes.split_at_checked(length)?;
    let wanted = |class| is_bot.is_none_or(|is_bot| is_bot == class);
    Some([
        Some(people).filter(|_| wanted(false)),
        Some(bots).filter(|_| wanted(true)),
    ])
}

fn read_count(bytes: &mut &[u8]) -> Option<i64> {
    i64::try_from(read_varint(bytes)?).ok()
}

#[cfg(test)]
mod tests;
