//! The store: handles to its subjects over one pool of connections.

use sqlx::PgPool;
use tokio::sync::Notify;

use super::rollup::Rollups;
use super::shared_caches::SharedCaches;
use super::{
    Erasures, Events, Goals, Imports, LiveFeed, Outbox, Partitions, PendingLocations, Retention,
    Salts, Segments, Sessions, Sites, Verdicts, VisitWriter, Visitors, Visits,
};
use crate::domain::enriched_visit::{EnrichedVisit, LocationStatus};

const BACKGROUND_CONNECTIONS: u32 = 5;

#[derive(Clone, Debug)]
pub struct Store {
    pub rollups: Rollups,
    pub sites: Sites,
    pub visits: Visits,
    pub sessions: Sessions,
    pub visitors: Visitors,
    pub events: Events,
    pub goals: Goals,
    pub segments: Segments,
    pub verdicts: Verdicts,
    pub writer: VisitWriter,
    pub pending_locations: PendingLocations,
    pub outbox: Outbox,
    pub live: LiveFeed,
    pub imports: Imports,
    pub erasures: Erasures,
    pub retention: Retention,
    pub partitions: Partitions,
    pub salts: Salts,
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
        let rollups = Rollups {
            pool: pool.clone(),
            text_ids: caches.text_ids.clone(),
        };
        let sites = Sites {
            pool: pool.clone(),
            site_ids: caches.site_ids.clone(),
            rollups: rollups.clone(),
        };
        let visits = Visits { pool: pool.clone() };
        let events = Events {
            pool: pool.clone(),
            sites: sites.clone(),
        };
        Self {
            sessions: Sessions {
                pool: pool.clone(),
                visits: visits.clone(),
            },
            visitors: Visitors { pool: pool.clone() },
            goals: Goals { pool: pool.clone() },
            segments: Segments { pool: pool.clone() },
            verdicts: Verdicts {
                pool: pool.clone(),
                writer_lease: caches.writer_lease.clone(),
                dimensions: caches.dimensions.clone(),
                dirty_days: caches.dirty_days.clone(),
                wakeups: caches.wakeups.clone(),
            },
            writer: VisitWriter {
                writer_lease: caches.writer_lease.clone(),
                dimensions: caches.dimensions.clone(),
                dirty_days: caches.dirty_days.clone(),
                sites: sites.clone(),
            },
            pending_locations: PendingLocations {
                pool: pool.clone(),
                dimensions: caches.dimensions.clone(),
                dirty_days: caches.dirty_days.clone(),
                wakeups: caches.wakeups.clone(),
            },
            outbox: Outbox {
                pool: pool.clone(),
                visits: visits.clone(),
                sites: sites.clone(),
            },
            live: LiveFeed {
                pool: pool.clone(),
                visits: visits.clone(),
            },
            imports: Imports {
                pool: pool.clone(),
                dirty_days: caches.dirty_days.clone(),
            },
            erasures: Erasures {
                pool: pool.clone(),
                dirty_days: caches.dirty_days.clone(),
                wakeups: caches.wakeups.clone(),
                dimensions: caches.dimensions.clone(),
                text_ids: caches.text_ids.clone(),
            },
            retention: Retention {
                pool: pool.clone(),
                dirty_days: caches.dirty_days.clone(),
                events: events.clone(),
            },
            partitions: Partitions {
                pool: pool.clone(),
                partitions: caches.partitions.clone(),
            },
            salts: Salts {
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
