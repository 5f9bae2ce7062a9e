//! Caches and wake-ups that the parts of the store share.

use std::sync::Arc;

use sqlx::PgPool;
use tokio::sync::{Mutex, Notify};

use super::cache_age::TextIdCache;
use super::dictionary::DictionaryCache;
use super::partition::PartitionCache;
use super::record::WriterLease;
use super::rollup::DirtyDays;
use super::salt::SaltCache;
use super::site::SiteIdCache;

/// Cached texts have at most 4 KB each, typically 100 bytes.
const MAX_CACHED_VALUE_IDS: usize = 20_000;

/// What the parts of the store share with each other, and with the store for background work.
#[derive(Clone, Debug)]
pub(super) struct SharedCaches {
    /// All visits are recorded over one connection, so that the caches of its PostgreSQL backend
    /// stay warm. A pool would take its connections in turn.
    pub(super) writer_lease: Arc<Mutex<WriterLease>>,
    pub(super) dictionaries: DictionaryCache,
    pub(super) dirty_days: DirtyDays,
    pub(super) site_ids: SiteIdCache,
    pub(super) salts: SaltCache,
    pub(super) partitions: PartitionCache,
    /// Ids of the texts in `rollup_value`.
    pub(super) text_ids: TextIdCache,
    pub(super) wakeups: Arc<WorkerWakeups>,
}

/// Notifies the workers of this process when something is stored for them, so that they need not
/// poll.
#[derive(Debug, Default)]
pub(super) struct WorkerWakeups {
    pub(super) outbox: Notify,
    pub(super) locations: Notify,
    pub(super) erasures: Notify,
}

impl SharedCaches {
    pub(super) fn new(pool: &PgPool) -> Self {
        let writer = WriterLease::new(chassis::database::key_lookup_options(pool));
        Self {
            writer_lease: Arc::new(Mutex::new(writer)),
            dictionaries: DictionaryCache::new(),
            dirty_days: DirtyDays::default(),
            site_ids: SiteIdCache::new(),
            salts: SaltCache::default(),
            partitions: PartitionCache::default(),
            text_ids: TextIdCache::new(MAX_CACHED_VALUE_IDS),
            wakeups: Arc::default(),
        }
    }
}
