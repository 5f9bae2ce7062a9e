//! The store: handles to its subjects over one pool of connections.

use std::sync::Arc;

use sqlx::PgPool;
use tokio::sync::{Mutex, Notify};

use super::cache_age::TextIdCache;
use super::dimension::DimensionCache;
use super::partition::PartitionCache;
use super::record::WriterLease;
use super::rollup::{DirtyDays, Rollups};
use super::salt::SaltCache;
use super::site::SiteIdCache;
use crate::domain::enriched_visit::{EnrichedVisit, LocationStatus};

/// Cached texts have at most 4 KB each, typically 100 bytes.
const MAX_CACHED_VALUE_IDS: usize = 20_000;

const BACKGROUND_CONNECTIONS: u32 = 5;

#[derive(Clone, Debug)]
pub struct Store {
    pub rollups: Rollups,
    pub(super) pool: PgPool,
    pub(super) caches: SharedCaches,
}

/// What the handles share with each other, and with the store for background work.
#[derive(Clone, Debug)]
pub(super) struct SharedCaches {
    /// All visits are recorded over one connection, so that the caches of its PostgreSQL backend
    /// stay warm. A pool would take its connections in turn.
    pub(super) writer_lease: Arc<Mutex<WriterLease>>,
    pub(super) dimensions: DimensionCache,
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
    fn new(pool: &PgPool) -> Self {
        let writer = WriterLease::new(chassis::database::key_lookup_options(pool));
        Self {
            writer_lease: Arc::new(Mutex::new(writer)),
            dimensions: DimensionCache::new(),
            dirty_days: DirtyDays::default(),
            site_ids: SiteIdCache::new(),
            salts: SaltCache::default(),
            partitions: PartitionCache::default(),
            text_ids: TextIdCache::new(MAX_CACHED_VALUE_IDS),
            wakeups: Arc::default(),
        }
    }
}

impl Store {
    /// Returns a store with its own pool for background work and commands, whose statements may
    /// take longer than a request's.
    #[must_use]
    pub fn for_background(&self) -> Self {
        let pool = chassis::database::background_pool(&self.pool, BACKGROUND_CONNECTIONS);
        Self::over(pool, self.caches.clone())
    }

    /// Creates a store over a pool of connections to a migrated database.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let caches = SharedCaches::new(&pool);
        Self::over(pool, caches)
    }

    fn over(pool: PgPool, caches: SharedCaches) -> Self {
        let rollups = Rollups {
            pool: pool.clone(),
            text_ids: caches.text_ids.clone(),
        };
        Self {
            rollups,
            pool,
            caches,
        }
    }

    /// Notified when the outbox may have entries.
    #[must_use]
    pub fn outbox_wakeup(&self) -> &Notify {
        &self.caches.wakeups.outbox
    }

    /// Notified when an erasure has to be forwarded to notification.
    #[must_use]
    pub fn erasures_wakeup(&self) -> &Notify {
        &self.caches.wakeups.erasures
    }

    /// Notified when a visit is stored without its location.
    #[must_use]
    pub fn locations_wakeup(&self) -> &Notify {
        &self.caches.wakeups.locations
    }

    /// Wakes the workers that have something to do for recorded visits.
    pub fn wake_workers(&self, recorded: &[EnrichedVisit]) {
        self.caches.wakeups.outbox.notify_one();
        if recorded
            .iter()
            .any(|visit| visit.location_status == LocationStatus::Pending)
        {
            self.caches.wakeups.locations.notify_one();
        }
    }
}
