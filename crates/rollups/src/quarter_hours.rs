//! Metrics of a day by quarter hour, from which the metrics of a day in any other time zone are
//! computed: for decades, all offsets from UTC have been multiples of a quarter hour.
//!
//! Visits, seconds, sessions and bounces add up; visitors do not. The visitors of a part of a day
//! are known only if the part begins or ends with the day: they are counted by their first quarter
//! hour, and by their last one. A day in another time zone is the end of one day and the beginning
//! of the next, minus the visitors of both parts: [`MidnightOverlap`].

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::aggregate::Metrics;
use super::column_block::ColumnBlock;
use super::varint::{read_varint, write_varint};

pub const QUARTER_HOUR_SECONDS: i64 = 900;
/// More than any day has: clocks are set back by an hour, once by three.
const MAX_QUARTER_HOURS: u64 = 128;

/// Metrics of a quarter hour; a visitor counts once per day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct QuarterHourMetrics {
    visits: u64,
    seconds: u64,
    /// Sessions that begin in the quarter hour.
    sessions: u64,
    bounces: u64,
    /// Visitors whose first visit of the day is in the quarter hour.
    first_visitors: u64,
    /// Visitors whose last visit of the day is in the quarter hour.
    last_visitors: u64,
}

/// Metrics of a day by quarter hour, of people and of bots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuarterHours([Vec<QuarterHourMetrics>; 2]);

impl QuarterHours {
    /// Computes the metrics from the column blocks of a day; `None` if the day does not begin and
    /// end on a quarter hour.
    #[must_use]
    pub fn from_blocks(packs: &[Arc<ColumnBlock>], day: &Range<i64>) -> Option<Self> {
        let mut quarters = Self::without_visits(day)?;
        for pack in packs {
            let mut seen = [None; 2];
            for run in pack.session_rows() {
                if run.is_first_of_visitor {
                    quarters.count_visitor(std::mem::take(&mut seen));
                }
                let class = usize::from(run.session.is_bot);
                for row in run.visits.clone() {
                    let at = pack.start + i64::from(pack.times[row]);
                    let Some(place) = quarter_hour_index(day, at) else {
                        continue;
                    };
                    let quarter = &mut quarters.0[class][place];
                    quarter.visits += 1;
                    quarter.seconds += u64::from(pack.durations[row]);
                    if row == run.visits.start {
                        quarter.sessions += 1;
                        quarter.bounces += u64::from(run.session.visits == 1);
                    }
                    seen[class] = Some(extend_range(seen[class], place));
                }
            }
            quarters.count_visitor(seen);
        }
        Some(quarters)
    }

    /// The metrics of a day without visits.
    #[must_use]
    pub fn without_visits(day: &Range<i64>) -> Option<Self> {
        let is_whole = day.start.rem_euclid(QUARTER_HOUR_SECONDS) == 0
            && day.end.rem_euclid(QUARTER_HOUR_SECONDS) == 0;
        let length = usize::try_from((day.end - day.start) / QUARTER_HOUR_SECONDS).ok()?;
        is_whole.then(|| Self([(); 2].map(|()| vec![QuarterHourMetrics::default(); length])))
    }

    fn count_visitor(&mut self, seen: [Option<(usize, usize)>; 2]) {
        for (quarters, seen) in self.0.iter_mut().zip(seen) {
            if let Some((first, last)) = seen {
                quarters[first].first_visitors += 1;
                quarters[last].last_visitors += 1;
            }
        }
    }

    /// The number of quarter hours of the day.
    #[must_use]
    pub fn quarter_count(&self) -> usize {
        self.0[0].len()
    }

    /// Whether there are no visits.
    #[must_use]
    pub fn has_no_visits(&self) -> bool {
        self.0.iter().flatten().all(|quarter| quarter.visits == 0)
    }

    /// The metrics of a part of the day, without visitors.
    fn sum(&self, class: usize, part: Range<usize>) -> Metrics {
        let quarters = self.0[class][part].iter();
        quarters.fold(Metrics::default(), |sum, quarter| {
            sum + Metrics {
                visits: quarter.visits.cast_signed(),
                visitors: 0,
                sessions: quarter.sessions.cast_signed(),
                bounces: quarter.bounces.cast_signed(),
                seconds: quarter.seconds.cast_signed(),
            }
        })
    }

