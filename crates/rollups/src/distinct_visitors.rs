//! Counts visitors once in a period of several days: exactly, or by sketches above a size.
//!
//! The sketches are `HyperLogLog` sketches in the format of Apache `DataSketches`
//! (<https://datasketches.apache.org/docs/HLL/HLL.html>).

use std::collections::{HashMap, HashSet};

use datasketches::hll::{HllSketch, HllType, HllUnion};

use super::cohort::VisitorLists;

/// The binary logarithm of the number of registers of a day's sketch, each of one byte.
const DAY_SKETCH_LOG: u8 = 15;
/// The same of the sketch of a group, of which a report may have thousands.
const GROUP_SKETCH_LOG: u8 = 14;
/// Where the registers of a sketch with 8 bits per register begin.
const REGISTERS_START: usize = 40;
/// A day with at most this many visitors has no sketch: its list of visitors is as short.
const MAX_LISTED_VISITORS: usize = 1_024;
/// The number of visitors of all groups that are counted exactly.
const MAX_EXACT_VISITORS: usize = 1 << 20;

/// Relative error that the estimates of [`PeriodVisitors`] exceed in 5 % of cases: 1.96 times the
/// standard error of merged `HyperLogLog` sketches, 1.04 divided by the root of the registers.
pub const DAY_SKETCH_ERROR: f64 = 0.0113;
/// The same for [`DistinctVisitors`].
pub const GROUP_SKETCH_ERROR: f64 = 0.0159;

/// The sketches of the people and of the bots of a day, from the list that
/// [`super::cohort::encode_visitors`] makes; `None` if the list suffices or is invalid.
#[must_use]
pub fn encode_sketches(list: &[u8]) -> Option<[Vec<u8>; 2]> {
    let classes = [keys(list, false)?, keys(list, true)?];
    if classes.iter().flat_map(VisitorLists::keys).count() <= MAX_LISTED_VISITORS {
        return None;
    }
    Some(classes.map(|keys| {
        let mut union = day_union();
        keys.keys().for_each(|key| union.update_value(key));
        union.to_sketch(HllType::Hll8).serialize()
    }))
}

fn day_union() -> HllUnion {
    HllUnion::new(DAY_SKETCH_LOG).expect("the size is one that sketches have")
}

/// Counts the visitors of days, people and bots apart.
#[derive(Debug)]
pub enum PeriodVisitors {
    /// The lists of the days.
    Exact(Vec<Vec<u8>>),
    /// The merged sketches of people and bots.
    Estimated(Box<[MergedSketches; 2]>),
}

impl PeriodVisitors {
    /// Counts days exactly, which needs their lists in memory, or estimates.
    #[must_use]
    pub fn new(is_estimated: bool) -> Self {
        if is_estimated {
            Self::Estimated(Box::default())
        } else {
            Self::Exact(vec![])
        }
    }

    /// Adds a day's list of visitors; `None` if the bytes are invalid.
    #[must_use]
    pub fn add_list(&mut self, list: Vec<u8>) -> Option<()> {
        let (people, bots) = (keys(&list, false)?, keys(&list, true)?);
        match self {
            Self::Exact(lists) => lists.push(list),
            Self::Estimated(classes) => {
                for (merged, keys) in classes.iter_mut().zip([people, bots]) {
                    keys.keys().for_each(|key| merged.others.update_value(key));
                }
            }
        }
        Some(())
    }

    /// Adds a day's sketch of people or of bots; `None` if the bytes are invalid or the count is
    /// exact.
    #[must_use]
    pub fn add_sketch(&mut self, sketch: &[u8], is_bot: bool) -> Option<()> {
        match self {
            Self::Estimated(classes) => classes[usize::from(is_bot)].add(sketch),
            Self::Exact(_) => None,
        }
    }

    /// The numbers of people and of bots.
    #[must_use]
    pub fn count(&self) -> [i64; 2] {
        match self {
            Self::Exact(lists) => [false, true].map(|is_bot| {
                let mut all = VisitorLists::default();
                let added = lists
                    .iter()
                    .try_for_each(|list| all.add_encoded(list, 0, Some(is_bot)));
                added.map_or(0, |()| all.count())
            }),
            Self::Estimated(classes) => {
                let [people, bots] = &**classes;
                [people, bots].map(MergedSketches::estimate)
            }
        }
    }
}

