//! Watches what visitors do: a session that grows is judged as a whole, and when it is a bot's, the
//! visits that follow are known from the beginning.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::Duration;

use bot_detection::BotRule;
use chassis::panics::catch_panics;
use chrono::{DateTime, TimeDelta, Utc};
use common::clock::Clock;
use quick_cache::sync::Cache;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::domain::classified::EnrichedVisit;
use crate::domain::session::SESSION_TIMEOUT;
use crate::store::{RecordOutcome, RecordedVisit, Store, StoreError};

/// Sessions and visitors that are remembered, each about 100 bytes.
const MAX_TRACKED_SESSIONS: usize = 10_000;
/// Sessions that may wait to be judged; more are judged when they have grown further.
const MAX_QUEUED_CHECKS: usize = 256;
/// Where the database did not answer.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// A session is judged when it has this many visits, and whenever it has doubled.
const FIRST_CHECK_VISITS: u32 = 8;
/// So many sites within so long.
const MANY_SITES: usize = 6;
const MANY_SITES_WINDOW: TimeDelta = TimeDelta::minutes(1);

/// A site and a visitor of it.
type SiteVisitor = (String, String);
/// Sites by their hashes, since when.
type RecentSites = (DateTime<Utc>, Vec<u64>);

/// What is known of sessions that go on. It is each process's own: what is judged is what is stored.
#[derive(Clone, Debug)]
pub struct SessionMonitor {
    sessions: Arc<Cache<Uuid, u32>>,
    /// Visitors found out, until when.
    bots: Arc<Cache<SiteVisitor, DateTime<Utc>>>,
    /// The sites of a visitor's address and user agent, since when.
    sites: Arc<Cache<u64, RecentSites>>,
    hasher: RandomState,
    suspects: mpsc::Sender<SessionCheck>,
}

/// A session to be judged.
#[derive(Debug)]
struct SessionCheck {
    session: Uuid,
    visitor: SiteVisitor,
    seen_at: DateTime<Utc>,
    known: Option<BotRule>,
}

/// The one that judges.
#[derive(Debug)]
pub struct SessionCheckTask {
    watch: SessionMonitor,
    store: Store,
    clock: Clock,
    suspects: mpsc::Receiver<SessionCheck>,
}

/// What is remembered of a visit until it is recorded.
#[derive(Clone, Debug)]
pub struct PendingObservation {
    visitor: SiteVisitor,
    timestamp: DateTime<Utc>,
    is_bot: bool,
    crosses_sites: bool,
}

