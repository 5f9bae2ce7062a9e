//! Erasing a person: visits, sessions, events and what follows from them, in one transaction that
//! also asks notification to do the same.

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

/// A visitor's sites, or a user's visitors, may become more between the look-up and the lock.
const TRIES: usize = 5;

/// Whose data are erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Person<'a> {
    /// Everything about one visitor id.
    Visitor(&'a str),
    /// Everything about the site's own user id, and what the same visitors did without any user id.
    /// What they did under another user's id is another person's.
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

/// What an erasure removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Visits.
    pub visits: u64,
    /// Sessions of which no visit is left.
    pub sessions: u64,
    /// Announcements that had not been made.
    pub announcements: u64,
    /// Addresses that waited for their place.
    pub owed_locations: u64,
    /// Events.
    pub events: u64,
    /// Visitor ids that were connected with the person.
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
    /// Removes everything about a person, on one site or on all those visited so far, and asks
    /// notification to do so; `None` where there is nothing here. Nobody records a visit of the
    /// same visitors meanwhile.
    pub async fn erase(
        &self,
        person: Person<'_>,
        site: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Option<Erased>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        let mut keys = rows::visitors_of(&mut connection, person, site).await?;
        if keys.is_empty() {
            // notification may know a person whose visits are too old to be kept here.
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
        Err(StoreError::Unreadable("a person whose visitors grow"))
    }
}

/// Removes everything but marks the days, which is the caller's last statement. Returns when the
/// sessions were that changed.
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
        // In the order in which owed places are paid, so that the two never wait for each other.
        owed_locations: erase_owed_locations(connection, &keys_of_gone).await?,
        announcements: erase_announcements(connection, &keys_of_gone).await?,
        events: rows::erase_events(connection, person, keys).await?,
        visitors: keys.iter().map(|key| &key.1).collect::<BTreeSet<_>>().len() as u64,
    };
    // After the outbox: what is announced at this moment is recorded before its entry is gone.
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
