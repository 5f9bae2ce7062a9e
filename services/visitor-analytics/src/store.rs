//! PostgreSQL access: every SQL statement of the service, one module per table or task.

mod behaviour;
mod cache_age;
mod condition;
mod confirm;
mod copy;
mod dimension;
mod erasure;
mod event;
mod explain;
mod goal;
mod import;
mod judged;
mod live;
mod outbox;
mod owed_location;
mod partition;
mod personal_data;
mod prove;
mod reclassify;
mod record;
mod rejudge;
mod report;
mod retention;
mod rollup;
mod salt;
mod segment;
mod session;
mod site;
mod visit;
mod visitor;

use std::sync::Arc;

use sqlx::PgPool;
use tokio::sync::{Mutex, Notify};

use crate::domain::classified::{EnrichedVisit, LocationStatus};

pub use erasure::{Erased, ErasureCall, Person};
pub use event::{Event, EventQuery, EventTypeCounts};
pub use explain::{DuplicateCount, OutboxEntry, SessionSummary, VisitExplanation};
pub use goal::Goal;
pub use import::{Import, ImportCounts, ImportProgress, ImportStart, LineError};
pub use live::{MAX_LIVE_AGE, VisitListener, VisitNotice};
pub use outbox::{Announcement, Lag, Told};
pub use owed_location::PendingLocation;
pub use personal_data::{Announced as AnnouncedSession, SessionOfVisitor};
pub use reclassify::{ReclassifiedVisit, ReclassifyCursor, ReclassifyProgress, StoredVisit};
pub use record::{RecordOutcome, RecordedVisit};
pub use report::{
    AdjacentPageCounts, AdjacentPagesReport, AsOf, BoundedResult, BreakdownOrder, BreakdownQuery,
    BreakdownRow, FunnelStep, REALTIME_MINUTES, RealtimeReport, ReportQuery, ReportSite,
    SessionPath,
};
pub use retention::{ExpiredData, ExpiringSite, PartitionInfo, RowCount};
pub use rollup::{
    ClaimedDay, DayRollup, MetricMismatch, RollupRow, VerifiableDay, VerifyOutcome,
    visitor_key as visitor_hash,
};
pub use segment::{Segment, UpsertOutcome};
pub use session::{PathStep, SessionDetails};
pub use site::{NewSiteCount, Site, SiteUpdateOutcome};
pub use visit::{BotFilter, ExportQuery, VisitList, VisitOfVisitor, VisitQuery};
pub use visitor::Visitor;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached; a retry may succeed.
    #[error("the database is unavailable: {0}")]
    Away(sqlx::Error),
    /// The database does not answer; whether the statement took effect is unknown.
    #[error("the database does not answer")]
    Silent,
    /// The request exceeded its deadline; no client waits for the result.
    #[error("the request exceeded its deadline")]
    Overdue,
    /// The database rejects the data.
    #[error("the database rejects the data: {0}")]
    Refused(sqlx::Error),
    /// The statement, or the mapping of its result, is wrong.
    #[error("database error: {0}")]
    Broken(sqlx::Error),
    /// A stored value does not have the expected format.
    #[error("invalid stored data: {0}")]
    Unreadable(&'static str),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        chassis::metrics::count_error(&error);
        if chassis::database::is_away(&error) {
            return Self::Away(error);
        }
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code);
        match code.as_deref().map(|code| &code[..2.min(code.len())]) {
            // Data exceptions and violated constraints (PostgreSQL, appendix A).
            Some("22" | "23") => Self::Refused(error),
            _ => Self::Broken(error),
        }
    }
}

/// The result of a lookup by id that is limited to certain sites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteLookup<T> {
    /// The row belongs to one of these sites.
    Found(T),
    /// The row belongs to another site; nothing of it was read.
    OfAnotherSite,
    /// No row has this id.
    Missing,
}

impl<T> SiteLookup<T> {
    fn none(is_of_another_site: bool) -> Self {
        if is_of_another_site {
            Self::OfAnotherSite
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
    recording: Arc<Mutex<record::WriterLease>>,
    dimensions: dimension::DimensionCache,
    rollups: rollup::DirtyDays,
    sites: site::SiteIdCache,
    salts: salt::SaltCache,
    partitions: partition::PartitionCache,
    days: report::DayAggregateCache,
    answers: report::ResultCache,
    /// Ids of the texts in `rollup_value`.
    values: cache_age::TextNumbers,
    wakes: Arc<WorkerWakeups>,
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
            recording: Arc::new(Mutex::new(record::WriterLease::new(
                chassis::database::by_keys(&pool),
            ))),
            pool,
            dimensions: dimension::DimensionCache::new(),
            rollups: rollup::DirtyDays::default(),
            sites: site::SiteIdCache::new(),
            salts: salt::SaltCache::default(),
            partitions: partition::PartitionCache::default(),
            days: report::DayAggregateCache::new(),
            answers: report::ResultCache::new(),
            values: cache_age::TextNumbers::new(MAX_CACHED_VALUE_IDS),
            wakes: Arc::default(),
        }
    }

    /// Notified when the outbox may have entries.
    #[must_use]
    pub fn outbox_wake(&self) -> &Notify {
        &self.wakes.outbox
    }

    /// Notified when an erasure has to be forwarded to notification.
    #[must_use]
    pub fn erasures_wake(&self) -> &Notify {
        &self.wakes.erasures
    }

    /// Notified when a visit is stored without its location.
    #[must_use]
    pub fn locations_wake(&self) -> &Notify {
        &self.wakes.locations
    }

    /// Wakes the workers that have something to do for recorded visits.
    pub fn wake_workers(&self, recorded: &[EnrichedVisit]) {
        self.wakes.outbox.notify_one();
        if recorded
            .iter()
            .any(|visit| visit.place == LocationStatus::Owed)
        {
            self.wakes.locations.notify_one();
        }
    }
}
