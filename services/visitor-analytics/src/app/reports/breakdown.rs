//! Breakdowns: the metrics of each value of a dimension.

use std::collections::HashMap;
use std::sync::Arc;

use chassis::database::StoreError;
use chrono::{DateTime, Datelike as _, Utc};
use rollups::aggregate::{Metrics, NO_VALUE, ValueId};
use rollups::aggregate_codec::MetricSums;
use rollups::day::LocalDay;
use rollups::dimension::Dimension;
use rollups::query::{Attribute, Interval, TimeBucket, day_seconds, property_value};
use rollups::scan::GroupedMetrics;

use super::column_reader::{ColumnReader, DayBlocks, Grouping};
use super::day_aggregates::DayDetail;
use super::folded_days::partition_folded;
use super::plan::ReportPlan;
use super::query::{AsOf, ReportQuery};
use super::report_engine::ReportEngine;
use super::result_cache::ResultKind;
use super::visitors::{DayGroups, VisitorCounting};
use crate::store::ValueDictionary;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakdownOrder {
    Visitors,
    Sessions,
    Visits,
    BounceRate,
    AverageSeconds,
    /// The values themselves in alphabetical order; a missing value comes first.
    Value,
}

#[derive(Clone, Debug)]
pub struct BreakdownQuery {
    /// The dimension by which visits are grouped.
    pub subject: Attribute,
    /// The name of the property, for the dimension of properties; all of them if `None`.
    pub property: Option<String>,
    /// Only sessions of bots (`true`) or people (`false`); all if `None`.
    pub is_bot: Option<bool>,
    /// The sort order; metrics are sorted in descending order.
    pub order: BreakdownOrder,
    /// The number of values to skip.
    pub offset: i64,
    /// The maximum number of values.
    pub limit: i64,
    /// Whether the numbers of visitors are needed. Otherwise those of days are added up.
    pub needs_visitors: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakdownRow {
    /// `None` for visits without a value.
    pub value: Option<Arc<str>>,
    pub metrics: Metrics,
}

/// The values of a dimension in order: at most one more than the limit.
#[derive(Clone, Debug)]
pub struct Breakdown {
    pub rows: Vec<BreakdownRow>,
    pub counting: VisitorCounting,
}

type MetricsByText = HashMap<Option<Arc<str>>, Metrics>;

impl ReportEngine {
    /// The values of a dimension in order. Returns one more than the limit if there are more.
    pub async fn breakdown(
        &self,
        query: &ReportQuery,
        breakdown: &BreakdownQuery,
    ) -> Result<AsOf<Breakdown>, StoreError> {
        let dimension = match breakdown.subject {
            Attribute::Weekday => return self.breakdown_by_weekday(query, breakdown).await,
            Attribute::Dimension(Dimension::Hour) => {
                return self.breakdown_by_hour(query, breakdown).await;
            }
            Attribute::Dimension(dimension) => dimension,
        };
        // Visitors are counted per day of the site's time zone, whatever the time zone of the
        // query.
        let plan = self.plan_report(&query.in_site_time_zone()).await?;
        let (mut all, mut as_of) = self.sum_days(query, &plan, breakdown, dimension).await?;
        as_of = as_of.min(
            self.add_scanned_values(query, &plan, breakdown, &mut all)
                .await?,
        );
        let site_query = query.in_site_time_zone();
        let (repeats, counting) = self.repeat_visitors(&site_query, breakdown).await?;
        let entries = all.into_entries().into_iter().map(|(value, mut metrics)| {
            if let Some(repeats) = repeats.by_value.get(&value) {
                metrics.visitors -= breakdown.select_visitors(*repeats);
            }
            (value, metrics)
        });
        let rows = self.resolve_rows(breakdown, entries.collect()).await?;
        Ok(AsOf {
            value: Breakdown { rows, counting },
            as_of,
        })
    }

    /// The sums of complete days.
    async fn sum_days(
        &self,
        query: &ReportQuery,
        plan: &ReportPlan,
        breakdown: &BreakdownQuery,
        dimension: Dimension,
    ) -> Result<(MetricSums, DateTime<Utc>), StoreError> {
        let (mut sums, mut as_of) = (<[MetricSums; 2]>::default(), query.now);
        if let Some(period) = plan.folded {
            let site_dimension = (query.site.id, dimension);
            let rollups = &self.store.rollups;
            sums = rollups
                .dimension_sums(site_dimension, period, &plan.dirty, breakdown.is_bot)
                .await?;
        }
        for date in &plan.dirty {
            let day = (*date, plan.dirty_versions[date]);
            let day = self.dirty_day(query, day, DayDetail::Metrics).await?;
            as_of = as_of.min(day.as_of);
            day.add_to(&mut sums, dimension, breakdown.is_bot)?;
        }
        let [mut sum, bot_sums] = sums;
        sum.add(bot_sums.into_entries());
        Ok((sum, as_of))
    }

