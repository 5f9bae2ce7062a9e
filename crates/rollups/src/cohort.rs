//! Cohorts: counts the visitors of a period who come back in later periods.

use std::collections::HashMap;
use std::ops::Range;

use super::column_block::ColumnBlock;
use super::varint::{read_varint, write_varint};

/// Maximum number of periods of a report.
pub const MAX_COHORT_PERIODS: usize = 31;

/// The periods in which visitors came, one bit each.
#[derive(Debug, Default)]
pub struct CohortActivity(HashMap<u64, u32>);

impl CohortActivity {
    /// Adds a visit in a period, numbered from 0 and less than [`MAX_COHORT_PERIODS`].
    pub fn add_visit(&mut self, visitor: u64, period: usize) {
        *self.0.entry(visitor).or_default() |= 1 << period;
    }

    /// The number of visitors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns for each period a cohort: the visitors who came in it first, and how many of them
    /// came in it and in each later period.
    #[must_use]
    pub fn cohorts(&self, periods: usize) -> Vec<Vec<i64>> {
        let mut cohorts = empty_cohorts(periods);
        self.0
            .values()
            .for_each(|came| count_visitor(&mut cohorts, *came));
        cohorts
    }
}

fn empty_cohorts(periods: usize) -> Vec<Vec<i64>> {
    (0..periods).map(|n| vec![0; periods - n]).collect()
}

fn count_visitor(cohorts: &mut [Vec<i64>], mut came: u32) {
    let first = came.trailing_zeros();
    while came != 0 {
        let later = came.trailing_zeros();
        cohorts[first as usize][(later - first) as usize] += 1;
        came &= came - 1;
    }
}

/// Bytes of a visitor's key that are stored. Among four million visitors, the probability that any
/// two share these bytes is 1 in 40.
const VISITOR_KEY_BYTES: usize = 6;

/// Encodes the visitors of a column block who came on a day: the length in bytes of the people's
/// keys, the people's keys, the bots' keys. Each key is truncated to its first six bytes; keys are
/// in ascending order.
#[must_use]
pub fn encode_visitors(pack: &ColumnBlock, day: &Range<i64>) -> Vec<u8> {
    let mut classes = <[Vec<[u8; VISITOR_KEY_BYTES]>; 2]>::default();
    for run in pack.session_rows() {
        let mut at = pack.times[run.visits.clone()].iter();
        if at.any(|at| day.contains(&(pack.start + i64::from(*at)))) {
            let [key @ .., _, _] = run.visitor_key.to_be_bytes();
            classes[usize::from(run.session.is_bot)].push(key);
        }
    }
    for keys in &mut classes {
        keys.sort_unstable();
        keys.dedup();
    }
    let mut bytes = vec![];
    write_varint(&mut bytes, (classes[0].len() * VISITOR_KEY_BYTES) as u64);
    bytes.extend(classes.iter().flatten().flatten());
    bytes
}

/// Sorted lists of visitors, each with its period.
#[derive(Debug, Default)]
pub struct VisitorLists<'a>(Vec<(usize, &'a [[u8; VISITOR_KEY_BYTES]])>);

impl<'a> VisitorLists<'a> {
    /// Adds the encoded visitors of a column block to a period, numbered from 0 and less than
    /// [`MAX_COHORT_PERIODS`]; `None` if the bytes are invalid.
    #[must_use]
    pub fn add_encoded(
        &mut self,
        mut bytes: &'a [u8],
        period: usize,
        is_bot: Option<bool>,
    ) -> Option<()> {
        let length = usize::try_from(read_varint(&mut bytes)?).ok()?;
        let (people, bots) = bytes.split_at_checked(length)?;
        for (class, bytes) in [(false, people), (true, bots)] {
            let (keys, rest) = bytes.as_chunks();
            if !rest.is_empty() {
                return None;
            }
            if is_bot.is_none_or(|is_bot| is_bot == class) {
                self.0.push((period, keys));
            }
        }
        Some(())
    }

    /// All keys; that of a visitor of several lists occurs several times.
    pub fn keys(&self) -> impl Iterator<Item = u64> + use<'a, '_> {
        let lists = self.0.iter().flat_map(|(_, keys)| keys.iter());
        lists.map(|key| widened(*key))
    }

