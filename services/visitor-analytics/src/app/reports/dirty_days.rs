//! Dirty days: their visits are folded when a report needs them, and the result is cached for a
//! while.

use std::sync::Arc;

use chassis::database::StoreError;
use chrono::{DateTime, NaiveDate, Utc};
use rollups::day::LocalDay;
use rollups::quarter_hours::QuarterHours;
use rollups::query::day_seconds;
use tokio::time::Instant;
use uuid::Uuid;

use super::day_aggregates::{CacheState, DayAggregates, DayDetail, cache_state};
use super::query::ReportQuery;
use super::report_engine::ReportEngine;
use crate::store::{OPEN_DAY_GRACE, ReportSite, encode_day_paths, encode_metrics};

impl ReportEngine {
    /// The rollups of a dirty day.
    pub(super) async fn dirty_day(
        &self,
        query: &ReportQuery,
        (date, version): (NaiveDate, Uuid),
        detail: DayDetail,
    ) -> Result<Arc<DayAggregates>, StoreError> {
        let (site, now) = (&query.site, query.now);
        let key = (site.id, date);
        let is_past = LocalDay::new(site.zone, date).to + OPEN_DAY_GRACE <= now;
        let version = (version, is_past);
        let requested_at = Instant::now();
        if let Some(cached) = self.day_aggregates.get(key, detail) {
            let is_same_version = (cached.version, cached.is_past) == version;
            if is_same_version && cached.started_at >= query.started_at {
                return Ok(cached);
            }
            match cache_state(&cached, version) {
                CacheState::Fresh => return Ok(cached),
                CacheState::Stale => {
                    if let Ok(guard) = self.day_aggregates.lock(key).try_lock_owned() {
                        let (engine, site) = (self.clone(), site.clone());
                        tokio::spawn(async move {
                            let _guard = guard;
                            engine.fold_dirty_day(&site, date, version, now).await
                        });
                    }
                    return Ok(cached);
                }
                CacheState::Expired => {}
            }
        }
        // A report on years of dirty days stops when its request exceeds the deadline.
        if chassis::request::is_timed_out() {
            return Err(StoreError::DeadlineExceeded);
        }
        // A separate task, so that the result is cached even if the request is cancelled.
        let (engine, site) = (self.clone(), site.clone());
        let folding = tokio::spawn(async move {
            let lock = engine.day_aggregates.lock(key);
            let _guard = lock.lock().await;
            // Another request may have folded the day meanwhile.
            let cached = engine.day_aggregates.get(key, detail);
            if let Some(cached) = cached.filter(|cached| {
                cached.started_at >= requested_at && (cached.version, cached.is_past) == version
            }) {
                return Ok(cached);
            }
            engine.fold_dirty_day(&site, date, version, now).await
        });
        folding.await.map_err(|_| StoreError::Panicked)?
    }

    async fn fold_dirty_day(
        &self,
        site: &ReportSite,
        date: NaiveDate,
        (version, is_past): (Uuid, bool),
        now: DateTime<Utc>,
    ) -> Result<Arc<DayAggregates>, StoreError> {
        let _guard = self.day_aggregates.permits.acquire().await;
        let started_at = Instant::now();
        let folded = self.store.rollups.fold_day(site.id, date).await?;
        let ids = self.store.rollups.value_ids(folded.texts()).await?;
        let day = Arc::new(DayAggregates {
            metrics: encode_metrics(&folded.rows, &ids),
            paths: encode_day_paths(&folded, &ids),
            quarters: QuarterHours::from_blocks(&folded.blocks, &day_seconds(&folded.day)),
            visitor_ids: folded.visitor_ids,
            visits: folded.blocks.iter().map(|block| block.times.len()).sum(),
            blocks: Some(folded.blocks),
            as_of: now,
            started_at,
            duration: started_at.elapsed(),
            version,
            is_past,
        });
        self.day_aggregates.insert((site.id, date), &day);
        Ok(day)
    }
}
