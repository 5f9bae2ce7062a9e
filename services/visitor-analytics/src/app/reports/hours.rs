//! Metrics by hour from the rollups of hours. They serve every time zone whose hours begin when the
//! site's hours do.

use std::collections::{BTreeSet, HashMap};

use chassis::database::StoreError;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use rollups::aggregate_codec::MetricSums;
use rollups::day::{LocalDay, LocalHour};
use rollups::dimension::Dimension;
use rollups::query::TimeBucket;

use super::day_aggregates::DayDetail;
use super::plan::ReportPlan;
use super::query::ReportQuery;
use super::report_engine::ReportEngine;
use super::series::TimeSeries;

/// The index in a series for each hour of the site.
type HourBuckets = HashMap<(NaiveDate, LocalHour), usize>;

impl ReportEngine {
    /// Adds the days of a plan whose hours match the site's; the other days are scanned.
    pub(super) async fn add_hours(
        &self,
        query: &ReportQuery,
        plan: &mut ReportPlan,
        series: &mut TimeSeries,
    ) -> Result<DateTime<Utc>, StoreError> {
        if !query.is_unfiltered() {
            return Ok(query.now);
        }
        let mut indices = HourBuckets::new();
        plan.scanned.clear();
        for day in query.period.days() {
            match site_hours(query, &series.buckets, &day) {
                Some(hours) => indices.extend(hours),
                None => plan.scanned.push(day),
            }
        }
        let dates: BTreeSet<NaiveDate> = indices.keys().map(|(date, _)| *date).collect();
        let mut days = self.load_folded_hours(query, plan, &dates).await?;
        let mut as_of = query.now;
        for (date, change) in &plan.dirty_versions {
            if dates.contains(date) {
                let day = (*date, *change);
                let day = self.dirty_day(query, day, DayDetail::Metrics).await?;
                as_of = as_of.min(day.as_of);
                let mut sums = <[MetricSums; 2]>::default();
                day.add_to(&mut sums, Dimension::Hour, None)?;
                days.push((*date, sums));
            }
        }
        let hours = self.resolve_hours(&days).await?;
        for (date, classes) in days {
            for (class, sums) in classes.into_iter().enumerate() {
                for (value, metrics) in sums.into_entries() {
                    let hour = hours.get(&value);
                    if let Some(index) = hour.and_then(|hour| indices.get(&(date, *hour))) {
                        series.buckets[*index].metrics[class] += metrics;
                    }
                }
            }
        }
        Ok(as_of)
    }

    async fn load_folded_hours(
        &self,
        query: &ReportQuery,
        plan: &ReportPlan,
        dates: &BTreeSet<NaiveDate>,
    ) -> Result<Vec<(NaiveDate, [MetricSums; 2])>, StoreError> {
        let is_folded = |date: &&NaiveDate| !plan.dirty_versions.contains_key(date);
        let dates: Vec<NaiveDate> = dates.iter().filter(is_folded).copied().collect();
        self.store.rollups.hour_sums(query.site.id, &dates).await
    }

    /// The hours that these values denote.
    async fn resolve_hours(
        &self,
        days: &[(NaiveDate, [MetricSums; 2])],
    ) -> Result<HashMap<u32, LocalHour>, StoreError> {
        let classes = days.iter().flat_map(|(_, classes)| classes);
        let entries = classes.flat_map(MetricSums::entries);
        let values: BTreeSet<u32> = entries.map(|(value, _)| *value).collect();
        let texts = self
            .store
            .rollups
            .value_texts(values.into_iter())
            .await?
            .into_iter();
        let hours = texts.filter_map(|(value, text)| Some((value, LocalHour::parse(&text)?)));
        Ok(hours.collect())
    }
}

/// The indices of the site's hours that make up a day. Returns `None` if the hours differ.
fn site_hours(
    query: &ReportQuery,
    buckets: &[TimeBucket],
    day: &LocalDay,
) -> Option<Vec<((NaiveDate, LocalHour), usize)>> {
    let (site, zone) = (query.site.zone, query.period.zone);
    let first = buckets.partition_point(|bucket| bucket.start < day.from);
    let after = buckets.partition_point(|bucket| bucket.start < day.to);
    let is_whole = |moment| LocalDay::containing(zone, moment).from == moment;
    // A day in the site's own time zone has the site's hours, whatever their length.
    let is_own = site == zone && is_whole(day.from) && is_whole(day.to);
    let mut site_day = LocalDay::containing(site, day.from);
    let mut hours = vec![];
    for index in first..after {
        let start = buckets[index].start;
        let end = buckets.get(index + 1).map_or(day.to, |next| next.start);
        if !site_day.contains(start) {
            site_day = LocalDay::containing(site, start);
        }
        let hour = LocalHour::containing(site, start);
        let quarter = TimeDelta::minutes(15);
        let begins = start == site_day.from || LocalHour::containing(site, start - quarter) != hour;
        let is_hour = begins
            && end.min(day.to) - start == TimeDelta::hours(1)
            && LocalHour::containing(site, end - quarter) == hour;
        if !is_own && !is_hour {
            return None;
        }
        hours.push(((site_day.date, hour), index));
    }
    // If the first hour is cut, its bucket begins before the day.
    let is_cut = hours
        .first()
        .is_none_or(|(_, index)| buckets[*index].start != day.from);
    (!is_cut).then_some(hours)
}
