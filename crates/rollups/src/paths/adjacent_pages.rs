//! The pages before and after a page.
//!
//! The byte format of a day or a month: the length in bytes of the people's pages, the people's
//! pages, the bots' pages. Each consists of the length of the previous pages, the previous pages,
//! and the next pages. These have a group per page, in ascending order of page ids: the difference
//! to the previous group's id, the visits, the length of the entries, and the entries: the
//! difference to the previous entry's id, and the visits. Id 0 stands for the start or the end of
//! the session.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use super::{for_each_path, join_classes, page_of_visit, read_count, split_classes};
use crate::aggregate::{NO_VALUE, ValueId};
use crate::column_block::ColumnBlock;
use crate::scan::{ScanBlock, for_each_session};
use crate::varint::{read_varint, write_varint};

/// The pages before and after a page; [`NO_VALUE`] stands for the start or the end of the session.
#[derive(Clone, Debug, Default)]
pub struct AdjacentPages {
    /// Visits by previous page.
    pub before: HashMap<ValueId, i64>,
    /// Visits by next page.
    pub after: HashMap<ValueId, i64>,
    /// Visits of the page. Repeated views in a row count once.
    pub visits: i64,
}

impl AdjacentPages {
    /// Adds the visits in `period` that pass the filters and whose page satisfies `is_it`.
    pub fn add_blocks<P: AsRef<ColumnBlock>>(
        &mut self,
        (packs, mixed): (&[ScanBlock<P>], bool),
        period: &Range<i64>,
        is_bot: Option<bool>,
        is_it: impl Fn(ValueId) -> bool,
    ) {
        let mut stops = vec![];
        for_each_session(packs, mixed, |one, run| {
            let is_wanted = is_bot.is_none_or(|is_bot| run.session.is_bot == is_bot);
            if !is_wanted || !one.passes_session(&run) {
                return;
            }
            let pack = one.block.as_ref();
            find_page_views(&mut stops, run.visits, |row| page_of_visit(one, row));
            for_each_page_view(&stops, |row, page, before, after| {
                let at = pack.start + i64::from(pack.times[row]);
                if is_it(page) && period.contains(&at) && one.passes_visit(row) {
                    *self.before.entry(before).or_default() += 1;
                    *self.after.entry(after).or_default() += 1;
                    self.visits += 1;
                }
            });
        });
    }

    /// Adds counts with other page ids, which `numbers` maps to the ids used here.
    pub fn add_translated(&mut self, other: &Self, numbers: &HashMap<ValueId, ValueId>) {
        let sides = [
            (&mut self.before, &other.before),
            (&mut self.after, &other.after),
        ];
        for (sums, counts) in sides {
            for (page, visits) in counts {
                let named = numbers.get(page).copied().unwrap_or(NO_VALUE);
                *sums.entry(named).or_default() += visits;
            }
        }
        self.visits += other.visits;
    }

    /// Adds the encoded visits of a day or a month of the pages that satisfy `is_it`; `None` if the
    /// bytes are invalid.
    #[must_use]
    pub fn add_encoded(
        &mut self,
        bytes: &[u8],
        is_bot: Option<bool>,
        is_it: impl Fn(ValueId) -> bool,
    ) -> Option<()> {
        for class in split_classes(bytes, is_bot)?.into_iter().flatten() {
            let [before, after] = split_sides(class)?;
            for_each_group(before, |page, visits, lines| {
                if is_it(page) {
                    self.visits += visits;
                    return add_entries(&mut self.before, lines);
                }
                Some(())
            })?;
            for_each_group(after, |page, _, lines| {
                if is_it(page) {
                    return add_entries(&mut self.after, lines);
                }
                Some(())
            })?;
        }
        Some(())
    }
}

/// Passes the pages of the encoding of a day or a month to `take`; `None` if the bytes are invalid.
#[must_use]
pub fn for_each_page(bytes: &[u8], mut take: impl FnMut(ValueId)) -> Option<()> {
    for class in split_classes(bytes, None)?.into_iter().flatten() {
        let [before, _] = split_sides(class)?;
        for_each_group(before, |page, _, _| {
            take(page);
            Some(())
        })?;
    }
    Some(())
}

/// For each page: its visits, and the visits by previous or by next page.
type AdjacentCounts = BTreeMap<ValueId, (i64, HashMap<ValueId, i64>)>;