/// The union of sketches. Those with registers are merged register by register, because
/// [`HllUnion::update`] computes its estimate anew for each sketch, which takes a tenth of a
/// millisecond.
#[derive(Clone, Debug)]
pub struct MergedSketches {
    /// A sketch with the registers of all sketches that have some.
    registers: Option<Vec<u8>>,
    others: HllUnion,
}

impl Default for MergedSketches {
    fn default() -> Self {
        Self {
            registers: None,
            others: day_union(),
        }
    }
}

impl MergedSketches {
    /// Adds an encoded sketch; `None` if the bytes are invalid.
    fn add(&mut self, bytes: &[u8]) -> Option<()> {
        if bytes.len() != REGISTERS_START + (1 << DAY_SKETCH_LOG) {
            self.others.update(&HllSketch::deserialize(bytes).ok()?);
            return Some(());
        }
        let Some(merged) = &mut self.registers else {
            HllSketch::deserialize(bytes).ok()?;
            self.registers = Some(bytes.to_vec());
            return Some(());
        };
        // Version, family and number of registers.
        if merged[..4] != bytes[..4] {
            return None;
        }
        let merged = merged[REGISTERS_START..].iter_mut();
        for (merged, register) in merged.zip(&bytes[REGISTERS_START..]) {
            *merged = (*merged).max(*register);
        }
        Some(())
    }

    fn estimate(&self) -> i64 {
        let mut union = self.others.clone();
        let merged = self.registers.as_deref().map(HllSketch::deserialize);
        if let Some(Ok(merged)) = merged {
            // What the sketch knows about its registers is that of the first day. The second update
            // computes it from the registers.
            union.update(&merged);
            union.update(&merged);
        }
        rounded(union.estimate())
    }
}

/// The people or the bots of a list.
fn keys(list: &[u8], is_bot: bool) -> Option<VisitorLists<'_>> {
    let mut keys = VisitorLists::default();
    keys.add_encoded(list, 0, Some(is_bot))?;
    Some(keys)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "an estimate of visitors is far below 2^63"
)]
fn rounded(estimate: f64) -> i64 {
    estimate.round() as i64
}

/// Counts distinct visitors by group.
#[derive(Clone, Debug, Default)]
pub struct DistinctVisitors {
    exact: HashSet<(u32, u64)>,
    /// `None` while all groups are counted exactly.
    sketches: Option<HashMap<u32, HllSketch>>,
}

impl DistinctVisitors {
    /// Adds a visitor, by a hash, to a group.
    pub fn insert(&mut self, group: u32, key: u64) {
        if let Some(sketches) = &mut self.sketches {
            add_to_group(sketches, group, key);
            return;
        }
        self.exact.insert((group, key));
        if self.exact.len() > MAX_EXACT_VISITORS {
            self.start_estimating();
        }
    }

    fn start_estimating(&mut self) {
        let mut sketches = HashMap::new();
        for (group, key) in std::mem::take(&mut self.exact) {
            add_to_group(&mut sketches, group, key);
        }
        self.sketches = Some(sketches);
    }

    /// Whether the counts are estimates.
    #[must_use]
    pub fn is_estimated(&self) -> bool {
        self.sketches.is_some()
    }

    /// The number of visitors of each group that has any.
    #[must_use]
    pub fn counts(&self) -> HashMap<u32, i64> {
        let mut counts = HashMap::new();
        for (group, _) in &self.exact {
            *counts.entry(*group).or_default() += 1;
        }
        for (group, sketch) in self.sketches.iter().flatten() {
            counts.insert(*group, rounded(sketch.estimate()));
        }
        counts
    }
}

fn add_to_group(sketches: &mut HashMap<u32, HllSketch>, group: u32, key: u64) {
    let sketch = sketches.entry(group).or_insert_with(|| {
        HllSketch::new(GROUP_SKETCH_LOG, HllType::Hll8).expect("the size is one that sketches have")
    });
    sketch.update(key);
}

#[cfg(test)]
mod tests;
