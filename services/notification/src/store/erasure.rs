//! Erases personal data from notifications: the tables `erased_person`, `notification`, `delivery`,
//! `attempt` and their dependents.
//!
//! An erasure consists of three short transactions, each of which is idempotent:
//! 1. The person is added to `erased_person`. From then on, new notifications about the person are
//!    stored without content.
//! 2. The texts of deliveries and digests are removed and pending deliveries are canceled.
//! 3. When the attempts that were in progress have been recorded, the remaining data are removed.
//!    The notification is last, because it leads to the others.

use std::time::Duration;

use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use crate::domain::person::Erasure;

/// How long a notification about an erased person may still arrive.
const ERASED_PERSON_RETENTION: TimeDelta = TimeDelta::hours(24);
/// For concurrent transactions.
const WRITERS_TIMEOUT: Duration = Duration::from_secs(4);
const WRITERS_POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Rows per statement.
const ERASED_PERSON_DELETE_BATCH: i64 = 10_000;
/// Shorter ids are only compared with whole keys, because they may be part of other ids.
const MIN_SUBSTRING_ID_BYTES: usize = 6;

/// The counts of an erasure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErasureCounts {
    /// Notifications, including digests.
    pub notifications: u64,
    /// Deliveries whose texts were removed.
    pub deliveries: u64,
    /// The deliveries among them that had not been sent.
    pub canceled: u64,
}

/// Erases a person. Can be repeated.
pub async fn erase(
    pool: &PgPool,
    erasure: &Erasure,
    now: DateTime<Utc>,
) -> Result<ErasureCounts, StoreError> {
    insert_erased_person(pool, erasure, now).await?;
    wait_for_writers(pool, "notification.notification").await?;
    let about = find_notifications(pool, erasure).await?;
    delete_person_counters(pool, erasure).await?;
    if about.is_empty() {
        return Ok(ErasureCounts::default());
    }
    let (all, deliveries, canceled) = remove_texts(pool, &about).await?;
    wait_for_writers(pool, "notification.attempt").await?;
    remove_details(pool, &all, now).await?;
    Ok(ErasureCounts {
        notifications: all.len() as u64,
        deliveries,
        canceled,
    })
}

/// After the commit, notifications about the person are stored without content.
async fn insert_erased_person(
    pool: &PgPool,
    erasure: &Erasure,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut keys = erasure.erasure_keys();
    keys.sort_unstable();
    keys.dedup();
    sqlx::query!(
        "insert into notification.erased_person as e (key, erased_at, created_at)
         select key, $2, $3 from unnest($1::uuid[]) key
         on conflict on constraint erased_person_pkey do update
         set erased_at = greatest(e.erased_at, excluded.erased_at), created_at = $3",
        &keys,
        erasure.erased_at,
        now,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Waits for the transactions that are writing to a table now. A statement locks its tables before
/// it takes its snapshot, so that later statements see what was committed before this call.
async fn wait_for_writers(pool: &PgPool, table: &str) -> Result<(), StoreError> {
    let writers = sqlx::query_scalar!(
        r#"select virtualtransaction as "transaction!" from pg_locks
           where locktype = 'relation' and relation = $1::text::regclass and granted
             and mode = 'RowExclusiveLock' and pid <> pg_backend_pid()
             and database = (select oid from pg_database where datname = current_database())"#,
        table,
    );
    let writers = writers.fetch_all(pool).await?;
    let waited = async {
        while is_writing(pool, table, &writers).await? {
            tokio::time::sleep(WRITERS_POLL_INTERVAL).await;
        }
        Ok(())
    };
    let waited = tokio::time::timeout(WRITERS_TIMEOUT, waited).await;
    waited.unwrap_or(Err(StoreError::Timeout))
}

async fn is_writing(pool: &PgPool, table: &str, writers: &[String]) -> Result<bool, StoreError> {
    if writers.is_empty() {
        return Ok(false);
    }
    let writing = sqlx::query_scalar!(
        r#"select exists (select from pg_locks
           where locktype = 'relation' and relation = $1::text::regclass and granted
             and mode = 'RowExclusiveLock' and virtualtransaction = any($2)) as "is!""#,
        table,
        writers,
    );
    Ok(writing.fetch_one(pool).await?)
}

/// Returns the notifications about a person that are not erased yet.
async fn find_notifications(pool: &PgPool, erasure: &Erasure) -> Result<Vec<Uuid>, StoreError> {
    let about = sqlx::query_scalar!(
        "select id from notification.notification
         where (visitor_id = any($1) and ($2::text is null or user_id is null or user_id = $2)
                or user_id = $2)
           and ($3::text is null or site = $3) and coalesce(recorded_at, created_at) <= $4",
        &erasure.visitor_ids,
        erasure.user_id,
        erasure.site,
        erasure.erased_at,
    );
    Ok(about.fetch_all(pool).await?)
}

/// Removes the texts of deliveries and cancels pending ones. Returns the notifications including
/// their digests, the number of deliveries, and the number of canceled ones.
async fn remove_texts(pool: &PgPool, about: &[Uuid]) -> Result<(Vec<Uuid>, u64, u64), StoreError> {
    let mut transaction = pool.begin().await?;
    remove_from_digests(&mut transaction, about).await?;
    let digests = sqlx::query_scalar!(
        "select distinct digest_id from notification.digest_member
         where notification_id = any($1)",
        about,
    );
    let mut all = digests.fetch_all(&mut *transaction).await?;
    all.extend(about);
    all.sort_unstable();
    all.dedup();
    let count = sqlx::query!(
        r#"with before as materialized (
             select id, status from notification.delivery
             where notification_id = any($1) order by id for update),
         silent as (
             update notification.delivery d
             set body = '', title = null, html = null, last_error = null, reason = 'erased',
                 leased_until = null, unknown_since = null,
                 status = case when before.status = 'sent' then 'sent' else 'canceled' end
             from before where d.id = before.id)
         select count(*) as "deliveries!",
             count(*) filter (where status in ('pending', 'sending')) as "canceled!" from before"#,
        &all,
    );
    let count = count.fetch_one(&mut *transaction).await?;
    transaction.commit().await?;
    let (deliveries, canceled) = (count.deliveries, count.canceled);
    Ok((all, deliveries.cast_unsigned(), canceled.cast_unsigned()))
}

