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

pub use around::Around;

use super::fold::{NONE, Value};
use super::pack::{Field, Pack, Run};
use super::scan::{Groups, Prepared, each_session};
use super::varint::{put, take};

/// The most pages of a way.
pub const DEEPEST: usize = 5;
/// Different ways that are told apart; what comes after them is counted together.
const MOST: usize = 200_000;
/// The ways of a day that are kept for each class and depth: the most frequent ones.
pub const OF_A_DAY: usize = 2_000;
/// The ways of a month.
pub const OF_A_MONTH: usize = 10_000;

/// A way: its first pages, [`NONE`] after the last, and whether there are more.
pub type Way = ([Value; DEEPEST], bool);

/// Sessions by way. Who visits chooses pages, but not the numbers of their paths.
type Counts = HashMap<Way, i64, BuildHasherDefault<WayHasher>>;

/// Mixes the few numbers of a way; hundreds of thousands are looked up for one answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct WayHasher(u64);

impl WayHasher {
    fn mix(&mut self, number: u64) {
        // The golden ratio of 2^64 (Knuth, The Art of Computer Programming, 6.4).
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for WayHasher {
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
pub struct Ways {
    /// By way.
    pub counts: Counts,
    /// All sessions, those too whose ways are not told apart.
    pub sessions: i64,
}

impl Ways {
    /// Adds the sessions that begin within a period and have a visit that passes, with up to
    /// `depth` pages; a page that follows itself counts once. Visits must be grouped by page.
    pub fn add<P: AsRef<Pack>>(
        &mut self,
        (packs, mixed): (&[Prepared<P>], bool),
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

    fn count(&mut self, way: Way, sessions: i64) {
        self.sessions += sessions;
        if let Some(count) = self.counts.get_mut(&way) {
            *count += sessions;
        } else if self.counts.len() < MOST {
            self.counts.insert(way, sessions);
        }
    }

    /// Adds the ways of another, whose pages have other numbers: these.
    pub fn add_named(&mut self, other: &Self, numbers: &HashMap<Value, Value>) {
        for ((pages, goes_on), sessions) in &other.counts {
            let named = pages.map(|page| numbers.get(&page).copied().unwrap_or(NONE));
            self.count((named, *goes_on), *sessions);
        }
        self.sessions += other.sessions - other.counts.values().sum::<i64>();
    }

    /// The most frequent ones, in order; of those that are equally frequent some.
    #[must_use]
    pub fn first(&self, most: usize) -> Vec<(Way, i64)> {
        let mut ways: Vec<(Way, i64)> = self.counts.iter().map(|(way, n)| (*way, *n)).collect();
        let rank = |(way, sessions): &(Way, i64)| (std::cmp::Reverse(*sessions), *way);
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
                let mut pages = [NONE; DEEPEST];
                for page in pages.get_mut(..usize::try_from(length / 2).ok()?)? {
                    *page = Value::try_from(take(bytes)?).ok()?;
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
            let pages = || pages.iter().take_while(|page| **page != NONE);
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
    packs: &[Arc<Pack>],
    day: &Range<i64>,
    path: impl Fn(u32) -> Value,
) -> [Vec<u8>; DEEPEST] {
    let mut taken: [Vec<[Value; DEEPEST + 1]>; 2] = Default::default();
    each_of_packs(packs, path, |pack, run, pages| {
        if begins(pack, run, day) {
            let pages = run.visits.clone().map(pages);
            taken[usize::from(run.session.is_bot)].push(first_pages(pages));
        }
    });
    let mut depth = 0;
    [(); DEEPEST].map(|()| {
        depth += 1;
        let ways = taken.each_ref().map(|taken| {
            let mut ways = Ways::default();
            for pages in taken {
                let (way, sessions) = (cut(pages, depth), 1);
                *ways.counts.entry(way).or_default() += sessions;
                ways.sessions += sessions;
            }
            ways
        });
        Ways::write(ways.each_ref(), OF_A_DAY)
    })
}

/// The sum of days; `None` where these are not such bytes.
#[must_use]
pub fn sum(days: &[Vec<u8>]) -> Option<Vec<u8>> {
    let of_class = |is_bot| {
        let mut ways = Ways::default();
        for day in days {
            ways.add_bytes(day, Some(is_bot))?;
        }
        Some(ways)
    };
    let [people, bots] = [of_class(false)?, of_class(true)?];
    Some(Ways::write([&people, &bots], OF_A_MONTH))
}

/// Gives each session of some packs, and by which path's number each of its rows is known.
fn each_of_packs(
    packs: &[Arc<Pack>],
    path: impl Fn(u32) -> Value,
    mut take: impl FnMut(&Pack, &Run<'_>, &dyn Fn(usize) -> Value),
) {
    for pack in packs {
        let column = pack.column(Field::Page);
        let paths: Vec<Value> = column.numbers.iter().map(|number| path(*number)).collect();
        for run in pack.runs() {
            take(pack, &run, &|row| paths[column.place(row)]);
        }
    }
}

fn begins(pack: &Pack, run: &Run<'_>, period: &Range<i64>) -> bool {
    let at = pack.start + i64::from(pack.at[run.visits.start]);
    period.contains(&at)
}

/// The first pages, one more than the deepest way has; one that follows itself stands there once.
fn first_pages(all: impl Iterator<Item = Value>) -> [Value; DEEPEST + 1] {
    let (mut pages, mut length) = ([NONE; DEEPEST + 1], 0);
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
fn cut(pages: &[Value; DEEPEST + 1], depth: usize) -> Way {
    let mut way = [NONE; DEEPEST];
    way[..depth].copy_from_slice(&pages[..depth]);
    (way, pages[depth] != NONE)
}

/// The page of a visit.
pub fn page<P: AsRef<Pack>>(one: &Prepared<P>, row: usize) -> Value {
    match &one.groups {
        Groups::Of(field, values) => {
            let values = &values[one.column(*field).place(row)];
            values.first().copied().unwrap_or_default()
        }
        Groups::None => Value::default(),
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
