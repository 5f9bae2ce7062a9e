//! The visitors of several days. If visitor ids last for a day, the visitors of days add up;
//! otherwise each visitor counts once.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use chassis::database::StoreError;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use rollups::cohort::encode_visitors;
use rollups::column_block::ColumnBlock;
use rollups::day::LocalDay;
use rollups::distinct_visitors::{
    DAY_SKETCH_ERROR, DistinctVisitors, GROUP_SKETCH_ERROR, PeriodVisitors,
};
use rollups::query::{TimeBucket, day_seconds};

use super::column_reader::{ColumnReader, Grouping};
use super::day_aggregates::{CORRUPT_DAY_METRICS, DayDetail};
use super::plan::DirtyDayVersions;
use super::query::ReportQuery;
use super::report_engine::ReportEngine;
use super::result_cache::{ReportResult, ResultKind};
use crate::domain::visitor_id_kind::VisitorIdKinds;
use crate::store::{StoredVisitors, VisitorDay};

/// The visitors of a period are counted exactly if the lists of its days have at most this size,
/// which is half a million visitors.
const MAX_EXACT_LIST_BYTES: usize = 3 << 20;

/// How the visitors of a report are counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VisitorCounting {
    /// How long visitor ids last: `daily`, `monthly`, `persistent`, `own` or `mixed`.
    pub visitor_ids: &'static str,
    /// The relative error that the numbers exceed in 5 % of cases; `None` if they are exact.
    pub estimated_error: Option<f64>,
}

/// The days of a report whose visitors count once.
pub(super) struct DayGroups<'a> {
    /// The days with their own metrics.
    pub(super) days: &'a [TimeBucket],
    /// The group of each day.
    pub(super) group_of: Vec<usize>,
    pub(super) group_count: usize,
}

/// The people and bots of each group.
pub(super) struct VisitorCounts {
    /// `None` if the visitors of days add up.
    pub(super) groups: Option<Vec<[i64; 2]>>,
    pub(super) counting: VisitorCounting,
    pub(super) as_of: DateTime<Utc>,
}

/// What is known about the visitors of a period.
pub(super) struct PeriodVisitorIds {
    /// The folded days that are not dirty.
    stored: Vec<VisitorDay>,
    pub(super) dirty_versions: DirtyDayVersions,
    pub(super) are_daily: bool,
    pub(super) counting: VisitorCounting,
    pub(super) as_of: DateTime<Utc>,
}

/// The part of a site's day that belongs to a group.
struct DayPart {
    group: usize,
    date: NaiveDate,
    seconds: Range<i64>,
    is_whole: bool,
}

impl PeriodVisitorIds {
    /// Whether the site's days that overlap a day of the query have no visits, or expired ones.
    pub(super) fn lacks_visits(&self, query: &ReportQuery, query_day: &LocalDay) -> bool {
        let last = query_day.to - TimeDelta::microseconds(1);
        let mut days = LocalDay::between(query.site.zone, query_day.from, last);
        days.all(|day| !self.dirty_versions.contains_key(&day.date) && !self.is_stored(day.date))
    }

    fn is_stored(&self, date: NaiveDate) -> bool {
        self.stored
            .binary_search_by_key(&date, |day| day.date)
            .is_ok()
    }

    pub(super) fn into_counts(self, groups: Option<Vec<[i64; 2]>>) -> VisitorCounts {
        VisitorCounts {
            groups,
            counting: self.counting,
            as_of: self.as_of,
        }
    }
}

