//! Dirty days: their visits are folded when a report needs them, and the result is cached for a
//! while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use rollups::aggregate::Metrics;
use rollups::aggregate_codec::{MetricSums, add_encoded};
use rollups::column_block::ColumnBlock;
use rollups::day::LocalDay;
use rollups::dimension::Dimension;
use rollups::quarter_hours::QuarterHours;
use rollups::query::day_seconds;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use uuid::Uuid;

use super::ReportSite;
use super::lru::SizedLru;
use crate::store::rollup::{DayNumbers, EncodedPaths, OPEN_DAY_GRACE, as_bytes, ways_of_day};
use crate::store::{Store, StoreError};

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
/// The visits of a day are cached with its metrics up to this size.
const MAX_CACHED_BLOCK_BYTES: usize = DAY_CACHE_BYTES / 2;
const MAX_CONCURRENT_AGGREGATIONS: usize = 2;

const DAYS_LOCK_POISONED: &str = "no code panics while it holds this lock";

/// The rollups and visits of a day at some time.
#[derive(Clone, Debug)]
pub(super) struct DayAggregates {
    metrics: DayNumbers,
    paths: EncodedPaths,
    /// `None` if the day does not consist of whole quarter hours.
    pub(super) quarters: Option<QuarterHours>,
    /// `None` if they are too large for the cache.
    blocks: Option<Vec<Arc<ColumnBlock>>>,
    /// When the visits were read.
    pub(super) as_of: DateTime<Utc>,
    started_at: Instant,
    duration: Duration,
    /// The id of the last change of the day.
    version: Uuid,
    is_past: bool,
    visits: usize,
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
        let numbers: usize = self.metrics.values().map(Vec::len).sum();
        let ways: usize = self.paths.iter().map(Vec::len).sum();
        numbers + ways + blocks_size(self.blocks()) + 16_000
    }
}

