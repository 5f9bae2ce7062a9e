//! Quarter-hour rollups: the table `rollup_quarter_hour`.

use std::collections::BTreeMap;
use std::sync::Arc;

use chassis::database::StoreError;
use chrono::NaiveDate;
use chrono_tz::Tz;
use rollups::column_block::ColumnBlock;
use rollups::day::LocalDay;
use rollups::quarter_hours::{MidnightOverlap, QuarterHours};
use rollups::query::day_seconds;
use sqlx::PgConnection;

use super::rollup_store::RollupStore;
use super::{ClaimedDay, DayRollup, column_block, time_zone};

const CORRUPT_QUARTER_HOURS: StoreError = StoreError::Corrupt("a quarter-hour rollup");

/// A day, and its overlap with the visitors of the next day, if known.
#[derive(Clone, Debug)]
pub struct QuarterHourDay {
    pub quarters: QuarterHours,
    pub overlap: Option<MidnightOverlap>,
}

/// Replaces a day's row, and its overlap in the row of the previous day. Called in the transaction
/// that replaces the rollups, before the column blocks are replaced.
pub(super) async fn replace(
    connection: &mut PgConnection,
    claimed: &ClaimedDay,
    folded: &DayRollup,
) -> Result<(), StoreError> {
    let (site_id, day) = (claimed.site_id, folded.day);
    let zone = time_zone::load_time_zones(connection, &[site_id]).await?;
    let zone = zone.first().map_or(Tz::UTC, |(_, zone)| *zone);
    let (before, after) = (day.date.pred_opt(), day.date.succ_opt());
    let next = match after {
        Some(date) => load_adjacent_day(connection, site_id, zone, date).await?,
        None => None,
    };
    let this = (&folded.blocks[..], &day_seconds(&day));
    let overlap = next.map(|(blocks, next)| {
        MidnightOverlap::from_blocks(this, (&blocks, &day_seconds(&next))).to_bytes()
    });
    sqlx::query!(
        "delete from visitor_analytics.rollup_quarter_hour where site_id = $1 and day = $2",
        site_id,
        day.date,
    )
    .execute(&mut *connection)
    .await?;
    if let Some(quarters) = QuarterHours::from_blocks(&folded.blocks, &day_seconds(&day)) {
        sqlx::query!(
            "insert into visitor_analytics.rollup_quarter_hour (site_id, day, quarters, overlap)
             values ($1, $2, $3, $4)",
            site_id,
            day.date,
            &quarters.to_bytes(),
            overlap,
        )
        .execute(&mut *connection)
        .await?;
    }
    let previous = match before {
        Some(date) => load_adjacent_day(connection, site_id, zone, date).await?,
        None => None,
    };
    if let Some((blocks, previous)) = previous {
        sqlx::query!(
            "update visitor_analytics.rollup_quarter_hour set overlap = $3
             where site_id = $1 and day = $2",
            site_id,
            previous.date,
            &MidnightOverlap::from_blocks((&blocks, &day_seconds(&previous)), this).to_bytes(),
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// The visits of an adjacent day; `None` if the day is not folded or its visits have expired.
async fn load_adjacent_day(
    connection: &mut PgConnection,
    site_id: i32,
    zone: Tz,
    date: NaiveDate,
) -> Result<Option<(Vec<Arc<ColumnBlock>>, LocalDay)>, StoreError> {
    let day = LocalDay::new(zone, date);
    let blocks = column_block::load(connection, site_id, date, &[]).await?;
    // In another time zone, the date was another day.
    let is_same_day = blocks
        .first()
        .is_some_and(|block| block.start == day.from.timestamp());
    Ok(is_same_day.then_some((blocks, day)))
}

impl RollupStore {
    /// Reads the days of a site from `first` to `last`, inclusive.
    pub async fn quarter_hours(
        &self,
        site_id: i32,
        (first, last): (NaiveDate, NaiveDate),
    ) -> Result<BTreeMap<NaiveDate, QuarterHourDay>, StoreError> {
        let rows = sqlx::query!(
            "select day, quarters, overlap from visitor_analytics.rollup_quarter_hour
             where site_id = $1 and day between $2 and $3",
            site_id,
            first,
            last,
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter().map(|row| {
            let overlap = row
                .overlap
                .map(|bytes| MidnightOverlap::from_bytes(&bytes).ok_or(CORRUPT_QUARTER_HOURS));
            let day = QuarterHourDay {
                quarters: QuarterHours::from_bytes(&row.quarters).ok_or(CORRUPT_QUARTER_HOURS)?,
                overlap: overlap.transpose()?,
            };
            Ok((row.day, day))
        });
        rows.collect()
    }
}
