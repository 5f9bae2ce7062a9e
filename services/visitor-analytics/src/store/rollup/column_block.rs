//! Column blocks of folded days: the table `column_block`.

use std::sync::Arc;

use chassis::database::StoreError;
use chrono::{DateTime, NaiveDate, Utc};
use rollups::cohort;
use rollups::column_block::{ColumnBlock, ColumnKind};
use rollups::distinct_visitors::encode_sketches;
use rollups::query::day_seconds;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use super::rollup_store::RollupStore;
use super::{ClaimedDay, DayRollup};

/// Replaces the column blocks of a day in the transaction that replaces its rollups.
pub(super) async fn replace(
    connection: &mut PgConnection,
    claimed: &ClaimedDay,
    folded: &DayRollup,
) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from visitor_analytics.column_block where site_id = $1 and day = $2",
        claimed.site_id,
        claimed.date,
    )
    .execute(&mut *connection)
    .await?;
    for (part, block) in folded.blocks.iter().enumerate() {
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
        ] = ColumnKind::STORED.map(|column| block.encode_column(column));
        let properties = block.encode_nonempty_column(ColumnKind::Properties);
        let visitors = cohort::encode_visitors(block, &day_seconds(&folded.day));
        let [people_sketch, bots_sketch] =
            encode_sketches(&visitors).map_or([None, None], |sketches| sketches.map(Some));
        sqlx::query!(
            "insert into visitor_analytics.column_block (site_id, day, part, start, runs, times,
                 page, agent, verdict, place, network, language, status, origin, entry, exit,
                 properties, change, visitors, visitor_ids, people_sketch,
                 bots_sketch)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                 $18, $19, $20, $21, $22)",
            claimed.site_id,
            claimed.date,
            i16::try_from(part)
                .map_err(|_| StoreError::Corrupt("a day with too many column blocks"))?,
            folded.day.from,
            &block.encode_sessions(),
            &block.encode_times(),
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
            claimed.change,
            &visitors,
            folded.visitor_ids.to_stored(),
            people_sketch,
            bots_sketch,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Reads the column blocks of a folded day with these columns.
pub(super) async fn load(
    executor: impl PgExecutor<'_>,
    site_id: i32,
    date: NaiveDate,
    columns: &[ColumnKind],
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
    ] = ColumnKind::STORED.map(|column| columns.contains(&column));
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
         from visitor_analytics.column_block where site_id = $1 and day = $2 order by part",
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
        let columns = columns.filter_map(|(column, bytes)| Some((column, bytes.as_deref()?)));
        let columns: Vec<_> = columns.collect();
        let block = ColumnBlock::decode(row.start.timestamp(), &row.runs, &row.times, &columns);
        let block = block.ok_or(StoreError::Corrupt("a column block"))?;
        Ok(Arc::new(block))
    });
    rows.collect()
}

impl RollupStore {
    /// Reads the column blocks of a folded day with these columns.
    pub async fn blocks(
        &self,
        site_id: i32,
        date: NaiveDate,
        columns: &[ColumnKind],
    ) -> Result<Vec<Arc<ColumnBlock>>, StoreError> {
        load(&self.pool, site_id, date, columns).await
    }

    /// The days of a site from `first` to `last`, inclusive, that have column blocks, each with the id
    /// of the change that the blocks include.
    pub async fn block_versions(
        &self,
        site_id: i32,
        (first, last): (NaiveDate, NaiveDate),
    ) -> Result<Vec<(NaiveDate, Option<Uuid>)>, StoreError> {
        let rows = sqlx::query!(
            "select day, change from visitor_analytics.column_block
             where site_id = $1 and day between $2 and $3 and part = 0 order by day",
            site_id,
            first,
            last,
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        Ok(rows.map(|row| (row.day, row.change)).collect())
    }
}

/// Deletes the column blocks of days that begin before `cutoff`, whose visits expire.
pub(in crate::store) async fn delete_before(
    pool: &PgPool,
    cutoff: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from visitor_analytics.column_block where start < $1",
        cutoff,
    )
    .execute(pool)
    .await?;
    Ok(())
}
