//! Deletes expired data: drops whole monthly partitions, and deletes rows from partitions that
//! cover years.

mod site;

use chassis::database::StoreError;
use chrono::{DateTime, Months, NaiveDate, NaiveTime, Utc};
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use super::partition::{self, FIRST_MONTHLY_PARTITION};
use super::record::locks;
use super::rollup::{self, TouchedPeriod};
use super::session::VisitorKey;
use crate::store::EventStore;
use crate::store::rollup::DirtyDays;

pub use site::ExpiringSite;

/// Batch sizes of one transaction.
const TRIM_BATCH_SESSIONS: i64 = 500;
const DELETE_BATCH_ROWS: u64 = 10_000;

/// PostgreSQL, appendix A.
const LOCK_NOT_AVAILABLE: &str = "55P03";
const UNDEFINED_TABLE: &str = "42P01";

/// The partitions before the monthly ones. Sessions go first, because the remaining visits show
/// what is left to do.
const SHARED_PARTITIONS: [(&str, &str); 2] =
    [("session_past", "started_at"), ("visit_past", "timestamp")];

/// A partition of visits or sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionInfo {
    pub name: String,
    /// The first day after the partition.
    pub end: NaiveDate,
    /// Whether the partition covers more than one month, so that a part of it may expire.
    pub is_shared: bool,
    pub rows: RowCount,
    /// The size on disk in bytes, including indexes.
    pub bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowCount {
    /// The rows were counted.
    Exact(u64),
    /// PostgreSQL's estimate of its last analysis.
    Estimated(u64),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpiredData {
    /// Partitions that were dropped, or truncated if they are permanent.
    pub partitions: Vec<String>,
    /// Visits and sessions that were deleted from partitions with newer rows.
    pub rows: u64,
    /// Partitions that were in use, or come after one that was. The next run deletes them.
    pub postponed: Vec<String>,
}

/// Deletion of what is older than the retention.
#[derive(Clone, Debug)]
pub struct RetentionStore {
    pub(super) pool: PgPool,
    pub(super) dirty_days: DirtyDays,
    pub(super) events: EventStore,
}

impl RetentionStore {
    /// Lists the partitions, the oldest first. Counts the rows if there is no estimate yet.
    pub async fn partitions(&self) -> Result<Vec<PartitionInfo>, StoreError> {
        let found = sqlx::query!(
            r#"select c.relname::text as "name!", c.reltuples::bigint as "rows!",
                      coalesce(pg_total_relation_size(c.oid), 0) as "bytes!"
               from pg_inherits i join pg_class c on c.oid = i.inhrelid
               where i.inhparent in ('visitor_analytics.session'::regclass,
                                     'visitor_analytics.visit'::regclass)"#,
        )
        .fetch_all(&self.pool)
        .await?;
        let mut partitions = vec![];
        for row in found {
            let month = partition::partition_month(&row.name);
            let end = month.and_then(|month| month.checked_add_months(Months::new(1)));
            let rows = match u64::try_from(row.rows) {
                Ok(rows) => RowCount::Estimated(rows),
                Err(_) => match self.count_rows(&row.name, "true").await {
                    Ok(rows) => RowCount::Exact(rows),
                    // The partition was dropped meanwhile.
                    Err(error) if has_code(&error, UNDEFINED_TABLE) => continue,
                    Err(error) => return Err(error.into()),
                },
            };
            partitions.push(PartitionInfo {
                end: end.unwrap_or(FIRST_MONTHLY_PARTITION),
                is_shared: end.is_none(),
                rows,
                bytes: row.bytes.cast_unsigned(),
                name: row.name,
            });
        }
        partitions.sort_by(|a, b| (a.end, &a.name).cmp(&(b.end, &b.name)));
        Ok(partitions)
    }

    /// Counts visits and sessions before `cutoff` in partitions that cover more than one month.
    pub async fn count_shared_rows(&self, cutoff: NaiveDate) -> Result<u64, StoreError> {
        let mut rows = 0;
        for (name, column) in SHARED_PARTITIONS {
            rows += self.count_rows(name, &before_sql(column, cutoff)).await?;
        }
        Ok(rows)
    }

    async fn count_rows(&self, partition: &str, which: &str) -> Result<u64, sqlx::Error> {
        let statement = format!("select count(*) from visitor_analytics.{partition} where {which}");
        // The partition name comes from the catalog or a constant, the condition from this file.
        let count = sqlx::query_scalar::<_, i64>(AssertSqlSafe(statement));
        Ok(count.fetch_one(&self.pool).await?.cast_unsigned())
    }

    /// Deletes the visits and sessions before `cutoff`, the first day of a month. A session across
    /// the border then begins with its first visit after it. Rollups of folded days are kept. Safe
    /// to repeat and to run concurrently.
    pub async fn expire(
        &self,
        cutoff: NaiveDate,
        now: DateTime<Utc>,
    ) -> Result<ExpiredData, StoreError> {
        let mut old = self.monthly_partitions_before(cutoff).await?;
        let shared = self.has_shared_rows_before(cutoff).await?;
        if old.is_empty() && !shared {
            return Ok(ExpiredData::default());
        }
        let mut connection = self.pool.acquire().await?;
        rollup::set_visit_horizon(&mut connection, midnight(cutoff)).await?;
        drop(connection);
        rollup::delete_blocks_before(&self.pool, midnight(cutoff)).await?;
        let most = i64::try_from(DELETE_BATCH_ROWS).unwrap_or(i64::MAX);
        while self.events.delete(None, midnight(cutoff), most).await? > 0 {}
        sqlx::query!(
            "delete from visitor_analytics.imported_visit where visit_timestamp < $1",
            midnight(cutoff)
        )
        .execute(&self.pool)
        .await?;
        sqlx::query!(
            "delete from visitor_analytics.visit_copy where visit_timestamp < $1",
            midnight(cutoff)
        )
        .execute(&self.pool)
        .await?;
        while self.trim_sessions(midnight(cutoff), None, now).await? {}
        let mut expired = ExpiredData::default();
        if shared && cutoff < FIRST_MONTHLY_PARTITION {
            for (name, column) in SHARED_PARTITIONS {
                expired.rows += self.delete_rows(name, &before_sql(column, cutoff)).await?;
            }
        } else if shared {
            old.extend(SHARED_PARTITIONS.map(|(name, _)| name.to_owned()));
        }
        for name in old {
            if expired.postponed.is_empty() && self.drop_partition(&name).await? {
                expired.partitions.push(name);
            } else {
                expired.postponed.push(name);
            }
        }
        Ok(expired)
    }

    /// The monthly partitions that end at `cutoff` or before.
    async fn monthly_partitions_before(
        &self,
        cutoff: NaiveDate,
    ) -> Result<Vec<String>, StoreError> {
        let names = sqlx::query_scalar!(
            r#"select c.relname::text as "name!"
               from pg_inherits i join pg_class c on c.oid = i.inhrelid
               where i.inhparent in ('visitor_analytics.session'::regclass,
                                     'visitor_analytics.visit'::regclass)
               order by c.relname"#,
        );
        let names = names.fetch_all(&self.pool).await?.into_iter();
        let old =
            |name: &String| partition::partition_month(name).is_some_and(|month| month < cutoff);
        Ok(names.filter(old).collect())
    }

    async fn has_shared_rows_before(&self, cutoff: NaiveDate) -> Result<bool, StoreError> {
        // Site by site, to use the index.
        let reaches = sqlx::query_scalar!(
            r#"select exists (select from visitor_analytics.site s where exists (
                   select from visitor_analytics.visit_past v
                   where v.site_id = s.id and v.timestamp < $1)) as "reaches!""#,
            midnight(cutoff),
        );
        Ok(reaches.fetch_one(&self.pool).await?)
    }

    /// Trims sessions (of one site or of all) across `cutoff`, so that they begin with their first
    /// visit after it. Returns whether there may be more.
    async fn trim_sessions(
        &self,
        cutoff: DateTime<Utc>,
        site: Option<i32>,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let found = sqlx::query!(
            "select id, site_id, visitor_id, last_seen_at from visitor_analytics.session
             where started_at < $1 and last_seen_at >= $1 and ($3::int is null or site_id = $3)
             limit $2",
            cutoff,
            TRIM_BATCH_SESSIONS,
            site,
        )
        .fetch_all(&self.pool)
        .await?;
        if found.is_empty() {
            return Ok(false);
        }
        let ids: Vec<Uuid> = found.iter().map(|row| row.id).collect();
        let (keys, periods): (Vec<VisitorKey>, Vec<TouchedPeriod>) = found
            .into_iter()
            .map(|row| {
                let period = TouchedPeriod {
                    site_id: row.site_id,
                    from: cutoff,
                    to: row.last_seen_at,
                };
                ((row.site_id, row.visitor_id), period)
            })
            .unzip();
        let mut transaction = self.pool.begin_with(locks::begin_locked(&keys)).await?;
        let cut = sqlx::query!(
            "update visitor_analytics.session s
             set started_at = k.started_at, entry_visit_id = k.visit_ids[1], visits = k.visits
             from (select s.id, s.started_at as before, min(v.timestamp) as started_at,
                          array_agg(v.id order by v.timestamp, v.id) as visit_ids,
                          count(*)::int as visits
                   from visitor_analytics.session s
                   join visitor_analytics.visit v
                     on v.site_id = s.site_id and v.session_id = s.id
                    and v.timestamp >= $1 and v.timestamp between s.started_at and s.last_seen_at
                   where s.id = any($2) and s.started_at < $1
                   group by s.id, s.started_at) k
             where s.id = k.id and s.started_at = k.before",
            cutoff,
            &ids,
        )
        .execute(&mut *transaction)
        .await?;
        let marked = self
            .dirty_days
            .mark(&mut transaction, periods.into_iter(), now);
        let marked = marked.await?;
        transaction.commit().await?;
        self.dirty_days.remember(marked);
        Ok(cut.rows_affected() > 0)
    }

    async fn delete_rows(&self, partition: &str, which: &str) -> Result<u64, StoreError> {
        let statement = format!(
            "delete from visitor_analytics.{partition} where ctid = any(array(
                 select ctid from visitor_analytics.{partition} where {which} limit {DELETE_BATCH_ROWS}))"
        );
        let mut all = 0;
        loop {
            let done = sqlx::query(AssertSqlSafe(statement.clone()));
            let rows = done.execute(&self.pool).await?.rows_affected();
            all += rows;
            if rows < DELETE_BATCH_ROWS {
                return Ok(all);
            }
        }
    }

    /// Drops a monthly partition, or truncates a permanent one. Returns `false` if the table is in
    /// use: waiting for the lock behind a report would block every visit.
    async fn drop_partition(&self, partition: &str) -> Result<bool, StoreError> {
        let what = match partition::partition_month(partition) {
            Some(_) => "drop table if exists",
            None => "truncate",
        };
        let statement =
            format!("set local lock_timeout = '250ms'; {what} visitor_analytics.{partition}");
        let mut transaction = self.pool.begin().await?;
        let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *transaction);
        match done.await {
            Err(error) if has_code(&error, LOCK_NOT_AVAILABLE) => return Ok(false),
            done => done?,
        };
        transaction.commit().await?;
        Ok(true)
    }
}

fn has_code(error: &sqlx::Error, wanted: &str) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.as_deref() == Some(wanted)
}

fn before_sql(column: &str, cutoff: NaiveDate) -> String {
    format!("{column} < '{}'", partition::midnight_rfc3339(cutoff))
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}