/// Removes notifications from open digests. Waits for a digest that is being closed.
async fn remove_from_digests(
    connection: &mut PgConnection,
    about: &[Uuid],
) -> Result<(), StoreError> {
    let open = sqlx::query_scalar!(
        "select id from notification.digest where id in (
             select digest_id from notification.digest_item where notification_id = any($1))
         order by id for update",
        about,
    );
    let open = open.fetch_all(&mut *connection).await?;
    sqlx::query!(
        "delete from notification.digest_item where notification_id = any($1)",
        about,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "delete from notification.digest d where id = any($1) and not exists (
             select from notification.digest_item i where i.digest_id = d.id)",
        &open,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Removes the remaining data. An attempt that is recorded later sees that its delivery is erased.
async fn remove_details(pool: &PgPool, all: &[Uuid], now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut transaction = pool.begin().await?;
    let deliveries = sqlx::query_scalar!(
        "select id from notification.delivery where notification_id = any($1)",
        all,
    );
    let deliveries = deliveries.fetch_all(&mut *transaction).await?;
    sqlx::query!(
        "delete from notification.receipt r using notification.attempt a
         where a.delivery_id = any($1) and r.provider = a.provider
           and r.message_id = a.provider_message_id",
        &deliveries,
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query!(
        "update notification.attempt set detail = null, provider_message_id = null
         where delivery_id = any($1)",
        &deliveries,
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query!(
        "update notification.delivery set provider_message_id = null, last_error = null
         where id = any($1)",
        &deliveries,
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query!(
        "delete from notification.idempotency_key where notification_id = any($1)",
        all,
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query!(
        "delete from notification.digest_member
         where notification_id = any($1) or digest_id = any($1)",
        all,
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query!(
        "update notification.notification
         set title = null, message = null, data = '{}', dedupe_key = null, findings = null,
             reason = 'erased', visitor_id = null, user_id = null, site = null,
             recorded_at = null, erased_at = $2
         where id = any($1)",
        all,
        now,
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}

/// Removes the window counters with ids of the person in their keys.
async fn delete_person_counters(pool: &PgPool, erasure: &Erasure) -> Result<(), StoreError> {
    let ids = erasure.visitor_ids.iter().chain(&erasure.user_id);
    let ids: Vec<&str> = ids.map(String::as_str).collect();
    delete_counters_with_ids(pool, &ids).await
}

/// Removes the window counters with these ids in their keys.
pub(super) async fn delete_counters_with_ids(
    executor: impl PgExecutor<'_>,
    ids: &[&str],
) -> Result<(), StoreError> {
    let ids = ids.iter().copied();
    let (long, short): (Vec<&str>, Vec<&str>) =
        ids.partition(|id| id.len() >= MIN_SUBSTRING_ID_BYTES);
    sqlx::query!(
        "delete from notification.tally t where key = any($1) or exists (
             select from unnest($2::text[]) id where strpos(t.key, id) > 0)",
        &short as _,
        &long as _,
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Deletes expired entries of `erased_person`. Returns their number.
pub async fn delete_old(pool: &PgPool, now: DateTime<Utc>) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "delete from notification.erased_person where key in (
             select key from notification.erased_person
             where created_at <= $1 order by created_at limit $2 for update skip locked)",
        now - ERASED_PERSON_RETENTION,
        ERASED_PERSON_DELETE_BATCH,
    );
    Ok(done.execute(pool).await?.rows_affected())
}
