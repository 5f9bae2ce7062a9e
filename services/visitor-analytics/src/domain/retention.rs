//! Retention: how many visitors of a period come again in later ones.

use std::collections::HashMap;

/// Periods that can be told apart.
pub const MOST_PERIODS: usize = 31;

/// In which periods visitors came, a bit each.
#[derive(Debug, Default)]
pub struct Comings(HashMap<u64, u32>);

impl Comings {
    /// A visitor came in a period, of [`MOST_PERIODS`].
    pub fn add(&mut self, visitor: u64, period: usize) {
        *self.0.entry(visitor).or_default() |= 1 << period;
    }

    /// How many visitors there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// For each of so many periods the visitors who came in it first, and how many of them came in
    /// it and in each later one.
    #[must_use]
    pub fn cohorts(&self, periods: usize) -> Vec<Vec<i64>> {
        let mut cohorts: Vec<Vec<i64>> = (0..periods).map(|n| vec![0; periods - n]).collect();
        for came in self.0.values() {
            let first = came.trailing_zeros() as usize;
            for (later, count) in cohorts[first].iter_mut().enumerate() {
                *count += i64::from(came >> (first + later) & 1);
            }
        }
        cohorts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitor_belongs_to_the_first_period() {
        let mut comings = Comings::default();
        for (visitor, period) in [(1, 0), (1, 2), (2, 0), (2, 0), (3, 1), (3, 2)] {
            comings.add(visitor, period);
        }
        let cohorts = comings.cohorts(3);
        assert_eq!(cohorts, [vec![2, 0, 1], vec![1, 1], vec![0]]);
    }
}
