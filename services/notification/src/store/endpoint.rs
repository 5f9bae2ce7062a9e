//! The table `endpoint`: webhooks and push subscriptions of browsers.

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::domain::secret_box::{SEALED_PREFIX, SecretBox};

const MAX_ENDPOINTS_PER_KIND: i64 = 100_000;

/// An endpoint without its keys.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointRow {
    pub id: Uuid,
    /// The address in rules and requests, such as `webhook:ID`.
    pub address: String,
    pub url: String,
    pub enabled: bool,
    pub disabled_reason: Option<String>,
    pub created_at: DateTime<Utc>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointKind {
    Webhook,
    /// A push subscription of a browser.
    Push,
}

impl EndpointKind {
    /// The address of an endpoint in rules and requests.
    #[must_use]
    pub fn address(self, id: Uuid) -> String {
        format!("{}:{id}", self.as_str())
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Push => "push",
        }
    }
}

/// Returns at most `limit` webhooks older than `before`, newest first.
pub async fn list_webhooks(
    pool: &PgPool,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<EndpointRow>, StoreError> {
    let rows = sqlx::query_as!(
        EndpointRow,
        "select id, address, url, enabled, disabled_reason, created_at
         from notification.endpoint where kind = 'webhook' and id < $1 order by id desc limit $2",
        before.unwrap_or(Uuid::max()),
        limit,
    );
    Ok(rows.fetch_all(pool).await?)
}

/// Inserts an endpoint. A known push subscription keeps its id and gets the new keys. Returns
/// `None` if the maximum number of endpoints is reached.
pub async fn insert(
    pool: &PgPool,
    kind: EndpointKind,
    id: Uuid,
    url: &str,
    keys: &[String],
    now: DateTime<Utc>,
) -> Result<Option<EndpointRow>, StoreError> {
    let row = sqlx::query_as!(
        EndpointRow,
        "insert into notification.endpoint (address, id, kind, url, keys, created_at)
         select $1 || ':' || $2::uuid, $2, $1, $3, $4, $5
         where (select count(*) from notification.endpoint where kind = $1) < $6
         on conflict (url) where kind = 'push'
         do update set keys = excluded.keys, enabled = true, disabled_reason = null
         returning id, address, url, enabled, disabled_reason, created_at",
        kind.as_str(),
        id,
        url,
        keys,
        now,
        MAX_ENDPOINTS_PER_KIND,
    );
    Ok(row.fetch_optional(pool).await?)
}

/// Updates a webhook; `None` if there is none with this id.
pub async fn update(
    pool: &PgPool,
    id: Uuid,
    url: &str,
    enabled: bool,
) -> Result<Option<EndpointRow>, StoreError> {
    let row = sqlx::query_as!(
        EndpointRow,
        "update notification.endpoint
         set url = $2, enabled = $3,
             disabled_reason = case when $3 then null else coalesce(disabled_reason, 'by hand') end
         where id = $1 and kind = 'webhook'
         returning id, address, url, enabled, disabled_reason, created_at",
        id,
        url,
        enabled,
    );
    Ok(row.fetch_optional(pool).await?)
}

/// Rotates the secret of a webhook: the new and the current secret are valid, older ones are
/// removed. Returns `None` if there is no webhook with this id.
pub async fn rotate_secret(
    pool: &PgPool,
    id: Uuid,
    secret: &str,
) -> Result<Option<EndpointRow>, StoreError> {
    let row = sqlx::query_as!(
        EndpointRow,
        "update notification.endpoint set keys = array[$2, keys[1]]
         where id = $1 and kind = 'webhook'
         returning id, address, url, enabled, disabled_reason, created_at",
        id,
        secret,
    );
    Ok(row.fetch_optional(pool).await?)
}

/// Encrypts the secrets of webhooks that were stored in plain text, if there is a key.
pub async fn seal_secrets(pool: &PgPool, vault: &SecretBox) -> Result<(), StoreError> {
    if !vault.has_key() {
        return Ok(());
    }
    let rows = sqlx::query!(
        "select address, keys from notification.endpoint
         where kind = 'webhook' and not keys[1] like $1 limit 1000",
        format!("{SEALED_PREFIX}%"),
    );
    for row in rows.fetch_all(pool).await? {
        let closed = |_| StoreError::Corrupt("a row of the table endpoint");
        let opened = row.keys.iter().map(|key| vault.open(&row.address, key));
        let sealed = opened.map(|key| key.and_then(|key| vault.seal(&row.address, &key)));
        let sealed = sealed.collect::<Result<Vec<_>, _>>().map_err(closed)?;
        // The condition on the keys skips a webhook that was rotated concurrently.
        sqlx::query!(
            "update notification.endpoint set keys = $3 where address = $1 and keys = $2",
            row.address,
            &row.keys,
            &sealed,
        )
        .execute(pool)
        .await?;
    }
    Ok(())
}

/// Returns `false` if there is no endpoint of this kind with this id.
pub async fn delete(pool: &PgPool, kind: EndpointKind, id: Uuid) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "delete from notification.endpoint where id = $1 and kind = $2",
        id,
        kind.as_str(),
    );
    Ok(done.execute(pool).await?.rows_affected() > 0)
}

/// Handles a permanent failure: disables a webhook, deletes a push subscription.
pub async fn deactivate(pool: &PgPool, address: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "with forgotten as (
             delete from notification.endpoint where address = $1 and kind = 'push')
         update notification.endpoint
         set enabled = false, disabled_reason = 'the receiver answered 410 Gone'
         where address = $1 and kind = 'webhook'",
        address,
    )
    .execute(pool)
    .await?;
    Ok(())
}
