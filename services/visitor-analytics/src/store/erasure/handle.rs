//! The handle `Erasures` of the store.

use std::sync::Arc;

use sqlx::PgPool;

use crate::store::cache_age::TextIdCache;
use crate::store::dimension::DimensionCache;
use crate::store::rollup::DirtyDays;
use crate::store::shared_caches::WorkerWakeups;

/// Erasure of persons.
#[derive(Clone, Debug)]
pub struct Erasures {
    pub(in crate::store) pool: PgPool,
    pub(in crate::store) dirty_days: DirtyDays,
    pub(in crate::store) wakeups: Arc<WorkerWakeups>,
    pub(in crate::store) dimensions: DimensionCache,
    pub(in crate::store) text_ids: TextIdCache,
}
