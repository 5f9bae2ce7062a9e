//! PostgreSQL access: every SQL statement of the service, one module per table or task.

mod behaviour;
mod browser_confirmation;
mod cache_age;
mod context;
mod crawler_verification;
mod dictionary;
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
mod realtime;
mod reclassify;
mod record;
mod retention;
mod rollup;
mod salt;
mod segment;
mod session;
mod shared_caches;
mod site;
mod site_lookup;
mod verdict_update;
mod visit;
mod visit_explanation;
mod visit_verdict;
mod visitor;

pub use context::Store;
pub use erasure::{ErasureCall, ErasureCounts, ErasureStore, Person};
pub use event::{Event, EventQuery, EventStore, EventTypeCounts};
pub use goal::{Goal, GoalStore};
pub use import::{Import, ImportCounts, ImportProgress, ImportStart, ImportStore, LineError};
pub use live::{LiveFeed, MAX_LIVE_AGE, VisitListener, VisitNotice};
pub use outbox::{Announcement, CompletedAnnouncement, OutboxLag, OutboxStore};
pub use partition::PartitionStore;
pub use pending_location::{PendingLocation, PendingLocationStore};
pub use personal_data::{AnnouncedSession, VisitorSession};
pub use realtime::{REALTIME_MINUTES, RealtimeReport};
pub use reclassify::{ReclassifiedVisit, ReclassifyCursor, ReclassifyProgress, StoredVisit};
pub use record::{RecordOutcome, RecordedVisit, VisitWriter};
pub use retention::{ExpiredData, ExpiringSite, PartitionInfo, RetentionStore, RowCount};
pub use rollup::{
    ClaimedDay, DayRollup, EncodedMetrics, EncodedPaths, MetricMismatch, OPEN_DAY_GRACE,
    QuarterHourDay, RollupRow, RollupStore, StoredVisitors, ValueDictionary, VerifiableDay,
    VerifyOutcome, VisitorDay, visitor_hash,
};
pub(crate) use rollup::{encode_day_paths, encode_metrics};
pub use salt::SaltStore;
pub use segment::{Segment, SegmentStore, UpsertOutcome};
pub use session::{PathStep, SessionDetails, SessionStore};
pub use site::{NewSiteCount, ReportSite, Site, SiteStore, SiteUpdateOutcome};
pub use site_lookup::SiteLookup;
pub use verdict_update::VerdictStore;
pub use visit::{BotFilter, ExportQuery, VisitList, VisitQuery, VisitStore, VisitorVisit};
pub use visit_explanation::{DuplicateCount, OutboxEntry, SessionSummary, VisitExplanation};
pub use visitor::{Visitor, VisitorStore};
