//! Funnels: how many visitors take step after step.

/// The most steps.
pub const MOST_STEPS: usize = 10;

/// Something that a visitor did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deed {
    /// Who, by a hash of the id.
    pub visitor: u64,
    /// When, in seconds since 1970.
    pub at: i64,
    /// Which came first, within a second.
    pub order: u32,
    /// The steps that it can be, a bit each; none for what only lies between.
    pub steps: u16,
}

/// How steps have to follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    /// How many steps there are.
    pub steps: usize,
    /// Whether nothing may lie between two steps.
    pub is_strict: bool,
    /// Seconds from the first to the last step, at most.
    pub window: i64,
}

impl Rules {
    /// How many visitors reach each step, the first one first.
    #[must_use]
    pub fn count(&self, mut deeds: Vec<Deed>) -> Vec<i64> {
        deeds.sort_unstable();
        let mut counts = vec![0; self.steps];
        for visitor in deeds.chunk_by(|a, b| a.visitor == b.visitor) {
            for count in counts.iter_mut().take(self.reached(visitor)) {
                *count += 1;
            }
        }
        counts
    }

    /// How many steps somebody takes who does this.
    fn reached(&self, deeds: &[Deed]) -> usize {
        // For each step when the latest chain that has come to it began.
        let mut chains: [Option<i64>; MOST_STEPS] = [None; MOST_STEPS];
        let mut reached = 0;
        for deed in deeds {
            let before = chains;
            for step in 0..self.steps {
                let is_it = deed.steps & (1 << step) != 0;
                let begun = match step {
                    0 => Some(deed.at),
                    _ => before[step - 1].filter(|begun| deed.at - begun <= self.window),
                };
                let begun = begun.filter(|_| is_it);
                // Who repeats a step stays there; what lies between ends a strict chain.
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

    /// A visitor does this, ten seconds apart; `.` is something else, `b` may be step 2 and 3.
    fn reached(is_strict: bool, window: i64, deeds: &str) -> usize {
        let deeds = deeds.chars().zip(0..).map(|(name, order)| Deed {
            visitor: 1,
            at: i64::from(order) * 10,
            order,
            steps: match name {
                '1' => 1,
                '2' => 2,
                '3' => 4,
                'b' => 6,
                _ => 0,
            },
        });
        let rules = Rules {
            steps: 3,
            is_strict,
            window,
        };
        let counts = rules.count(deeds.collect());
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
        let deed = |visitor, steps, at| Deed {
            visitor,
            at,
            order: 0,
            steps,
        };
        let rules = Rules {
            steps: 2,
            is_strict: false,
            window: 60,
        };
        let deeds = vec![deed(2, 2, 5), deed(1, 1, 1), deed(2, 1, 4), deed(3, 2, 9)];
        assert_eq!(rules.count(deeds), [2, 1]);
    }
}
