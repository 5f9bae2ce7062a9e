//! Dirty days: their visits are folded when a report needs them, and the result is cached for a
//! while.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use rollups::day::LocalDay;
use rollups::quarter_hours::QuarterHours;
use rollups::query::day_seconds;
use tokio::time::Instant;
use uuid::Uuid;

use super::day_aggregates::{CacheState, DayAggregates, DayDetail, cache_state};
use super::query::ReportSite;
use crate::store::rollup::{OPEN_DAY_GRACE, as_bytes, ways_of_day};
use crate::store::{Store, StoreError};

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
