//! Erases a person: deletes visits, sessions, events and derived rows in one transaction, which
//! also queues the erasure for notification.

mod call;
mod dictionary;
mod rows;
mod text;
mod value;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

pub use call::ErasureCall;
pub(super) use rows::{Gone, erase_announcements, erase_owed_locations, forget_imported};

use super::import::rebuild_sessions;
use super::record::locks;
use super::rollup::{TouchedPeriod, visitor_key};
use super::session::VisitorKey;
use super::{Store, StoreError, copy};

/// Further sites of a visitor, or visitors of a user, may appear between the lookup and the lock.
const TRIES: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Person<'a> {
    /// Everything about one visitor id.
    Visitor(&'a str),
    /// Everything about the site's own user id, and the visits of the same visitors without any
    /// user id. Their visits with another user id belong to another person.
    User(&'a str),
}

impl<'a> Person<'a> {
    fn user(self) -> Option<&'a str> {
        match self {
            Self::Visitor(_) => None,
            Self::User(id) => Some(id),
        }
    }
}

/// Counts of what an erasure deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    pub visits: u64,
    /// Sessions without any remaining visit.
    pub sessions: u64,
    /// Announcements that were not sent yet.
    pub announcements: u64,
    /// Addresses that waited for their location.
    pub owed_locations: u64,
    pub events: u64,
    /// Visitor ids that belong to the person.
    pub visitors: u64,
}

impl Erased {
    fn is_nothing(&self) -> bool {
        *self
            == Self {
                visitors: self.visitors,
                ..Self::default()
            }
    }
}

impl Store {
    /// Deletes all data about a person, on one site or on all, and queues the erasure for
    /// notification. Returns `None` if nothing is stored here. Locks the visitors, so that none of
    /// their visits is recorded meanwhile.
    pub async fn erase(
        &self,
        person: Person<'_>,
        site: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Option<Erased>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        let mut keys = rows::visitors_of(&mut connection, person, site).await?;
        if keys.is_empty() {
            // notification may know a person whose visits have expired here.
            call::insert(&mut connection, person, &keys, site, now).await?;
            self.wakes.erasures.notify_one();
            return Ok(None);
        }
        for _ in 0..TRIES {
            let mut transaction = connection.begin_with(locks::begin(&keys)).await?;
            let found = rows::visitors_of(&mut transaction, person, site).await?;
            let locked: BTreeSet<&VisitorKey> = keys.iter().collect();
            if !found.iter().all(|key| locked.contains(key)) {
                transaction.rollback().await?;
                keys = found;
                continue;
            }
            call::insert(&mut transaction, person, &keys, site, now).await?;
            let (erased, periods) = erase(&mut transaction, person, &keys, now).await?;
            let marks = &self.rollups;
            marks
                .mark_anew(&mut transaction, periods.into_iter(), now)
                .await?;
            transaction.commit().await?;
            self.wakes.erasures.notify_one();
            return Ok(Some(erased).filter(|erased| !erased.is_nothing()));
        }
        Err(StoreError::Unreadable(
            "the visitors of a person change too often",
        ))
    }
}

/// Deletes everything, but leaves marking the dirty days to the caller, as the last statement.
/// Returns the periods of the changed sessions.
async fn erase(
    connection: &mut PgConnection,
    person: Person<'_>,
    keys: &[VisitorKey],
    now: DateTime<Utc>,
) -> Result<(Erased, Vec<TouchedPeriod>), StoreError> {
    let sessions = rows::sessions_of(connection, keys).await?;
    let gone = rows::erase_visits(connection, person, &sessions).await?;
    let touched: BTreeSet<Uuid> = match person {
        Person::Visitor(_) => sessions.iter().map(|session| session.id).collect(),
        Person::User(_) => gone.sessions.iter().copied().collect(),
    };
    let touched: Vec<Uuid> = touched.into_iter().collect();
    let rebuilt = rebuild_sessions(connection, &touched).await?;
    let keys_of_gone = gone.keys();
    let erased = Erased {
        visits: gone.ids.len() as u64,
        sessions: (touched.len() as u64).saturating_sub(rebuilt.sessions),
        // In the order of the location backfill, so that the two do not deadlock.
        owed_locations: erase_owed_locations(connection, &keys_of_gone).await?,
        announcements: erase_announcements(connection, &keys_of_gone).await?,
        events: rows::erase_events(connection, person, keys).await?,
        visitors: keys.iter().map(|key| &key.1).collect::<BTreeSet<_>>().len() as u64,
    };
    // After the outbox: a relay that sends an announcement at this moment records it before its
    // outbox entry is deleted.
    rows::forget_announced(connection, person, keys, &touched).await?;
    forget_imported(connection, &keys_of_gone).await?;
    copy::forget(connection, &gone.ids, &gone.moments).await?;
    value::expect(connection, &gone, now).await?;
    let hashes: Vec<u64> = keys.iter().map(|key| visitor_key(&key.1)).collect();
    super::live::tell_erased(connection, &hashes).await?;
    let sessions: BTreeMap<Uuid, TouchedPeriod> = sessions
        .into_iter()
        .map(|session| (session.id, session.period))
        .collect();
    let periods = touched.iter().filter_map(|id| sessions.get(id).copied());
    Ok((erased, periods.collect()))
}