    /// Resolves the values' texts, and sorts and limits the rows.
    async fn resolve_rows(
        &self,
        breakdown: &BreakdownQuery,
        sums: MetricSums,
    ) -> Result<Vec<BreakdownRow>, StoreError> {
        if breakdown.order == BreakdownOrder::Value || breakdown.property.is_some() {
            let texts = self
                .store
                .rollups
                .value_texts(sums.entries().iter().map(|entry| entry.0))
                .await?;
            let entries = sums.into_entries().into_iter();
            let rows_with_text = entries.map(|(id, metrics)| (texts.get(&id).cloned(), metrics));
            return Ok(breakdown.select_rows(rows_with_text));
        }
        let first = breakdown.sort_and_limit(sums.into_entries());
        let texts = self
            .store
            .rollups
            .value_texts(first.iter().map(|entry| entry.0))
            .await?;
        let values = first.into_iter().map(|(id, metrics)| BreakdownRow {
            value: texts.get(&id).cloned(),
            metrics,
        });
        Ok(values.collect())
    }

    async fn add_scanned_values(
        &self,
        query: &ReportQuery,
        plan: &ReportPlan,
        breakdown: &BreakdownQuery,
        sums: &mut MetricSums,
    ) -> Result<DateTime<Utc>, StoreError> {
        let subject = breakdown.subject;
        let (folded, unfolded) = partition_folded(query, &plan.dirty_versions, &plan.scanned);
        let key = self
            .result_key(query, ResultKind::Values(subject), &folded)
            .await?;
        let scanned = self.scan_values(query, plan, subject, &folded);
        let folded_values = self.results.get_or_scan(key, scanned).await?;
        let (values, as_of) = self.scan_values(query, plan, subject, &unfolded).await?;
        let counts_missing = subject != Attribute::Dimension(Dimension::Property);
        for values in [folded_values.indexed_metrics(), &values] {
            let entries = values
                .iter()
                .map(|(value, classes)| (*value, breakdown.select_class(*classes)));
            let entries = entries.filter(|(value, metrics)| {
                metrics.visits > 0 && (counts_missing || *value != NO_VALUE)
            });
            sums.add(entries.collect::<MetricSums>().into_entries());
        }
        Ok(as_of)
    }

    /// The metrics of people and bots, by the ids of the values' texts.
    async fn scan_values(
        &self,
        query: &ReportQuery,
        plan: &ReportPlan,
        subject: Attribute,
        days: &[LocalDay],
    ) -> Result<(Vec<(u32, [Metrics; 2])>, DateTime<Utc>), StoreError> {
        let mut reader = ColumnReader::new(self, query, &plan.dirty_versions, &[subject.column()]);
        let mut counts = GroupedMetrics::default();
        let count = |day: &DayBlocks, dictionary: &ValueDictionary| {
            counts.reserve_values(dictionary.max_id());
            counts.add_blocks(&day.blocks, &day_seconds(&day.day), day.is_multi_day);
        };
        reader
            .for_each_day(days, &Grouping::Values(subject), count)
            .await?;
        let values = self.stored_ids(&reader, counts.values()).await?;
        Ok((values, reader.as_of))
    }

    /// Replaces the ids of a reader's dictionary by those of the values' texts.
    pub(super) async fn stored_ids<T>(
        &self,
        reader: &ColumnReader,
        values: impl Iterator<Item = (ValueId, T)>,
    ) -> Result<Vec<(ValueId, T)>, StoreError> {
        let values = values.map(|(value, metrics)| (reader.dictionary.text(value), metrics));
        let values: Vec<_> = values.collect();
        let texts = values.iter().filter_map(|(text, _)| text.as_ref());
        let ids = self.store.rollups.value_ids(texts).await?;
        let id = |text: Option<Arc<str>>| text.map_or(NO_VALUE, |text| ids[&text].cast_unsigned());
        let values = values
            .into_iter()
            .map(|(text, metrics)| (id(text), metrics));
        Ok(values.collect())
    }

