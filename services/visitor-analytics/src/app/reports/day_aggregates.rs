//! The rollups and visits of a dirty day, and their cache.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chassis::database::StoreError;
use chrono::{DateTime, NaiveDate, Utc};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use rollups::aggregate::Metrics;
use rollups::aggregate_codec::{MetricSums, add_encoded};
use rollups::column_block::ColumnBlock;
use rollups::dimension::Dimension;
use rollups::quarter_hours::QuarterHours;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use uuid::Uuid;

use super::sized_cache::sized_cache;
use crate::domain::visitor_id_kind::VisitorIdKinds;
use crate::store::{EncodedMetrics, EncodedPaths};

pub(super) const CORRUPT_DAY_METRICS: StoreError = StoreError::Corrupt("a daily rollup");

/// A day with at most this many visits is folded for each report.
const SMALL_DAY_VISITS: usize = 500;
/// The result for a larger day is fresh for this long, or for [`FRESHNESS_FACTOR`] times as long as
/// the fold took, whichever is longer. After that it is still served while a background task folds
/// the day again.
const MIN_FRESHNESS: Duration = Duration::from_secs(2);
const FRESHNESS_FACTOR: u32 = 4;
/// Older results are not served: the report waits for the fold.
const MAX_STALENESS: Duration = Duration::from_mins(5);
const DAY_CACHE_BYTES: usize = 16 << 20;
/// A typical day has a few hundred KB. The cache grows beyond this number.
const ESTIMATED_DAYS: usize = 100;
/// The visits of a day are cached with its metrics up to this size.
const MAX_CACHED_BLOCK_BYTES: usize = DAY_CACHE_BYTES / 2;
const MAX_CONCURRENT_AGGREGATIONS: usize = 2;

const DAY_LOCKS_POISONED: &str = "no code panics while it holds this lock";

/// The rollups and visits of a day at some time.
#[derive(Clone, Debug)]
pub(super) struct DayAggregates {
    pub(super) metrics: EncodedMetrics,
    pub(super) paths: EncodedPaths,
    /// `None` if the day does not consist of whole quarter hours.
    pub(super) quarters: Option<QuarterHours>,
    /// `None` if they are too large for the cache.
    pub(super) blocks: Option<Vec<Arc<ColumnBlock>>>,
    /// When the visits were read.
    pub(super) as_of: DateTime<Utc>,
    pub(super) started_at: Instant,
    pub(super) duration: Duration,
    /// The id of the last change of the day.
    pub(super) version: Uuid,
    pub(super) is_past: bool,
    pub(super) visits: usize,
    /// How long the ids of the visitors last.
    pub(super) visitor_ids: VisitorIdKinds,
}

impl DayAggregates {
    /// Adds the metrics of the values of a dimension.
    pub(super) fn add_to(
        &self,
        sums: &mut [MetricSums; 2],
        dimension: Dimension,
        is_bot: Option<bool>,
    ) -> Result<(), StoreError> {
        let Some(bytes) = self.metrics.get(&dimension) else {
            return Ok(());
        };
        let added = add_encoded(sums, bytes, is_bot);
        added.ok_or(StoreError::Corrupt("the metrics of a day"))
    }

    /// The metrics of all visits.
    pub(super) fn total(&self) -> Result<[Metrics; 2], StoreError> {
        let mut sums = <[MetricSums; 2]>::default();
        self.add_to(&mut sums, Dimension::Total, None)?;
        Ok(sums.map(|sums| sums.total()))
    }

    /// The encoded paths of sessions at this depth.
    pub(super) fn paths(&self, depth: usize) -> &[u8] {
        self.paths.get(depth).map_or(&[], Vec::as_slice)
    }

    /// The visits, if they were requested.
    pub(super) fn blocks(&self) -> &[Arc<ColumnBlock>] {
        self.blocks.as_deref().unwrap_or_default()
    }

    /// The approximate size in bytes.
    fn size(&self) -> usize {
        let metrics: usize = self.metrics.values().map(Vec::len).sum();
        let paths: usize = self.paths.iter().map(Vec::len).sum();
        metrics + paths + blocks_size(self.blocks()) + 16_000
    }
}

fn blocks_size(blocks: &[Arc<ColumnBlock>]) -> usize {
    blocks.iter().map(|block| block.size_bytes()).sum()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DayDetail {
    Metrics,
    /// The visits in addition.
    Blocks,
}

pub(super) type SiteDay = (i32, NaiveDate);

/// Weighs a day by its approximate size in bytes.
#[derive(Clone, Debug)]
struct DayWeighter;

impl Weighter<SiteDay, Arc<DayAggregates>> for DayWeighter {
    fn weight(&self, _: &SiteDay, day: &Arc<DayAggregates>) -> u64 {
        day.size() as u64
    }
}

#[derive(Clone, Debug)]
pub(super) struct DayAggregateCache {
    days: Arc<Cache<SiteDay, Arc<DayAggregates>, DayWeighter>>,
    day_locks: Arc<Mutex<HashMap<SiteDay, Arc<tokio::sync::Mutex<()>>>>>,
    pub(super) permits: Arc<Semaphore>,
}

impl DayAggregateCache {
    pub(super) fn new() -> Self {
        Self {
            days: Arc::new(sized_cache(
                ESTIMATED_DAYS,
                DAY_CACHE_BYTES as u64,
                DayWeighter,
            )),
            day_locks: Arc::default(),
            permits: Arc::new(Semaphore::new(MAX_CONCURRENT_AGGREGATIONS)),
        }
    }

    pub(super) fn get(&self, key: SiteDay, detail: DayDetail) -> Option<Arc<DayAggregates>> {
        let cached = self.days.get(&key);
        cached.filter(|day| detail == DayDetail::Metrics || day.blocks.is_some())
    }

    pub(super) fn insert(&self, key: SiteDay, day: &Arc<DayAggregates>) {
        let day = if blocks_size(day.blocks()) > MAX_CACHED_BLOCK_BYTES {
            Arc::new(DayAggregates {
                blocks: None,
                ..DayAggregates::clone(day)
            })
        } else {
            day.clone()
        };
        self.days.insert(key, day);
    }

    pub(super) fn lock(&self, key: SiteDay) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.day_locks.lock().expect(DAY_LOCKS_POISONED);
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        locks.entry(key).or_default().clone()
    }
}

/// How to use a cached result.
pub(super) enum CacheState {
    /// Serve the result.
    Fresh,
    /// Serve the result and fold the day again in the background.
    Stale,
    /// Fold the day first.
    Expired,
}

pub(super) fn cache_state(cached: &DayAggregates, (version, is_past): (Uuid, bool)) -> CacheState {
    let age = cached.started_at.elapsed();
    // Each change of a past day gives it another id, and so does an erasure on any day.
    if (cached.version, cached.is_past) != (version, is_past) {
        return CacheState::Expired;
    }
    if is_past {
        return CacheState::Fresh;
    }
    if cached.visits <= SMALL_DAY_VISITS
        || age > MAX_STALENESS.max(cached.duration * FRESHNESS_FACTOR * 2)
    {
        CacheState::Expired
    } else if age < MIN_FRESHNESS.max(cached.duration * FRESHNESS_FACTOR) {
        CacheState::Fresh
    } else {
        CacheState::Stale
    }
}
