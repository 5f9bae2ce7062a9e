//! Caches sessions while the process holds the writer lease: which visitors had sessions recently,
//! and the sessions of the most recent visitors. Both consist of two generations; when the younger
//! is full, it replaces the older.

use std::collections::{HashMap, HashSet};

use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::VisitorSessionPlan;
use super::locks::fnv_hash;
use crate::domain::enriched_visit::EnrichedVisit;
use crate::domain::session::{SESSION_TIMEOUT, Session};
use crate::store::session::{self, SessionsByVisitor, VisitorKey};

/// The maximum by which a visit's time is ahead of its arrival. The API accepts 5 minutes, and the
/// clock of another replica may be ahead.
const MAX_ARRIVAL_SKEW: TimeDelta = TimeDelta::minutes(6);
/// How far back the visits of other processes are read.
const PRELOAD_WINDOW: TimeDelta = TimeDelta::minutes(70);
/// If there are more visits, the visitors are looked up individually.
const MAX_PRELOADED_VISITS: i64 = 50_000;
/// Longer than the session timeout, so that one generation is always sufficient.
const GENERATION_LIFETIME: TimeDelta = TimeDelta::minutes(40);
/// About 10 bytes each.
const MAX_GENERATION_VISITORS: usize = 500_000;
/// Visitors per generation with cached sessions, about 250 bytes each.
const MAX_GENERATION_SESSIONS: usize = 12_500;

/// Invariants: `visitors` contains every visitor with a session that ends after `since`. If
/// `sessions` contains a visitor, it has all of the visitor's sessions that end after `since`.
#[derive(Debug)]
pub(super) struct SessionCache {
    since: DateTime<Utc>,
    /// When the younger generation of visitors began.
    generation_started_at: DateTime<Utc>,
    visitors: CacheGenerations<HashSet<u64>>,
    sessions: CacheGenerations<HashMap<VisitorKey, Vec<Session>>>,
}

#[derive(Debug, Default)]
struct CacheGenerations<T> {
    younger: T,
    older: T,
}

impl SessionCache {
    /// Reads the recent visitors. No other process may change sessions from now on.
    pub(super) async fn load(
        connection: &mut PgConnection,
        now: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        let since = now - PRELOAD_WINDOW;
        let rows = sqlx::query!(
            "select s.id as site_id, v.visitor_id
             from visitor_analytics.site s cross join lateral (
                 select visitor_id from visitor_analytics.visit
                 where site_id = s.id and timestamp > $1 order by timestamp desc limit $2) v
             limit $2",
            since,
            MAX_PRELOADED_VISITS,
        )
        .fetch_all(connection)
        .await?;
        let are_all = i64::try_from(rows.len()).is_ok_and(|rows| rows < MAX_PRELOADED_VISITS);
        let visitors = rows.into_iter().map(|row| (row.site_id, row.visitor_id));
        let younger = visitors.map(|key| fnv_hash(&key)).collect();
        Ok(Self {
            since: if are_all {
                since
            } else {
                now + MAX_ARRIVAL_SKEW
            },
            generation_started_at: now,
            visitors: CacheGenerations {
                younger,
                older: HashSet::new(),
            },
            sessions: CacheGenerations::default(),
        })
    }

    /// The sessions within the session timeout of these visits; `keys` has the visitor of each
    /// visit. Only visitors whose sessions are not cached are looked up in the database.
    pub(super) async fn find_near(
        &mut self,
        connection: &mut PgConnection,
        keys: &[VisitorKey],
        visits: &[EnrichedVisit],
        now: DateTime<Utc>,
    ) -> Result<SessionsByVisitor, StoreError> {
        let mut nearby = SessionsByVisitor::new();
        let mut unknown = HashSet::new();
        for (key, visit) in keys.iter().zip(visits) {
            if visit.visit.timestamp - SESSION_TIMEOUT < self.since {
                unknown.insert(key);
            } else if let Some(sessions) = self.sessions.get(key) {
                let earliest = visit.visit.timestamp - SESSION_TIMEOUT - session::MAX_SESSION_AGE;
                let sessions = sessions.iter().filter(|s| s.entry.0 > earliest);
                nearby.insert(key.clone(), sessions.cloned().collect());
            } else if self.visitors.contains(fnv_hash(key)) {
                unknown.insert(key);
            }
        }
        if unknown.is_empty() {
            return Ok(nearby);
        }
        let uncached = keys
            .iter()
            .zip(visits)
            .filter(|(key, _)| unknown.contains(key));
        let moments = uncached.map(|(key, visit)| (key, visit.visit.timestamp));
        // Everything that ends after `since`, so that the result can be cached.
        let latest = now + MAX_ARRIVAL_SKEW;
        let moments: Vec<_> = moments
            .chain(
                unknown
                    .iter()
                    .flat_map(|key| [(*key, self.since), (*key, latest)]),
            )
            .collect();
        let found = session::find_near(connection, moments.into_iter()).await?;
        for key in unknown {
            let sessions = found.get(key).cloned().unwrap_or_default();
            self.insert(key, sessions);
        }
        nearby.extend(found);
        Ok(nearby)
    }

    /// Adds committed changes.
    pub(super) fn apply(&mut self, plans: &[VisitorSessionPlan]) {
        for planned in plans {
            self.visitors.younger.insert(fnv_hash(&planned.key));
            let plan = &planned.changes;
            let is_replaced = |id| {
                let merged = plan.merged.iter().any(|(merged, _)| merged.id == id);
                merged || plan.changed.iter().any(|(_, changed)| changed.id == id)
            };
            let mut sessions = self.sessions.get(&planned.key).cloned().unwrap_or_default();
            sessions.retain(|session| !is_replaced(session.id));
            let changed = plan.changed.iter().map(|(_, session)| session);
            sessions.extend(changed.chain(&plan.new).cloned());
            self.insert(&planned.key, sessions);
        }
    }

    /// Removes visitors; their sessions are read again when needed.
    pub(super) fn invalidate(&mut self, visitors: &[VisitorKey]) {
        for key in visitors {
            self.sessions.younger.remove(key);
            self.sessions.older.remove(key);
        }
    }

    /// Drops old entries, and those that exceed the bounds.
    pub(super) fn evict(&mut self, now: DateTime<Utc>) {
        if self.visitors.younger.len() >= MAX_GENERATION_VISITORS
            || now - self.generation_started_at >= GENERATION_LIFETIME
        {
            self.visitors.rotate();
            self.since = self
                .since
                .max(self.generation_started_at + MAX_ARRIVAL_SKEW);
            self.generation_started_at = now;
        }
        if self.sessions.younger.len() >= MAX_GENERATION_SESSIONS {
            self.sessions.rotate();
        }
    }

    fn insert(&mut self, key: &VisitorKey, mut sessions: Vec<Session>) {
        sessions.retain(|session| session.exit.0 > self.since);
        // Usually one session, with capacity for four.
        sessions.shrink_to_fit();
        self.sessions.older.remove(key);
        self.sessions.younger.insert(key.clone(), sessions);
    }
}

impl<T: Default> CacheGenerations<T> {
    fn rotate(&mut self) {
        self.older = std::mem::take(&mut self.younger);
    }
}

impl CacheGenerations<HashSet<u64>> {
    fn contains(&self, visitor: u64) -> bool {
        self.younger.contains(&visitor) || self.older.contains(&visitor)
    }
}

impl CacheGenerations<HashMap<VisitorKey, Vec<Session>>> {
    fn get(&self, key: &VisitorKey) -> Option<&Vec<Session>> {
        self.younger.get(key).or_else(|| self.older.get(key))
    }
}