    /// Days of the week, as sums over a time series.
    async fn breakdown_by_weekday(
        &self,
        query: &ReportQuery,
        breakdown: &BreakdownQuery,
    ) -> Result<AsOf<Breakdown>, StoreError> {
        let series = self.summed_series(query, Interval::Day).await?;
        let weekday = |bucket: &TimeBucket| {
            let local = bucket.start.with_timezone(&query.period.zone);
            local.weekday().num_days_from_monday() as usize
        };
        let groups = DayGroups {
            days: &series.value,
            group_of: series.value.iter().map(weekday).collect(),
            group_count: 7,
        };
        let counted = self
            .count_visitors(query, &groups, breakdown.is_bot)
            .await?;
        let mut sums = [[Metrics::default(); 2]; 7].map(|metrics| TimeBucket {
            start: query.period.from,
            metrics,
        });
        for (bucket, group) in series.value.iter().zip(&groups.group_of) {
            sums[*group].add(bucket.metrics);
        }
        for (sum, visitors) in sums.iter_mut().zip(counted.groups.iter().flatten()) {
            sum.set_visitors(*visitors);
        }
        let values = (1..).zip(sums).map(|(number, sum): (u32, _)| {
            let metrics = breakdown.select_class(sum.metrics);
            (Some(number.to_string().into()), metrics)
        });
        Ok(AsOf {
            value: Breakdown {
                rows: breakdown.select_rows(values.filter(|(_, metrics)| metrics.visits > 0)),
                counting: counted.counting,
            },
            as_of: series.as_of.min(counted.as_of),
        })
    }

    /// Hours of the day, as sums over a time series.
    async fn breakdown_by_hour(
        &self,
        query: &ReportQuery,
        breakdown: &BreakdownQuery,
    ) -> Result<AsOf<Breakdown>, StoreError> {
        let series = self.summed_series(query, Interval::Hour).await?;
        let counted = self.count_visitors_by_hour(query, &series.value).await?;
        let mut sums = MetricsByText::new();
        for bucket in &series.value {
            let metrics = breakdown.select_class(bucket.metrics);
            if metrics.visits > 0 {
                let local = bucket.start.with_timezone(&query.period.zone);
                let text: Arc<str> = local.format("%H").to_string().into();
                *sums.entry(Some(text)).or_default() += metrics;
            }
        }
        for (hour, metrics) in &mut sums {
            let hour = hour.as_ref().and_then(|hour| hour.parse::<usize>().ok());
            if let (Some(hour), Some(groups)) = (hour, &counted.groups) {
                metrics.visitors = breakdown.select_visitors(groups[hour]);
            }
        }
        Ok(AsOf {
            value: Breakdown {
                rows: breakdown.select_rows(sums),
                counting: counted.counting,
            },
            as_of: series.as_of.min(counted.as_of),
        })
    }
}

impl BreakdownQuery {
    fn select_visitors(&self, [people, bots]: [i64; 2]) -> i64 {
        match self.is_bot {
            Some(false) => people,
            Some(true) => bots,
            None => people + bots,
        }
    }

    fn select_class(&self, [people, bots]: [Metrics; 2]) -> Metrics {
        match self.is_bot {
            Some(false) => people,
            Some(true) => bots,
            None => people + bots,
        }
    }

    /// Selects the rows to return.
    fn select_rows(
        &self,
        values: impl IntoIterator<Item = (Option<Arc<str>>, Metrics)>,
    ) -> Vec<BreakdownRow> {
        let values = values
            .into_iter()
            .filter_map(|(value, metrics)| match &self.property {
                None => Some((value, metrics)),
                Some(property) => Some((Some(property_value(property, &value?)?.into()), metrics)),
            });
        let first = self.sort_and_limit(values.collect()).into_iter();
        let values = first.map(|(value, metrics)| BreakdownRow { value, metrics });
        values.collect()
    }

    /// Sorts and limits values. Ties are sorted by value.
    fn sort_and_limit<V: Ord>(&self, mut values: Vec<(V, Metrics)>) -> Vec<(V, Metrics)> {
        values.sort_by(|a, b| {
            let by_metric = self.sort_key(&b.1).total_cmp(&self.sort_key(&a.1));
            by_metric.then_with(|| a.0.cmp(&b.0))
        });
        let to_usize = |count: i64| usize::try_from(count).unwrap_or_default();
        let rest = values.into_iter().skip(to_usize(self.offset));
        rest.take(to_usize(self.limit) + 1).collect()
    }

    #[expect(clippy::cast_precision_loss, reason = "only used for sorting")]
    fn sort_key(&self, of: &Metrics) -> f64 {
        let rate = |part: i64, whole: i64| {
            if whole > 0 {
                part as f64 / whole as f64
            } else {
                -1.0
            }
        };
        match self.order {
            BreakdownOrder::Visitors => of.visitors as f64,
            BreakdownOrder::Sessions => of.sessions as f64,
            BreakdownOrder::Visits => of.visits as f64,
            BreakdownOrder::BounceRate => rate(of.bounces, of.sessions),
            BreakdownOrder::AverageSeconds => rate(of.seconds, of.visits),
            BreakdownOrder::Value => 0.0,
        }
    }
}
