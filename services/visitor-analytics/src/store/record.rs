//! Records a batch of visits with their sessions, pending locations and outbox entries in one
//! transaction, exactly once. The result is returned after the commit.

mod insert_batch;
pub(super) mod locks;
mod session_cache;
mod session_plan;
mod writer_lease;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection};
use tokio::sync::Mutex;
use uuid::Uuid;

use self::insert_batch::InsertBatch;
use self::session_cache::SessionCache;
pub(super) use self::session_plan::VisitorSessionPlan;
use self::session_plan::{plan_sessions, sessions_by_visit, touched_periods};
use self::writer_lease::WriterConnection;
pub(super) use self::writer_lease::WriterLease;
use super::dictionary::{DictionaryCache, VisitDimensionIds};
use super::rollup::MarkedDays;
use super::session::{SessionsByVisitor, VisitorKey};
use super::visit::{self, ExistingVisit, VisitKey};
use super::{duplicate_visit, session};
use crate::domain::enriched_visit::{EnrichedVisit, LocationStatus};
use crate::domain::session::{NotifyPolicy, NotifyTrigger};
use crate::store::SiteStore;
use crate::store::rollup::DirtyDays;

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
    fn id_conflict() -> Self {
        Self {
            outcome: RecordOutcome::IdConflict,
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
    IdConflict,
}

/// Records visits.
#[derive(Clone, Debug)]
pub struct VisitWriter {
    pub(super) writer_lease: Arc<Mutex<WriterLease>>,
    pub(super) dictionaries: DictionaryCache,
    pub(super) dirty_days: DirtyDays,
    pub(super) sites: SiteStore,
}

impl VisitWriter {
    /// Records a batch at `now`, all of it or none. The partitions of its months must exist.
    /// Sessions to be announced according to `notify_policy` are put into the outbox.
    pub async fn record(
        &self,
        batch: &[EnrichedVisit],
        now: DateTime<Utc>,
        notify_policy: NotifyPolicy,
    ) -> Result<Vec<RecordedVisit>, StoreError> {
        let domains = batch.iter().map(|v| v.visit.site.as_str());
        let sites = self.sites.ids(domains).await?;
        let keys: Option<Vec<VisitorKey>> = batch
            .iter()
            .map(|v| Some((*sites.get(v.visit.site.as_str())?, v.visitor_id.clone())))
            .collect();
        let keys = keys.ok_or(StoreError::Corrupt("a site that was not found"))?;
        let attempt = RecordAttempt {
            writer: self,
            batch,
            keys: &keys,
            now,
            fresh_since: now.checked_sub_signed(notify_policy.max_age).unwrap_or(now),
            trigger: notify_policy.trigger,
            is_first: true,
        };
        let mut lease = self.writer_lease.lock().await;
        let mut writer = lease.take(now).await?;
        let recorded = attempt.record(&mut writer).await;
        // After any other error the state of the connection is unknown, so it is closed.
        if matches!(recorded, Ok(_) | Err(StoreError::Constraint(_))) {
            lease.put_back(writer);
        }
        recorded
    }

    /// Must be called a few times per second, so that other processes get the lease when they wait
    /// for it.
    pub async fn maintain_lease(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.writer_lease.lock().await.maintain(now).await
    }
}

#[derive(Clone, Copy)]
struct RecordAttempt<'a> {
    writer: &'a VisitWriter,
    batch: &'a [EnrichedVisit],
    keys: &'a [VisitorKey],
    now: DateTime<Utc>,
    fresh_since: DateTime<Utc>,
    trigger: NotifyTrigger,
    is_first: bool,
}

struct BatchDraft<'a> {
    existing: HashMap<VisitKey, ExistingVisit>,
    /// Indices into the batch of visits that are not stored yet.
    new: Vec<usize>,
    /// Visits of the batch that are duplicates.
    duplicates: Vec<VisitKey>,
    visits: Vec<&'a EnrichedVisit>,
    plans: Vec<VisitorSessionPlan>,
    /// The session of each new visit, and whether it began with that visit.
    sessions: HashMap<VisitKey, (Uuid, bool)>,
    dimension_ids: VisitDimensionIds,
}

