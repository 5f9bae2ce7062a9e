//! Numbers part by part.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::packed::{By, Reader};
use super::{Answered, Asked, Plan};
use crate::domain::day::{self, Day};
use crate::domain::dimension::Dimension;
use crate::domain::fold::{Numbers, Value};
use crate::domain::pack::Field;
use crate::domain::question::{Bucket, Interval, seconds};
use crate::domain::scan::Counts;
use crate::store::{Store, StoreError};

impl Store {
    /// The numbers of a period's parts, those without visits too.
    ///
    /// In days and longer parts a session counts where it begins; in hours and minutes in each in
    /// which it has a visit.
    pub async fn series(
        &self,
        asked: &Asked,
        interval: Interval,
    ) -> Result<Answered<Vec<Bucket>>, StoreError> {
        let mut plan = self.plan(asked).await?;
        let buckets: Vec<Bucket> = interval.buckets(&asked.period).collect();
        let mut series = Series::new(interval, buckets);
        let mut as_of = asked.now;
        match interval {
            Interval::Minute => plan.scan_all(asked),
            Interval::Hour => as_of = self.add_hours(asked, &plan, &mut series).await?,
            _ => as_of = self.add_days(asked, &plan, &mut series).await?,
        }
        as_of = as_of.min(self.add_scanned(asked, &plan, &mut series).await?);
        Ok(Answered {
            answer: series.buckets,
            as_of,
        })
    }

    async fn add_days(
        &self,
        asked: &Asked,
        plan: &Plan,
        series: &mut Series,
    ) -> Result<DateTime<Utc>, StoreError> {
        let mut as_of = asked.now;
        if let Some((first, last)) = plan.folded {
            let rows = sqlx::query!(
                "select day, is_bot, visits, visitors, sessions, bounces, seconds
                 from visitor_analytics.rollup_day
                 where site_id = $1 and dimension = 0 and day between $2 and $3
                   and day <> all($4)",
                asked.site.id,
                first,
                last,
                &plan.open,
            );
            for row in rows.fetch_all(&self.pool).await? {
                let numbers = Numbers {
                    visits: row.visits.into(),
                    visitors: row.visitors.into(),
                    sessions: row.sessions.into(),
                    bounces: row.bounces.into(),
                    seconds: row.seconds,
                };
                series.add_day(asked, row.day, usize::from(row.is_bot), numbers);
            }
        }
        for date in &plan.open {
            let day = self
                .unfolded(&asked.site, *date, plan.unfolded[date], asked.now)
                .await?;
            as_of = as_of.min(day.as_of);
            for (class, numbers) in day.total().into_iter().enumerate() {
                series.add_day(asked, *date, class, numbers);
            }
        }
        Ok(as_of)
    }

    async fn add_hours(
        &self,
        asked: &Asked,
        plan: &Plan,
        series: &mut Series,
    ) -> Result<DateTime<Utc>, StoreError> {
        let mut as_of = asked.now;
        let zone = asked.site.zone;
        let hours = series.buckets.iter().enumerate().map(|(place, bucket)| {
            let date = Day::of(zone, bucket.start).date;
            ((date, day::hour(zone, bucket.start)), place)
        });
        let hours: HashMap<(NaiveDate, String), usize> = hours.collect();
        let mut add = |date, hour: &str, is_bot: bool, numbers| {
            if let Some(place) = hours.get(&(date, hour.to_owned())) {
                series.buckets[*place].numbers[usize::from(is_bot)] += numbers;
            }
        };
        if let Some((first, last)) = plan.folded {
            let rows = sqlx::query!(
                "select r.day, r.is_bot, v.text, r.visits, r.visitors, r.sessions, r.bounces,
                        r.seconds
                 from visitor_analytics.rollup_day r
                 join visitor_analytics.rollup_value v on v.id = r.value_id
                 where r.site_id = $1 and r.dimension = $2 and r.day between $3 and $4
                   and r.day <> all($5)",
                asked.site.id,
                Dimension::Hour.code(),
                first,
                last,
                &plan.open,
            );
            for row in rows.fetch_all(&self.pool).await? {
                let numbers = Numbers {
                    visits: row.visits.into(),
                    visitors: row.visitors.into(),
                    sessions: row.sessions.into(),
                    bounces: row.bounces.into(),
                    seconds: row.seconds,
                };
                add(row.day, &row.text, row.is_bot, numbers);
            }
        }
        for date in &plan.open {
            let day = self
                .unfolded(&asked.site, *date, plan.unfolded[date], asked.now)
                .await?;
            as_of = as_of.min(day.as_of);
            for row in day.rows(Dimension::Hour) {
                let hour = row.value.as_deref().unwrap_or_default();
                add(*date, hour, row.is_bot, row.numbers);
            }
        }
        Ok(as_of)
    }

    /// The days that are counted visit by visit.
    async fn add_scanned(
        &self,
        asked: &Asked,
        plan: &Plan,
        series: &mut Series,
    ) -> Result<DateTime<Utc>, StoreError> {
        let starts: Vec<i64> = series.buckets.iter().map(|b| b.start.timestamp()).collect();
        let place = |second: i64| -> Option<Value> {
            let place = starts.partition_point(|start| *start <= second);
            Value::try_from(place.checked_sub(1)?).ok()
        };
        let (by, fields) = match series.interval {
            Interval::Minute => (By::Parts(Field::Minute, &place), vec![Field::Minute]),
            Interval::Hour => (By::Parts(Field::Quarter, &place), vec![Field::Quarter]),
            _ => (By::Nothing, vec![]),
        };
        let mut reader = Reader::new(self, asked, &plan.unfolded, &fields);
        let last = Value::try_from(starts.len()).unwrap_or(Value::MAX);
        let of_day = matches!(by, By::Nothing);
        let mut counts = Counts::default();
        counts.grow(if of_day { 0 } else { last });
        let days = &plan.scanned;
        let count = |day: &super::packed::DayOfPacks, _: &_| {
            counts.add(&day.packs, &seconds(&day.day), day.is_mixed);
            if of_day {
                let done = std::mem::take(&mut counts);
                counts.grow(0);
                for (_, numbers) in done.values() {
                    for (class, numbers) in numbers.into_iter().enumerate() {
                        series.add_day(asked, day.day.date, class, numbers);
                    }
                }
            }
        };
        reader.each(days, &by, count).await?;
        for (value, numbers) in counts.values().filter(|_| !of_day) {
            let bucket = &mut series.buckets[value as usize];
            bucket.numbers[0] += numbers[0];
            bucket.numbers[1] += numbers[1];
        }
        Ok(reader.as_of)
    }
}

impl Plan {
    /// Counts whole days visit by visit, too.
    fn scan_all(&mut self, asked: &Asked) {
        self.scanned = asked.period.days().collect();
        self.folded = None;
        self.open.clear();
    }
}

/// A series that grows.
struct Series {
    interval: Interval,
    buckets: Vec<Bucket>,
    places: HashMap<DateTime<Utc>, usize>,
}

impl Series {
    fn new(interval: Interval, buckets: Vec<Bucket>) -> Self {
        let starts = buckets.iter().enumerate();
        Self {
            interval,
            places: starts
                .map(|(place, bucket)| (bucket.start, place))
                .collect(),
            buckets,
        }
    }

    fn add_day(&mut self, asked: &Asked, date: NaiveDate, class: usize, numbers: Numbers) {
        let zone = asked.period.zone;
        let start = self.interval.start(zone, Day::new(zone, date).from);
        if let Some(place) = self.places.get(&start) {
            self.buckets[*place].numbers[class] += numbers;
        }
    }
}
