//! The store of rollups.

use sqlx::PgPool;

use crate::store::cache_age::TextIdCache;

/// Rollups and column blocks of days, the marks of dirty days, and the texts that they refer to.
#[derive(Clone, Debug)]
pub struct RollupStore {
    pub(in crate::store) pool: PgPool,
    /// Ids of the texts in `rollup_value`.
    pub(in crate::store) text_ids: TextIdCache,
}
