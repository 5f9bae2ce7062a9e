//! Erases a person: deletes visits, sessions, events and derived rows in one transaction, which
//! also queues the erasure for notification.

mod call;
mod dimension_values;
mod erased_value;
mod erasure_store;
mod person;
mod rollup_texts;
mod rows;
mod sweep;

pub use erasure_store::ErasureStore;
use std::collections::{BTreeMap, BTreeSet};

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

pub use call::ErasureCall;
pub use person::Person;
pub(super) use rows::{
    VisitKeyColumns, delete_import_marks, delete_outbox_entries, delete_pending_locations,
};

use super::duplicate_visit;
use super::import::rebuild_sessions;
use super::record::locks;
use super::rollup::{TouchedPeriod, visitor_hash};
use super::session::VisitorKey;

/// Further sites of a visitor, or visitors of a user, may appear between the lookup and the lock.
const MAX_ERASE_ATTEMPTS: usize = 5;

/// Counts of what an erasure deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErasureCounts {
    pub visits: u64,
    /// Sessions without any remaining visit.
    pub sessions: u64,
    /// Announcements that were not sent yet.
    pub announcements: u64,
    /// Addresses that waited for their location.
    pub pending_locations: u64,
    pub events: u64,
    /// Visitor ids that belong to the person.
    pub visitors: u64,
}

impl ErasureCounts {
    fn is_empty(&self) -> bool {
        *self
            == Self {
                visitors: self.visitors,
                ..Self::default()
            }
    }
}

impl ErasureStore {
    /// Deletes all data about a person, on one site or on all, and queues the erasure for
    /// notification. Returns `None` if nothing is stored here. Locks the visitors, so that none of
    /// their visits is recorded meanwhile.
    pub async fn erase(
        &self,
        person: Person<'_>,
        site: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Option<ErasureCounts>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        let mut keys = rows::find_visitors(&mut connection, person, site).await?;
        if keys.is_empty() {
            // notification may know a person whose visits have expired here.
            call::insert(&mut connection, person, &keys, site, now).await?;
            self.wakeups.erasures.notify_one();
            return Ok(None);
        }
        for _ in 0..MAX_ERASE_ATTEMPTS {
            let mut transaction = connection.begin_with(locks::begin_locked(&keys)).await?;
            let found = rows::find_visitors(&mut transaction, person, site).await?;
            let locked: BTreeSet<&VisitorKey> = keys.iter().collect();
            if !found.iter().all(|key| locked.contains(key)) {
                transaction.rollback().await?;
                keys = found;
                continue;
            }
            call::insert(&mut transaction, person, &keys, site, now).await?;
            let (erased, periods) = erase_rows(&mut transaction, person, &keys, now).await?;
            let marks = &self.dirty_days;
            marks
                .mark_changed(&mut transaction, periods.into_iter(), now)
                .await?;
            transaction.commit().await?;
            self.wakeups.erasures.notify_one();
            return Ok(Some(erased).filter(|erased| !erased.is_empty()));
        }
        Err(StoreError::Corrupt(
            "the visitors of a person change too often",
        ))
    }
}

/// Deletes everything, but leaves marking the dirty days to the caller, as the last statement.
/// Returns the periods of the changed sessions.
async fn erase_rows(
    connection: &mut PgConnection,
    person: Person<'_>,
    keys: &[VisitorKey],
    now: DateTime<Utc>,
) -> Result<(ErasureCounts, Vec<TouchedPeriod>), StoreError> {
    let sessions = rows::find_sessions(connection, keys).await?;
    let deleted = rows::delete_visits(connection, person, &sessions).await?;
    let touched: BTreeSet<Uuid> = match person {
        Person::Visitor(_) => sessions.iter().map(|session| session.id).collect(),
        Person::User(_) => deleted.sessions.iter().copied().collect(),
    };
    let touched: Vec<Uuid> = touched.into_iter().collect();
    let rebuilt = rebuild_sessions(connection, &touched).await?;
    let deleted_keys = deleted.keys();
    let erased = ErasureCounts {
        visits: deleted.ids.len() as u64,
        sessions: (touched.len() as u64).saturating_sub(rebuilt.sessions),
        // In the order of the location backfill, so that the two do not deadlock.
        pending_locations: delete_pending_locations(connection, &deleted_keys).await?,
        announcements: delete_outbox_entries(connection, &deleted_keys).await?,
        events: rows::delete_events(connection, person, keys).await?,
        visitors: keys.iter().map(|key| &key.1).collect::<BTreeSet<_>>().len() as u64,
    };
    // After the outbox: a relay that sends an announcement at this moment records it before its
    // outbox entry is deleted.
    rows::delete_announcements(connection, person, keys, &touched).await?;
    delete_import_marks(connection, &deleted_keys).await?;
    duplicate_visit::delete_counts(connection, &deleted.ids, &deleted.timestamps).await?;
    erased_value::insert_candidates(connection, &deleted, now).await?;
    let hashes: Vec<u64> = keys.iter().map(|key| visitor_hash(&key.1)).collect();
    super::live::notify_erased(connection, &hashes).await?;
    let sessions: BTreeMap<Uuid, TouchedPeriod> = sessions
        .into_iter()
        .map(|session| (session.id, session.period))
        .collect();
    let periods = touched.iter().filter_map(|id| sessions.get(id).copied());
    Ok((erased, periods.collect()))
}