    /// The number of distinct visitors, whatever their period.
    #[must_use]
    pub fn count(mut self) -> i64 {
        for (period, _) in &mut self.0 {
            *period = 0;
        }
        self.cohorts(1)[0][0]
    }

    /// Computes the same as [`CohortActivity::cohorts`]. Keys are processed by their first byte, so
    /// that the hash table fits into the processor's cache.
    #[must_use]
    pub fn cohorts(mut self, periods: usize) -> Vec<Vec<i64>> {
        let mut cohorts = empty_cohorts(periods);
        let mut table: Vec<(u64, u32)> = vec![];
        for first in 0..=u8::MAX {
            let heads = self.0.iter_mut().map(|(period, keys)| {
                let (head, rest) = keys.split_at(keys.partition_point(|key| key[0] <= first));
                *keys = rest;
                (*period, head)
            });
            let heads: Vec<_> = heads.collect();
            let keys: usize = heads.iter().map(|(_, keys)| keys.len()).sum();
            table.clear();
            table.resize((keys * 2).next_power_of_two(), (0, 0));
            for (period, keys) in heads {
                for key in keys {
                    record_visit(&mut table, widened(*key), 1 << period);
                }
            }
            for (_, periods) in table.iter().filter(|(_, came)| *came != 0) {
                count_visitor(&mut cohorts, *periods);
            }
        }
        cohorts
    }
}

fn widened(key: [u8; VISITOR_KEY_BYTES]) -> u64 {
    let mut long = [0; 8];
    long[2..].copy_from_slice(&key);
    u64::from_be_bytes(long)
}

/// Records in the hash table that a visitor came in a period. At most half of the table is used.
fn record_visit(table: &mut [(u64, u32)], key: u64, period: u32) {
    let mask = table.len() - 1;
    // Keys are hashes, so that their lowest bits are evenly distributed.
    let mut place = usize::try_from(key).unwrap_or_default() & mask;
    loop {
        let (known, came) = &mut table[place];
        if *came == 0 || *known == key {
            *known = key;
            *came |= period;
            return;
        }
        place = (place + 1) & mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column_block::{BlockBuilder, BlockRow};

    #[test]
    fn a_visitor_belongs_to_the_first_period() {
        let mut comings = CohortActivity::default();
        for (visitor, period) in [(1, 0), (1, 2), (2, 0), (2, 0), (3, 1), (3, 2)] {
            comings.add_visit(visitor, period);
        }
        let cohorts = comings.cohorts(3);
        assert_eq!(cohorts, [vec![2, 0, 1], vec![1, 1], vec![0]]);
    }

    #[test]
    fn lists_tell_the_same() {
        let (mut seed, mut comings, mut bytes) = (7_u64, CohortActivity::default(), vec![]);
        for period in 0..9 {
            let mut packer = BlockBuilder::new(0);
            for session in 0..500 {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                // Some visitors come often, and some only after the day.
                let key = (seed % 700).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let is_bot = session % 9 == 0;
                let at = if session % 5 == 0 { 86_400 } else { 5 };
                let row = BlockRow {
                    timestamp: at,
                    is_bot,
                    ..BlockRow::default()
                };
                let id = uuid::Uuid::from_u128(session);
                packer.add(&session.to_string(), id, row, |_| key);
                if at == 5 && !is_bot {
                    comings.add_visit(key, period);
                }
            }
            let packs = packer.finish();
            bytes.push(encode_visitors(&packs[0], &(0..86_400)));
        }
        let mut lists = VisitorLists::default();
        for (period, bytes) in bytes.iter().enumerate() {
            lists.add_encoded(bytes, period, Some(false)).unwrap();
        }
        assert_eq!(lists.cohorts(9), comings.cohorts(9));
        assert!(
            VisitorLists::default()
                .add_encoded(&[7, 1], 0, None)
                .is_none()
        );
        assert!(
            VisitorLists::default()
                .add_encoded(&[0, 1, 2], 0, None)
                .is_none()
        );
    }
}
