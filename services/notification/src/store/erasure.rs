//! Erasing what notifications say about a person: the tables `erased_person`, `notification`,
//! `delivery`, `attempt`, and what follows from them.
//!
//! It takes three short transactions, each of which can be repeated. First the person is named in
//! `erased_person`, which each notification is compared with as it is accepted. Then deliveries and
//! digests lose their texts and are not sent any more. Then the attempts that were under way have
//! been recorded, and the rest goes; the notification itself last, as it leads to all of it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use super::StoreError;
use crate::domain::person::Erasure;

/// How long an announcement may have been on its way.
const REMEMBERED: TimeDelta = TimeDelta::hours(24);
/// Other transactions are waited for so long.
const WRITERS_TIMEOUT: Duration = Duration::from_secs(4);
const WRITERS_PAUSE: Duration = Duration::from_millis(20);
/// The most rows that are deleted at once.
const AT_ONCE: i64 = 10_000;
/// An id in the middle of a key is only looked for where it is unlikely to be part of another one.
const SHORT: usize = 6;

/// What an erasure removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Notifications, digests included.
    pub notifications: u64,
    /// Deliveries whose texts were removed.
    pub deliveries: u64,
    /// Those of them that had not been sent.
    pub canceled: u64,
}

/// Removes what is said about a person. The same may be asked again.
pub async fn erase(
    pool: &PgPool,
    erasure: &Erasure,
    now: DateTime<Utc>,
) -> Result<Erased, StoreError> {
    remember(pool, erasure, now).await?;
    wait_for_writers(pool, "notification.notification").await?;
    let about = about(pool, erasure).await?;
    forget_tallies(pool, erasure).await?;
    if about.is_empty() {
        return Ok(Erased::default());
    }
    let (all, deliveries, canceled) = silence(pool, &about).await?;
    wait_for_writers(pool, "notification.attempt").await?;
    forget(pool, &all, now).await?;
    Ok(Erased {
        notifications: all.len() as u64,
        deliveries,
        canceled,
    })
}

/// From the commit on, notifications about the person are accepted without saying anything.
async fn remember(pool: &PgPool, erasure: &Erasure, now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut keys = erasure.keys();
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

/// Waits until the transactions have ended that write to a table now. A statement locks its tables
/// before it looks at them: who begins later sees what was committed before.
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
            tokio::time::sleep(WRITERS_PAUSE).await;
        }
        Ok(())
    };
    let waited = tokio::time::timeout(WRITERS_TIMEOUT, waited).await;
    waited.unwrap_or(Err(StoreError::Silent))
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

/// The notifications about a person that say something.
async fn about(pool: &PgPool, erasure: &Erasure) -> Result<Vec<Uuid>, StoreError> {
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

/// Takes the texts away and stops what is not sent yet. Returns the notifications, with the digests
/// that told of them, and how many deliveries lost their texts and were canceled.
async fn silence(pool: &PgPool, about: &[Uuid]) -> Result<(Vec<Uuid>, u64, u64), StoreError> {
    let mut transaction = pool.begin().await?;
    leave_digests(&mut transaction, about).await?;
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

/// Open digests tell of these no more. One that is being told at this moment is waited for.
async fn leave_digests(connection: &mut PgConnection, about: &[Uuid]) -> Result<(), StoreError> {
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

/// Removes what is left. Who records an attempt now sees that its delivery is erased.
async fn forget(pool: &PgPool, all: &[Uuid], now: DateTime<Utc>) -> Result<(), StoreError> {
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

/// Removes what was counted by the person's ids.
async fn forget_tallies(pool: &PgPool, erasure: &Erasure) -> Result<(), StoreError> {
    let ids = erasure.visitor_ids.iter().chain(&erasure.user_id);
    let ids: Vec<&str> = ids.map(String::as_str).collect();
    forget_tallies_of(pool, &ids).await
}

/// Removes what was counted by these ids of persons.
pub(super) async fn forget_tallies_of(
    executor: impl PgExecutor<'_>,
    ids: &[&str],
) -> Result<(), StoreError> {
    let ids = ids.iter().copied();
    let (long, short): (Vec<&str>, Vec<&str>) = ids.partition(|id| id.len() >= SHORT);
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

/// Forgets persons whose announcements have long arrived; returns how many.
pub async fn delete_old(pool: &PgPool, now: DateTime<Utc>) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "delete from notification.erased_person where key in (
             select key from notification.erased_person
             where created_at <= $1 order by created_at limit $2 for update skip locked)",
        now - REMEMBERED,
        AT_ONCE,
    );
    Ok(done.execute(pool).await?.rows_affected())
}
