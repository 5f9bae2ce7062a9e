//! Records a batch of visits with their sessions, pending locations and outbox entries in one
//! transaction, exactly once. The result is returned after the commit.

mod line;
pub(super) mod locks;
mod plan;
mod recent;
mod write;

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use self::line::WriterConnection;
pub(super) use self::line::WriterLease;
pub(super) use self::plan::VisitorSessionPlan;
use self::plan::{periods, plan, sessions_by_visit};
use self::recent::SessionCache;
use self::write::InsertBatch;
use super::dimension::{DimensionCache, VisitDimensionIds};
use super::rollup::MarkedDays;
use super::session::{SessionsByVisitor, VisitorKey};
use super::visit::{self, ExistingVisit, VisitKey};
use super::{Store, StoreError, copy, session};
use crate::domain::classified::{EnrichedVisit, LocationStatus};
use crate::domain::session::{NotifyPolicy, NotifyTrigger};

/// A batch is retried if it contains a visit that is stored already and was not looked up at first.
const MAX_RECORD_ATTEMPTS: usize = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedVisit {
    pub outcome: RecordOutcome,
    pub session_id: Uuid,
    pub visitor_id: String,
    /// Whether the session began with this visit.
    pub is_new_session: bool,
}

impl RecordedVisit {
    /// Reveals nothing about the other site's visit.
    fn taken() -> Self {
        Self {
            outcome: RecordOutcome::Taken,
            session_id: Uuid::nil(),
            visitor_id: String::new(),
            is_new_session: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordOutcome {
    /// The visit is stored now.
    Recorded,
    /// The visit was stored before; nothing changed.
    Duplicate,
    /// Another site has a visit with this id and time. Nothing changed, and the response reveals
    /// nothing about that visit.
    Taken,
}

impl Store {
    /// Records a batch at `now`, all of it or none. The partitions of its months must exist.
    /// Sessions to be announced according to `telling` are put into the outbox.
    pub async fn record(
        &self,
        batch: &[EnrichedVisit],
        now: DateTime<Utc>,
        telling: NotifyPolicy,
    ) -> Result<Vec<RecordedVisit>, StoreError> {
        let domains = batch.iter().map(|v| v.visit.site.as_str());
        let sites = self.site_ids(domains).await?;
        let keys: Option<Vec<VisitorKey>> = batch
            .iter()
            .map(|v| Some((*sites.get(v.visit.site.as_str())?, v.visitor_id.clone())))
            .collect();
        let keys = keys.ok_or(StoreError::Unreadable("a site that was not found"))?;
        let attempt = RecordAttempt {
            store: self,
            batch,
            keys: &keys,
            now,
            fresh_since: now.checked_sub_signed(telling.max_age).unwrap_or(now),
            when: telling.when,
            is_first: true,
        };
        let mut recording = self.recording.lock().await;
        let mut line = recording.take(now).await?;
        let recorded = attempt.run(&mut line).await;
        // After any other error the state of the connection is unknown, so it is closed.
        if matches!(recorded, Ok(_) | Err(StoreError::Refused(_))) {
            recording.put_back(line);
        }
        recorded
    }

    /// Must be called a few times per second, so that other processes get the lease when they wait
    /// for it.
    pub async fn tend_recording(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.recording.lock().await.tend(now).await
    }
}

#[derive(Clone, Copy)]
struct RecordAttempt<'a> {
    store: &'a Store,
    batch: &'a [EnrichedVisit],
    keys: &'a [VisitorKey],
    now: DateTime<Utc>,
    fresh_since: DateTime<Utc>,
    when: NotifyTrigger,
    is_first: bool,
}

struct BatchDraft<'a> {
    known: HashMap<VisitKey, ExistingVisit>,
    /// Indices into the batch of visits that are not stored yet.
    new: Vec<usize>,
    /// Visits of the batch that are duplicates.
    copies: Vec<VisitKey>,
    visits: Vec<&'a EnrichedVisit>,
    plans: Vec<VisitorSessionPlan>,
    /// The session of each new visit, and whether it began with that visit.
    sessions: HashMap<VisitKey, (Uuid, bool)>,
    numbers: VisitDimensionIds,
}

impl<'a> RecordAttempt<'a> {
    async fn run(mut self, line: &mut WriterConnection) -> Result<Vec<RecordedVisit>, StoreError> {
        if let Some(recent) = &mut line.recent {
            if let Some(recorded) = self.alone(&mut line.connection, recent).await? {
                return Ok(recorded);
            }
            self.is_first = false;
            line.give_back().await?;
        }
        for _ in 0..MAX_RECORD_ATTEMPTS {
            if let Some(recorded) = self.among_others(&mut line.connection).await? {
                return Ok(recorded);
            }
            self.is_first = false;
        }
        Err(StoreError::Unreadable(
            "a visit that can be neither inserted nor read",
        ))
    }

