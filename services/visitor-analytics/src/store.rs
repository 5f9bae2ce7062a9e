//! Keeps: every SQL statement of the service, one file per table.

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

use crate::domain::classified::{Classified, Place};

pub use erasure::{Erased, ErasureCall, Person};
pub use event::{Event, EventQuery, OfType};
pub use explain::{Announced, Copies, Facts, SessionFacts};
pub use goal::Goal;
pub use import::{Advance, Begun, Counts, Import, LineError};
pub use live::{Ear, Heard, LATE};
pub use outbox::{Announcement, Lag, Told};
pub use owed_location::Owed;
pub use personal_data::{Announced as AnnouncedSession, SessionOfVisitor};
pub use reclassify::{Cursor, Judged, Progress, StoredVisit};
pub use record::{Outcome, Recorded};
pub use report::{
    Answered, AroundPage, Asked, Breakdown, Counted, Neighbours, Order, REALTIME_MINUTES, Realtime,
    SiteOfReport, Step, Value, WayTaken,
};
pub use retention::{Expired, OldSite, Partition, Rows};
pub use rollup::{
    DayOfSite, Difference, DueDay, Folded, Row, Verdict, visitor_key as visitor_hash,
};
pub use segment::{Kept, Segment};
pub use session::{SessionFound, Stop};
pub use site::{Changed, NewSitesOfDay, Site};
pub use visit::{BotFilter, ExportQuery, Found, VisitOfVisitor, VisitQuery};
pub use visitor::Visitor;

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is out of reach; the same may succeed later.
    #[error("the database is away: {0}")]
    Away(sqlx::Error),
    /// The database does not answer; whether it did what it was asked is not known.
    #[error("the database is silent")]
    Silent,
    /// The request took too long, and nobody waits for it any more.
    #[error("the request takes too long")]
    Overdue,
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

/// What a lookup by id found among the sites that it was limited to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup<T> {
    /// The row, of one of these sites.
    Found(T),
    /// Only other sites have such a row; nothing of it was read.
    OfAnotherSite,
    /// There is no such row.
    Missing,
}

impl<T> Lookup<T> {
    /// What nothing was found for is missing, unless another site has it.
    fn none(is_of_another_site: bool) -> Self {
        if is_of_another_site {
            Self::OfAnotherSite
        } else {
            Self::Missing
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
    values: cache_age::TextNumbers,
    wakes: Arc<Wakes>,
}

/// Notifies the workers of this process when something is stored for them, so that they need not
/// poll.
#[derive(Debug, Default)]
struct Wakes {
    outbox: Notify,
    locations: Notify,
    erasures: Notify,
}

/// Connections for background work.
const BACKGROUND_CONNECTIONS: u32 = 5;

impl Store {
    /// For background work and commands, whose statements may take longer than a request's.
    #[must_use]
    pub fn for_background(&self) -> Self {
        Self {
            pool: chassis::database::background_pool(&self.pool, BACKGROUND_CONNECTIONS),
            ..self.clone()
        }
    }

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
            values: cache_age::TextNumbers::new(VALUES),
            wakes: Arc::default(),
        }
    }

    /// Notified when the outbox may have entries.
    #[must_use]
    pub fn outbox_wake(&self) -> &Notify {
        &self.wakes.outbox
    }

    /// Woken when notification is to be asked to erase somebody.
    #[must_use]
    pub fn erasures_wake(&self) -> &Notify {
        &self.wakes.erasures
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