impl SessionMonitor {
    /// A watch and its watcher, which must run for sessions to be judged.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> (Self, SessionCheckTask) {
        let (suspects, receiver) = mpsc::channel(MAX_QUEUED_CHECKS);
        let watch = Self {
            sessions: Arc::new(Cache::new(MAX_TRACKED_SESSIONS)),
            bots: Arc::new(Cache::new(MAX_TRACKED_SESSIONS)),
            sites: Arc::new(Cache::new(MAX_TRACKED_SESSIONS)),
            hasher: RandomState::new(),
            suspects,
        };
        let watcher = SessionCheckTask {
            watch: watch.clone(),
            store,
            clock,
            suspects: receiver,
        };
        (watch, watcher)
    }

    /// Looks at a visit before it is recorded: one of a session that was found out is a bot's.
    #[must_use]
    pub fn look(&self, visit: &mut EnrichedVisit) -> PendingObservation {
        let visitor = (visit.visit.site.clone(), visit.visitor_id.clone());
        let timestamp = visit.visit.timestamp;
        if self.is_bot(&visitor, timestamp) {
            visit.verdict = visit.verdict.with([BotRule::SessionOfBot]);
            self.bots
                .insert(visitor.clone(), timestamp + SESSION_TIMEOUT);
        }
        PendingObservation {
            crosses_sites: self.crosses_sites(visit),
            is_bot: visit.verdict.is_bot,
            visitor,
            timestamp,
        }
    }

    /// Takes note of a visit that was recorded.
    pub fn saw(&self, glimpse: PendingObservation, recorded: &RecordedVisit) {
        if glimpse.is_bot || recorded.outcome != RecordOutcome::Recorded {
            return;
        }
        let session = recorded.session_id;
        let count = self.sessions.get(&session).unwrap_or(0) + 1;
        self.sessions.insert(session, count);
        let is_due = count >= FIRST_CHECK_VISITS && count.is_power_of_two();
        let known = if glimpse.crosses_sites {
            Some(BotRule::ManySites)
        } else if self.is_bot(&glimpse.visitor, glimpse.timestamp) {
            // Its visitor was found out after the visit was looked at and before it was stored.
            Some(BotRule::SessionOfBot)
        } else {
            None
        };
        if is_due || known.is_some() {
            let suspect = SessionCheck {
                session,
                visitor: glimpse.visitor,
                seen_at: glimpse.timestamp,
                known,
            };
            // When too many wait, it is judged when it has grown further.
            let _ = self.suspects.try_send(suspect);
        }
    }

    fn is_bot(&self, visitor: &SiteVisitor, timestamp: DateTime<Utc>) -> bool {
        !self.bots.is_empty()
            && self
                .bots
                .get(visitor)
                .is_some_and(|until| timestamp < until)
    }

    fn crosses_sites(&self, visit: &EnrichedVisit) -> bool {
        let visit = &visit.visit;
        let who = self.hasher.hash_one((visit.ip, &visit.user_agent));
        let site = self.hasher.hash_one(&visit.site);
        let (since, mut sites) = self.sites.get(&who).unwrap_or((visit.timestamp, vec![]));
        if (visit.timestamp - since).abs() > MANY_SITES_WINDOW {
            self.sites.insert(who, (visit.timestamp, vec![site]));
            return false;
        }
        if !sites.contains(&site) && sites.len() < MANY_SITES {
            sites.push(site);
            self.sites.insert(who, (since, sites.clone()));
        }
        sites.len() >= MANY_SITES
    }
}

impl SessionCheckTask {
    /// Judges sessions until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let next = stop.run_until_cancelled(self.suspects.recv()).await;
            let Some(Some(suspect)) = next else {
                return;
            };
            let judged = catch_panics(self.judge(&suspect)).await;
            let is_done = judged.unwrap_or_else(|panic| {
                tracing::error!(%panic, session = %suspect.session, "a session is not judged");
                true
            });
            if is_done {
                continue;
            }
            // When too many wait, it is judged when it has grown further.
            let _ = self.watch.suspects.try_send(suspect);
            stop.run_until_cancelled(tokio::time::sleep(RETRY_DELAY))
                .await;
        }
    }

    /// Returns whether it could be judged.
    async fn judge(&self, suspect: &SessionCheck) -> bool {
        match self.judge_stored(suspect).await {
            Ok(reasons) if reasons.is_empty() => return true,
            Ok(reasons) => {
                let codes: Vec<_> = reasons.iter().map(|reason| reason.code()).collect();
                tracing::info!(session = %suspect.session, ?codes, "a session is a bot's");
                metrics::counter!("visits_sessions_found_out_total").increment(1);
            }
            Err(error) => {
                tracing::warn!(session = %suspect.session, %error, "a session is judged later");
                return false;
            }
        }
        let until = suspect.seen_at + SESSION_TIMEOUT;
        self.watch.bots.insert(suspect.visitor.clone(), until);
        // Visits that were stored while the session was judged; later ones see the mark.
        if let Err(error) = self.judge_stored(suspect).await {
            tracing::warn!(session = %suspect.session, %error, "a session is judged later");
            return false;
        }
        true
    }

    async fn judge_stored(&self, suspect: &SessionCheck) -> Result<Vec<BotRule>, StoreError> {
        let now = self.clock.now();
        self.store
            .judge_session(suspect.session, suspect.known, now)
            .await
    }
}
