use super::*;
use crate::cohort::encode_visitors;
use crate::column_block::{BlockBuilder, BlockRow, ColumnBlock};

/// A hash of a number, evenly distributed.
fn hash(number: u64) -> u64 {
    let mixed = (number ^ (number >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// A day on which these visitors came; each tenth is a bot.
fn day(visitors: impl Iterator<Item = u64>) -> Vec<u8> {
    let mut builder = BlockBuilder::new(0);
    for visitor in visitors {
        let row = BlockRow {
            timestamp: 5,
            is_bot: visitor % 10 == 0,
            ..BlockRow::default()
        };
        let session = uuid::Uuid::from_u128(visitor.into());
        builder.add(&visitor.to_string(), session, row, |_| hash(visitor));
    }
    let blocks: Vec<ColumnBlock> = builder.finish();
    encode_visitors(&blocks[0], &(0..86_400))
}

fn count(days: &[Vec<u8>], is_estimated: bool) -> [i64; 2] {
    let mut visitors = PeriodVisitors::new(is_estimated);
    for list in days {
        match encode_sketches(list) {
            Some([people, bots]) if is_estimated => {
                visitors.add_sketch(&people, false).unwrap();
                visitors.add_sketch(&bots, true).unwrap();
            }
            _ => visitors.add_list(list.clone()).unwrap(),
        }
    }
    visitors.count()
}

#[test]
fn a_visitor_of_several_days_counts_once() {
    let days = [day(1..=30), day(21..=50), day(1..=50)];
    assert_eq!(count(&days, false), [45, 5]);
    assert_eq!(count(&[], false), [0, 0]);
}

#[test]
fn short_days_have_no_sketch_and_are_counted_exactly() {
    assert!(encode_sketches(&day(1..=1_024)).is_none());
    assert!(encode_sketches(&day(1..=1_025)).is_some());
    let days = [day(1..=1_000), day(501..=1_500)];
    assert_eq!(count(&days, true), [1_350, 150]);
}

#[test]
fn sketches_and_lists_of_different_days_add_up() {
    let days = [day(1..=40_000), day(20_001..=60_000), day(59_501..=60_500)];
    let [people, bots] = count(&days, true);
    let is_near = |estimate: i64, exact: i64| (estimate - exact).abs() * 50 <= exact;
    assert!(is_near(people, 54_450), "{people}");
    assert!(is_near(bots, 6_050), "{bots}");
    assert_eq!(count(&days, false), [54_450, 6_050]);
}

#[test]
fn broken_bytes_are_refused() {
    let mut visitors = PeriodVisitors::new(true);
    for bytes in [&[][..], &[9, 1], &[1, 2, 3]] {
        assert!(visitors.add_sketch(bytes, false).is_none(), "{bytes:?}");
        assert!(visitors.add_list(bytes.to_vec()).is_none(), "{bytes:?}");
        assert!(encode_sketches(bytes).is_none(), "{bytes:?}");
    }
}

#[test]
fn groups_are_counted_apart_exactly_and_then_by_sketches() {
    let mut visitors = DistinctVisitors::default();
    for number in 0..500_000 {
        visitors.insert(1, hash(number));
        visitors.insert(2, hash(number % 1_000));
    }
    assert!(!visitors.is_estimated());
    let exact = HashMap::from([(1, 500_000), (2, 1_000)]);
    assert_eq!(visitors.counts(), exact);
    for number in 0..700_000 {
        visitors.insert(3, hash(number));
    }
    assert!(visitors.is_estimated());
    for (group, exact) in [(1, 500_000), (2, 1_000), (3, 700_000_i64)] {
        let estimate = visitors.counts()[&group];
        assert!(
            (estimate - exact).abs() * 50 <= exact,
            "{group}: {estimate}"
        );
    }
}
