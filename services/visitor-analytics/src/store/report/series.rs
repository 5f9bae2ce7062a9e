//! Time series: the metrics of each interval.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use rollups::aggregate::{Metrics, ValueId};
use rollups::aggregate_codec::{MetricSums, add_encoded};
use rollups::column_block::ColumnKind;
use rollups::day::LocalDay;
use rollups::query::{Interval, TimeBucket, day_seconds};
use rollups::scan::GroupedMetrics;

use super::column_reader::{ColumnReader, DayBlocks, Grouping};
use super::day_aggregates::CORRUPT_DAY_METRICS;
use super::day_aggregates::DayDetail;
use super::folded_days::partition_folded;
use super::plan::ReportPlan;
use super::query::{AsOf, ReportQuery};
use super::result_cache::ResultKind;
use crate::store::{Store, StoreError};

impl Store {
    /// The metrics of each interval in a period, including empty intervals.
    ///
    /// With days and longer intervals, a session counts in the interval in which it begins. With
    /// hours and minutes, it counts in each interval in which it has a visit.
    pub async fn series(
        &self,
        asked: &ReportQuery,
        interval: Interval,
    ) -> Result<AsOf<Vec<TimeBucket>>, StoreError> {
        let mut plan = self.plan_report(asked).await?;
        let buckets: Vec<TimeBucket> = interval.buckets(&asked.period);
        let mut series = TimeSeries::new(interval, buckets);
        let mut as_of = asked.now;
        match interval {
            Interval::Minute => plan.scan_all(asked),
            Interval::Hour => as_of = self.add_hours(asked, &mut plan, &mut series).await?,
            _ => as_of = self.add_days(asked, &mut plan, &mut series).await?,
        }
        as_of = as_of.min(self.add_scanned_days(asked, &plan, &mut series).await?);
        Ok(AsOf {
            value: series.buckets,
            as_of,
        })
    }

    async fn add_days(
        &self,
        asked: &ReportQuery,
        plan: &mut ReportPlan,
        series: &mut TimeSeries,
    ) -> Result<DateTime<Utc>, StoreError> {
        let mut as_of = self.add_quarter_hours(asked, plan, series).await?;
        if let Some((first, last)) = plan.folded {
            let rows = sqlx::query!(
                "select day, numbers from visitor_analytics.rollup_day
                 where site_id = $1 and dimension = 0 and day between $2 and $3
                   and day <> all($4)",
                asked.site.id,
                first,
                last,
                &plan.dirty,
            );
            for row in rows.fetch_all(&self.pool).await? {
                let mut sums = <[MetricSums; 2]>::default();
                add_encoded(&mut sums, &row.numbers, None).ok_or(CORRUPT_DAY_METRICS)?;
                series.add_day(asked, row.day, sums.map(|sums| sums.total()));
            }
        }
        for date in &plan.dirty {
            let day = (*date, plan.dirty_versions[date]);
            let day = self
                .dirty_day(&asked.site, day, asked.now, DayDetail::Metrics)
                .await?;
            as_of = as_of.min(day.as_of);
            series.add_day(asked, *date, day.total()?);
        }
        Ok(as_of)
    }

    /// Adds the days whose visits are scanned.
    async fn add_scanned_days(
        &self,
        asked: &ReportQuery,
        plan: &ReportPlan,
        series: &mut TimeSeries,
    ) -> Result<DateTime<Utc>, StoreError> {
        let (folded, open) = partition_folded(asked, &plan.dirty_versions, &plan.scanned);
        let what = ResultKind::Series(series.interval);
        let question = self.result_key(asked, what, &folded).await?;
        let scanned = self.scan_buckets(asked, plan, series, &folded);
        let found = self.results.get_or_scan(question, scanned).await?;
        let (parts, as_of) = self.scan_buckets(asked, plan, series, &open).await?;
        for (place, numbers) in found.indexed_metrics().iter().chain(&parts) {
            series.buckets[*place as usize].add(*numbers);
        }
        Ok(as_of)
    }

    /// Scans days. Returns the metrics by the index of the bucket.
    async fn scan_buckets(
        &self,
        asked: &ReportQuery,
        plan: &ReportPlan,
        series: &TimeSeries,
        days: &[LocalDay],
    ) -> Result<(Vec<(ValueId, [Metrics; 2])>, DateTime<Utc>), StoreError> {
        let starts: Vec<i64> = series.buckets.iter().map(|b| b.start.timestamp()).collect();
        let place = |second: i64| -> Option<ValueId> {
            let place = starts.partition_point(|start| *start <= second);
            ValueId::try_from(place.checked_sub(1)?).ok()
        };
        let (by, fields) = match series.interval {
            Interval::Minute => (
                Grouping::Buckets(ColumnKind::Minute, &place),
                vec![ColumnKind::Minute],
            ),
            Interval::Hour => (
                Grouping::Buckets(ColumnKind::QuarterHour, &place),
                vec![ColumnKind::QuarterHour],
            ),
            _ => (Grouping::Total, vec![]),
        };
        let mut reader = ColumnReader::new(self, asked, &plan.dirty_versions, &fields);
        let last = ValueId::try_from(starts.len()).unwrap_or(ValueId::MAX);
        let of_day = matches!(by, Grouping::Total);
        let mut counts = GroupedMetrics::default();
        counts.reserve_values(if of_day { 0 } else { last });
        let mut parts = vec![];
        let count = |day: &DayBlocks, _: &_| {
            counts.add_blocks(&day.blocks, &day_seconds(&day.day), day.is_multi_day);
            if of_day {
                let done = std::mem::take(&mut counts);
                counts.reserve_values(0);
                let place = series.bucket_index(asked, day.day.date);
                let place = place.and_then(|place| ValueId::try_from(place).ok());
                let numbers = done.values().map(|(_, numbers)| numbers);
                parts.extend(numbers.filter_map(|numbers| Some((place?, numbers))));
            }
        };
        reader.for_each_day(days, &by, count).await?;
        if !of_day {
            parts.extend(counts.values());
        }
        Ok((parts, reader.as_of))
    }
}

impl ReportPlan {
    /// Makes the plan scan complete days, too.
    fn scan_all(&mut self, asked: &ReportQuery) {
        self.scanned = asked.period.days().collect();
        self.folded = None;
        self.dirty.clear();
    }
}

/// A series under construction.
pub(super) struct TimeSeries {
    interval: Interval,
    pub(super) buckets: Vec<TimeBucket>,
    indices: HashMap<DateTime<Utc>, usize>,
}

impl TimeSeries {
    fn new(interval: Interval, buckets: Vec<TimeBucket>) -> Self {
        let starts = buckets.iter().enumerate();
        Self {
            interval,
            indices: starts
                .map(|(place, bucket)| (bucket.start, place))
                .collect(),
            buckets,
        }
    }

    pub(super) fn add_day(&mut self, asked: &ReportQuery, date: NaiveDate, both: [Metrics; 2]) {
        if let Some(place) = self.bucket_index(asked, date) {
            self.buckets[place].add(both);
        }
    }

    /// The index of the bucket in which a day begins.
    fn bucket_index(&self, asked: &ReportQuery, date: NaiveDate) -> Option<usize> {
        let zone = asked.period.zone;
        let start = self
            .interval
            .bucket_start(zone, LocalDay::new(zone, date).from);
        self.indices.get(&start).copied()
    }
}
