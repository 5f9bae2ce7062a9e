//! Time series: the metrics of each interval.

use std::collections::HashMap;

use chassis::database::StoreError;
use chrono::{DateTime, NaiveDate, Utc};
use rollups::aggregate::{Metrics, ValueId};
use rollups::column_block::ColumnKind;
use rollups::day::LocalDay;
use rollups::query::{Interval, TimeBucket, day_seconds};
use rollups::scan::GroupedMetrics;

use super::column_reader::{ColumnReader, DayBlocks, Grouping};
use super::day_aggregates::DayDetail;
use super::folded_days::partition_folded;
use super::plan::ReportPlan;
use super::query::{AsOf, ReportQuery};
use super::report_engine::ReportEngine;
use super::result_cache::ResultKind;
use super::visitors::{DayGroups, VisitorCounting};

/// The metrics of each interval in a period, including empty intervals.
#[derive(Clone, Debug)]
pub struct Series {
    pub buckets: Vec<TimeBucket>,
    pub counting: VisitorCounting,
}

/// The metrics of a period.
#[derive(Clone, Copy, Debug)]
pub struct PeriodTotals {
    /// The metrics of people's and bots' sessions.
    pub metrics: [Metrics; 2],
    pub counting: VisitorCounting,
}

impl ReportEngine {
    /// The metrics of each interval in a period.
    ///
    /// With days and longer intervals, a session counts in the interval in which it begins. With
    /// hours and minutes, it counts in each interval in which it has a visit. With `is_bot`, the
    /// visitors of the other class may be too few.
    pub async fn series(
        &self,
        query: &ReportQuery,
        interval: Interval,
        is_bot: Option<bool>,
    ) -> Result<AsOf<Series>, StoreError> {
        if !matches!(interval, Interval::Week | Interval::Month) {
            let series = self.summed_series(query, interval).await?;
            let ids = self.period_visitor_ids(query).await?;
            return Ok(series.map(|buckets| Series {
                buckets,
                counting: ids.counting,
            }));
        }
        let days = self.summed_series(query, Interval::Day).await?;
        let mut series = TimeSeries::new(interval, interval.buckets(&query.period));
        let mut group_of = vec![];
        for day in &days.value {
            let date = LocalDay::containing(query.period.zone, day.start).date;
            let index = series.bucket_index(query, date).unwrap_or_default();
            series.buckets[index].add(day.metrics);
            group_of.push(index);
        }
        let mut buckets = series.buckets;
        let groups = DayGroups {
            days: &days.value,
            group_of,
            group_count: buckets.len(),
        };
        let counted = self.count_visitors(query, &groups, is_bot).await?;
        for (bucket, visitors) in buckets.iter_mut().zip(counted.groups.iter().flatten()) {
            bucket.set_visitors(*visitors);
        }
        Ok(AsOf {
            value: Series {
                buckets,
                counting: counted.counting,
            },
            as_of: days.as_of.min(counted.as_of),
        })
    }

    /// The metrics of a whole period. With `is_bot`, the visitors of the other class may be too few.
    pub async fn totals(
        &self,
        query: &ReportQuery,
        is_bot: Option<bool>,
    ) -> Result<AsOf<PeriodTotals>, StoreError> {
        let days = self.summed_series(query, Interval::Day).await?;
        let mut total = TimeBucket {
            start: query.period.from,
            metrics: [Metrics::default(); 2],
        };
        days.value.iter().for_each(|day| total.add(day.metrics));
        let groups = DayGroups {
            days: &days.value,
            group_of: vec![0; days.value.len()],
            group_count: 1,
        };
        let counted = self.count_visitors(query, &groups, is_bot).await?;
        if let Some([visitors]) = counted.groups.as_deref() {
            total.set_visitors(*visitors);
        }
        Ok(AsOf {
            value: PeriodTotals {
                metrics: total.metrics,
                counting: counted.counting,
            },
            as_of: days.as_of.min(counted.as_of),
        })
    }

    /// The metrics of each interval in a period, in which the visitors of days add up.
    pub async fn summed_series(
        &self,
        query: &ReportQuery,
        interval: Interval,
    ) -> Result<AsOf<Vec<TimeBucket>>, StoreError> {
        let mut plan = self.plan_report(query).await?;
        let buckets: Vec<TimeBucket> = interval.buckets(&query.period);
        let mut series = TimeSeries::new(interval, buckets);
        let mut as_of = query.now;
        match interval {
            Interval::Minute => plan.scan_all(query),
            Interval::Hour => as_of = self.add_hours(query, &mut plan, &mut series).await?,
            _ => as_of = self.add_days(query, &mut plan, &mut series).await?,
        }
        as_of = as_of.min(self.add_scanned_days(query, &plan, &mut series).await?);
        Ok(AsOf {
            value: series.buckets,
            as_of,
        })
    }

