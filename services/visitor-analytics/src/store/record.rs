//! Recording: a batch of visits, their sessions, what is owed and what is to be told, in one
//! transaction. What it answers is committed, exactly once.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

use super::session::VisitorKey;
use super::visit::{self, Known, VisitKey};
use super::{Store, StoreError, outbox, owed_location, session};
use crate::domain::classified::{Classified, Place};
use crate::domain::session::{Arrival, Plan, assign};

/// Visitors share this many locks: one each would fill PostgreSQL's lock table.
const LOCKS: u64 = 256;
/// The first half of the locks' names, so that they meet no others.
const LOCK_CLASS: i32 = 0x7e7a;
/// A batch is tried again when a copy of one of its visits lands at the same moment elsewhere.
const TRIES: usize = 3;

/// What became of a visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// New, or known already.
    pub outcome: Outcome,
    /// The session it belongs to.
    pub session_id: Uuid,
    /// Who made it.
    pub visitor_id: String,
    /// Whether its session began with it.
    pub is_new_session: bool,
}

/// New, or known already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was not there, and is now.
    Recorded,
    /// It was there, and nothing changed.
    Duplicate,
}

impl Store {
    /// Records a batch at `now`, all of it or none; its months have their partitions
    /// ([`Store::make_room`]). Sessions whose first genuine visit is younger
    /// than `max_age` are put into the outbox.
    pub async fn record(
        &self,
        batch: &[Classified],
        now: DateTime<Utc>,
        max_age: TimeDelta,
    ) -> Result<Vec<Recorded>, StoreError> {
        let domains = batch.iter().map(|v| v.visit.site.as_str());
        let sites = self.site_ids(domains, now).await?;
        let keys: Vec<VisitorKey> = batch
            .iter()
            .map(|v| (sites[v.visit.site.as_str()], v.visitor_id.clone()))
            .collect();
        for _ in 0..TRIES {
            let transaction = self.pool.begin().await?;
            let attempt = Attempt {
                batch,
                keys: &keys,
                now,
                fresh_since: now.checked_sub_signed(max_age).unwrap_or(now),
            };
            if let Some(recorded) = attempt.run(transaction).await? {
                return Ok(recorded);
            }
        }
        Err(StoreError::Unreadable("a visit that is there and is not"))
    }
}

/// One try at recording a batch.
struct Attempt<'a> {
    batch: &'a [Classified],
    keys: &'a [VisitorKey],
    now: DateTime<Utc>,
    fresh_since: DateTime<Utc>,
}

impl Attempt<'_> {
    /// `None` when another writer landed one of the visits first.
    async fn run(
        &self,
        mut transaction: Transaction<'_, Postgres>,
    ) -> Result<Option<Vec<Recorded>>, StoreError> {
        let connection = &mut *transaction;
        lock_visitors(connection, self.keys).await?;
        let known = visit::known(connection, self.batch).await?;
        let new = self.new_visits(&known);
        let plans = self.plan(connection, &new).await?;
        let sessions = sessions_by_visit(&plans);
        if !self.write_visits(connection, &new, &sessions).await? {
            return Ok(None);
        }
        write_sessions(connection, &plans).await?;
        self.write_announcements(connection, &plans).await?;
        transaction.commit().await?;
        Ok(Some(self.answer(&known, &new, &sessions)))
    }

    /// The places in the batch of visits that are not stored yet, the first of equal ones.
    fn new_visits(&self, known: &HashMap<VisitKey, Known>) -> Vec<usize> {
        let mut met = HashSet::new();
        let indices = 0..self.batch.len();
        let new = indices.filter(|&index| {
            let key = visit::key(&self.batch[index]);
            !known.contains_key(&key) && met.insert(key)
        });
        new.collect()
    }

    async fn plan(
        &self,
        connection: &mut PgConnection,
        new: &[usize],
    ) -> Result<Vec<Planned>, StoreError> {
        let mut arrivals: HashMap<&VisitorKey, Vec<Arrival>> = HashMap::new();
        for &index in new {
            let visit = &self.batch[index];
            let arrival = Arrival {
                timestamp: visit.visit.timestamp,
                id: visit.visit.id,
                is_bot: visit.verdict.is_bot,
                is_fresh: visit.visit.timestamp >= self.fresh_since,
            };
            arrivals.entry(&self.keys[index]).or_default().push(arrival);
        }
        let periods: Vec<_> = arrivals
            .iter()
            .map(|(key, list)| period(key, list))
            .collect();
        let mut near = session::near(connection, &periods).await?;
        let planned = arrivals.into_iter().map(|(key, arrivals)| {
            let existing = near.remove(key).unwrap_or_default();
            Planned {
                plan: assign(existing, &arrivals),
                key: key.clone(),
                arrivals,
            }
        });
        Ok(planned.collect())
    }

    /// Whether all were new indeed.
    async fn write_visits(
        &self,
        connection: &mut PgConnection,
        new: &[usize],
        sessions: &HashMap<VisitKey, (Uuid, bool)>,
    ) -> Result<bool, StoreError> {
        let visits: Vec<_> = new.iter().map(|&index| &self.batch[index]).collect();
        let sites: Vec<_> = new.iter().map(|&index| self.keys[index].0).collect();
        let of_visit: Vec<_> = visits.iter().map(|v| sessions[&visit::key(v)].0).collect();
        let inserted = visit::insert(connection, &visits, &sites, &of_visit, self.now).await?;
        if inserted != visits.len() {
            return Ok(false);
        }
        owed_location::insert(connection, &visits, self.now).await?;
        Ok(true)
    }

    async fn write_announcements(
        &self,
        connection: &mut PgConnection,
        plans: &[Planned],
    ) -> Result<(), StoreError> {
        let owed: HashSet<VisitKey> = self
            .batch
            .iter()
            .filter(|visit| visit.place == Place::Owed)
            .map(visit::key)
            .collect();
        let announced = plans.iter().flat_map(|planned| &planned.plan.announce);
        let entries: Vec<_> = announced
            .map(|(session, visit)| {
                (
                    *session,
                    *visit,
                    owed.contains(&(visit.id, visit.timestamp)),
                )
            })
            .collect();
        outbox::insert(connection, &entries, self.now).await
    }

    fn answer(
        &self,
        known: &HashMap<VisitKey, Known>,
        new: &[usize],
        sessions: &HashMap<VisitKey, (Uuid, bool)>,
    ) -> Vec<Recorded> {
        let first: HashMap<VisitKey, usize> = new
            .iter()
            .map(|&index| (visit::key(&self.batch[index]), index))
            .collect();
        let answers = self.batch.iter().enumerate().map(|(index, visit)| {
            let key = visit::key(visit);
            if let Some(known) = known.get(&key) {
                return Recorded {
                    outcome: Outcome::Duplicate,
                    session_id: known.session_id,
                    visitor_id: known.visitor_id.clone(),
                    is_new_session: false,
                };
            }
            let (session_id, begins) = sessions[&key];
            // Of equal visits in one batch the first was recorded.
            let recorded = first[&key];
            let is_new = recorded == index;
            Recorded {
                outcome: if is_new {
                    Outcome::Recorded
                } else {
                    Outcome::Duplicate
                },
                session_id,
                visitor_id: self.batch[recorded].visitor_id.clone(),
                is_new_session: is_new && begins,
            }
        });
        answers.collect()
    }
}

