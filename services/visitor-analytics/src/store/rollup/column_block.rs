//! Column blocks of folded days: the table `visit_pack`.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use rollups::cohort;
use rollups::column_block::{ColumnBlock, ColumnKind};
use rollups::query::day_seconds;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use super::{ClaimedDay, DayRollup};
use crate::store::StoreError;

/// Replaces the column blocks of a day in the transaction that replaces its rollups.
pub(super) async fn replace(
    connection: &mut PgConnection,
    due: &ClaimedDay,
    folded: &DayRollup,
) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from visitor_analytics.visit_pack where site_id = $1 and day = $2",
        due.site_id,
        due.date,
    )
    .execute(&mut *connection)
    .await?;
    for (part, pack) in folded.blocks.iter().enumerate() {
        let [
            page,
            agent,
            verdict,
            place,
            network,
            language,
            status,
            _,
            origin,
            entry,
            exit,
        ] = ColumnKind::STORED.map(|field| pack.encode_column(field));
        let properties = pack.encode_nonempty_column(ColumnKind::Properties);
        sqlx::query!(
            "insert into visitor_analytics.visit_pack (site_id, day, part, start, runs, times,
                 page, agent, verdict, place, network, language, status, origin, entry, exit,
                 properties, change, visitors)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                 $18, $19)",
            due.site_id,
            due.date,
            i16::try_from(part)
                .map_err(|_| StoreError::Corrupt("a day with too many column blocks"))?,
            folded.day.from,
            &pack.encode_sessions(),
            &pack.encode_times(),
            &page,
            &agent,
            &verdict,
            &place,
            &network,
            &language,
            &status,
            &origin,
            &entry,
            &exit,
            properties,
            due.change,
            &cohort::encode_visitors(pack, &day_seconds(&folded.day)),
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Reads the column blocks of a folded day with these columns.
pub(in crate::store) async fn load(
    executor: impl PgExecutor<'_>,
    site_id: i32,
    date: NaiveDate,
    fields: &[ColumnKind],
) -> Result<Vec<Arc<ColumnBlock>>, StoreError> {
    let [
        page,
        agent,
        verdict,
        place,
        network,
        language,
        status,
        properties,
        origin,
        entry,
        exit,
    ] = ColumnKind::STORED.map(|field| fields.contains(&field));
    // PostgreSQL does not read the other columns from disk.
    let rows = sqlx::query!(
        "select start, runs, times, case when $3 then page end as page,
                case when $4 then agent end as agent, case when $5 then verdict end as verdict,
                case when $6 then place end as place, case when $7 then network end as network,
                case when $8 then language end as language,
                case when $9 then status end as status,
                case when $10 then origin end as origin, case when $11 then entry end as entry,
                case when $12 then exit end as exit,
                case when $13 then properties end as properties
         from visitor_analytics.visit_pack where site_id = $1 and day = $2 order by part",
        site_id,
        date,
        page,
        agent,
        verdict,
        place,
        network,
        language,
        status,
        origin,
        entry,
        exit,
        properties,
    );
    let rows = rows.fetch_all(executor).await?.into_iter().map(|row| {
        let columns = [
            row.page,
            row.agent,
            row.verdict,
            row.place,
            row.network,
            row.language,
            row.status,
            row.properties,
            row.origin,
            row.entry,
            row.exit,
        ];
        let columns = ColumnKind::STORED.into_iter().zip(&columns);
        let columns = columns.filter_map(|(field, bytes)| Some((field, bytes.as_deref()?)));
        let columns: Vec<_> = columns.collect();
        let pack = ColumnBlock::decode(row.start.timestamp(), &row.runs, &row.times, &columns);
        let pack = pack.ok_or(StoreError::Corrupt("a column block"))?;
        Ok(Arc::new(pack))
    });
    rows.collect()
}

/// The days of a site from `first` to `last`, inclusive, that have column blocks, each with the id
/// of the change that the blocks include.
pub(in crate::store) async fn day_versions(
    pool: &PgPool,
    site_id: i32,
    (first, last): (NaiveDate, NaiveDate),
) -> Result<Vec<(NaiveDate, Option<Uuid>)>, StoreError> {
    let rows = sqlx::query!(
        "select day, change from visitor_analytics.visit_pack
         where site_id = $1 and day between $2 and $3 and part = 0 order by day",
        site_id,
        first,
        last,
    );
    let rows = rows.fetch_all(pool).await?.into_iter();
    Ok(rows.map(|row| (row.day, row.change)).collect())
}

/// The visitor lists of a site's days from `first` to `last`, inclusive (see `domain::retention`).
/// Returns `None` if they exceed `most` bytes.
pub(in crate::store) async fn load_visitor_lists(
    pool: &PgPool,
    site_id: i32,
    (first, last): (NaiveDate, NaiveDate),
    most: usize,
) -> Result<Option<Vec<(NaiveDate, Vec<u8>)>>, StoreError> {
    let length = sqlx::query_scalar!(
        "select sum(octet_length(visitors)) from visitor_analytics.visit_pack
         where site_id = $1 and day between $2 and $3",
        site_id,
        first,
        last,
    );
    let length = length.fetch_one(pool).await?.unwrap_or_default();
    if usize::try_from(length).is_ok_and(|length| length > most) {
        return Ok(None);
    }
    let rows = sqlx::query!(
        "select day, visitors from visitor_analytics.visit_pack
         where site_id = $1 and day between $2 and $3",
        site_id,
        first,
        last,
    );
    let rows = rows.fetch_all(pool).await?.into_iter();
    let rows = rows.map(|row| Some((row.day, row.visitors?)));
    Ok(rows.collect())
}

/// Deletes the column blocks of days that begin before `border`, whose visits expire.
pub(in crate::store) async fn delete_before(
    pool: &PgPool,
    border: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from visitor_analytics.visit_pack where start < $1",
        border,
    )
    .execute(pool)
    .await?;
    Ok(())
}
