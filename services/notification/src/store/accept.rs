//! Accepting a notification: it, its idempotency key and its deliveries, or nothing.

use sqlx::PgPool;
use uuid::Uuid;

use super::idempotency_key::Key;
use super::{StoreError, delivery, idempotency_key, notification};
use crate::domain::notification::Notification;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It was stored.
    New,
    /// The same request came before and was stored under this id.
    Before(Uuid),
    /// Another request came before with the same key.
    OtherBody,
}

/// Stores all of it in one transaction. Of requests with the same key at the same moment one is
/// stored; the others wait for it.
pub async fn accept(
    pool: &PgPool,
    new: &Notification,
    key: Option<&Key>,
) -> Result<Acceptance, StoreError> {
    let mut transaction = pool.begin().await?;
    if let Some(key) = key
        && !idempotency_key::insert(&mut transaction, key, new.id, new.created_at).await?
    {
        let before = idempotency_key::get(&mut transaction, key).await?;
        return Ok(match before {
            (id, true) => Acceptance::Before(id),
            (_, false) => Acceptance::OtherBody,
        });
    }
    notification::insert(&mut transaction, new).await?;
    delivery::insert(&mut transaction, new).await?;
    transaction.commit().await?;
    Ok(Acceptance::New)
}
