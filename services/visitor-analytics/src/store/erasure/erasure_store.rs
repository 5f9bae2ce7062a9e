//! The store of erasures.

use std::sync::Arc;

use sqlx::PgPool;

use crate::store::cache_age::TextIdCache;
use crate::store::dictionary::DictionaryCache;
use crate::store::rollup::DirtyDays;
use crate::store::shared_caches::WorkerWakeups;

/// Erasure of persons.
#[derive(Clone, Debug)]
pub struct ErasureStore {
    pub(in crate::store) pool: PgPool,
    pub(in crate::store) dirty_days: DirtyDays,
    pub(in crate::store) wakeups: Arc<WorkerWakeups>,
    pub(in crate::store) dictionaries: DictionaryCache,
    pub(in crate::store) text_ids: TextIdCache,
}
