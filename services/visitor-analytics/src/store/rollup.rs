//! Rollups of past days, kept consistent with the visits.
//!
//! A day is either folded or dirty. Every change of visits marks its days ([`DirtyDays`]). A day
//! that ended a while ago is folded from its visits ([`Rollups::fold_day`]); the transaction that
//! writes its rollups removes the mark. A report reads the rollups of folded days and folds dirty
//! days itself.

mod column_block;
mod day_rollup;
mod dictionary;
mod dirty_day;
mod fold;
mod month;
mod paths;
mod quarter_hour;
mod report_rows;
mod rollup_store;
mod schedule;
mod time_zone;
mod time_zone_change;
mod value_text;
mod verify;
mod visit_ids;
mod visitor_days;
mod write;

use chassis::database::StoreError;
use chrono::{DateTime, NaiveDate, Utc};
use rollups::day::LocalDay;
use sqlx::PgConnection;

pub(super) use column_block::delete_before as delete_blocks_before;
pub use day_rollup::{ClaimedDay, DayRollup, RollupRow};
pub use dictionary::ValueDictionary;
pub(super) use dirty_day::{DirtyDays, MarkedDays, TouchedPeriod};
pub use fold::visitor_hash;
pub use paths::EncodedPaths;
pub(crate) use paths::encode_day as encode_day_paths;
pub use quarter_hour::QuarterHourDay;
pub use rollup_store::RollupStore;
pub use schedule::OPEN_DAY_GRACE;
use schedule::ROLLUP_LEASE;
pub(super) use time_zone::parse_time_zone;
pub(super) use time_zone_change::mark_all_days;
pub use verify::{MetricMismatch, VerifiableDay, VerifyOutcome};
pub use visitor_days::{StoredVisitors, VisitorDay};
pub use write::EncodedMetrics;
pub(super) use write::VALUES_LOCK;
pub(crate) use write::encode_metrics;

impl RollupStore {
    /// Claims at most `limit` days that are due. No other process claims them until the lease
    /// expires.
    pub async fn claim_days(
        &self,
        now: DateTime<Utc>,
        limit: i64,
    ) -> Result<Vec<ClaimedDay>, StoreError> {
        let days = sqlx::query_as!(
            ClaimedDay,
            "update visitor_analytics.unfolded_day u set due_at = $2
             from (select site_id, day from visitor_analytics.unfolded_day where due_at <= $1
                   order by due_at limit $3 for update skip locked) d
             where u.site_id = d.site_id and u.day = d.day
             returning u.site_id, u.day as date, u.change",
            now,
            now + ROLLUP_LEASE,
            limit,
        );
        Ok(days.fetch_all(&self.pool).await?)
    }

    /// Folds a claimed day. Returns the number of rows written, or `None` if the day changed
    /// meanwhile and stays dirty.
    pub async fn fold_claimed_day(
        &self,
        claimed: &ClaimedDay,
    ) -> Result<Option<usize>, StoreError> {
        let day = self.local_day(claimed.site_id, claimed.date).await?;
        if self.is_expired(claimed.site_id, &day).await? {
            // Keeps the existing rollup, since the remaining visits are incomplete.
            return Ok(write::unmark(&self.pool, claimed).await?.then_some(0));
        }
        let folded = self.fold_day(claimed.site_id, claimed.date).await?;
        self.replace_day(claimed, &folded).await
    }

    /// Writes the rollup of a day that was claimed before its visits were read. Returns the number
    /// of rows written, or `None`, without any change, if the day changed meanwhile.
    pub async fn replace_day(
        &self,
        claimed: &ClaimedDay,
        folded: &DayRollup,
    ) -> Result<Option<usize>, StoreError> {
        write::replace(&self.pool, claimed, folded).await
    }

    /// Computes the rollup of a day from its visits.
    pub async fn fold_day(&self, site_id: i32, date: NaiveDate) -> Result<DayRollup, StoreError> {
        let zone = self.site_time_zone(site_id).await?;
        fold::fold_visits(&self.pool, site_id, zone, LocalDay::new(zone, date)).await
    }

    async fn local_day(&self, site_id: i32, date: NaiveDate) -> Result<LocalDay, StoreError> {
        Ok(LocalDay::new(self.site_time_zone(site_id).await?, date))
    }

    /// Whether visits of this day have expired.
    async fn is_expired(&self, site_id: i32, day: &LocalDay) -> Result<bool, StoreError> {
        let kept_since = sqlx::query_scalar!("select visitor_analytics.kept_since($1)", site_id);
        let kept_since = kept_since.fetch_one(&self.pool).await?;
        Ok(kept_since.is_some_and(|kept_since| day.from < kept_since))
    }
}

/// Records that visits before `kept_since` are being deleted. Their days are no longer folded and
/// keep their rollups.
pub(super) async fn set_visit_horizon(
    connection: &mut PgConnection,
    kept_since: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into visitor_analytics.visit_horizon as h (kept_since) values ($1)
         on conflict on constraint visit_horizon_pkey
         do update set kept_since = greatest(h.kept_since, excluded.kept_since)",
        kept_since,
    )
    .execute(connection)
    .await?;
    Ok(())
}
