//! Rules about the visits of a session.

use chrono::{DateTime, TimeDelta, Utc};

use super::BotRule;

/// A visit of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionVisit {
    pub timestamp: DateTime<Utc>,
    /// Any number that is the same for the same page.
    pub page: i32,
    /// The status code of the response, if known.
    pub status: Option<u16>,
}

/// Visits and the time within which they are too many for a person.
const BURST_LIMITS: [(usize, TimeDelta); 2] =
    [(30, TimeDelta::seconds(10)), (120, TimeDelta::minutes(2))];
/// Responses with status 404 or 410 in a row.
const MIN_NOT_FOUND_STREAK: usize = 10;
/// Gaps in a row between visits that differ by at most 2 % of the longest one.
const MIN_RHYTHM_VISITS: usize = 12;
const RHYTHM_TOLERANCE_DIVISOR: i64 = 50;
/// Visits with a shorter gap may be parts of one page.
const MIN_RHYTHM_GAP_MS: i64 = 300;

/// Applies the rules to the visits of a session, which are ordered by time.
#[must_use]
pub fn evaluate_session(steps: &[SessionVisit]) -> Vec<BotRule> {
    let rules = [
        (BotRule::HighRate, has_burst(steps)),
        (BotRule::ManyMisses, has_not_found_streak(steps)),
        (BotRule::MachineRhythm, has_regular_gaps(steps)),
    ];
    let fired = rules.into_iter().filter(|(_, fires)| *fires);
    fired.map(|(reason, _)| reason).collect()
}

fn has_burst(steps: &[SessionVisit]) -> bool {
    BURST_LIMITS.iter().any(|(count, within)| {
        let mut windows = steps.windows(*count);
        windows.any(|steps| steps[count - 1].timestamp - steps[0].timestamp < *within)
    })
}

fn has_not_found_streak(steps: &[SessionVisit]) -> bool {
    let is_miss = |step: &SessionVisit| matches!(step.status, Some(404 | 410));
    steps
        .windows(MIN_NOT_FOUND_STREAK)
        .any(|steps| steps.iter().all(is_miss))
}

/// Whether the visits follow each other at equal gaps. A page that reloads itself does that too, so
/// more than half as many different pages as gaps are required.
fn has_regular_gaps(steps: &[SessionVisit]) -> bool {
    steps.windows(MIN_RHYTHM_VISITS + 1).any(|steps| {
        let gaps = steps.windows(2).map(|two| {
            let gap = two[1].timestamp - two[0].timestamp;
            gap.num_milliseconds()
        });
        let (least, most) = gaps.fold((i64::MAX, 0), |(least, most), gap| {
            (least.min(gap), most.max(gap))
        });
        let mut pages: Vec<i32> = steps.iter().map(|step| step.page).collect();
        pages.sort_unstable();
        pages.dedup();
        least >= MIN_RHYTHM_GAP_MS
            && most - least <= most / RHYTHM_TOLERANCE_DIVISOR
            && pages.len() > MIN_RHYTHM_VISITS / 2
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(gaps: &[i64], status: u16) -> Vec<SessionVisit> {
        let mut at = DateTime::from_timestamp(1_795_176_000, 0).unwrap();
        let step = |(page, gap): (usize, &i64)| {
            at += TimeDelta::milliseconds(*gap);
            SessionVisit {
                timestamp: at,
                page: i32::try_from(page).unwrap(),
                status: Some(status),
            }
        };
        gaps.iter().enumerate().map(step).collect()
    }

    #[test]
    fn machines_are_known_by_what_they_do() {
        let reader: Vec<i64> = (0..200).map(|n| 2_000 + (n * 7_919) % 40_000).collect();
        assert_eq!(evaluate_session(&steps(&reader, 200)), []);
        let clicking: Vec<i64> = (0..40).map(|n| 700 + (n * 331) % 900).collect();
        assert_eq!(evaluate_session(&steps(&clicking, 200)), []);
        let burst: Vec<i64> = (0..30).map(|n| 100 + (n * 31) % 200).collect();
        assert_eq!(evaluate_session(&steps(&burst, 200)), [BotRule::HighRate]);
        assert_eq!(
            evaluate_session(&steps(&reader[..10], 404)),
            [BotRule::ManyMisses]
        );
        assert_eq!(evaluate_session(&steps(&reader[..9], 404)), []);
        let even: Vec<i64> = (0..13).map(|n| 5_000 + n % 3 * 20).collect();
        assert_eq!(
            evaluate_session(&steps(&even, 200)),
            [BotRule::MachineRhythm]
        );
        assert_eq!(evaluate_session(&steps(&even[..12], 200)), []);
    }

    #[test]
    fn a_page_that_reloads_itself_is_no_machine() {
        let mut same = steps(&[30_000; 40], 200);
        for step in &mut same {
            step.page = 1;
        }
        assert_eq!(evaluate_session(&same), []);
    }
}
