//! Rollups: numbers of days that are over, in step with the visits.
//!
//! A day is folded or it is not. Whoever changes something marks its days ([`Marks`]); a day that
//! has been over for a while is folded from its visits ([`Store::fold_day`]) and loses its mark
//! with the same transaction that writes its numbers. A report adds the numbers of folded days and
//! folds the visits of the others itself.

mod clock;
mod lexicon;
mod mark;
mod month;
mod pack;
mod read;
mod verify;
mod ways;
mod write;
mod zone;

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use rollups::day::LocalDay;
use rollups::dimension::Dimension;
use rollups::fold::Metrics;
use rollups::pack::ColumnBlock;
use sqlx::PgConnection;
use uuid::Uuid;

pub(super) use clock::{QuarterHourDay, of_days as clocks};
pub(super) use lexicon::ValueDictionary;
pub(super) use mark::{DirtyDays, MarkedDays, OPEN_DAY_GRACE, TouchedPeriod};
pub(super) use month::sums;
pub(super) use pack::{
    drop_before as drop_packs_before, load as load_packs, marks as pack_marks, visitors,
};
pub use read::visitor_key;
pub use verify::{MetricMismatch, VerifiableDay, VerifyOutcome};
pub(super) use ways::{EncodedPaths, load as load_ways, of_day as ways_of_day};
pub(super) use write::{
    EncodedMetrics as DayNumbers, VALUES_LOCK, numbers as as_bytes, value, values,
};
pub(super) use zone::{mark_all, named as zone_named};

use super::{Store, StoreError};

/// A day is folded when it has been over for this long. Processes take a day for open an hour
/// less, so that their clocks need not agree and what they have begun is long committed.
const ROLLUP_DELAY: TimeDelta = TimeDelta::hours(2);
/// Who folds a day must be done with it within this time; a day that is touched after its end is
/// left alone for as long.
const ROLLUP_LEASE: TimeDelta = TimeDelta::minutes(10);

/// A day that is due to be folded, taken for ten minutes.
#[derive(Clone, Copy, Debug)]
pub struct ClaimedDay {
    /// Whose.
    pub site_id: i32,
    /// Which.
    pub date: NaiveDate,
    /// What it was touched by last.
    change: Uuid,
}

/// The numbers of one value on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollupRow {
    /// Of which dimension.
    pub dimension: Dimension,
    /// Whether of bots' sessions.
    pub is_bot: bool,
    /// The value; `None` where visits have none.
    pub value: Option<Arc<str>>,
    /// The numbers.
    pub numbers: Metrics,
}

/// What a day's visits are once they are folded.
#[derive(Clone, Debug)]
pub struct DayRollup {
    /// The numbers.
    pub rows: Vec<RollupRow>,
    /// The visits, packed.
    pub packs: Vec<Arc<ColumnBlock>>,
    /// The paths of their pages.
    pub paths: HashMap<u32, Arc<str>>,
    /// The day.
    pub day: LocalDay,
}

impl DayRollup {
    /// The texts whose numbers are needed to write it.
    pub(super) fn texts(&self) -> impl Iterator<Item = &Arc<str>> {
        let values = self.rows.iter().filter_map(|row| row.value.as_ref());
        values.chain(self.paths.values())
    }
}

impl Store {
    /// Takes days that are due, at most `limit`; nobody else takes them until the lease is over.
    pub async fn days_to_fold(
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

    /// Folds a day that was taken. Returns how many rows were written; `None` where somebody
    /// touched the day meanwhile, which leaves it to be folded again.
    pub async fn fold(&self, due: &ClaimedDay) -> Result<Option<usize>, StoreError> {
        let day = self.day(due.site_id, due.date).await?;
        if self.is_dropped(due.site_id, &day).await? {
            // What is left of it would only take the place of what was folded.
            return Ok(write::unmark(&self.pool, due).await?.then_some(0));
        }
        let folded = self.fold_day(due.site_id, due.date).await?;
        self.replace_day(due, &folded).await
    }

    /// Writes the numbers of a day that was taken before they were read. Returns how many rows
    /// were written; `None`, with nothing done, where somebody touched the day meanwhile.
    pub async fn replace_day(
        &self,
        due: &ClaimedDay,
        folded: &DayRollup,
    ) -> Result<Option<usize>, StoreError> {
        write::replace(&self.pool, due, folded).await
    }

    /// The numbers of a day, folded from its visits.
    pub async fn fold_day(&self, site_id: i32, date: NaiveDate) -> Result<DayRollup, StoreError> {
        let zone = self.zone(site_id).await?;
        read::fold(&self.pool, site_id, zone, LocalDay::new(zone, date)).await
    }

    async fn day(&self, site_id: i32, date: NaiveDate) -> Result<LocalDay, StoreError> {
        Ok(LocalDay::new(self.zone(site_id).await?, date))
    }

    /// Whether visits of this day have been dropped.
    async fn is_dropped(&self, site_id: i32, day: &LocalDay) -> Result<bool, StoreError> {
        let kept = sqlx::query_scalar!("select visitor_analytics.kept_since($1)", site_id);
        let kept = kept.fetch_one(&self.pool).await?;
        Ok(kept.is_some_and(|kept| day.from < kept))
    }
}

/// Tells that the visits before `kept_since` are being dropped: the days are not folded any more,
/// and keep their numbers as they are.
pub(super) async fn dropped_before(
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