/// A visitor's new visits and what becomes of the sessions.
struct Planned {
    key: VisitorKey,
    arrivals: Vec<Arrival>,
    plan: Plan,
}

/// Each new visit's session, and whether the session began with it.
fn sessions_by_visit(plans: &[Planned]) -> HashMap<VisitKey, (Uuid, bool)> {
    let begun: HashSet<(Uuid, Uuid)> = plans
        .iter()
        .flat_map(|planned| &planned.plan.new)
        .map(|session| (session.id, session.entry.1))
        .collect();
    let visits = plans.iter().flat_map(|planned| {
        let arrivals = planned.arrivals.iter();
        arrivals.zip(&planned.plan.of_arrivals)
    });
    visits
        .map(|(arrival, session)| {
            let begins = begun.contains(&(*session, arrival.id));
            ((arrival.id, arrival.timestamp), (*session, begins))
        })
        .collect()
}

async fn write_sessions(
    connection: &mut PgConnection,
    plans: &[Planned],
) -> Result<(), StoreError> {
    let with_key = |planned: &'_ Planned| planned.key.clone();
    let keys: Vec<VisitorKey> = plans.iter().map(with_key).collect();
    let pairs = || keys.iter().zip(plans);
    let merged: Vec<_> = pairs()
        .flat_map(|(key, p)| p.plan.merged.iter().map(move |m| (key, m)))
        .collect();
    let changed: Vec<_> = plans.iter().flat_map(|p| &p.plan.changed).collect();
    let new: Vec<_> = pairs()
        .flat_map(|(key, p)| p.plan.new.iter().map(move |s| (key, s)))
        .collect();
    session::merge(connection, &merged).await?;
    session::update(connection, &changed).await?;
    session::insert(connection, &new).await
}

fn period(key: &VisitorKey, visits: &[Arrival]) -> (VisitorKey, DateTime<Utc>, DateTime<Utc>) {
    let moments = || visits.iter().map(|visit| visit.timestamp);
    let first = moments().min().unwrap_or_default();
    let last = moments().max().unwrap_or_default();
    (key.clone(), first, last)
}

/// Keeps other writers away from these visitors' sessions until the transaction ends. Locks are
/// taken in order, so that two writers never wait for each other.
async fn lock_visitors(
    connection: &mut PgConnection,
    keys: &[VisitorKey],
) -> Result<(), StoreError> {
    let locks: BTreeSet<i32> = keys.iter().map(lock_of).collect();
    let locks: Vec<i32> = locks.into_iter().collect();
    sqlx::query!(
        "select pg_advisory_xact_lock($1, lock) from unnest($2::int[]) lock",
        LOCK_CLASS,
        &locks,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The visitor's lock, the same on every replica (FNV-1a).
fn lock_of((site, visitor): &VisitorKey) -> i32 {
    let bytes = site.to_le_bytes().into_iter().chain(visitor.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    i32::try_from(hash % LOCKS).unwrap_or_default()
}
