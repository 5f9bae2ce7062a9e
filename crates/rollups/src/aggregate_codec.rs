//! Compact encoding of metrics by value, and their sums over days.
//!
//! The format: the length in bytes of the people's metrics, the people's metrics, the bots'
//! metrics. Each is a sequence of entries in ascending order of value ids: the difference to the
//! previous id, visits, visitors, sessions, bounces and seconds, all as [`super::varint`].

use super::aggregate::Metrics;
use super::varint::{read_varint, write_varint};

/// An id of `rollup_value` and its metrics.
pub type ValueMetrics = (u32, Metrics);

/// Metrics by value, in ascending order of value ids without duplicates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricSums(Vec<ValueMetrics>);

impl MetricSums {
    /// The entries in order.
    #[must_use]
    pub fn entries(&self) -> &[ValueMetrics] {
        &self.0
    }

    #[must_use]
    pub fn into_entries(self) -> Vec<ValueMetrics> {
        self.0
    }

    /// Adds entries, which must be in ascending order without duplicates.
    pub fn add(&mut self, lines: impl IntoIterator<Item = ValueMetrics>) {
        let (mut place, mut new) = (0, vec![]);
        for (value, numbers) in lines {
            while self.0.get(place).is_some_and(|(known, _)| *known < value) {
                place += 1;
            }
            match self.0.get_mut(place) {
                Some((known, sum)) if *known == value => *sum += numbers,
                _ => new.push((value, numbers)),
            }
        }
        if !new.is_empty() {
            // The sort only merges two sorted runs.
            self.0.append(&mut new);
            self.0.sort_by_key(|(value, _)| *value);
        }
    }

    /// The sum over all values.
    #[must_use]
    pub fn total(&self) -> Metrics {
        let numbers = self.0.iter().map(|(_, numbers)| *numbers);
        numbers.fold(Metrics::default(), std::ops::Add::add)
    }
}

impl FromIterator<ValueMetrics> for MetricSums {
    fn from_iter<I: IntoIterator<Item = ValueMetrics>>(lines: I) -> Self {
        let mut lines: Vec<ValueMetrics> = lines.into_iter().collect();
        lines.sort_by_key(|(value, _)| *value);
        Self(lines)
    }
}

/// Encodes the metrics of people and of bots.
#[must_use]
pub fn encode([people, bots]: &[MetricSums; 2]) -> Vec<u8> {
    let people = encode_entries(people);
    let mut bytes = vec![];
    write_varint(&mut bytes, people.len() as u64);
    bytes.extend(people);
    bytes.extend(encode_entries(bots));
    bytes
}

fn encode_entries(sums: &MetricSums) -> Vec<u8> {
    let (mut bytes, mut last) = (Vec::with_capacity(sums.0.len() * 8), 0);
    for (value, numbers) in &sums.0 {
        write_varint(&mut bytes, (value - last).into());
        last = *value;
        for number in metric_values(numbers) {
            // Metrics are never negative.
            write_varint(&mut bytes, number.try_into().unwrap_or_default());
        }
    }
    bytes
}

fn metric_values(numbers: &Metrics) -> [i64; 5] {
    [
        numbers.visits,
        numbers.visitors,
        numbers.sessions,
        numbers.bounces,
        numbers.seconds,
    ]
}

/// Adds the encoded metrics of a day to the sums of people, of bots, or (`None`) of both. Returns
/// `None` if the bytes are invalid.
#[must_use]
pub fn add_encoded(
    sums: &mut [MetricSums; 2],
    mut bytes: &[u8],
    is_bot: Option<bool>,
) -> Option<()> {
    let length = usize::try_from(read_varint(&mut bytes)?).ok()?;
    let (people, bots) = bytes.split_at_checked(length)?;
    for (class, bytes) in [people, bots].into_iter().enumerate() {
        if is_bot.is_none_or(|is_bot| usize::from(is_bot) == class) {
            let mut reader = MetricsDecoder {
                bytes,
                last_value: 0,
            };
            sums[class].add(&mut reader);
            if !reader.bytes.is_empty() {
                return None;
            }
        }
    }
    Some(())
}

/// Stops early at invalid bytes, which then remain.
struct MetricsDecoder<'a> {
    bytes: &'a [u8],
    last_value: u32,
}

impl Iterator for MetricsDecoder<'_> {
    type Item = ValueMetrics;

    fn next(&mut self) -> Option<ValueMetrics> {
        let mut rest = self.bytes;
        let more = u32::try_from(read_varint(&mut rest)?).ok()?;
        let value = self.last_value.checked_add(more)?;
        let mut number = || read_varint(&mut rest).and_then(|number| i64::try_from(number).ok());
        let numbers = Metrics {
            visits: number()?,
            visitors: number()?,
            sessions: number()?,
            bounces: number()?,
            seconds: number()?,
        };
        (self.bytes, self.last_value) = (rest, value);
        Some((value, numbers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(value: u32, visits: i64) -> ValueMetrics {
        let numbers = Metrics {
            visits,
            visitors: 1,
            sessions: 2,
            bounces: 0,
            seconds: visits * 1_000,
        };
        (value, numbers)
    }

    #[test]
    fn sums_are_kept_in_order() {
        let mut sums = MetricSums::default();
        sums.add([line(3, 1), line(900, 2)]);
        sums.add([line(0, 4), line(3, 5), line(7, 6)]);
        let visits: Vec<_> = sums.entries().iter().map(|(v, n)| (*v, n.visits)).collect();
        assert_eq!(visits, [(0, 4), (3, 6), (7, 6), (900, 2)]);
        assert_eq!((sums.total().visits, sums.total().visitors), (18, 5));
    }

    #[test]
    fn bytes_come_back_and_others_do_not() {
        let people: MetricSums = [line(900, 300), line(0, 1)].into_iter().collect();
        let bots: MetricSums = [line(5, 70_000)].into_iter().collect();
        let bytes = encode(&[people.clone(), bots.clone()]);
        let mut all = <[MetricSums; 2]>::default();
        add_encoded(&mut all, &bytes, None).unwrap();
        assert_eq!(all, [people, bots.clone()]);
        let mut some = <[MetricSums; 2]>::default();
        add_encoded(&mut some, &bytes, Some(true)).unwrap();
        assert_eq!(some, [MetricSums::default(), bots]);
        let alone = encode(&[all[0].clone(), MetricSums::default()]);
        for length in 0..alone.len() {
            let mut sums = <[MetricSums; 2]>::default();
            assert_eq!(add_encoded(&mut sums, &alone[..length], None), None);
        }
        assert_eq!(add_encoded(&mut all, &[9, 1], None), None);
        assert_eq!(add_encoded(&mut all, &[], None), None);
    }
}