/// Encodes the previous and next pages of a day. `path` maps a page id to the id of the page's
/// path.
#[must_use]
pub fn encode_day(
    packs: &[Arc<ColumnBlock>],
    day: &Range<i64>,
    path: impl Fn(u32) -> ValueId,
) -> Vec<u8> {
    let mut classes = <[[AdjacentCounts; 2]; 2]>::default();
    let mut stops = vec![];
    for_each_path(packs, path, |pack, run, page| {
        find_page_views(&mut stops, run.visits.clone(), page);
        let sides = &mut classes[usize::from(run.session.is_bot)];
        for_each_page_view(&stops, |row, page, before, after| {
            if !day.contains(&(pack.start + i64::from(pack.times[row]))) {
                return;
            }
            for (side, other) in sides.iter_mut().zip([before, after]) {
                let (visits, others) = side.entry(page).or_default();
                *visits += 1;
                *others.entry(other).or_default() += 1;
            }
        });
    });
    join_classes(classes.map(|sides| join_classes(sides.each_ref().map(encode_side))))
}

/// Adds up several days; `None` if the bytes are invalid.
#[must_use]
pub fn sum_days(days: &[Vec<u8>]) -> Option<Vec<u8>> {
    // One side and class at a time: decoded, they take ten times the memory.
    let of_side = |is_bot, place: usize| {
        let mut side = AdjacentCounts::new();
        for day in days {
            for class in split_classes(day, Some(is_bot))?.into_iter().flatten() {
                for_each_group(split_sides(class)?[place], |page, more, lines| {
                    let (visits, others) = side.entry(page).or_default();
                    *visits += more;
                    add_entries(others, lines)
                })?;
            }
        }
        Some(encode_side(&side))
    };
    let of_class = |is_bot| Some(join_classes([of_side(is_bot, 0)?, of_side(is_bot, 1)?]));
    Some(join_classes([of_class(false)?, of_class(true)?]))
}

fn encode_side(side: &AdjacentCounts) -> Vec<u8> {
    let (mut bytes, mut last) = (vec![], NO_VALUE);
    for (page, (visits, others)) in side {
        let mut others: Vec<_> = others.iter().collect();
        others.sort_unstable();
        let (mut lines, mut last_other) = (vec![], NO_VALUE);
        for (other, visits) in others {
            write_varint(&mut lines, (other - last_other).into());
            last_other = *other;
            write_varint(&mut lines, visits.cast_unsigned());
        }
        write_varint(&mut bytes, (page - last).into());
        last = *page;
        write_varint(&mut bytes, visits.cast_unsigned());
        write_varint(&mut bytes, lines.len() as u64);
        bytes.extend(lines);
    }
    bytes
}

/// Splits the encoding into previous and next pages.
fn split_sides(bytes: &[u8]) -> Option<[&[u8]; 2]> {
    let [before, after] = split_classes(bytes, None)?;
    Some([before?, after?])
}

/// Passes each page, its visits and its entries to `give`.
fn for_each_group(
    mut bytes: &[u8],
    mut give: impl FnMut(ValueId, i64, &[u8]) -> Option<()>,
) -> Option<()> {
    let (bytes, mut page) = (&mut bytes, NO_VALUE);
    while !bytes.is_empty() {
        page = page.checked_add(ValueId::try_from(read_varint(bytes)?).ok()?)?;
        let visits = read_count(bytes)?;
        let length = usize::try_from(read_varint(bytes)?).ok()?;
        let (lines, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        give(page, visits, lines)?;
    }
    Some(())
}

fn add_entries(counts: &mut HashMap<ValueId, i64>, mut lines: &[u8]) -> Option<()> {
    let (lines, mut other) = (&mut lines, NO_VALUE);
    while !lines.is_empty() {
        other = other.checked_add(ValueId::try_from(read_varint(lines)?).ok()?)?;
        *counts.entry(other).or_default() += read_count(lines)?;
    }
    Some(())
}

/// Finds the pages of a session with their first row; repeated views in a row are merged.
fn find_page_views(
    stops: &mut Vec<(usize, ValueId)>,
    visits: Range<usize>,
    page: impl Fn(usize) -> ValueId,
) {
    stops.clear();
    stops.extend(visits.map(|row| (row, page(row))));
    stops.dedup_by_key(|(_, page)| *page);
}

/// Passes each page view to `give`: its row, its page, and the pages before and after it.
fn for_each_page_view(
    stops: &[(usize, ValueId)],
    mut give: impl FnMut(usize, ValueId, ValueId, ValueId),
) {
    let mut before = NO_VALUE;
    for (place, (row, page)) in stops.iter().enumerate() {
        let after = stops.get(place + 1).map_or(NO_VALUE, |(_, page)| *page);
        give(*row, *page, before, after);
        before = *page;
    }
}
