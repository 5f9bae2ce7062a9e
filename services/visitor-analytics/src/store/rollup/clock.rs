//! Folded days by quarters of an hour: the table `rollup_clock`.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use chrono_tz::Tz;
use sqlx::{PgConnection, PgPool};

use super::{DueDay, Folded, pack, zone};
use crate::domain::day::Day;
use crate::domain::pack::Pack;
use crate::domain::quarters::{Overlap, Quarters};
use crate::domain::question::seconds;
use crate::store::StoreError;

const UNREADABLE: StoreError = StoreError::Unreadable("a day's quarters");

/// A day, and who comes on the next one, too, where that is known.
#[derive(Clone, Debug)]
pub(in crate::store) struct DayByClock {
    pub(in crate::store) quarters: Quarters,
    pub(in crate::store) overlap: Option<Overlap>,
}

/// Replaces a day's row and what the day before says of it, within the transaction that replaces
/// its numbers and before its packs are replaced.
pub(super) async fn replace(
    connection: &mut PgConnection,
    due: &DueDay,
    folded: &Folded,
) -> Result<(), StoreError> {
    let (site_id, day) = (due.site_id, folded.day);
    let zone = zone::zones(connection, &[site_id]).await?;
    let zone = zone.first().map_or(Tz::UTC, |(_, zone)| *zone);
    let (before, after) = (day.date.pred_opt(), day.date.succ_opt());
    let next = match after {
        Some(date) => neighbour(connection, site_id, zone, date).await?,
        None => None,
    };
    let this = (&folded.packs[..], &seconds(&day));
    let overlap = next.map(|(packs, next)| Overlap::of(this, (&packs, &seconds(&next))).bytes());
    sqlx::query!(
        "delete from visitor_analytics.rollup_clock where site_id = $1 and day = $2",
        site_id,
        day.date,
    )
    .execute(&mut *connection)
    .await?;
    if let Some(quarters) = Quarters::of(&folded.packs, &seconds(&day)) {
        sqlx::query!(
            "insert into visitor_analytics.rollup_clock (site_id, day, quarters, overlap)
             values ($1, $2, $3, $4)",
            site_id,
            day.date,
            &quarters.bytes(),
            overlap,
        )
        .execute(&mut *connection)
        .await?;
    }
    let last = match before {
        Some(date) => neighbour(connection, site_id, zone, date).await?,
        None => None,
    };
    if let Some((packs, last)) = last {
        sqlx::query!(
            "update visitor_analytics.rollup_clock set overlap = $3
             where site_id = $1 and day = $2",
            site_id,
            last.date,
            &Overlap::of((&packs, &seconds(&last)), this).bytes(),
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// The visits of a day beside; none where it is not folded, or its visits have been dropped.
async fn neighbour(
    connection: &mut PgConnection,
    site_id: i32,
    zone: Tz,
    date: NaiveDate,
) -> Result<Option<(Vec<Arc<Pack>>, Day)>, StoreError> {
    let day = Day::new(zone, date);
    let packs = pack::load(connection, site_id, date, &[]).await?;
    // In another time zone it was another day.
    let is_it = packs
        .first()
        .is_some_and(|pack| pack.start == day.from.timestamp());
    Ok(is_it.then_some((packs, day)))
}

/// The days of a site from one to another, both included.
pub(in crate::store) async fn of_days(
    pool: &PgPool,
    site_id: i32,
    (first, last): (NaiveDate, NaiveDate),
) -> Result<BTreeMap<NaiveDate, DayByClock>, StoreError> {
    let rows = sqlx::query!(
        "select day, quarters, overlap from visitor_analytics.rollup_clock
         where site_id = $1 and day between $2 and $3",
        site_id,
        first,
        last,
    );
    let rows = rows.fetch_all(pool).await?.into_iter().map(|row| {
        let overlap = row
            .overlap
            .map(|bytes| Overlap::read(&bytes).ok_or(UNREADABLE));
        let day = DayByClock {
            quarters: Quarters::read(&row.quarters).ok_or(UNREADABLE)?,
            overlap: overlap.transpose()?,
        };
        Ok((row.day, day))
    });
    rows.collect()
}
