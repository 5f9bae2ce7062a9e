//! Reads and changes the time zone of a site. A change moves the days of the site.

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use sqlx::PgConnection;

use super::schedule::{OPEN_DAY_GRACE, ROLLUP_DELAY};
use super::time_zone::parse_time_zone;
use crate::store::rollup::rollup_store::RollupStore;

impl RollupStore {
    pub(super) async fn site_time_zone(&self, site_id: i32) -> Result<Tz, StoreError> {
        let name = sqlx::query_scalar!(
            "select time_zone from visitor_analytics.site where id = $1",
            site_id
        );
        Ok(parse_time_zone(&name.fetch_one(&self.pool).await?))
    }

    /// Changes the time zone of a site. All its days are folded again after an hour, when every
    /// process uses the new time zone.
    pub async fn set_time_zone(
        &self,
        site_id: i32,
        zone: Tz,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query!(
            "update visitor_analytics.site set time_zone = $2 where id = $1",
            site_id,
            zone.name(),
        )
        .execute(&mut *transaction)
        .await?;
        mark_all_days(&mut transaction, site_id, zone, now + OPEN_DAY_GRACE).await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// Marks all days of a site dirty, to be folded from `due_at` on, except for those whose visits
/// have expired.
pub(in crate::store) async fn mark_all_days(
    connection: &mut PgConnection,
    site_id: i32,
    zone: Tz,
    due_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let delay_hours = i32::try_from(ROLLUP_DELAY.num_hours()).unwrap_or(i32::MAX);
    sqlx::query!(
        "insert into visitor_analytics.unfolded_day as u (site_id, day, due_at)
             select $1, day, greatest($3::timestamptz,
                 (day + 1)::timestamp at time zone $2 + make_interval(hours => $4))
             from (select distinct d.day + beside as day
                   from (select day from visitor_analytics.rollup_day
                         where site_id = $1 and dimension = 0
                         union select day from visitor_analytics.unfolded_day where site_id = $1) d
                   cross join generate_series(-1, 1) beside) days
             where coalesce(visitor_analytics.kept_since($1)
                            <= day::timestamp at time zone $2, true)
             order by day
             on conflict (site_id, day)
             do update set change = gen_random_uuid(),
                           due_at = greatest(u.due_at, excluded.due_at)",
        site_id,
        zone.name(),
        due_at,
        delay_hours,
    )
    .execute(connection)
    .await?;
    Ok(())
}