impl DayGroups<'_> {
    /// Whether no group has two days.
    fn are_single_days(&self) -> bool {
        let groups: HashSet<&usize> = self.group_of.iter().collect();
        groups.len() == self.group_of.len()
    }

    /// The days of the query with their groups. Adjacent days of a group are one range.
    fn ranges(&self, query: &ReportQuery) -> Vec<(Range<DateTime<Utc>>, usize)> {
        let mut ranges: Vec<(Range<DateTime<Utc>>, usize)> = vec![];
        for (day, group) in query.period.days().zip(&self.group_of) {
            match ranges.last_mut() {
                Some((range, last)) if last == group && range.end == day.from => range.end = day.to,
                _ => ranges.push((day.from..day.to, *group)),
            }
        }
        ranges
    }

    fn parts(&self, query: &ReportQuery) -> Vec<DayPart> {
        let mut parts = vec![];
        for (range, group) in self.ranges(query) {
            let last = range.end - TimeDelta::microseconds(1);
            for day in LocalDay::between(query.site.zone, range.start, last) {
                let (from, to) = (day.from.max(range.start), day.to.min(range.end));
                parts.push(DayPart {
                    group,
                    date: day.date,
                    seconds: from.timestamp()..to.timestamp(),
                    is_whole: (from, to) == (day.from, day.to),
                });
            }
        }
        parts
    }
}

impl ReportEngine {
    /// Counts each visitor once per group. With `is_bot`, the number of the other class may be too
    /// low.
    pub(super) async fn count_visitors(
        &self,
        query: &ReportQuery,
        groups: &DayGroups<'_>,
        is_bot: Option<bool>,
    ) -> Result<VisitorCounts, StoreError> {
        let mut ids = self.period_visitor_ids(query).await?;
        let counted = if ids.are_daily || groups.are_single_days() {
            None
        } else if query.is_unfiltered() {
            Some(
                self.count_stored_visitors(query, groups, is_bot, &mut ids)
                    .await?,
            )
        } else {
            Some(self.scan_visitors(query, groups, &mut ids).await?)
        };
        Ok(ids.into_counts(counted))
    }

    /// Finds out how long the visitor ids of a period last.
    pub(super) async fn period_visitor_ids(
        &self,
        query: &ReportQuery,
    ) -> Result<PeriodVisitorIds, StoreError> {
        let dirty_versions = self.load_dirty_versions(query).await?;
        let last = query.period.to - TimeDelta::microseconds(1);
        let dates =
            [query.period.from, last].map(|at| LocalDay::containing(query.site.zone, at).date);
        let rollups = &self.store.rollups;
        let mut stored = rollups
            .visitor_days(query.site.id, (dates[0], dates[1]))
            .await?;
        stored.retain(|day| !dirty_versions.contains_key(&day.date));
        let kinds = stored.iter().map(|day| day.visitor_ids);
        let mut kinds = kinds.fold(VisitorIdKinds::default(), VisitorIdKinds::union);
        let mut as_of = query.now;
        for (date, version) in &dirty_versions {
            let day = self
                .dirty_day(query, (*date, *version), DayDetail::Metrics)
                .await?;
            kinds = kinds.union(day.visitor_ids);
            as_of = as_of.min(day.as_of);
        }
        Ok(PeriodVisitorIds {
            stored,
            dirty_versions,
            are_daily: kinds.are_daily(self.visitor_id_lifetime),
            counting: VisitorCounting {
                visitor_ids: kinds.name(self.visitor_id_lifetime),
                estimated_error: None,
            },
            as_of,
        })
    }