    async fn add_days(
        &self,
        query: &ReportQuery,
        plan: &mut ReportPlan,
        series: &mut TimeSeries,
    ) -> Result<DateTime<Utc>, StoreError> {
        let mut as_of = self.add_quarter_hours(query, plan, series).await?;
        if let Some((first, last)) = plan.folded {
            let rollups = &self.store.rollups;
            let days = rollups.day_metrics(query.site.id, (first, last), &plan.dirty);
            for (date, metrics) in days.await? {
                series.add_day(query, date, metrics);
            }
        }
        for date in &plan.dirty {
            let day = (*date, plan.dirty_versions[date]);
            let day = self.dirty_day(query, day, DayDetail::Metrics).await?;
            as_of = as_of.min(day.as_of);
            series.add_day(query, *date, day.total()?);
        }
        Ok(as_of)
    }

    /// Adds the days whose visits are scanned.
    async fn add_scanned_days(
        &self,
        query: &ReportQuery,
        plan: &ReportPlan,
        series: &mut TimeSeries,
    ) -> Result<DateTime<Utc>, StoreError> {
        let (folded, unfolded) = partition_folded(query, &plan.dirty_versions, &plan.scanned);
        let kind = ResultKind::Series(series.interval);
        let key = self.result_key(query, kind, &folded).await?;
        let scanned = self.scan_buckets(query, plan, series, &folded);
        let folded_metrics = self.results.get_or_scan(key, scanned).await?;
        let (bucket_metrics, as_of) = self.scan_buckets(query, plan, series, &unfolded).await?;
        for (index, metrics) in folded_metrics
            .indexed_metrics()
            .iter()
            .chain(&bucket_metrics)
        {
            series.buckets[*index as usize].add(*metrics);
        }
        Ok(as_of)
    }

    /// Scans days. Returns the metrics by the index of the bucket.
    async fn scan_buckets(
        &self,
        query: &ReportQuery,
        plan: &ReportPlan,
        series: &TimeSeries,
        days: &[LocalDay],
    ) -> Result<(Vec<(ValueId, [Metrics; 2])>, DateTime<Utc>), StoreError> {
        let starts: Vec<i64> = series.buckets.iter().map(|b| b.start.timestamp()).collect();
        let index = |second: i64| -> Option<ValueId> {
            let index = starts.partition_point(|start| *start <= second);
            ValueId::try_from(index.checked_sub(1)?).ok()
        };
        let (grouping, columns) = match series.interval {
            Interval::Minute => (
                Grouping::Buckets(ColumnKind::Minute, &index),
                vec![ColumnKind::Minute],
            ),
            Interval::Hour => (
                Grouping::Buckets(ColumnKind::QuarterHour, &index),
                vec![ColumnKind::QuarterHour],
            ),
            _ => (Grouping::Total, vec![]),
        };
        let mut reader = ColumnReader::new(self, query, &plan.dirty_versions, &columns);
        let last = ValueId::try_from(starts.len()).unwrap_or(ValueId::MAX);
        let is_daily = matches!(grouping, Grouping::Total);
        let mut counts = GroupedMetrics::default();
        counts.reserve_values(if is_daily { 0 } else { last });
        let mut bucket_metrics = vec![];
        let count = |day: &DayBlocks, _: &_| {
            counts.add_blocks(&day.blocks, &day_seconds(&day.day), day.is_multi_day);
            if is_daily {
                let day_counts = std::mem::take(&mut counts);
                counts.reserve_values(0);
                let index = series.bucket_index(query, day.day.date);
                let index = index.and_then(|index| ValueId::try_from(index).ok());
                let metrics = day_counts.values().map(|(_, metrics)| metrics);
                bucket_metrics.extend(metrics.filter_map(|metrics| Some((index?, metrics))));
            }
        };
        reader.for_each_day(days, &grouping, count).await?;
        if !is_daily {
            bucket_metrics.extend(counts.values());
        }
        Ok((bucket_metrics, reader.as_of))
    }
}

impl ReportPlan {
    /// Makes the plan scan complete days, too.
    fn scan_all(&mut self, query: &ReportQuery) {
        self.scanned = query.period.days().collect();
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
                .map(|(index, bucket)| (bucket.start, index))
                .collect(),
            buckets,
        }
    }

    pub(super) fn add_day(&mut self, query: &ReportQuery, date: NaiveDate, metrics: [Metrics; 2]) {
        if let Some(index) = self.bucket_index(query, date) {
            self.buckets[index].add(metrics);
        }
    }

    /// The index of the bucket in which a day begins.
    fn bucket_index(&self, query: &ReportQuery, date: NaiveDate) -> Option<usize> {
        let zone = query.period.zone;
        let start = self
            .interval
            .bucket_start(zone, LocalDay::new(zone, date).from);
        self.indices.get(&start).copied()
    }
}
