//! PostgreSQL access: every SQL statement of the service, one module per table or task.

mod behaviour;
mod browser_confirmation;
mod cache_age;
mod crawler_verification;
mod dimension;
mod duplicate_visit;
mod erasure;
mod event;
mod filter_sql;
mod goal;
mod import;
mod live;
mod outbox;
mod partition;
mod pending_location;
mod personal_data;
mod reclassify;
mod record;
mod report;
mod retention;
mod rollup;
mod salt;
mod segment;
mod session;
mod site;
mod verdict_update;
mod visit;
mod visit_explanation;
mod visit_verdict;
mod visitor;

use std::sync::Arc;

use sqlx::PgPool;
use tokio::sync::{Mutex, Notify};

use crate::domain::enriched_visit::{EnrichedVisit, LocationStatus};

pub use erasure::{ErasureCall, ErasureCounts, Person};
pub use event::{Event, EventQuery, EventTypeCounts};
pub use goal::Goal;
pub use import::{Import, ImportCounts, ImportProgress, ImportStart, LineError};
pub use live::{MAX_LIVE_AGE, VisitListener, VisitNotice};
pub use outbox::{Announcement, CompletedAnnouncement, OutboxLag};
pub use pending_location::PendingLocation;
pub use personal_data::{AnnouncedSession, VisitorSession};
pub use reclassify::{ReclassifiedVisit, ReclassifyCursor, ReclassifyProgress, StoredVisit};
pub use record::{RecordOutcome, RecordedVisit};
pub use report::{
    AdjacentPageCounts, AdjacentPagesReport, AsOf, BoundedResult, BreakdownOrder, BreakdownQuery,
    BreakdownRow, FunnelStep, REALTIME_MINUTES, RealtimeReport, ReportQuery, ReportSite,
    SessionPath,
};
pub use retention::{ExpiredData, ExpiringSite, PartitionInfo, RowCount};
pub use rollup::{
    ClaimedDay, DayRollup, MetricMismatch, RollupRow, VerifiableDay, VerifyOutcome, visitor_hash,
};
pub use segment::{Segment, UpsertOutcome};
pub use session::{PathStep, SessionDetails};
pub use site::{NewSiteCount, Site, SiteUpdateOutcome};
pub use visit::{BotFilter, ExportQuery, VisitList, VisitQuery, VisitorVisit};
pub use visit_explanation::{DuplicateCount, OutboxEntry, SessionSummary, VisitExplanation};
pub use visitor::Visitor;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached; a retry may succeed.
    #[error("the database is unavailable: {0}")]
    Unavailable(sqlx::Error),
    /// The database does not answer; whether the statement took effect is unknown.
    #[error("the database does not answer")]
    Timeout,
    /// The request exceeded its deadline; no client waits for the result.
    #[error("the request exceeded its deadline")]
    DeadlineExceeded,
    /// The database rejects the data.
    #[error("the database rejects the data: {0}")]
    Constraint(sqlx::Error),
    /// The statement, or the mapping of its result, is wrong.
    #[error("database error: {0}")]
    Query(sqlx::Error),
    /// A stored value does not have the expected format.
    #[error("invalid stored data: {0}")]
    Corrupt(&'static str),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        chassis::metrics::count_error(&error);
        if chassis::database::is_unavailable(&error) {
            return Self::Unavailable(error);
        }
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code);
        match code.as_deref().map(|code| &code[..2.min(code.len())]) {
            // Data exceptions and violated constraints (PostgreSQL, appendix A).
            Some("22" | "23") => Self::Constraint(error),
            _ => Self::Query(error),
        }
    }
}

/// The result of a lookup by id that is limited to certain sites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteLookup<T> {
    /// The row belongs to one of these sites.
    Found(T),
    /// The row belongs to another site; nothing of it was read.
    OtherSite,
    /// No row has this id.
    Missing,
}

impl<T> SiteLookup<T> {
    fn not_found(is_of_another_site: bool) -> Self {
        if is_of_another_site {
            Self::OtherSite
        } else {
            Self::Missing
        }
    }
}

/// Cached texts have at most 4 KB each, typically 100 bytes.
const MAX_CACHED_VALUE_IDS: usize = 20_000;

#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    /// All visits are recorded over one connection, so that the caches of its PostgreSQL backend
    /// stay warm. A pool would take its connections in turn.
    writer_lease: Arc<Mutex<record::WriterLease>>,
    dimensions: dimension::DimensionCache,
    dirty_days: rollup::DirtyDays,
    site_ids: site::SiteIdCache,
    salts: salt::SaltCache,
    partitions: partition::PartitionCache,
    day_aggregates: report::DayAggregateCache,
    results: report::ResultCache,
    /// Ids of the texts in `rollup_value`.
    text_ids: cache_age::TextIdCache,
    wakeups: Arc<WorkerWakeups>,
}

/// Notifies the workers of this process when something is stored for them, so that they need not
/// poll.
#[derive(Debug, Default)]
struct WorkerWakeups {
    outbox: Notify,
    locations: Notify,
    erasures: Notify,
}

const BACKGROUND_CONNECTIONS: u32 = 5;

impl Store {
    /// Returns a store with its own pool for background work and commands, whose statements may
    /// take longer than a request's.
    #[must_use]
    pub fn for_background(&self) -> Self {
        Self {
            pool: chassis::database::background_pool(&self.pool, BACKGROUND_CONNECTIONS),
            ..self.clone()
        }
    }

    /// Creates a store over a pool of connections to a migrated database.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self {
            writer_lease: Arc::new(Mutex::new(record::WriterLease::new(
                chassis::database::key_lookup_options(&pool),
            ))),
            pool,
            dimensions: dimension::DimensionCache::new(),
            dirty_days: rollup::DirtyDays::default(),
            site_ids: site::SiteIdCache::new(),
            salts: salt::SaltCache::default(),
            partitions: partition::PartitionCache::default(),
            day_aggregates: report::DayAggregateCache::new(),
            results: report::ResultCache::new(),
            text_ids: cache_age::TextIdCache::new(MAX_CACHED_VALUE_IDS),
            wakeups: Arc::default(),
        }
    }

    /// Notified when the outbox may have entries.
    #[must_use]
    pub fn outbox_wakeup(&self) -> &Notify {
        &self.wakeups.outbox
    }

    /// Notified when an erasure has to be forwarded to notification.
    #[must_use]
    pub fn erasures_wakeup(&self) -> &Notify {
        &self.wakeups.erasures
    }

    /// Notified when a visit is stored without its location.
    #[must_use]
    pub fn locations_wakeup(&self) -> &Notify {
        &self.wakeups.locations
    }

    /// Wakes the workers that have something to do for recorded visits.
    pub fn wake_workers(&self, recorded: &[EnrichedVisit]) {
        self.wakeups.outbox.notify_one();
        if recorded
            .iter()
            .any(|visit| visit.location_status == LocationStatus::Pending)
        {
            self.wakeups.locations.notify_one();
        }
    }
}
