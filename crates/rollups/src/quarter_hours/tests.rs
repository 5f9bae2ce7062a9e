use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::*;
use crate::column_block::{BlockBuilder, BlockRow};

/// A day of 24 hours that begins at `start`, in seconds.
fn day(start: i64) -> Range<i64> {
    start..start + 86_400
}

/// Session, time in seconds, and whether it is a bot's.
type Visit = (u64, i64, bool);

/// Random visits by visitor over two days; some sessions cross midnight.
fn visits() -> BTreeMap<u64, Vec<Visit>> {
    let mut random = 7_u64;
    let mut below = |limit: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % limit
    };
    let mut visits: BTreeMap<u64, Vec<Visit>> = BTreeMap::new();
    for session in 0..400 {
        let mut at = below(2 * 86_400 - 3_000).cast_signed();
        let is_bot = below(4) == 0;
        let mine = visits.entry(below(150)).or_default();
        for _ in 0..=below(4) {
            mine.push((session, at, is_bot));
            at += below(900).cast_signed();
        }
    }
    visits
}

/// The column blocks of a day, with the complete sessions that touch it.
fn packs(visits: &BTreeMap<u64, Vec<Visit>>, day: &Range<i64>) -> Vec<Arc<ColumnBlock>> {
    let mut packer = BlockBuilder::new(day.start);
    for (visitor, visits) in visits {
        let touches = |session| {
            let mine = visits.iter().filter(|visit| visit.0 == session);
            mine.map(|visit| visit.1).any(|at| day.contains(&at))
        };
        for (session, at, is_bot) in visits.iter().filter(|visit| touches(visit.0)) {
            let row = BlockRow {
                timestamp: *at,
                is_bot: *is_bot,
                page: 1,
                origin: 1,
                agent: 1,
                verdict: 1,
                place: 0,
                network: 0,
                language: 0,
                status: 0,
                properties: 0,
            };
            let name = visitor.to_string();
            packer.add(&name, Uuid::from_u128((*session).into()), row, |name| {
                name.parse().unwrap()
            });
        }
    }
    packer.finish().into_iter().map(Arc::new).collect()
}

/// The metrics of a period, computed directly from the visits.
fn plainly(visits: &BTreeMap<u64, Vec<Visit>>, period: &Range<i64>) -> [Metrics; 2] {
    [false, true].map(|class| {
        let (mut sum, mut met) = (Metrics::default(), BTreeSet::new());
        for (visitor, visits) in visits {
            for (place, (session, at, _)) in visits.iter().enumerate() {
                if visits[place].2 != class || !period.contains(at) {
                    continue;
                }
                met.insert(visitor);
                sum.visits += 1;
                let of_it = |other: Option<&Visit>| other.is_some_and(|v| v.0 == *session);
                let next = visits.get(place + 1);
                if of_it(next) {
                    sum.seconds += next.unwrap().1 - at;
                }
                if place == 0 || !of_it(visits.get(place - 1)) {
                    sum.sessions += 1;
                    sum.bounces += i64::from(!of_it(next));
                }
            }
        }
        sum.visitors = i64::try_from(met.len()).unwrap();
        sum
    })
}

#[test]
fn days_of_other_zones_are_told_exactly() {
    let visits = visits();
    let (first, second) = (day(0), day(86_400));
    let (packs, next_packs) = (packs(&visits, &first), packs(&visits, &second));
    let quarters = QuarterHours::from_blocks(&packs, &first).unwrap();
    let next = QuarterHours::from_blocks(&next_packs, &second).unwrap();
    let overlap = MidnightOverlap::from_blocks((&packs, &first), (&next_packs, &second));
    let (quarters, next) = (
        QuarterHours::from_bytes(&quarters.to_bytes()).unwrap(),
        QuarterHours::from_bytes(&next.to_bytes()).unwrap(),
    );
    let overlap = MidnightOverlap::from_bytes(&overlap.to_bytes()).unwrap();
    let moment = |quarter: usize| i64::try_from(quarter).unwrap() * QUARTER_HOUR_SECONDS;
    let (mut told, mut shared) = (0, 0);
    for from in 0..=96 {
        for parts in [0..from, from..96] {
            let seconds = moment(parts.start)..moment(parts.end);
            let numbers = quarters.metrics(parts).unwrap();
            assert_eq!(numbers, plainly(&visits, &seconds), "{seconds:?}");
        }
        for hours in [23, 24, 25] {
            let to = (from + hours * 4).saturating_sub(96);
            if to == 0 || to > 96 {
                continue;
            }
            let both = overlap.visitors(from, 96 - from + to).unwrap();
            let (late, early) = (moment(from)..moment(96), moment(96)..moment(96 + to));
            let counted = count_common_visitors((&packs, &late), (&next_packs, &early));
            assert_eq!(both, counted, "{from} {to}");
            let numbers = quarters.metrics_over_midnight(&next, both, (from, to));
            let seconds = moment(from)..moment(96 + to);
            let right = plainly(&visits, &seconds);
            assert_eq!(numbers, Some(right), "{seconds:?}");
            told += 1;
            let alone = quarters.visitors_since(0, from) + next.visitors_before(0, to);
            shared += alone - right[0].visitors;
        }
    }
    assert!(told > 250 && shared > 1_000, "{told} {shared}");
    assert_eq!(quarters.metrics(3..7), None);
    assert_eq!(overlap.visitors(90, 26), None);
    assert_eq!(quarters.metrics_over_midnight(&next, [0; 2], (97, 1)), None);
}

#[test]
fn a_day_that_cuts_a_quarter_has_none() {
    assert!(
        QuarterHours::without_visits(&(0..86_400))
            .unwrap()
            .has_no_visits()
    );
    assert_eq!(QuarterHours::without_visits(&(60..86_400)), None);
    assert_eq!(QuarterHours::from_bytes(&[200, 1]), None);
    assert_eq!(MidnightOverlap::from_bytes(&[1, 2]), None);
}
