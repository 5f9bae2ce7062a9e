//! Due digests: the tables `digest` and `digest_item`.

use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::accept::{NewNotification, insert_notifications};
use super::notification;
use crate::domain::notification::Notification;

/// Digests per transaction.
pub const DIGEST_BATCH_SIZE: i64 = 20;
const DIGEST_RETRY_DELAY: TimeDelta = TimeDelta::minutes(5);
/// A digest contains the texts of its first notifications, up to this number.
const MAX_SAMPLE_TEXTS: i64 = 5;

/// A digest to send.
#[derive(Clone, Debug, PartialEq)]
pub struct DueDigest {
    /// Also the id of the notification with the digest.
    pub id: Uuid,
    pub rule_id: Uuid,
    /// The length of the digest window.
    pub window: TimeDelta,
    /// The number of notifications in the digest.
    pub count: i64,
    /// The texts of the first notifications.
    pub texts: Vec<String>,
    pub first_notification: notification::NotificationRow,
    /// The start of the window, if a throttle held the notifications back.
    pub held_back_since: Option<DateTime<Utc>>,
}

/// Closes at most `limit` digests that are due at `now`: stores the notification that `tell`
/// returns for each, or postpones the digest if it returns `None`. Returns the number of digests.
pub async fn close_due(
    pool: &PgPool,
    now: DateTime<Utc>,
    limit: i64,
    tell: impl Fn(DueDigest) -> Option<Notification>,
) -> Result<usize, StoreError> {
    let mut transaction = pool.begin().await?;
    let open = sqlx::query!(
        "select id, rule_id, opened_at, due_at, held_back from notification.digest
         where due_at <= $1 order by due_at limit $2 for update skip locked",
        now,
        limit,
    );
    let open = open.fetch_all(&mut *transaction).await?;
    let mut told = Vec::with_capacity(open.len());
    let mut put_off = vec![];
    for row in &open {
        let found = load_items(&mut transaction, row.id).await?;
        let Some((count, texts, first)) = found else {
            continue;
        };
        insert_members(&mut transaction, row.id).await?;
        let new = tell(DueDigest {
            id: row.id,
            rule_id: row.rule_id,
            window: row.due_at - row.opened_at,
            count,
            texts,
            first_notification: first,
            held_back_since: row.held_back.then_some(row.opened_at),
        });
        match new {
            Some(new) => told.push(NewNotification {
                notification: new,
                idempotency_key: None,
            }),
            None => put_off.push(row.id),
        }
    }
    if !told.is_empty() {
        let all: Vec<_> = told.iter().collect();
        insert_notifications(&mut *transaction, &all, now).await?;
    }
    if !put_off.is_empty() {
        sqlx::query!(
            "update notification.digest set due_at = $2 where id = any($1)",
            &put_off,
            now + DIGEST_RETRY_DELAY,
        )
        .execute(&mut *transaction)
        .await?;
    }
    let ids = open.iter().map(|row| row.id);
    let ids: Vec<_> = ids.filter(|id| !put_off.contains(id)).collect();
    sqlx::query!("delete from notification.digest where id = any($1)", &ids)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(open.len())
}

/// Postpones the digest that has been due for longest.
pub async fn postpone_first(pool: &PgPool, now: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!(
        "update notification.digest set due_at = $2 where id = (
             select id from notification.digest
             where due_at <= $1 order by due_at limit 1 for update skip locked)",
        now,
        now + DIGEST_RETRY_DELAY,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Records the notifications whose texts a digest contains, so that an erasure finds it.
async fn insert_members(connection: &mut PgConnection, digest: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into notification.digest_member (notification_id, digest_id)
         select notification_id, digest_id from notification.digest_item
         where digest_id = $1 order by notification_id limit $2
         on conflict on constraint digest_member_pkey do nothing",
        digest,
        MAX_SAMPLE_TEXTS,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn load_items(
    connection: &mut PgConnection,
    digest: Uuid,
) -> Result<Option<(i64, Vec<String>, notification::NotificationRow)>, StoreError> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from notification.digest_item where digest_id = $1"#,
        digest,
    );
    let count = count.fetch_one(&mut *connection).await?;
    let items = sqlx::query!(
        "select notification_id, text from notification.digest_item
         where digest_id = $1 order by notification_id limit $2",
        digest,
        MAX_SAMPLE_TEXTS,
    );
    let items = items.fetch_all(&mut *connection).await?;
    let Some(first) = items.first() else {
        return Ok(None);
    };
    let first = notification::get(&mut *connection, first.notification_id).await?;
    let texts = items.into_iter().map(|item| item.text).collect();
    Ok(first.map(|first| (count, texts, first)))
}
