//! Monitors the behaviour of sessions: a growing session is classified as a whole. If it is a
//! bot's, its later visits are recorded as a bot's at once.

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

use crate::domain::enriched_visit::EnrichedVisit;
use crate::domain::session::SESSION_TIMEOUT;
use crate::store::{RecordOutcome, RecordedVisit, Store, StoreError};

/// Capacity of each cache; an entry uses about 100 bytes.
const MAX_TRACKED_SESSIONS: usize = 10_000;
/// Capacity of the queue of checks. A session that finds the queue full is checked when it has
/// grown further.
const MAX_QUEUED_CHECKS: usize = 256;
/// Pause after a failed check.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// A session is checked when it has this many visits, and each time the number has doubled.
const FIRST_CHECK_VISITS: u32 = 8;
/// An address and user agent that visit this many sites within the window are a bot's.
const MANY_SITES_THRESHOLD: usize = 6;
const MANY_SITES_WINDOW: TimeDelta = TimeDelta::minutes(1);

/// A site and the id of one of its visitors.
type SiteVisitor = (String, String);
/// The start of the window and the hashes of the sites.
type RecentSites = (DateTime<Utc>, Vec<u64>);

/// Tracks current sessions in the memory of this process. Checks read the stored visits, so that
/// several processes need not share their state.
#[derive(Clone, Debug)]
pub struct SessionMonitor {
    visit_counts: Arc<Cache<Uuid, u32>>,
    /// Visitors whose session is a bot's, until when.
    bot_visitors: Arc<Cache<SiteVisitor, DateTime<Utc>>>,
    /// Recent sites by the hash of address and user agent.
    recent_sites: Arc<Cache<u64, RecentSites>>,
    hasher: RandomState,
    checks: mpsc::Sender<SessionCheck>,
}

/// A session to check.
#[derive(Debug)]
struct SessionCheck {
    session_id: Uuid,
    visitor: SiteVisitor,
    seen_at: DateTime<Utc>,
    known_rule: Option<BotRule>,
}

/// The worker that checks sessions.
#[derive(Debug)]
pub struct SessionCheckTask {
    monitor: SessionMonitor,
    store: Store,
    clock: Clock,
    checks: mpsc::Receiver<SessionCheck>,
}

/// Data about a visit that is needed after it is recorded.
#[derive(Clone, Debug)]
pub struct PendingObservation {
    visitor: SiteVisitor,
    timestamp: DateTime<Utc>,
    is_bot: bool,
    visits_many_sites: bool,
}