fn blocks_size(packs: &[Arc<ColumnBlock>]) -> usize {
    packs.iter().map(|pack| pack.size_bytes()).sum()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DayDetail {
    Metrics,
    /// The visits in addition.
    Blocks,
}

type SiteDay = (i32, NaiveDate);

#[derive(Clone, Debug)]
pub(in crate::store) struct DayAggregateCache {
    days: Arc<Mutex<SizedLru<SiteDay, Arc<DayAggregates>>>>,
    day_locks: Arc<Mutex<HashMap<SiteDay, Arc<tokio::sync::Mutex<()>>>>>,
    permits: Arc<Semaphore>,
}

impl DayAggregateCache {
    pub(in crate::store) fn new() -> Self {
        Self {
            days: Arc::new(Mutex::new(SizedLru::new(DAY_CACHE_BYTES))),
            day_locks: Arc::default(),
            permits: Arc::new(Semaphore::new(MAX_CONCURRENT_AGGREGATIONS)),
        }
    }

    fn get(&self, key: SiteDay, want: DayDetail) -> Option<Arc<DayAggregates>> {
        let known = self.days.lock().expect(DAYS_LOCK_POISONED).get(&key);
        known.filter(|day| want == DayDetail::Metrics || day.blocks.is_some())
    }

    fn insert(&self, key: SiteDay, day: &Arc<DayAggregates>) {
        let day = if blocks_size(day.blocks()) > MAX_CACHED_BLOCK_BYTES {
            Arc::new(DayAggregates {
                blocks: None,
                ..DayAggregates::clone(day)
            })
        } else {
            day.clone()
        };
        let size = day.size();
        let mut known = self.days.lock().expect(DAYS_LOCK_POISONED);
        known.insert(key, day, size);
    }

    fn lock(&self, key: SiteDay) -> Arc<tokio::sync::Mutex<()>> {
        let mut busy = self.day_locks.lock().expect(DAYS_LOCK_POISONED);
        busy.retain(|_, lock| Arc::strong_count(lock) > 1);
        busy.entry(key).or_default().clone()
    }
}

/// How to use a cached result.
enum CacheState {
    /// Serve the result.
    Fresh,
    /// Serve the result and fold the day again in the background.
    Stale,
    /// Fold the day first.
    Expired,
}

impl Store {
    /// The rollups of a dirty day.
    pub(super) async fn dirty_day(
        &self,
        site: &ReportSite,
        (date, change): (NaiveDate, Uuid),
        now: DateTime<Utc>,
        want: DayDetail,
    ) -> Result<Arc<DayAggregates>, StoreError> {
        let key = (site.id, date);
        let is_over = LocalDay::new(site.zone, date).to + OPEN_DAY_GRACE <= now;
        let change = (change, is_over);
        let asked = Instant::now();
        if let Some(known) = self.day_aggregates.get(key, want) {
            match cache_state(&known, change) {
                CacheState::Fresh => return Ok(known),
                CacheState::Stale => {
                    if let Ok(turn) = self.day_aggregates.lock(key).try_lock_owned() {
                        let (store, site) = (self.clone(), site.clone());
                        tokio::spawn(async move {
                            let _turn = turn;
                            store.fold_dirty_day(&site, date, change, now).await
                        });
                    }
                    return Ok(known);
                }
                CacheState::Expired => {}
            }
        }
        // A report on years of dirty days stops when its request exceeds the deadline.
        if chassis::request::is_timed_out() {
            return Err(StoreError::DeadlineExceeded);
        }
        // A separate task, so that the result is cached even if the request is cancelled.
        let (store, site) = (self.clone(), site.clone());
        let folding = tokio::spawn(async move {
            let lock = store.day_aggregates.lock(key);
            let _turn = lock.lock().await;
            // Another request may have folded the day meanwhile.
            let known = store.day_aggregates.get(key, want);
            if let Some(known) =
                known.filter(|k| k.started_at >= asked && (k.version, k.is_past) == change)
            {
                return Ok(known);
            }
            store.fold_dirty_day(&site, date, change, now).await
        });
        folding
            .await
            .map_err(|_| StoreError::Corrupt("a day that cannot be folded"))?
    }

    async fn fold_dirty_day(
        &self,
        site: &ReportSite,
        date: NaiveDate,
        (change, is_over): (Uuid, bool),
        now: DateTime<Utc>,
    ) -> Result<Arc<DayAggregates>, StoreError> {
        let _turn = self.day_aggregates.permits.acquire().await;
        let begun = Instant::now();
        let folded = self.fold_day(site.id, date).await?;
        let ids = self.value_ids(folded.texts()).await?;
        let day = Arc::new(DayAggregates {
            metrics: as_bytes(&folded.rows, &ids),
            paths: ways_of_day(&folded, &ids),
            quarters: QuarterHours::from_blocks(&folded.blocks, &day_seconds(&folded.day)),
            visits: folded.blocks.iter().map(|pack| pack.times.len()).sum(),
            blocks: Some(folded.blocks),
            as_of: now,
            started_at: begun,
            duration: begun.elapsed(),
            version: change,
            is_past: is_over,
        });
        self.day_aggregates.insert((site.id, date), &day);
        Ok(day)
    }
}

fn cache_state(known: &DayAggregates, (change, is_over): (Uuid, bool)) -> CacheState {
    let age = known.started_at.elapsed();
    // Each change of a past day gives it another id, and so does an erasure on any day.
    if (known.version, known.is_past) != (change, is_over) {
        return CacheState::Expired;
    }
    if is_over {
        return CacheState::Fresh;
    }
    if known.visits <= SMALL_DAY_VISITS
        || age > MAX_STALENESS.max(known.duration * FRESHNESS_FACTOR * 2)
    {
        CacheState::Expired
    } else if age < MIN_FRESHNESS.max(known.duration * FRESHNESS_FACTOR) {
        CacheState::Fresh
    } else {
        CacheState::Stale
    }
}
