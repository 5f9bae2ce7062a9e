//! The store: one part for each subject, over one pool of connections.

use sqlx::PgPool;
use tokio::sync::Notify;

use super::rollup::RollupStore;
use super::shared_caches::SharedCaches;
use super::{
    ErasureStore, EventStore, GoalStore, ImportStore, LiveFeed, OutboxStore, PartitionStore,
    PendingLocationStore, RetentionStore, SaltStore, SegmentStore, SessionStore, SiteStore,
    VerdictStore, VisitStore, VisitWriter, VisitorStore,
};
use crate::domain::enriched_visit::{EnrichedVisit, LocationStatus};

const BACKGROUND_CONNECTIONS: u32 = 5;

#[derive(Clone, Debug)]
pub struct Store {
    pub rollups: RollupStore,
    pub sites: SiteStore,
    pub visits: VisitStore,
    pub sessions: SessionStore,
    pub visitors: VisitorStore,
    pub events: EventStore,
    pub goals: GoalStore,
    pub segments: SegmentStore,
    pub verdicts: VerdictStore,
    pub writer: VisitWriter,
    pub pending_locations: PendingLocationStore,
    pub outbox: OutboxStore,
    pub live: LiveFeed,
    pub imports: ImportStore,
    pub erasures: ErasureStore,
    pub retention: RetentionStore,
    pub partitions: PartitionStore,
    pub salts: SaltStore,
    pool: PgPool,
    caches: SharedCaches,
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
        let rollups = RollupStore {
            pool: pool.clone(),
            text_ids: caches.text_ids.clone(),
        };
        let sites = SiteStore {
            pool: pool.clone(),
            site_ids: caches.site_ids.clone(),
            rollups: rollups.clone(),
        };
        let visits = VisitStore { pool: pool.clone() };
        let events = EventStore {
            pool: pool.clone(),
            sites: sites.clone(),
        };
        Self {
            sessions: SessionStore {
                pool: pool.clone(),
                visits: visits.clone(),
            },
            visitors: VisitorStore { pool: pool.clone() },
            goals: GoalStore { pool: pool.clone() },
            segments: SegmentStore { pool: pool.clone() },
            verdicts: VerdictStore {
                pool: pool.clone(),
                writer_lease: caches.writer_lease.clone(),
                dictionaries: caches.dictionaries.clone(),
                dirty_days: caches.dirty_days.clone(),
                wakeups: caches.wakeups.clone(),
            },
            writer: VisitWriter {
                writer_lease: caches.writer_lease.clone(),
                dictionaries: caches.dictionaries.clone(),
                dirty_days: caches.dirty_days.clone(),
                sites: sites.clone(),
            },
            pending_locations: PendingLocationStore {
                pool: pool.clone(),
                dictionaries: caches.dictionaries.clone(),
                dirty_days: caches.dirty_days.clone(),
                wakeups: caches.wakeups.clone(),
            },
            outbox: OutboxStore {
                pool: pool.clone(),
                visits: visits.clone(),
                sites: sites.clone(),
            },
            live: LiveFeed {
                pool: pool.clone(),
                visits: visits.clone(),
            },
            imports: ImportStore {
                pool: pool.clone(),
                dirty_days: caches.dirty_days.clone(),
            },
            erasures: ErasureStore {
                pool: pool.clone(),
                dirty_days: caches.dirty_days.clone(),
                wakeups: caches.wakeups.clone(),
                dictionaries: caches.dictionaries.clone(),
                text_ids: caches.text_ids.clone(),
            },
            retention: RetentionStore {
                pool: pool.clone(),
                dirty_days: caches.dirty_days.clone(),
                events: events.clone(),
            },
            partitions: PartitionStore {
                pool: pool.clone(),
                partitions: caches.partitions.clone(),
            },
            salts: SaltStore {
                pool: pool.clone(),
                salts: caches.salts.clone(),
            },
            rollups,
            sites,
            visits,
            events,
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