    /// The number of visitors with visits before a quarter hour.
    fn visitors_before(&self, class: usize, end: usize) -> i64 {
        let quarters = self.0[class][..end].iter();
        quarters
            .map(|quarter| quarter.first_visitors.cast_signed())
            .sum()
    }

    /// The number of visitors with visits in or after a quarter hour.
    fn visitors_since(&self, class: usize, start: usize) -> i64 {
        let quarters = self.0[class][start..].iter();
        quarters
            .map(|quarter| quarter.last_visitors.cast_signed())
            .sum()
    }

    /// The metrics of a part of the day; `None` if the part neither begins nor ends with the day,
    /// so that its visitors are not known.
    #[must_use]
    pub fn metrics(&self, part: Range<usize>) -> Option<[Metrics; 2]> {
        let (is_head, is_tail) = (part.start == 0, part.end == self.quarter_count());
        let is_told =
            (is_head || is_tail) && part.start <= part.end && part.end <= self.quarter_count();
        is_told.then(|| {
            [0, 1].map(|class| Metrics {
                visitors: if is_head {
                    self.visitors_before(class, part.end)
                } else {
                    self.visitors_since(class, part.start)
                },
                ..self.sum(class, part.clone())
            })
        })
    }

    /// The metrics from a quarter hour of this day up to, but not including, one of the next day.
    /// `both` is the number of people and of bots with visits in both parts. `None` if a quarter
    /// hour is out of range.
    #[must_use]
    pub fn metrics_over_midnight(
        &self,
        next: &Self,
        both: [i64; 2],
        (from, to): (usize, usize),
    ) -> Option<[Metrics; 2]> {
        if from > self.quarter_count() || to > next.quarter_count() {
            return None;
        }
        Some([0, 1].map(|class| {
            let parts = self.sum(class, from..self.quarter_count()) + next.sum(class, 0..to);
            Metrics {
                visitors: self.visitors_since(class, from) + next.visitors_before(class, to)
                    - both[class],
                ..parts
            }
        }))
    }

    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2_000);
        write_varint(&mut bytes, self.quarter_count() as u64);
        for one in self.0.iter().flatten() {
            let numbers = [
                one.visits,
                one.seconds,
                one.sessions,
                one.bounces,
                one.first_visitors,
                one.last_visitors,
            ];
            for number in numbers {
                write_varint(&mut bytes, number);
            }
        }
        bytes
    }

    /// Decodes the metrics; `None` if the bytes are invalid.
    #[must_use]
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let bytes = &mut bytes;
        let length = read_varint(bytes).filter(|length| *length <= MAX_QUARTER_HOURS)?;
        let mut classes = <[Vec<QuarterHourMetrics>; 2]>::default();
        for quarters in &mut classes {
            for _ in 0..length {
                quarters.push(QuarterHourMetrics {
                    visits: read_varint(bytes)?,
                    seconds: read_varint(bytes)?,
                    sessions: read_varint(bytes)?,
                    bounces: read_varint(bytes)?,
                    first_visitors: read_varint(bytes)?,
                    last_visitors: read_varint(bytes)?,
                });
            }
        }
        bytes.is_empty().then_some(Self(classes))
    }
}

/// The quarter hour of a day that contains a moment.
fn quarter_hour_index(day: &Range<i64>, at: i64) -> Option<usize> {
    let is_within = day.contains(&at);
    let place = usize::try_from((at - day.start) / QUARTER_HOUR_SECONDS).ok();
    place.filter(|_| is_within)
}

fn extend_range(seen: Option<(usize, usize)>, place: usize) -> (usize, usize) {
    seen.map_or((place, place), |(first, last)| {
        (first.min(place), last.max(place))
    })
}

/// Lengths of a day in quarter hours: 23, 24 or 25 hours.
const DAY_LENGTHS_QUARTER_HOURS: [usize; 3] = [92, 96, 100];

/// Visitors with visits late on one day and early on the next. For each length of a day and each
/// quarter hour of the first day: the number of visitors who visit in or after that quarter hour,
/// and again within a day's length from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MidnightOverlap([[Vec<u64>; 2]; DAY_LENGTHS_QUARTER_HOURS.len()]);