    /// Records under the shared lease, in a transaction that locks the visitors. Returns `None` if
    /// a visit is stored already and must be looked up.
    async fn among_others(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Option<Vec<RecordedVisit>>, StoreError> {
        let mut transaction = connection.begin_with(locks::begin(self.keys)).await?;
        let moments = self.batch.iter().map(|visit| visit.visit.timestamp);
        let near = session::near(&mut transaction, self.keys.iter().zip(moments)).await?;
        let mut draft = self.draft(&mut transaction, near).await?;
        let Some(marked) = self.write(&mut transaction, &mut draft).await? else {
            return Ok(None);
        };
        transaction.commit().await?;
        Ok(Some(self.committed(&draft, marked)))
    }

    /// Records under the exclusive lease, with cached sessions. Most batches need one statement
    /// only, which is its own transaction.
    async fn alone(
        &self,
        connection: &mut PgConnection,
        recent: &mut SessionCache,
    ) -> Result<Option<Vec<RecordedVisit>>, StoreError> {
        let near = recent.near(connection, self.keys, self.batch, self.now);
        let near = near.await?;
        let mut draft = self.draft(connection, near).await?;
        let marked = if self.is_one_statement(&draft) {
            self.write(connection, &mut draft).await?
        } else {
            let mut transaction = connection.begin().await?;
            let marked = self.write(&mut transaction, &mut draft).await?;
            if marked.is_some() {
                transaction.commit().await?;
            }
            marked
        };
        let Some(marked) = marked else {
            return Ok(None);
        };
        recent.learn(&draft.plans);
        Ok(Some(self.committed(&draft, marked)))
    }

    async fn draft(
        &self,
        connection: &mut PgConnection,
        near: SessionsByVisitor,
    ) -> Result<BatchDraft<'a>, StoreError> {
        let known = self.known(connection, &near).await?;
        let new = self.new_visits(&known);
        let plans = plan(
            self.batch,
            self.keys,
            &new,
            near,
            (self.fresh_since, self.when),
        );
        let visits: Vec<_> = new.iter().map(|&index| &self.batch[index]).collect();
        Ok(BatchDraft {
            sessions: sessions_by_visit(&plans),
            numbers: self.store.dimensions.look_up(&visits),
            copies: self.copies(&new, &known),
            known,
            new,
            visits,
            plans,
        })
    }

    fn is_one_statement(&self, draft: &BatchDraft) -> bool {
        let mut plans = draft.plans.iter();
        draft.numbers.are_whole()
            && draft.copies.is_empty()
            && plans.all(|planned| planned.plan.merged.is_empty())
            && draft
                .visits
                .iter()
                .all(|visit| visit.place != LocationStatus::Owed)
            && self.store.rollups.cover(periods(&draft.plans), self.now)
    }

    /// Returns `None` if a visit is stored already; the transaction must not be committed then.
    async fn write(
        &self,
        connection: &mut PgConnection,
        draft: &mut BatchDraft<'_>,
    ) -> Result<Option<MarkedDays>, StoreError> {
        DimensionCache::complete(connection, &mut draft.numbers, &draft.visits).await?;
        let news = InsertBatch {
            sites: draft.new.iter().map(|&index| self.keys[index].0).collect(),
            sessions: (draft.visits.iter())
                .map(|visit| draft.sessions[&visit::key(visit)].0)
                .collect(),
            visits: &draft.visits,
            numbers: &draft.numbers,
            plans: &draft.plans,
        };
        if !news.write(connection, self.now).await? {
            return Ok(None);
        }
        copy::count(connection, &draft.copies, self.now).await?;
        let marks = &self.store.rollups;
        let marked = marks.mark(connection, periods(&draft.plans), self.now);
        marked.await.map(Some)
    }

