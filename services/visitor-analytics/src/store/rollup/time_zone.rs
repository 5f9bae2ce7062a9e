//! Time zones of sites, which determine when their days begin.

use chassis::database::StoreError;
use chrono_tz::Tz;
use sqlx::PgConnection;

pub(super) async fn load_time_zones(
    connection: &mut PgConnection,
    sites: &[i32],
) -> Result<Vec<(i32, Tz)>, StoreError> {
    if sites.is_empty() {
        return Ok(vec![]);
    }
    let rows = sqlx::query!(
        "select id, time_zone from visitor_analytics.site where id = any($1)",
        sites
    );
    let rows = rows.fetch_all(connection).await?.into_iter();
    Ok(rows
        .map(|row| (row.id, parse_time_zone(&row.time_zone)))
        .collect())
}

/// Parses a time zone that PostgreSQL has accepted. Falls back to UTC for a zone that this program
/// does not know, so that no visit is lost.
pub(in crate::store) fn parse_time_zone(name: &str) -> Tz {
    name.parse().unwrap_or_else(|_| {
        tracing::error!(name, "unknown time zone of a site; using UTC");
        Tz::UTC
    })
}
