//! Keeps: every SQL statement of the service, one file per table.

mod behaviour;
mod condition;
mod confirm;
mod copy;
mod dimension;
mod event;
mod explain;
mod goal;
mod import;
mod judged;
mod live;
mod outbox;
mod owed_location;
mod partition;
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

use quick_cache::sync::Cache;
use sqlx::PgPool;
use tokio::sync::{Mutex, Notify};

use crate::domain::classified::{Classified, Place};

pub use event::{Event, EventQuery, OfType};
pub use explain::{Announced, Copies, Facts, SessionFacts};
pub use goal::Goal;
pub use import::{Advance, Counts, Import, LineError};
pub use live::{Ear, Heard, LATE};
pub use outbox::{Announcement, Lag};
pub use owed_location::Owed;
pub use reclassify::{Cursor, Judged, Progress, StoredVisit};
pub use record::{Outcome, Recorded};
pub use report::{
    Answered, AroundPage, Asked, Breakdown, Counted, Neighbours, Order, REALTIME_MINUTES, Realtime,
    SiteOfReport, Step, Value, WayTaken,
};
pub use retention::{Expired, OldSite, Partition, Rows};
pub use rollup::{DayOfSite, Difference, DueDay, Folded, Row, Verdict};
pub use segment::{Kept, Segment};
pub use session::{SessionFound, Stop};
pub use site::{Changed, Site};
pub use visit::{BotFilter, ExportQuery, Found, VisitQuery};
pub use visitor::{Erased, Visitor};

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is out of reach; the same may succeed later.
    #[error("the database is away: {0}")]
    Away(sqlx::Error),
    /// The database does not answer; whether it did what it was asked is not known.
    #[error("the database is silent")]
    Silent,
    /// The database refuses these data.
    #[error("the database refuses the data: {0}")]
    Refused(sqlx::Error),
    /// Our statement or its result is wrong.
    #[error("the database and this program disagree: {0}")]
    Broken(sqlx::Error),
    /// What was stored does not look as this program stores it.
    #[error("what is stored cannot be read: {0}")]
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

/// Texts that are remembered, of at most four kilobytes each, as a rule of a hundred bytes.
const VALUES: usize = 20_000;

/// The service's tables.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    /// What is recorded goes over one connection, whose process in PostgreSQL then has all it needs
    /// at hand: a pool would take its connections in turn.
    recording: Arc<Mutex<record::Recording>>,
    dimensions: dimension::Dimensions,
    rollups: rollup::Marks,
    sites: site::Sites,
    salts: salt::Salts,
    partitions: partition::Partitions,
    days: report::Days,
    answers: report::Answers,
    /// The numbers of texts in `rollup_value`.
    values: Arc<Cache<Arc<str>, i32>>,
    wakes: Arc<Wakes>,
}

/// Notifies the workers of this process when something is stored for them, so that they need not
/// poll.
#[derive(Debug, Default)]
struct Wakes {
    outbox: Notify,
    locations: Notify,
}

impl Store {
    /// Over a pool of connections to a migrated database.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self {
            recording: Arc::new(Mutex::new(record::Recording::new(
                chassis::database::by_keys(&pool),
            ))),
            pool,
            dimensions: dimension::Dimensions::new(),
            rollups: rollup::Marks::default(),
            sites: site::Sites::new(),
            salts: salt::Salts::default(),
            partitions: partition::Partitions::default(),
            days: report::Days::new(),
            answers: report::Answers::new(),
            values: Arc::new(Cache::new(VALUES)),
            wakes: Arc::default(),
        }
    }

    /// Notified when the outbox may have entries.
    #[must_use]
    pub fn outbox_wake(&self) -> &Notify {
        &self.wakes.outbox
    }

    /// Notified when a visit is stored without its location.
    #[must_use]
    pub fn locations_wake(&self) -> &Notify {
        &self.wakes.locations
    }

    /// Wakes the workers that have something to do for visits that were recorded.
    pub fn wake_workers(&self, recorded: &[Classified]) {
        self.wakes.outbox.notify_one();
        if recorded.iter().any(|visit| visit.place == Place::Owed) {
            self.wakes.locations.notify_one();
        }
    }
}