    fn committed(&self, draft: &BatchDraft, marked: MarkedDays) -> Vec<RecordedVisit> {
        self.store.dimensions.remember(&draft.numbers);
        self.store.rollups.remember(marked);
        self.answer(&draft.known, &draft.new, &draft.sessions)
    }

    /// Looks up visits that are stored already. The first attempt only checks visits within a
    /// session of their visitor, since a stored duplicate lies in one, and most visits follow or
    /// begin a session. A duplicate whose visitor id changed meanwhile (the daily salt was deleted)
    /// is found by the unique key on insert.
    async fn known(
        &self,
        connection: &mut PgConnection,
        near: &SessionsByVisitor,
    ) -> Result<HashMap<VisitKey, ExistingVisit>, StoreError> {
        let suspects = self.keys.iter().zip(self.batch).filter(|(key, visit)| {
            let moment = visit.visit.timestamp;
            let mut sessions = near.get(*key).into_iter().flatten();
            !self.is_first || sessions.any(|s| s.entry.0 <= moment && moment <= s.exit.0)
        });
        let suspects: Vec<_> = suspects.map(|(_, visit)| visit::key(visit)).collect();
        visit::known(connection, &suspects).await
    }

    /// Indices of the visits that are not stored yet; of equal visits, the first.
    fn new_visits(&self, known: &HashMap<VisitKey, ExistingVisit>) -> Vec<usize> {
        let mut met = HashSet::new();
        let indices = 0..self.batch.len();
        let new = indices.filter(|&index| {
            let key = visit::key(&self.batch[index]);
            !known.contains_key(&key) && met.insert(key)
        });
        new.collect()
    }

    /// The duplicates in the batch. A visit with the key of another site's visit is none.
    fn copies(&self, new: &[usize], known: &HashMap<VisitKey, ExistingVisit>) -> Vec<VisitKey> {
        if new.len() == self.batch.len() {
            return vec![];
        }
        let mut sites: HashMap<VisitKey, i32> =
            known.iter().map(|(k, v)| (*k, v.site_id)).collect();
        let added = new.iter().map(|&index| &self.batch[index]).map(visit::key);
        sites.extend(added.zip(new.iter().map(|&index| self.keys[index].0)));
        let mut new = new.iter().peekable();
        let places = self.batch.iter().zip(self.keys).enumerate();
        let copies = places.filter(|(index, _)| new.next_if_eq(&index).is_none());
        let copies = copies.map(|(_, (visit, (site, _)))| (visit::key(visit), site));
        let of_one_site = copies.filter(|(key, site)| sites.get(key) == Some(*site));
        of_one_site.map(|(key, _)| key).collect()
    }

    fn answer(
        &self,
        known: &HashMap<VisitKey, ExistingVisit>,
        new: &[usize],
        sessions: &HashMap<VisitKey, (Uuid, bool)>,
    ) -> Vec<RecordedVisit> {
        let first: HashMap<VisitKey, usize> = new
            .iter()
            .map(|&index| (visit::key(&self.batch[index]), index))
            .collect();
        let answers = self.batch.iter().enumerate().map(|(index, visit)| {
            let key = visit::key(visit);
            let site_id = self.keys[index].0;
            if let Some(known) = known.get(&key) {
                if known.site_id != site_id {
                    return RecordedVisit::taken();
                }
                return RecordedVisit {
                    outcome: RecordOutcome::Duplicate,
                    session_id: known.session_id,
                    visitor_id: known.visitor_id.clone(),
                    is_new_session: false,
                };
            }
            let (session_id, begins) = sessions[&key];
            // Of equal visits in one batch, the first was recorded.
            let recorded = first[&key];
            if self.keys[recorded].0 != site_id {
                return RecordedVisit::taken();
            }
            let is_new = recorded == index;
            RecordedVisit {
                outcome: if is_new {
                    RecordOutcome::Recorded
                } else {
                    RecordOutcome::Duplicate
                },
                session_id,
                visitor_id: self.batch[recorded].visitor_id.clone(),
                is_new_session: is_new && begins,
            }
        });
        answers.collect()
    }
}
