//! Dirty days: their visits are folded when a report needs them, and the result is cached for a
//! while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use rollups::day::LocalDay;
use rollups::dimension::Dimension;
use rollups::fold::Metrics;
use rollups::pack::ColumnBlock;
use rollups::quarters::QuarterHours;
use rollups::question::seconds;
use rollups::sums::{MetricSums, add_bytes};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use uuid::Uuid;

use super::ReportSite;
use super::recent::SizedLru;
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
    numbers: DayNumbers,
    ways: EncodedPaths,
    /// `None` if the day does not consist of whole quarter hours.
    pub(super) quarters: Option<QuarterHours>,
    /// `None` if they are too large for the cache.
    packs: Option<Vec<Arc<ColumnBlock>>>,
    /// When the visits were read.
    pub(super) as_of: DateTime<Utc>,
    begun: Instant,
    took: Duration,
    /// The id of the last change of the day.
    change: Uuid,
    is_over: bool,
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
        let Some(bytes) = self.numbers.get(&dimension) else {
            return Ok(());
        };
        let added = add_bytes(sums, bytes, is_bot);
        added.ok_or(StoreError::Unreadable("the metrics of a day"))
    }

    /// The metrics of all visits.
    pub(super) fn total(&self) -> Result<[Metrics; 2], StoreError> {
        let mut sums = <[MetricSums; 2]>::default();
        self.add_to(&mut sums, Dimension::Total, None)?;
        Ok(sums.map(|sums| sums.total()))
    }

    /// The encoded paths of sessions at this depth.
    pub(super) fn ways(&self, depth: usize) -> &[u8] {
        self.ways.get(depth).map_or(&[], Vec::as_slice)
    }

    /// The visits, if they were requested.
    pub(super) fn packs(&self) -> &[Arc<ColumnBlock>] {
        self.packs.as_deref().unwrap_or_default()
    }

    /// The approximate size in bytes.
    fn size(&self) -> usize {
        let numbers: usize = self.numbers.values().map(Vec::len).sum();
        let ways: usize = self.ways.iter().map(Vec::len).sum();
        numbers + ways + packs_size(self.packs()) + 16_000
    }
}

fn packs_size(packs: &[Arc<ColumnBlock>]) -> usize {
    packs.iter().map(|pack| pack.size()).sum()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DayDetail {
    Numbers,
    /// The visits in addition.
    Packs,
}

type SiteDay = (i32, NaiveDate);

#[derive(Clone, Debug)]
pub(in crate::store) struct DayAggregateCache {
    known: Arc<Mutex<SizedLru<SiteDay, Arc<DayAggregates>>>>,
    busy: Arc<Mutex<HashMap<SiteDay, Arc<tokio::sync::Mutex<()>>>>>,
    turns: Arc<Semaphore>,
}

impl DayAggregateCache {
    pub(in crate::store) fn new() -> Self {
        Self {
            known: Arc::new(Mutex::new(SizedLru::new(DAY_CACHE_BYTES))),
            busy: Arc::default(),
            turns: Arc::new(Semaphore::new(MAX_CONCURRENT_AGGREGATIONS)),
        }
    }

    fn get(&self, key: SiteDay, want: DayDetail) -> Option<Arc<DayAggregates>> {
        let known = self.known.lock().expect(DAYS_LOCK_POISONED).get(&key);
        known.filter(|day| want == DayDetail::Numbers || day.packs.is_some())
    }

    fn remember(&self, key: SiteDay, day: &Arc<DayAggregates>) {
        let day = if packs_size(day.packs()) > MAX_CACHED_BLOCK_BYTES {
            Arc::new(DayAggregates {
                packs: None,
                ..DayAggregates::clone(day)
            })
        } else {
            day.clone()
        };
        let size = day.size();
        let mut known = self.known.lock().expect(DAYS_LOCK_POISONED);
        known.insert(key, day, size);
    }

    fn lock(&self, key: SiteDay) -> Arc<tokio::sync::Mutex<()>> {
        let mut busy = self.busy.lock().expect(DAYS_LOCK_POISONED);
        busy.retain(|_, lock| Arc::strong_count(lock) > 1);
        busy.entry(key).or_default().clone()
    }
}

/// How to use a cached result.
enum CacheState {
    /// Serve the result.
    Tell,
    /// Serve the result and fold the day again in the background.
    TellAndFold,
    /// Fold the day first.
    Fold,
}

impl Store {
    /// The rollups of a dirty day.
    pub(super) async fn unfolded(
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
        if let Some(known) = self.days.get(key, want) {
            match use_of(&known, change) {
                CacheState::Tell => return Ok(known),
                CacheState::TellAndFold => {
                    if let Ok(turn) = self.days.lock(key).try_lock_owned() {
                        let (store, site) = (self.clone(), site.clone());
                        tokio::spawn(async move {
                            let _turn = turn;
                            store.fold_now(&site, date, change, now).await
                        });
                    }
                    return Ok(known);
                }
                CacheState::Fold => {}
            }
        }
        // A report on years of dirty days stops when its request exceeds the deadline.
        if chassis::request::is_overdue() {
            return Err(StoreError::Overdue);
        }
        // A separate task, so that the result is cached even if the request is cancelled.
        let (store, site) = (self.clone(), site.clone());
        let folding = tokio::spawn(async move {
            let lock = store.days.lock(key);
            let _turn = lock.lock().await;
            // Another request may have folded the day meanwhile.
            let known = store.days.get(key, want);
            if let Some(known) =
                known.filter(|k| k.begun >= asked && (k.change, k.is_over) == change)
            {
                return Ok(known);
            }
            store.fold_now(&site, date, change, now).await
        });
        folding
            .await
            .map_err(|_| StoreError::Unreadable("a day that cannot be folded"))?
    }

    async fn fold_now(
        &self,
        site: &ReportSite,
        date: NaiveDate,
        (change, is_over): (Uuid, bool),
        now: DateTime<Utc>,
    ) -> Result<Arc<DayAggregates>, StoreError> {
        let _turn = self.days.turns.acquire().await;
        let begun = Instant::now();
        let folded = self.fold_day(site.id, date).await?;
        let ids = self.value_ids(folded.texts()).await?;
        let day = Arc::new(DayAggregates {
            numbers: as_bytes(&folded.rows, &ids),
            ways: ways_of_day(&folded, &ids),
            quarters: QuarterHours::of(&folded.packs, &seconds(&folded.day)),
            visits: folded.packs.iter().map(|pack| pack.at.len()).sum(),
            packs: Some(folded.packs),
            as_of: now,
            begun,
            took: begun.elapsed(),
            change,
            is_over,
        });
        self.days.remember((site.id, date), &day);
        Ok(day)
    }
}

fn use_of(known: &DayAggregates, (change, is_over): (Uuid, bool)) -> CacheState {
    let age = known.begun.elapsed();
    // Each change of a past day gives it another id, and so does an erasure on any day.
    if (known.change, known.is_over) != (change, is_over) {
        return CacheState::Fold;
    }
    if is_over {
        return CacheState::Tell;
    }
    if known.visits <= SMALL_DAY_VISITS
        || age > MAX_STALENESS.max(known.took * FRESHNESS_FACTOR * 2)
    {
        CacheState::Fold
    } else if age < MIN_FRESHNESS.max(known.took * FRESHNESS_FACTOR) {
        CacheState::Tell
    } else {
        CacheState::TellAndFold
    }
}
