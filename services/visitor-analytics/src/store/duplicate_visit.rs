//! Counts how often a recorded visit was submitted again, and when last.

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::visit::VisitKey;

/// Counts duplicates. A key may occur several times.
pub(super) async fn count_duplicates(
    connection: &mut PgConnection,
    copies: &[VisitKey],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if copies.is_empty() {
        return Ok(());
    }
    let (ids, moments): (Vec<Uuid>, Vec<DateTime<Utc>>) = copies.iter().copied().unzip();
    sqlx::query!(
        "insert into visitor_analytics.visit_copy (visit_id, visit_timestamp, copies, last_at)
         select id, moment, count(*), $3 from unnest($1::uuid[], $2::timestamptz[]) as n (id, moment)
         -- In a fixed order, so that two processes do not deadlock.
         group by id, moment order by id, moment
         on conflict on constraint visit_copy_pkey do update
         set copies = visit_copy.copies + excluded.copies, last_at = excluded.last_at",
        &ids,
        &moments,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes the counts of visits that are deleted.
pub(super) async fn delete_counts(
    connection: &mut PgConnection,
    ids: &[Uuid],
    moments: &[DateTime<Utc>],
) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from visitor_analytics.visit_copy c
         using unnest($1::uuid[], $2::timestamptz[]) as n (id, moment)
         where c.visit_id = n.id and c.visit_timestamp = n.moment",
        ids,
        moments,
    )
    .execute(connection)
    .await?;
    Ok(())
}
