//! Breakdowns: the metrics of each value of a dimension.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rollups::aggregate::{Metrics, NO_VALUE};
use rollups::aggregate_codec::MetricSums;
use rollups::day::LocalDay;
use rollups::dimension::Dimension;
use rollups::query::{Attribute, Interval, day_seconds, property_value};
use rollups::scan::GroupedMetrics;

use super::column_reader::{ColumnReader, DayBlocks, Grouping};
use super::day_aggregates::DayDetail;
use super::folded_days::partition_folded;
use super::plan::ReportPlan;
use super::query::{AsOf, ReportQuery};
use super::result_cache::ResultKind;
use crate::store::rollup::{ValueDictionary, ensure_value_ids, load_sums};
use crate::store::{Store, StoreError};

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
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakdownRow {
    /// `None` for visits without a value.
    pub value: Option<Arc<str>>,
    pub metrics: Metrics,
}

type MetricsByText = HashMap<Option<Arc<str>>, Metrics>;

impl Store {
    /// The values of a dimension in order. Returns one more than the limit if there are more.
    pub async fn breakdown(
        &self,
        asked: &ReportQuery,
        wanted: &BreakdownQuery,
    ) -> Result<AsOf<Vec<BreakdownRow>>, StoreError> {
        let dimension = match wanted.subject {
            Attribute::Weekday => {
                return self
                    .breakdown_by_time(asked, wanted, Interval::Day, "%u")
                    .await;
            }
            Attribute::Dimension(Dimension::Hour) => {
                return self
                    .breakdown_by_time(asked, wanted, Interval::Hour, "%H")
                    .await;
            }
            Attribute::Dimension(dimension) => dimension,
        };
        // Visitors are counted per day of the site's time zone, whatever the time zone of the
        // query.
        let plan = self.plan_report(&asked.in_site_time_zone()).await?;
        let (mut all, mut as_of) = self.sum_days(asked, &plan, wanted, dimension).await?;
        as_of = as_of.min(
            self.add_scanned_values(asked, &plan, wanted, &mut all)
                .await?,
        );
        let answer = self.resolve_rows(wanted, all).await?;
        Ok(AsOf {
            value: answer,
            as_of,
        })
    }

    /// The sums of complete days.
    async fn sum_days(
        &self,
        asked: &ReportQuery,
        plan: &ReportPlan,
        wanted: &BreakdownQuery,
        dimension: Dimension,
    ) -> Result<(MetricSums, DateTime<Utc>), StoreError> {
        let (mut both, mut as_of) = (<[MetricSums; 2]>::default(), asked.now);
        if let Some(period) = plan.folded {
            let which = (asked.site.id, dimension);
            both = load_sums(&self.pool, which, period, &plan.dirty, wanted.is_bot).await?;
        }
        for date in &plan.dirty {
            let day = (*date, plan.dirty_versions[date]);
            let day = self
                .dirty_day(&asked.site, day, asked.now, DayDetail::Metrics)
                .await?;
            as_of = as_of.min(day.as_of);
            day.add_to(&mut both, dimension, wanted.is_bot)?;
        }
        let [mut sum, of_bots] = both;
        sum.add(of_bots.into_entries());
        Ok((sum, as_of))
    }

    /// Resolves the values' texts, and sorts and limits the rows.
    async fn resolve_rows(
        &self,
        wanted: &BreakdownQuery,
        sums: MetricSums,
    ) -> Result<Vec<BreakdownRow>, StoreError> {
        if wanted.order == BreakdownOrder::Value || wanted.property.is_some() {
            let texts = self
                .value_texts(sums.entries().iter().map(|line| line.0))
                .await?;
            let lines = sums.into_entries().into_iter();
            let named = lines.map(|(id, numbers)| (texts.get(&id).cloned(), numbers));
            return Ok(wanted.select_rows(named));
        }
        let first = wanted.sort_and_limit(sums.into_entries());
        let texts = self.value_texts(first.iter().map(|line| line.0)).await?;
        let values = first.into_iter().map(|(id, numbers)| BreakdownRow {
            value: texts.get(&id).cloned(),
            metrics: numbers,
        });
        Ok(values.collect())
    }

    async fn add_scanned_values(
        &self,
        asked: &ReportQuery,
        plan: &ReportPlan,
        wanted: &BreakdownQuery,
        sums: &mut MetricSums,
    ) -> Result<DateTime<Utc>, StoreError> {
        let subject = wanted.subject;
        let (folded, open) = partition_folded(asked, &plan.dirty_versions, &plan.scanned);
        let question = self
            .result_key(asked, ResultKind::Values(subject), &folded)
            .await?;
        let scanned = self.scan_values(asked, plan, subject, &folded);
        let found = self.results.get_or_scan(question, scanned).await?;
        let (values, as_of) = self.scan_values(asked, plan, subject, &open).await?;
        let may_miss = subject != Attribute::Dimension(Dimension::Property);
        for values in [found.indexed_metrics(), &values] {
            let lines = values
                .iter()
                .map(|(value, both)| (*value, wanted.select_class(*both)));
            let lines = lines
                .filter(|(value, numbers)| numbers.visits > 0 && (may_miss || *value != NO_VALUE));
            sums.add(lines.collect::<MetricSums>().into_entries());
        }
        Ok(as_of)
    }

