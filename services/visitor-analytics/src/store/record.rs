//! Recording: a batch of visits, their sessions, what is owed and what is to be told, in one
//! transaction. What it answers is committed, exactly once.

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

/// A batch is tried again when one of its visits is there already and nobody could tell at first.
const MAX_RECORD_ATTEMPTS: usize = 3;

/// What became of a visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedVisit {
    /// New, or known already.
    pub outcome: RecordOutcome,
    /// The session it belongs to.
    pub session_id: Uuid,
    /// Who made it.
    pub visitor_id: String,
    /// Whether its session began with it.
    pub is_new_session: bool,
}

impl RecordedVisit {
    /// Of another site's visit nothing is told.
    fn taken() -> Self {
        Self {
            outcome: RecordOutcome::Taken,
            session_id: Uuid::nil(),
            visitor_id: String::new(),
            is_new_session: false,
        }
    }
}

/// New, or known already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordOutcome {
    /// It was not there, and is now.
    Recorded,
    /// It was there, and nothing changed.
    Duplicate,
    /// Another site has this id at this time: nothing changed, and nothing is said about it.
    Taken,
}

impl Store {
    /// Records a batch at `now`, all of it or none; its months have their partitions
    /// ([`Store::make_room`]). Sessions that are worth `telling` of are put
    /// into the outbox.
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
        let keys = keys.ok_or(StoreError::Unreadable("a site that is there and is not"))?;
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
        // After any other error it is not known in what state the connection is.
        if matches!(recorded, Ok(_) | Err(StoreError::Refused(_))) {
            recording.put_back(line);
        }
        recorded
    }

    /// To be called a few times a second, so that other processes can record, too.
    pub async fn tend_recording(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.recording.lock().await.tend(now).await
    }
}

/// One try at recording a batch.
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

/// What is going to be written.
struct BatchDraft<'a> {
    known: HashMap<VisitKey, ExistingVisit>,
    /// The places in the batch of visits that are not stored yet.
    new: Vec<usize>,
    /// The others.
    copies: Vec<VisitKey>,
    visits: Vec<&'a EnrichedVisit>,
    plans: Vec<VisitorSessionPlan>,
    /// Each new visit's session, and whether it began with it.
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
        Err(StoreError::Unreadable("a visit that is there and is not"))
    }

    /// In a transaction that keeps others away from the visitors' sessions. `None` when one of the
    /// visits was there already, and has to be looked for.
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

    /// The same by the only writer, who need not ask for what he wrote; most batches are one
    /// statement then, which is a transaction of its own.
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

    /// `None` when one of the visits was there already; what was written must not be committed then.
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

    /// Those that are stored already. At first only the visits are looked up that happened within
    /// a session of their visitor, where a copy would be: most visits follow or begin one. A copy
    /// that got another visitor since (its day's salt was forgotten) is found when it is written.
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

    /// The places in the batch of visits that are not stored yet, the first of equal ones.
    fn new_visits(&self, known: &HashMap<VisitKey, ExistingVisit>) -> Vec<usize> {
        let mut met = HashSet::new();
        let indices = 0..self.batch.len();
        let new = indices.filter(|&index| {
            let key = visit::key(&self.batch[index]);
            !known.contains_key(&key) && met.insert(key)
        });
        new.collect()
    }

    /// What came again: those at the other places. Another site's visit with the same key is none.
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
            // Of equal visits in one batch the first was recorded.
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
