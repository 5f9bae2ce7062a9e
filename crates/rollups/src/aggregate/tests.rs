use std::collections::HashSet;

use super::*;

/// A pseudorandom generator (xorshift) with a seed, so that a failure can be reproduced.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 % u64::from(limit)).unwrap()
    }
}

/// A visit with its visitor and session.
struct Stored {
    visitor: String,
    session: Uuid,
    visit: AggregateVisit,
}

/// Sessions around a day that lasts from 1,000 to 2,000, in the order that [`DayAggregator`]
/// requires.
fn sessions(random: &mut Random) -> Vec<Stored> {
    let mut all = vec![];
    let mut next = 0;
    for visitor in 0..=random.below(5) {
        for _ in 0..random.below(4) {
            next += 1;
            let mut at = i64::from(random.below(2_500));
            for _ in 0..=random.below(6) {
                let visit = visit(random, at);
                all.push(Stored {
                    visitor: visitor.to_string(),
                    session: Uuid::from_u128(next),
                    visit,
                });
                at += i64::from(random.below(600));
            }
        }
    }
    all
}

fn visit(random: &mut Random, at: i64) -> AggregateVisit {
    let page = 1 + random.below(4);
    let reasons: HashSet<ValueId> = (0..random.below(3)).map(|_| random.below(3)).collect();
    let mut own = vec![
        DimensionValue::new(Dimension::Page, page),
        DimensionValue::new(Dimension::Country, random.below(3)),
    ];
    own.extend(
        reasons
            .into_iter()
            .map(|r| DimensionValue::new(Dimension::BotReason, r)),
    );
    AggregateVisit {
        timestamp: at,
        is_bot: random.below(8) == 0,
        page,
        values: own,
        origin_values: [DimensionValue::new(Dimension::Source, random.below(3))].into(),
    }
}

/// The metrics of one value and class, computed directly from the definition.
fn defined(all: &[Stored], day: &Range<i64>, key: DimensionValue, is_bot: bool) -> Metrics {
    let mut numbers = Metrics::default();
    let mut visitors = HashSet::new();
    for session in all.chunk_by(|a, b| a.session == b.session) {
        if session.iter().any(|one| one.visit.is_bot) != is_bot {
            continue;
        }
        let (entry, exit) = (&session[0].visit, &session[session.len() - 1].visit);
        let has = |visit: &AggregateVisit| match key.dimension {
            Dimension::Total => true,
            Dimension::EntryPage => entry.page == key.value,
            Dimension::ExitPage => exit.page == key.value,
            Dimension::Source => entry.origin_values.contains(&key),
            _ => visit.values.contains(&key),
        };
        for (place, one) in session.iter().enumerate() {
            if has(&one.visit) && day.contains(&one.visit.timestamp) {
                numbers.visits += 1;
                visitors.insert(&one.visitor);
                let next = session.get(place + 1);
                numbers.seconds +=
                    next.map_or(0, |next| next.visit.timestamp - one.visit.timestamp);
            }
        }
        let first = session.iter().find(|one| has(&one.visit));
        if first.is_some_and(|first| day.contains(&first.visit.timestamp)) {
            numbers.sessions += 1;
            numbers.bounces += i64::from(session.len() == 1);
        }
    }
    numbers.visitors = i64::try_from(visitors.len()).unwrap();
    numbers
}

fn folded(all: &[Stored], day: Range<i64>) -> MetricsByValue {
    let mut fold = DayAggregator::new(day);
    for one in all {
        fold.add(&one.visitor, one.session, one.visit.clone());
    }
    fold.finish()
}

fn every_key() -> Vec<(DimensionValue, bool)> {
    let keys = Dimension::ALL
        .into_iter()
        .flat_map(|dimension| (0..6).map(move |value| DimensionValue::new(dimension, value)));
    keys.filter(|key| key.dimension != Dimension::Total || key.value == NO_VALUE)
        .flat_map(|key| [(key, false), (key, true)])
        .collect()
}

#[test]
fn folding_gives_the_numbers_of_the_definition() {
    for seed in 1..=500 {
        let all = sessions(&mut Random(seed));
        let totals = folded(&all, 1_000..2_000);
        let mut met = 0;
        for (key, is_bot) in every_key() {
            let expected = defined(&all, &(1_000..2_000), key, is_bot);
            let found = totals.get(&(key, is_bot));
            met += usize::from(found.is_some());
            assert_eq!(
                found.copied().unwrap_or_default(),
                expected,
                "seed {seed} {key:?} {is_bot}"
            );
        }
        assert_eq!(met, totals.len(), "seed {seed}: unexpected value");
    }
}

#[test]
fn days_add_up_but_for_visitors() {
    for seed in 1..=200 {
        let all = sessions(&mut Random(seed));
        let whole = folded(&all, 0..10_000);
        let days = (0..10).map(|day| folded(&all, day * 1_000..(day + 1) * 1_000));
        let mut sums = MetricsByValue::new();
        for (key, numbers) in days.flatten() {
            let sum = sums.entry(key).or_default();
            sum.visits += numbers.visits;
            sum.sessions += numbers.sessions;
            sum.bounces += numbers.bounces;
            sum.seconds += numbers.seconds;
        }
        for (key, mut numbers) in whole {
            numbers.visitors = 0;
            assert_eq!(sums.remove(&key), Some(numbers), "seed {seed} {key:?}");
        }
        assert!(sums.is_empty());
    }
}