    /// The metrics of people and bots, by the ids of the values' texts.
    async fn scan_values(
        &self,
        asked: &ReportQuery,
        plan: &ReportPlan,
        subject: Attribute,
        days: &[LocalDay],
    ) -> Result<(Vec<(u32, [Metrics; 2])>, DateTime<Utc>), StoreError> {
        let mut reader = ColumnReader::new(self, asked, &plan.dirty_versions, &[subject.column()]);
        let mut counts = GroupedMetrics::default();
        let count = |day: &DayBlocks, lexicon: &ValueDictionary| {
            counts.reserve_values(lexicon.max_id());
            counts.add_blocks(&day.blocks, &day_seconds(&day.day), day.is_multi_day);
        };
        reader
            .for_each_day(days, &Grouping::Values(subject), count)
            .await?;
        let values = counts.values();
        let values = values.map(|(value, numbers)| (reader.dictionary.text(value), numbers));
        let values: Vec<_> = values.collect();
        let texts = values.iter().filter_map(|(text, _)| text.as_ref());
        let ids = self.value_ids(texts).await?;
        let id = |text: Option<Arc<str>>| text.map_or(NO_VALUE, |text| ids[&text].cast_unsigned());
        let values = values
            .into_iter()
            .map(|(text, numbers)| (id(text), numbers));
        Ok((values.collect(), reader.as_of))
    }

    /// The ids of texts in `rollup_value`, mostly from the cache. An id does not change as long as
    /// anything refers to it.
    pub(super) async fn value_ids<'a>(
        &self,
        texts: impl Iterator<Item = &'a Arc<str>>,
    ) -> Result<HashMap<Arc<str>, i32>, StoreError> {
        self.text_ids.clear_if_expired();
        let mut ids = HashMap::new();
        let mut missing = vec![];
        for text in texts {
            match self.text_ids.get(text) {
                Some(id) => _ = ids.insert(text.clone(), id),
                None => missing.push(text),
            }
        }
        for (text, id) in ensure_value_ids(&self.pool, missing.into_iter()).await? {
            self.text_ids.insert(text.clone(), id);
            ids.insert(text, id);
        }
        Ok(ids)
    }

    /// The texts with these ids. The id 0 stands for no value.
    pub(super) async fn value_texts(
        &self,
        ids: impl Iterator<Item = u32>,
    ) -> Result<HashMap<u32, Arc<str>>, StoreError> {
        let ids: Vec<i32> = ids.filter(|id| *id != 0).map(u32::cast_signed).collect();
        let rows = sqlx::query!(
            "select id, text from visitor_analytics.rollup_value where id = any($1)",
            &ids
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        let texts = rows.map(|row| (row.id.cast_unsigned(), Arc::from(row.text)));
        Ok(texts.collect())
    }

    /// Hours of the day and days of the week, as sums over a time series.
    async fn breakdown_by_time(
        &self,
        asked: &ReportQuery,
        wanted: &BreakdownQuery,
        interval: Interval,
        format: &str,
    ) -> Result<AsOf<Vec<BreakdownRow>>, StoreError> {
        let series = self.series(asked, interval).await?;
        let mut sums = MetricsByText::new();
        for bucket in &series.value {
            let numbers = wanted.select_class(bucket.metrics);
            if numbers.visits > 0 {
                let local = bucket.start.with_timezone(&asked.period.zone);
                let text: Arc<str> = local.format(format).to_string().into();
                *sums.entry(Some(text)).or_default() += numbers;
            }
        }
        Ok(AsOf {
            value: wanted.select_rows(sums),
            as_of: series.as_of,
        })
    }
}

impl BreakdownQuery {
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
            .filter_map(|(value, numbers)| match &self.property {
                None => Some((value, numbers)),
                Some(property) => Some((Some(property_value(property, &value?)?.into()), numbers)),
            });
        let first = self.sort_and_limit(values.collect()).into_iter();
        let values = first.map(|(value, numbers)| BreakdownRow {
            value,
            metrics: numbers,
        });
        values.collect()
    }

    /// Sorts and limits values. Ties are sorted by value.
    fn sort_and_limit<V: Ord>(&self, mut values: Vec<(V, Metrics)>) -> Vec<(V, Metrics)> {
        values.sort_by(|a, b| {
            let by_number = self.sort_key(&b.1).total_cmp(&self.sort_key(&a.1));
            by_number.then_with(|| a.0.cmp(&b.0))
        });
        let length = |number: i64| usize::try_from(number).unwrap_or_default();
        let rest = values.into_iter().skip(length(self.offset));
        rest.take(length(self.limit) + 1).collect()
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
