//! The handle `Erasures` of the store.

use crate::store::shared_caches::SharedCaches;
use sqlx::PgPool;

/// Erasure of persons.
#[derive(Clone, Debug)]
pub struct Erasures {
    pub(in crate::store) pool: PgPool,
    pub(in crate::store) caches: SharedCaches,
}
