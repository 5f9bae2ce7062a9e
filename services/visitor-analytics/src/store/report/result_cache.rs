//! Caches the results of scanning folded days until one of the days is folded again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use rollups::aggregate::{Metrics, ValueId};
use rollups::day::LocalDay;
use rollups::funnel::FunnelRules;
use rollups::goal::GoalMatcher;
use rollups::pattern::WildcardPattern;
use rollups::query::{Attribute, AttributeFilter, Interval, ReportPeriod};
use uuid::Uuid;

use super::lru::SizedLru;
use super::{DirtyDayVersions, ReportQuery};
use crate::store::rollup::pack_marks;
use crate::store::{Store, StoreError};

/// The capacity of the cache.
const CACHE_CAPACITY_BYTES: usize = 4 << 20;
/// Larger results are not cached.
const MAX_RESULT_BYTES: usize = CACHE_CAPACITY_BYTES / 4;

const RESULTS_LOCK_POISONED: &str = "no code panics while it holds this lock";

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum ResultKind {
    Values(Attribute),
    Series(Interval),
    Funnel(Option<bool>, Vec<WildcardPattern>, FunnelRules),
    Cohorts(Option<bool>, Interval),
}

/// Everything on which a result depends, including the version of each day.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ResultKey {
    kind: ResultKind,
    site: (i32, Tz),
    period: ReportPeriod,
    filters: Arc<[AttributeFilter]>,
    goal: Option<WildcardPattern>,
    /// The days that have visits, each with the dirty-day mark that its fold resolved.
    days: Vec<(NaiveDate, Option<Uuid>)>,
}

#[derive(Clone, Debug)]
pub(super) enum ReportResult {
    /// By the id of a value's text, or by the index of a bucket.
    Indexed(IndexedMetrics),
    /// Visitors by step.
    Funnel(Vec<i64>),
    /// Visitors by cohort and interval.
    Cohorts(Vec<Vec<i64>>),
}

/// The metrics of people and bots, by the id of a value's text or the index of a bucket.
pub(super) type IndexedMetrics = Vec<(ValueId, [Metrics; 2])>;

impl ReportResult {
    /// The indexed metrics; empty for other results.
    pub(super) fn indexed_metrics(&self) -> &[(ValueId, [Metrics; 2])] {
        match self {
            Self::Indexed(parts) => parts,
            _ => &[],
        }
    }

    /// The approximate size in bytes.
    fn size(&self) -> usize {
        match self {
            Self::Indexed(parts) => parts.len() * 88,
            Self::Funnel(steps) => steps.len() * 8,
            Self::Cohorts(cohorts) => cohorts.iter().map(|cohort| 24 + cohort.len() * 8).sum(),
        }
    }
}

/// Recent results.
#[derive(Clone, Debug)]
pub(in crate::store) struct ResultCache(Arc<Mutex<SizedLru<Arc<ResultKey>, Arc<ReportResult>>>>);

impl ResultCache {
    pub(in crate::store) fn new() -> Self {
        Self(Arc::new(Mutex::new(SizedLru::new(CACHE_CAPACITY_BYTES))))
    }

    pub(super) fn get(&self, question: Option<&Arc<ResultKey>>) -> Option<Arc<ReportResult>> {
        let mut known = self.0.lock().expect(RESULTS_LOCK_POISONED);
        known.get(question?)
    }

    /// Returns the cached metrics, or computes and caches them by `scanned`.
    pub(super) async fn get_or_scan(
        &self,
        question: Option<Arc<ResultKey>>,
        scanned: impl Future<Output = Result<(IndexedMetrics, DateTime<Utc>), StoreError>>,
    ) -> Result<Arc<ReportResult>, StoreError> {
        if let Some(found) = self.get(question.as_ref()) {
            return Ok(found);
        }
        let (parts, _) = scanned.await?;
        let found = Arc::new(ReportResult::Indexed(parts));
        self.insert(question, &found);
        Ok(found)
    }

    pub(super) fn insert(&self, question: Option<Arc<ResultKey>>, found: &Arc<ReportResult>) {
        let Some(question) = question else {
            return;
        };
        let texts = question
            .filters
            .iter()
            .flat_map(|f| f.included.iter().chain(&f.excluded));
        let asked: usize = texts.map(WildcardPattern::memory_size).sum();
        let size = found.size() + asked + question.days.len() * 24 + 300;
        if size <= MAX_RESULT_BYTES {
            let mut known = self.0.lock().expect(RESULTS_LOCK_POISONED);
            known.insert(question, found.clone(), size);
        }
    }
}

/// Splits days into those whose rollups are valid, and those that overlap a dirty day.
pub(super) fn partition_folded(
    asked: &ReportQuery,
    unfolded: &DirtyDayVersions,
    days: &[LocalDay],
) -> (Vec<LocalDay>, Vec<LocalDay>) {
    let dates = |day: &LocalDay| site_dates(asked, day);
    let days = days.iter().copied();
    days.partition(|day| dates(day).all(|date| !unfolded.contains_key(&date)))
}

/// The days of the site that overlap a day of the query.
fn site_dates(asked: &ReportQuery, day: &LocalDay) -> impl Iterator<Item = NaiveDate> + use<> {
    let last = day.to - TimeDelta::microseconds(1);
    LocalDay::between(asked.site.zone, day.from, last).map(|day| day.date)
}

impl Store {
    /// The cache key of a query over days that are all folded. Returns `None` if the result depends
    /// on more than their visits.
    pub(super) async fn result_key(
        &self,
        asked: &ReportQuery,
        what: ResultKind,
        days: &[LocalDay],
    ) -> Result<Option<Arc<ResultKey>>, StoreError> {
        let reach = match &asked.goal {
            None => None,
            Some(GoalMatcher::Page(pattern)) => Some(pattern.clone()),
            Some(GoalMatcher::Event(_)) => return Ok(None),
        };
        let dates: BTreeSet<NaiveDate> =
            days.iter().flat_map(|day| site_dates(asked, day)).collect();
        let (Some(first), Some(last)) = (dates.first(), dates.last()) else {
            return Ok(None);
        };
        let mut marks = pack_marks(&self.pool, asked.site.id, (*first, *last)).await?;
        marks.retain(|(date, _)| dates.contains(date));
        Ok(Some(Arc::new(ResultKey {
            kind: what,
            site: (asked.site.id, asked.site.zone),
            period: asked.period,
            filters: asked.filters.clone(),
            goal: reach,
            days: marks,
        })))
    }
}