impl MidnightOverlap {
    /// Computes the overlap from the column blocks of two consecutive days.
    #[must_use]
    pub fn from_blocks(
        (packs, day): (&[Arc<ColumnBlock>], &Range<i64>),
        (next_packs, next_day): (&[Arc<ColumnBlock>], &Range<i64>),
    ) -> Self {
        let mut overlap = Self::default();
        let mut left: HashMap<(u64, bool), usize> = HashMap::new();
        for_each_visit(packs, day, |who, place| {
            let last = left.entry(who).or_default();
            *last = place.max(*last);
        });
        let mut come: HashMap<(u64, bool), usize> = HashMap::new();
        for_each_visit(next_packs, next_day, |who, place| {
            if left.contains_key(&who) {
                let first = come.entry(who).or_insert(place);
                *first = place.min(*first);
            }
        });
        let length =
            usize::try_from((day.end - day.start) / QUARTER_HOUR_SECONDS).unwrap_or_default();
        for (who, first) in come {
            for (counts, hours) in overlap.0.iter_mut().zip(DAY_LENGTHS_QUARTER_HOURS) {
                let counts = &mut counts[usize::from(who.1)];
                counts.resize(length, 0);
                let earliest = (length + first + 1).saturating_sub(hours);
                let both = counts.get_mut(earliest..=left[&who]);
                both.into_iter().flatten().for_each(|count| *count += 1);
            }
        }
        overlap
    }

    /// The number of people and of bots for a period of `length` quarter hours that begins with
    /// quarter hour `from` of the first day.
    #[must_use]
    pub fn visitors(&self, from: usize, length: usize) -> Option<[i64; 2]> {
        let place = DAY_LENGTHS_QUARTER_HOURS
            .iter()
            .position(|known| *known == length)?;
        let count = |counts: &Vec<u64>| counts.get(from).map_or(0, |count| count.cast_signed());
        Some(self.0[place].each_ref().map(count))
    }

    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![];
        for counts in self.0.iter().flatten() {
            write_varint(&mut bytes, counts.len() as u64);
            for count in counts {
                write_varint(&mut bytes, *count);
            }
        }
        bytes
    }

    /// Decodes the overlap; `None` if the bytes are invalid.
    #[must_use]
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let bytes = &mut bytes;
        let mut overlap = Self::default();
        for counts in overlap.0.iter_mut().flatten() {
            let length = read_varint(bytes).filter(|length| *length <= MAX_QUARTER_HOURS)?;
            for _ in 0..length {
                counts.push(read_varint(bytes)?);
            }
        }
        bytes.is_empty().then_some(overlap)
    }
}

/// The number of people and of bots with visits both in a part of one day and in a part of the
/// next.
#[must_use]
pub fn count_common_visitors(
    (packs, part): (&[Arc<ColumnBlock>], &Range<i64>),
    (next_packs, next_part): (&[Arc<ColumnBlock>], &Range<i64>),
) -> [i64; 2] {
    let mut come = HashSet::new();
    for_each_visitor(packs, part, |who| _ = come.insert(who));
    let mut both = [0; 2];
    for_each_visitor(next_packs, next_part, |who| {
        both[usize::from(who.1)] += i64::from(come.remove(&who));
    });
    both
}

/// Passes the visitors of a part of a day and their class to `take`, possibly several times.
fn for_each_visitor(
    packs: &[Arc<ColumnBlock>],
    part: &Range<i64>,
    mut take: impl FnMut((u64, bool)),
) {
    for pack in packs {
        for run in pack.session_rows() {
            let mut at = pack.times[run.visits.clone()].iter();
            if at.any(|at| part.contains(&(pack.start + i64::from(*at)))) {
                take((run.visitor_key, run.session.is_bot));
            }
        }
    }
}

/// Passes the visitor, its class and the quarter hour of each visit of a day to `take`.
fn for_each_visit(
    packs: &[Arc<ColumnBlock>],
    day: &Range<i64>,
    mut take: impl FnMut((u64, bool), usize),
) {
    for pack in packs {
        for run in pack.session_rows() {
            for row in run.visits {
                if let Some(place) =
                    quarter_hour_index(day, pack.start + i64::from(pack.times[row]))
                {
                    take((run.visitor_key, run.session.is_bot), place);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
