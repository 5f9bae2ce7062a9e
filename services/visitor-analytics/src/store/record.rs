//! Recording: a batch of visits, their sessions, what is owed and what is to be told, in one
//! transaction. What it answers is committed, exactly once.

pub(super) mod locks;
mod plan;
mod write;

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

pub(super) use self::plan::Planned;
use self::plan::{periods, plan, sessions_by_visit};
use self::write::News;
use super::session::{Sessions, VisitorKey};
use super::visit::{self, Known, VisitKey};
use super::{Store, StoreError, session};
use crate::domain::classified::Classified;

/// A batch is tried again when one of its visits is there already and nobody could tell at first.
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
        for round in 0..TRIES {
            let attempt = Attempt {
                store: self,
                batch,
                keys: &keys,
                now,
                fresh_since: now.checked_sub_signed(max_age).unwrap_or(now),
                is_first: round == 0,
            };
            let transaction = locks::begin(&self.recording, &keys).await?;
            if let Some(recorded) = attempt.run(transaction).await? {
                return Ok(recorded);
            }
        }
        Err(StoreError::Unreadable("a visit that is there and is not"))
    }
}

/// One try at recording a batch.
struct Attempt<'a> {
    store: &'a Store,
    batch: &'a [Classified],
    keys: &'a [VisitorKey],
    now: DateTime<Utc>,
    fresh_since: DateTime<Utc>,
    is_first: bool,
}

impl Attempt<'_> {
    /// `None` when one of the visits was there already, and has to be looked for.
    async fn run(
        &self,
        mut transaction: Transaction<'_, Postgres>,
    ) -> Result<Option<Vec<Recorded>>, StoreError> {
        let connection = &mut *transaction;
        let near = session::near(connection, self.keys, self.batch).await?;
        let known = self.known(connection, &near).await?;
        let new = self.new_visits(&known);
        let plans = plan(self.batch, self.keys, &new, near, self.fresh_since);
        let sessions = sessions_by_visit(&plans);
        let visits: Vec<_> = new.iter().map(|&index| &self.batch[index]).collect();
        let numbers = self.store.dimensions.of(connection, &visits).await?;
        let news = News {
            sites: new.iter().map(|&index| self.keys[index].0).collect(),
            sessions: visits.iter().map(|v| sessions[&visit::key(v)].0).collect(),
            visits,
            numbers: &numbers,
            plans: &plans,
        };
        if !news.write(connection, self.now).await? {
            return Ok(None);
        }
        let marks = &self.store.rollups;
        let marked = marks.mark(connection, periods(&plans), self.now).await?;
        transaction.commit().await?;
        self.store.dimensions.remember(&numbers);
        self.store.rollups.remember(marked);
        Ok(Some(self.answer(&known, &new, &sessions)))
    }

    /// Those that are stored already. At first only the visits are looked up that happened within
    /// a session of their visitor, where a copy would be: most visits follow or begin one. A copy
    /// that got another visitor since (its day's salt was forgotten) is found when it is written.
    async fn known(
        &self,
        connection: &mut PgConnection,
        near: &Sessions,
    ) -> Result<HashMap<VisitKey, Known>, StoreError> {
        let suspects = self.keys.iter().zip(self.batch).filter(|(key, visit)| {
            let moment = visit.visit.timestamp;
            let mut sessions = near.get(*key).into_iter().flatten();
            !self.is_first || sessions.any(|s| s.entry.0 <= moment && moment <= s.exit.0)
        });
        let suspects: Vec<_> = suspects.map(|(_, visit)| visit::key(visit)).collect();
        visit::known(connection, &suspects).await
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
