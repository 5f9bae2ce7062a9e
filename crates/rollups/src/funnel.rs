//! Funnels: counts the visitors who take several steps in order.

pub const MAX_FUNNEL_STEPS: usize = 10;

/// A page view or an event of a visitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FunnelEvent {
    /// A hash of the visitor id.
    pub visitor: u64,
    /// Seconds since 1970.
    pub timestamp: i64,
    /// The order of events within a second.
    pub sequence: u32,
    /// The steps that the event matches, one bit each; 0 for events that only interrupt a strict
    /// funnel.
    pub matching_steps: u16,
}

/// Events in any order, partitioned by the highest bits of the visitor's hash: a partition fits
/// into the processor's cache while it is sorted.
#[derive(Clone, Debug)]
pub struct FunnelEvents {
    partitions: [Vec<FunnelEvent>; 64],
    length: usize,
}

impl Default for FunnelEvents {
    fn default() -> Self {
        Self {
            partitions: [const { vec![] }; 64],
            length: 0,
        }
    }
}

impl FunnelEvents {
    pub fn push(&mut self, deed: FunnelEvent) {
        let part = usize::try_from(deed.visitor >> 58).unwrap_or_default();
        self.partitions[part].push(deed);
        self.length += 1;
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl Extend<FunnelEvent> for FunnelEvents {
    fn extend<I: IntoIterator<Item = FunnelEvent>>(&mut self, deeds: I) {
        deeds.into_iter().for_each(|deed| self.push(deed));
    }
}

/// The conditions under which steps count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FunnelRules {
    pub step_count: usize,
    /// Whether no other event may lie between two steps.
    pub is_strict: bool,
    /// Maximum time from the first to the last step, in seconds.
    pub window_seconds: i64,
}

impl FunnelRules {
    /// Returns for each step the number of visitors who reach it.
    #[must_use]
    pub fn count_visitors(&self, deeds: FunnelEvents) -> Vec<i64> {
        let mut counts = vec![0; self.step_count];
        for mut part in deeds.partitions {
            part.sort_unstable();
            for visitor in part.chunk_by(|a, b| a.visitor == b.visitor) {
                for count in counts.iter_mut().take(self.steps_reached(visitor)) {
                    *count += 1;
                }
            }
        }
        counts
    }

    /// The number of steps that a visitor with these events reaches.
    fn steps_reached(&self, deeds: &[FunnelEvent]) -> usize {
        // For each step: the start of the latest chain that has reached it.
        let mut chains: [Option<i64>; MAX_FUNNEL_STEPS] = [None; MAX_FUNNEL_STEPS];
        let mut reached = 0;
        for deed in deeds {
            let before = chains;
            for step in 0..self.step_count {
                let is_it = deed.matching_steps & (1 << step) != 0;
                let begun = match step {
                    0 => Some(deed.timestamp),
                    _ => before[step - 1]
                        .filter(|begun| deed.timestamp - begun <= self.window_seconds),
                };
                let begun = begun.filter(|_| is_it);
                // Repeating a step keeps the chain; other events end a strict chain.
                let stays = before[step].filter(|_| is_it || !self.is_strict);
                chains[step] = begun.max(stays);
                if begun.is_some() {
                    reached = reached.max(step + 1);
                }
            }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events of a visitor, ten seconds apart; `.` is another event, `b` matches steps 2 and 3.
    fn reached(is_strict: bool, window: i64, deeds: &str) -> usize {
        let deeds = deeds.chars().zip(0..).map(|(name, order)| FunnelEvent {
            visitor: 1,
            timestamp: i64::from(order) * 10,
            sequence: order,
            matching_steps: match name {
                '1' => 1,
                '2' => 2,
                '3' => 4,
                'b' => 6,
                _ => 0,
            },
        });
        let rules = FunnelRules {
            step_count: 3,
            is_strict,
            window_seconds: window,
        };
        let mut all = FunnelEvents::default();
        all.extend(deeds);
        let counts = rules.count_visitors(all);
        usize::try_from(counts.iter().sum::<i64>()).unwrap()
    }

    #[test]
    fn steps_are_taken_in_their_order() {
        for (deeds, loose, strict) in [
            ("", 0, 0),
            ("23", 0, 0),
            ("123", 3, 3),
            ("1.2.3", 3, 1),
            ("12.3", 3, 2),
            ("132", 2, 1),
            ("1223", 3, 3),
            ("1123", 3, 3),
            ("1b", 2, 2),
            ("1bb", 3, 3),
            ("3211", 1, 1),
            ("12.123", 3, 3),
        ] {
            assert_eq!(reached(false, 1_000, deeds), loose, "loose {deeds}");
            assert_eq!(reached(true, 1_000, deeds), strict, "strict {deeds}");
        }
    }

    #[test]
    fn a_window_counts_from_the_first_step_of_the_latest_chain() {
        assert_eq!(reached(false, 20, "123"), 3);
        assert_eq!(reached(false, 19, "123"), 2);
        assert_eq!(reached(false, 20, "12....3"), 2);
        assert_eq!(reached(false, 20, "1.....123"), 3);
        assert_eq!(reached(false, 20, "12...1.3"), 2);
    }

    #[test]
    fn visitors_are_told_apart() {
        let deed = |visitor, steps, at| FunnelEvent {
            visitor,
            timestamp: at,
            sequence: 0,
            matching_steps: steps,
        };
        let rules = FunnelRules {
            step_count: 2,
            is_strict: false,
            window_seconds: 60,
        };
        let other = u64::MAX;
        let mut deeds = FunnelEvents::default();
        deeds.extend([deed(2, 2, 5), deed(1, 1, 1), deed(2, 1, 4), deed(3, 2, 9)]);
        deeds.extend([deed(other, 2, 3), deed(other, 1, 2)]);
        assert_eq!((deeds.len(), deeds.is_empty()), (6, false));
        assert_eq!(rules.count_visitors(deeds), [3, 2]);
    }
}