impl<'a> RecordAttempt<'a> {
    async fn record(
        mut self,
        writer: &mut WriterConnection,
    ) -> Result<Vec<RecordedVisit>, StoreError> {
        if let Some(cache) = &mut writer.session_cache {
            if let Some(recorded) = self.record_exclusive(&mut writer.connection, cache).await? {
                return Ok(recorded);
            }
            self.is_first = false;
            writer.release_lease().await?;
        }
        for _ in 0..MAX_RECORD_ATTEMPTS {
            if let Some(recorded) = self.record_shared(&mut writer.connection).await? {
                return Ok(recorded);
            }
            self.is_first = false;
        }
        Err(StoreError::Corrupt(
            "a visit that can be neither inserted nor read",
        ))
    }

    /// Records under the shared lease, in a transaction that locks the visitors. Returns `None` if
    /// a visit is stored already and must be looked up.
    async fn record_shared(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Option<Vec<RecordedVisit>>, StoreError> {
        let mut transaction = connection
            .begin_with(locks::begin_locked(self.keys))
            .await?;
        let moments = self.batch.iter().map(|visit| visit.visit.timestamp);
        let nearby = session::find_near(&mut transaction, self.keys.iter().zip(moments)).await?;
        let mut draft = self.draft(&mut transaction, nearby).await?;
        let Some(marked) = self.write(&mut transaction, &mut draft).await? else {
            return Ok(None);
        };
        transaction.commit().await?;
        Ok(Some(self.finish_commit(&draft, marked)))
    }

    /// Records under the exclusive lease, with cached sessions. Most batches need one statement
    /// only, which is its own transaction.
    async fn record_exclusive(
        &self,
        connection: &mut PgConnection,
        cache: &mut SessionCache,
    ) -> Result<Option<Vec<RecordedVisit>>, StoreError> {
        let nearby = cache.find_near(connection, self.keys, self.batch, self.now);
        let nearby = nearby.await?;
        let mut draft = self.draft(connection, nearby).await?;
        let marked = if self.fits_one_statement(&draft) {
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
        cache.apply(&draft.plans);
        Ok(Some(self.finish_commit(&draft, marked)))
    }

    async fn draft(
        &self,
        connection: &mut PgConnection,
        nearby: SessionsByVisitor,
    ) -> Result<BatchDraft<'a>, StoreError> {
        let existing = self.find_existing(connection, &nearby).await?;
        let new = self.new_visits(&existing);
        let plans = plan_sessions(
            self.batch,
            self.keys,
            &new,
            nearby,
            (self.fresh_since, self.trigger),
        );
        let visits: Vec<_> = new.iter().map(|&index| &self.batch[index]).collect();
        Ok(BatchDraft {
            sessions: sessions_by_visit(&plans),
            dimension_ids: self.writer.dictionaries.look_up(&visits),
            duplicates: self.duplicates(&new, &existing),
            existing,
            new,
            visits,
            plans,
        })
    }

    fn fits_one_statement(&self, draft: &BatchDraft) -> bool {
        let mut plans = draft.plans.iter();
        draft.dimension_ids.is_complete()
            && draft.duplicates.is_empty()
            && plans.all(|planned| planned.changes.merged.is_empty())
            && draft
                .visits
                .iter()
                .all(|visit| visit.location_status != LocationStatus::Pending)
            && self
                .writer
                .dirty_days
                .are_marked(touched_periods(&draft.plans), self.now)
    }

    /// Returns `None` if a visit is stored already; the transaction must not be committed then.
    async fn write(
        &self,
        connection: &mut PgConnection,
        draft: &mut BatchDraft<'_>,
    ) -> Result<Option<MarkedDays>, StoreError> {
        DictionaryCache::insert_missing(connection, &mut draft.dimension_ids, &draft.visits)
            .await?;
        let insert_batch = InsertBatch {
            sites: draft.new.iter().map(|&index| self.keys[index].0).collect(),
            sessions: (draft.visits.iter())
                .map(|visit| draft.sessions[&visit::key(visit)].0)
                .collect(),
            visits: &draft.visits,
            dimension_ids: &draft.dimension_ids,
            plans: &draft.plans,
        };
        if !insert_batch.write(connection, self.now).await? {
            return Ok(None);
        }
        duplicate_visit::count_duplicates(connection, &draft.duplicates, self.now).await?;
        let dirty_days = &self.writer.dirty_days;
        let marked = dirty_days.mark(connection, touched_periods(&draft.plans), self.now);
        marked.await.map(Some)
    }

    fn finish_commit(&self, draft: &BatchDraft, marked: MarkedDays) -> Vec<RecordedVisit> {
        self.writer.dictionaries.remember(&draft.dimension_ids);
        self.writer.dirty_days.remember(marked);
        self.recorded_visits(&draft.existing, &draft.new, &draft.sessions)
    }

    /// Looks up visits that are stored already. The first attempt only checks visits within a
    /// session of their visitor, since a stored duplicate lies in one, and most visits follow or
    /// begin a session. A duplicate whose visitor id changed meanwhile (the daily salt was deleted)
    /// is found by the unique key on insert.
    async fn find_existing(
        &self,
        connection: &mut PgConnection,
        nearby: &SessionsByVisitor,
    ) -> Result<HashMap<VisitKey, ExistingVisit>, StoreError> {
        let candidates = self.keys.iter().zip(self.batch).filter(|(key, visit)| {
            let moment = visit.visit.timestamp;
            let mut sessions = nearby.get(*key).into_iter().flatten();
            !self.is_first || sessions.any(|s| s.entry.0 <= moment && moment <= s.exit.0)
        });
        let candidates: Vec<_> = candidates.map(|(_, visit)| visit::key(visit)).collect();
        visit::find_existing(connection, &candidates).await
    }

    /// Indices of the visits that are not stored yet; of equal visits, the first.
    fn new_visits(&self, existing: &HashMap<VisitKey, ExistingVisit>) -> Vec<usize> {
        let mut seen = HashSet::new();
        let indices = 0..self.batch.len();
        let new = indices.filter(|&index| {
            let key = visit::key(&self.batch[index]);
            !existing.contains_key(&key) && seen.insert(key)
        });
        new.collect()
    }

    /// The duplicates in the batch. A visit with the key of another site's visit is none.
    fn duplicates(
        &self,
        new: &[usize],
        existing: &HashMap<VisitKey, ExistingVisit>,
    ) -> Vec<VisitKey> {
        if new.len() == self.batch.len() {
            return vec![];
        }
        let mut sites: HashMap<VisitKey, i32> =
            existing.iter().map(|(k, v)| (*k, v.site_id)).collect();
        let added = new.iter().map(|&index| &self.batch[index]).map(visit::key);
        sites.extend(added.zip(new.iter().map(|&index| self.keys[index].0)));
        let mut new = new.iter().peekable();
        let places = self.batch.iter().zip(self.keys).enumerate();
        let duplicates = places.filter(|(index, _)| new.next_if_eq(&index).is_none());
        let duplicates = duplicates.map(|(_, (visit, (site, _)))| (visit::key(visit), site));
        let of_one_site = duplicates.filter(|(key, site)| sites.get(key) == Some(*site));
        of_one_site.map(|(key, _)| key).collect()
    }

    fn recorded_visits(
        &self,
        existing: &HashMap<VisitKey, ExistingVisit>,
        new: &[usize],
        sessions: &HashMap<VisitKey, (Uuid, bool)>,
    ) -> Vec<RecordedVisit> {
        let first: HashMap<VisitKey, usize> = new
            .iter()
            .map(|&index| (visit::key(&self.batch[index]), index))
            .collect();
        let outcomes = self.batch.iter().enumerate().map(|(index, visit)| {
            let key = visit::key(visit);
            let site_id = self.keys[index].0;
            if let Some(existing) = existing.get(&key) {
                if existing.site_id != site_id {
                    return RecordedVisit::id_conflict();
                }
                return RecordedVisit {
                    outcome: RecordOutcome::Duplicate,
                    session_id: existing.session_id,
                    visitor_id: existing.visitor_id.clone(),
                    is_new_session: false,
                };
            }
            let (session_id, begins) = sessions[&key];
            // Of equal visits in one batch, the first was recorded.
            let recorded = first[&key];
            if self.keys[recorded].0 != site_id {
                return RecordedVisit::id_conflict();
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
        outcomes.collect()
    }
}
