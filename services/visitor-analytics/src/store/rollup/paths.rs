//! Path rollups of days and months: the table `rollup_path`.

use std::collections::HashMap;
use std::sync::Arc;

use chassis::database::StoreError;
use chrono::NaiveDate;
use rollups::paths::{self, MAX_PATH_DEPTH, adjacent_pages};
use rollups::query::day_seconds;
use sqlx::PgConnection;

use super::rollup_store::RollupStore;
use super::{ClaimedDay, DayRollup, month};

const CORRUPT_PATHS: StoreError = StoreError::Corrupt("a path rollup");

/// The encoded paths of a day by depth. The entry at 0 contains the adjacent pages.
pub type EncodedPaths = [Vec<u8>; MAX_PATH_DEPTH + 1];

/// Encodes the paths of a day. `ids` has the ids of the texts in `rollup_value`.
pub(crate) fn encode_day(folded: &DayRollup, ids: &HashMap<Arc<str>, i32>) -> EncodedPaths {
    let path = |page: u32| {
        let id = folded.paths.get(&page).and_then(|path| ids.get(path));
        id.map_or(0, |id| id.cast_unsigned())
    };
    let (blocks, day) = (&folded.blocks, &day_seconds(&folded.day));
    let mut encoded_paths = paths::encode_day(blocks, day, path).into_iter();
    let mut adjacent = Some(adjacent_pages::encode_day(blocks, day, path));
    [(); MAX_PATH_DEPTH + 1].map(|()| {
        adjacent
            .take()
            .or_else(|| encoded_paths.next())
            .unwrap_or_default()
    })
}

/// Replaces the rows of a day and its month in the transaction that replaces the rollups.
pub(super) async fn replace(
    connection: &mut PgConnection,
    claimed: &ClaimedDay,
    encoded_paths: &EncodedPaths,
) -> Result<(), StoreError> {
    let (first, after) = month::month_bounds(claimed.date);
    sqlx::query!(
        "delete from visitor_analytics.rollup_path
         where site_id = $1 and (day = $2 and not is_month or day = $3 and is_month)",
        claimed.site_id,
        claimed.date,
        first,
    )
    .execute(&mut *connection)
    .await?;
    insert(
        connection,
        claimed.site_id,
        (claimed.date, false),
        encoded_paths,
    )
    .await?;
    if !month::are_other_days_folded(connection, claimed).await? {
        return Ok(());
    }
    let mut months = EncodedPaths::default();
    for (depth, sum) in months.iter_mut().enumerate() {
        let days = sqlx::query_scalar!(
            "select paths from visitor_analytics.rollup_path
             where site_id = $1 and depth = $2 and not is_month and day >= $3 and day < $4",
            claimed.site_id,
            depth_code(depth),
            first,
            after,
        );
        let days = days.fetch_all(&mut *connection).await?;
        let all = if depth == 0 {
            adjacent_pages::sum_days(&days)
        } else {
            paths::sum_days(&days)
        };
        *sum = all.ok_or(CORRUPT_PATHS)?;
    }
    insert(connection, claimed.site_id, (first, true), &months).await
}

async fn insert(
    connection: &mut PgConnection,
    site_id: i32,
    (day, is_month): (NaiveDate, bool),
    encoded_paths: &EncodedPaths,
) -> Result<(), StoreError> {
    let depths: Vec<i16> = (0..encoded_paths.len()).map(depth_code).collect();
    let encoded_paths: Vec<&[u8]> = encoded_paths.iter().map(Vec::as_slice).collect();
    sqlx::query!(
        "insert into visitor_analytics.rollup_path (site_id, day, is_month, depth, paths)
         select $1, $2, $3, w.* from unnest($4::smallint[], $5::bytea[]) w",
        site_id,
        day,
        is_month,
        &depths,
        &encoded_paths as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

impl RollupStore {
    /// Reads the rows of a depth from `first` to `last`, inclusive, without the days in `dirty`.
    pub async fn paths(
        &self,
        (site_id, depth): (i32, usize),
        (first, last): (NaiveDate, NaiveDate),
        dirty: &[NaiveDate],
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let months = month::complete_months(first, last, dirty);
        let rows = sqlx::query_scalar!(
            r#"with whole as materialized (
                   select day, paths from visitor_analytics.rollup_path
                   where site_id = $1 and depth = $2 and is_month and day = any($3))
               select paths as "paths!" from whole
               union all
               select paths from visitor_analytics.rollup_path
               where site_id = $1 and depth = $2 and not is_month
                 and day between $4 and $5 and day <> all($6)
                 and date_trunc('month', day::timestamp)::date not in (select day from whole)"#,
            site_id,
            depth_code(depth),
            &months,
            first,
            last,
            dirty,
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }
}

fn depth_code(depth: usize) -> i16 {
    i16::try_from(depth).unwrap_or(i16::MAX)
}
