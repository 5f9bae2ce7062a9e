//! Caches the results of scanning folded days until one of the days is folded again.

use std::collections::HashMap;
use std::sync::Arc;

use chassis::database::StoreError;
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use rollups::aggregate::{Metrics, ValueId};
use rollups::funnel::FunnelRules;
use rollups::pattern::WildcardPattern;
use rollups::query::{Attribute, AttributeFilter, Interval, ReportPeriod};
use uuid::Uuid;

use super::sized_cache::sized_cache;

/// The capacity of the cache.
const CACHE_CAPACITY_BYTES: u64 = 4 << 20;
/// Larger results are not cached.
const MAX_RESULT_BYTES: u64 = CACHE_CAPACITY_BYTES / 4;

/// A typical result has about 20 KB. The cache grows beyond this number.
const ESTIMATED_RESULTS: usize = 200;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum ResultKind {
    Values(Attribute),
    Series(Interval),
    Funnel(Option<bool>, Vec<WildcardPattern>, FunnelRules),
    Cohorts(Option<bool>, Interval),
    /// The group of each day.
    Visitors(Vec<usize>),
    RepeatVisitors(Attribute),
    VisitorsByHour,
}

/// Everything on which a result depends, including the version of each day.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ResultKey {
    pub(super) kind: ResultKind,
    pub(super) site: (i32, Tz),
    pub(super) period: ReportPeriod,
    pub(super) filters: Arc<[AttributeFilter]>,
    pub(super) goal: Option<WildcardPattern>,
    /// The days that have visits, each with the dirty-day mark that its fold resolved.
    pub(super) days: Vec<(NaiveDate, Option<Uuid>)>,
}

#[derive(Clone, Debug)]
pub(super) enum ReportResult {
    /// By the id of a value's text, or by the index of a bucket.
    Indexed(IndexedMetrics),
    /// Visitors by step.
    Funnel(Vec<i64>),
    /// Visitors by cohort and interval.
    Cohorts(Vec<Vec<i64>>),
    /// People and bots by group.
    Visitors {
        counts: Vec<[i64; 2]>,
        is_estimated: bool,
    },
    /// By the id of a value's text.
    RepeatVisitors(RepeatVisitors),
}

/// The metrics of people and bots, by the id of a value's text or the index of a bucket.
pub(super) type IndexedMetrics = Vec<(ValueId, [Metrics; 2])>;

/// How often visitors, people and bots, came on further days of a period, by value: the difference
/// between the sum over days and the number of visitors.
#[derive(Clone, Debug, Default)]
pub(super) struct RepeatVisitors {
    pub(super) by_value: HashMap<ValueId, [i64; 2]>,
    pub(super) is_estimated: bool,
}

impl ReportResult {
    /// The indexed metrics; empty for other results.
    pub(super) fn indexed_metrics(&self) -> &[(ValueId, [Metrics; 2])] {
        match self {
            Self::Indexed(metrics) => metrics,
            _ => &[],
        }
    }

    /// The approximate size in bytes.
    fn size(&self) -> usize {
        match self {
            Self::Indexed(metrics) => metrics.len() * 88,
            Self::Funnel(steps) => steps.len() * 8,
            Self::Visitors { counts, .. } => counts.len() * 16,
            Self::RepeatVisitors(repeats) => repeats.by_value.len() * 32,
            Self::Cohorts(cohorts) => cohorts.iter().map(|cohort| 24 + cohort.len() * 8).sum(),
        }
    }
}

/// Recent results.
#[derive(Clone, Debug)]
pub(super) struct ResultCache(Arc<Cache<Arc<ResultKey>, Arc<ReportResult>, ResultWeighter>>);

/// Weighs a result and its key by their approximate size in bytes.
#[derive(Clone, Debug)]
struct ResultWeighter;

impl Weighter<Arc<ResultKey>, Arc<ReportResult>> for ResultWeighter {
    fn weight(&self, key: &Arc<ResultKey>, result: &Arc<ReportResult>) -> u64 {
        let texts = key
            .filters
            .iter()
            .flat_map(|f| f.included.iter().chain(&f.excluded));
        let filter_size: usize = texts.map(WildcardPattern::memory_size).sum();
        (result.size() + filter_size + key.days.len() * 24 + 300) as u64
    }
}

impl ResultCache {
    pub(super) fn new() -> Self {
        Self(Arc::new(sized_cache(
            ESTIMATED_RESULTS,
            CACHE_CAPACITY_BYTES,
            ResultWeighter,
        )))
    }

    pub(super) fn get(&self, key: Option<&Arc<ResultKey>>) -> Option<Arc<ReportResult>> {
        self.0.get(key?)
    }

    /// Returns the cached metrics, or computes and caches them by `scan`.
    pub(super) async fn get_or_scan(
        &self,
        key: Option<Arc<ResultKey>>,
        scan: impl Future<Output = Result<(IndexedMetrics, DateTime<Utc>), StoreError>>,
    ) -> Result<Arc<ReportResult>, StoreError> {
        if let Some(result) = self.get(key.as_ref()) {
            return Ok(result);
        }
        let (metrics, _) = scan.await?;
        let result = Arc::new(ReportResult::Indexed(metrics));
        self.insert(key, &result);
        Ok(result)
    }

    pub(super) fn insert(&self, key: Option<Arc<ResultKey>>, result: &Arc<ReportResult>) {
        let Some(key) = key else {
            return;
        };
        if ResultWeighter.weight(&key, result) <= MAX_RESULT_BYTES {
            self.0.insert(key, result.clone());
        }
    }
}