    /// Counts the visitors of all visits by the lists or the sketches of days.
    async fn count_stored_visitors(
        &self,
        query: &ReportQuery,
        groups: &DayGroups<'_>,
        is_bot: Option<bool>,
        ids: &mut PeriodVisitorIds,
    ) -> Result<Vec<[i64; 2]>, StoreError> {
        let list_bytes: usize = ids.stored.iter().map(|day| day.list_bytes).sum();
        let is_estimated = list_bytes > MAX_EXACT_LIST_BYTES;
        ids.counting.estimated_error = is_estimated.then_some(DAY_SKETCH_ERROR);
        let sketches =
            [false, true].map(|class| is_estimated && is_bot.is_none_or(|is_bot| is_bot == class));
        let parts = groups.parts(query);
        let mut counts = vec![];
        for group in 0..groups.group_count {
            let mut visitors = PeriodVisitors::new(is_estimated);
            let parts = || parts.iter().filter(|part| part.group == group);
            let whole = parts().filter(|part| part.is_whole && ids.is_stored(part.date));
            let whole: Vec<NaiveDate> = whole.map(|part| part.date).collect();
            let add = |_, stored| match stored {
                StoredVisitors::List(list) => visitors.add_list(list),
                StoredVisitors::Sketch { bytes, is_bot } => visitors.add_sketch(&bytes, is_bot),
            };
            if !whole.is_empty() {
                let rollups = &self.store.rollups;
                rollups
                    .for_each_visitor_day(query.site.id, &whole, sketches, add)
                    .await?;
            }
            for part in parts() {
                let is_dirty = ids.dirty_versions.contains_key(&part.date);
                if is_dirty || !part.is_whole && ids.is_stored(part.date) {
                    for block in self.day_blocks(query, ids, part.date).await? {
                        let list = encode_visitors(&block, &part.seconds);
                        visitors.add_list(list).ok_or(CORRUPT_DAY_METRICS)?;
                    }
                }
            }
            counts.push(visitors.count());
        }
        // Of days whose visits have expired, only the numbers are kept.
        let days = query
            .period
            .days()
            .zip(groups.days.iter().zip(&groups.group_of));
        for (day, (bucket, group)) in days {
            if ids.lacks_visits(query, &day) {
                for (count, metrics) in counts[*group].iter_mut().zip(bucket.metrics) {
                    *count += metrics.visitors;
                }
            }
        }
        Ok(counts)
    }

    async fn day_blocks(
        &self,
        query: &ReportQuery,
        ids: &PeriodVisitorIds,
        date: NaiveDate,
    ) -> Result<Vec<Arc<ColumnBlock>>, StoreError> {
        let Some(version) = ids.dirty_versions.get(&date) else {
            return self.store.rollups.blocks(query.site.id, date, &[]).await;
        };
        let day = self
            .dirty_day(query, (date, *version), DayDetail::Blocks)
            .await?;
        Ok(day.blocks().to_vec())
    }

    /// Counts the visitors of the visits that pass the filters.
    async fn scan_visitors(
        &self,
        query: &ReportQuery,
        groups: &DayGroups<'_>,
        ids: &mut PeriodVisitorIds,
    ) -> Result<Vec<[i64; 2]>, StoreError> {
        let days: Vec<LocalDay> = query.period.days().collect();
        let kind = ResultKind::Visitors(groups.group_of.clone());
        let key = self
            .folded_result_key(query, kind, &ids.dirty_versions, &days)
            .await?;
        if let Some(ReportResult::Visitors {
            counts,
            is_estimated,
        }) = self.results.get(key.as_ref()).as_deref()
        {
            ids.counting.estimated_error = is_estimated.then_some(GROUP_SKETCH_ERROR);
            return Ok(counts.clone());
        }
        let mut visitors = DistinctVisitors::default();
        let mut group_of = groups.group_of.iter();
        let mut reader = ColumnReader::new(self, query, &ids.dirty_versions, &[]);
        reader
            .for_each_day(&days, &Grouping::Total, |day, _| {
                let group = group_of.next().copied().unwrap_or_default();
                day.for_each_active_session(&day_seconds(&day.day), |rows| {
                    visitors.insert(group_number(group, rows.session.is_bot), rows.visitor_key);
                });
            })
            .await?;
        ids.as_of = ids.as_of.min(reader.as_of);
        let is_estimated = visitors.is_estimated();
        ids.counting.estimated_error = is_estimated.then_some(GROUP_SKETCH_ERROR);
        let counts = counts_by_group(&visitors, groups.group_count);
        let result = ReportResult::Visitors {
            counts: counts.clone(),
            is_estimated,
        };
        self.results.insert(key, &Arc::new(result));
        Ok(counts)
    }
}

pub(super) fn counts_by_group(visitors: &DistinctVisitors, groups: usize) -> Vec<[i64; 2]> {
    let by_number = visitors.counts();
    let count = |group, is_bot| by_number.get(&group_number(group, is_bot)).copied();
    let groups = (0..groups)
        .map(|group| [false, true].map(|is_bot| count(group, is_bot).unwrap_or_default()));
    groups.collect()
}

pub(super) fn group_number(group: usize, is_bot: bool) -> u32 {
    u32::try_from(group * 2 + usize::from(is_bot)).unwrap_or(u32::MAX)
}