impl SessionMonitor {
    /// Creates a monitor and its worker, which must run for sessions to be checked.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> (Self, SessionCheckTask) {
        let (suspects, receiver) = mpsc::channel(MAX_QUEUED_CHECKS);
        let watch = Self {
            visit_counts: Arc::new(Cache::new(MAX_TRACKED_SESSIONS)),
            bot_visitors: Arc::new(Cache::new(MAX_TRACKED_SESSIONS)),
            recent_sites: Arc::new(Cache::new(MAX_TRACKED_SESSIONS)),
            hasher: RandomState::new(),
            checks: suspects,
        };
        let watcher = SessionCheckTask {
            monitor: watch.clone(),
            store,
            clock,
            checks: receiver,
        };
        (watch, watcher)
    }

    /// Inspects a visit before it is recorded. A visit of a visitor whose session is a bot's
    /// becomes a bot's.
    #[must_use]
    pub fn inspect(&self, visit: &mut EnrichedVisit) -> PendingObservation {
        let visitor = (visit.visit.site.clone(), visit.visitor_id.clone());
        let timestamp = visit.visit.timestamp;
        if self.is_bot_visitor(&visitor, timestamp) {
            visit.verdict = visit.verdict.with_rules([BotRule::SessionOfBot]);
            self.bot_visitors
                .insert(visitor.clone(), timestamp + SESSION_TIMEOUT);
        }
        PendingObservation {
            visits_many_sites: self.visits_many_sites(visit),
            is_bot: visit.verdict.is_bot,
            visitor,
            timestamp,
        }
    }

    /// Observes a visit after it was recorded, and queues a check of its session if one is due.
    pub fn observe(&self, glimpse: PendingObservation, recorded: &RecordedVisit) {
        if glimpse.is_bot || recorded.outcome != RecordOutcome::Recorded {
            return;
        }
        let session = recorded.session_id;
        let count = self.visit_counts.get(&session).unwrap_or(0) + 1;
        self.visit_counts.insert(session, count);
        let is_due = count >= FIRST_CHECK_VISITS && count.is_power_of_two();
        let known = if glimpse.visits_many_sites {
            Some(BotRule::ManySites)
        } else if self.is_bot_visitor(&glimpse.visitor, glimpse.timestamp) {
            // The visitor's session was classified between the inspection and the commit of this
            // visit.
            Some(BotRule::SessionOfBot)
        } else {
            None
        };
        if is_due || known.is_some() {
            let suspect = SessionCheck {
                session_id: session,
                visitor: glimpse.visitor,
                seen_at: glimpse.timestamp,
                known_rule: known,
            };
            // If the queue is full, the session is checked when it has grown further.
            let _ = self.checks.try_send(suspect);
        }
    }

    fn is_bot_visitor(&self, visitor: &SiteVisitor, timestamp: DateTime<Utc>) -> bool {
        !self.bot_visitors.is_empty()
            && self
                .bot_visitors
                .get(visitor)
                .is_some_and(|until| timestamp < until)
    }

    fn visits_many_sites(&self, visit: &EnrichedVisit) -> bool {
        let visit = &visit.visit;
        let who = self.hasher.hash_one((visit.ip, &visit.user_agent));
        let site = self.hasher.hash_one(&visit.site);
        let (since, mut sites) = self
            .recent_sites
            .get(&who)
            .unwrap_or((visit.timestamp, vec![]));
        if (visit.timestamp - since).abs() > MANY_SITES_WINDOW {
            self.recent_sites.insert(who, (visit.timestamp, vec![site]));
            return false;
        }
        if !sites.contains(&site) && sites.len() < MANY_SITES_THRESHOLD {
            sites.push(site);
            self.recent_sites.insert(who, (since, sites.clone()));
        }
        sites.len() >= MANY_SITES_THRESHOLD
    }
}

impl SessionCheckTask {
    /// Checks sessions until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let next = stop.run_until_cancelled(self.checks.recv()).await;
            let Some(Some(suspect)) = next else {
                return;
            };
            let judged = catch_panics(self.check(&suspect)).await;
            let is_done = judged.unwrap_or_else(|panic| {
                let session = suspect.session_id;
                tracing::error!(%panic, %session, "the check of a session panicked");
                true
            });
            if is_done {
                continue;
            }
            // If the queue is full, the session is checked when it has grown further.
            let _ = self.monitor.checks.try_send(suspect);
            stop.run_until_cancelled(tokio::time::sleep(RETRY_DELAY))
                .await;
        }
    }

    /// Returns whether the check is complete; otherwise it is retried.
    async fn check(&self, suspect: &SessionCheck) -> bool {
        match self.check_stored_visits(suspect).await {
            Ok(reasons) if reasons.is_empty() => return true,
            Ok(reasons) => {
                let codes: Vec<_> = reasons.iter().map(|reason| reason.code()).collect();
                let session = suspect.session_id;
                tracing::info!(%session, ?codes, "classified a session as a bot's");
                metrics::counter!("visits_sessions_found_out_total").increment(1);
            }
            Err(error) => {
                tracing::warn!(
                    session = %suspect.session_id,
                    %error,
                    "the check of a session failed and is retried"
                );
                return false;
            }
        }
        let until = suspect.seen_at + SESSION_TIMEOUT;
        self.monitor
            .bot_visitors
            .insert(suspect.visitor.clone(), until);
        // Includes visits that were stored during the first check; later ones find the cached
        // visitor.
        if let Err(error) = self.check_stored_visits(suspect).await {
            tracing::warn!(
                session = %suspect.session_id,
                %error,
                "the check of a session failed and is retried"
            );
            return false;
        }
        true
    }

    async fn check_stored_visits(
        &self,
        suspect: &SessionCheck,
    ) -> Result<Vec<BotRule>, StoreError> {
        let now = self.clock.now();
        self.store
            .check_session_behaviour(suspect.session_id, suspect.known_rule, now)
            .await
    }
}
