//! Monitors the behaviour of sessions: a growing session is classified as a whole. If it is a
//! bot's, its later visits are recorded as a bot's at once.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use bot_detection::BotRule;
use chrono::{DateTime, TimeDelta, Utc};
use quick_cache::sync::Cache;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::domain::enriched_visit::EnrichedVisit;
use crate::domain::session::SESSION_TIMEOUT;
use crate::store::{RecordOutcome, RecordedVisit};

/// Capacity of each cache; an entry uses about 100 bytes.
const MAX_TRACKED_SESSIONS: usize = 10_000;
/// Capacity of the queue of checks. A session that finds the queue full is checked when it has
/// grown further.
const MAX_QUEUED_CHECKS: usize = 256;
/// A session is checked when it has this many visits, and each time the number has doubled.
const FIRST_CHECK_VISITS: u32 = 8;
/// An address and user agent that visit this many sites within the window are a bot's.
const MANY_SITES_THRESHOLD: usize = 6;
const MANY_SITES_WINDOW: TimeDelta = TimeDelta::minutes(1);

/// A site and the id of one of its visitors.
pub(crate) type SiteVisitor = (String, String);
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

/// The queue of the worker that checks sessions.
pub type SessionCheckQueue = mpsc::Receiver<SessionCheck>;

/// A session to check.
#[derive(Debug)]
pub struct SessionCheck {
    pub(crate) session_id: Uuid,
    pub(crate) visitor: SiteVisitor,
    pub(crate) seen_at: DateTime<Utc>,
    pub(crate) known_rule: Option<BotRule>,
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
    /// Creates a monitor and the queue of its worker, which must run for sessions to be checked.
    #[must_use]
    pub fn new() -> (Self, SessionCheckQueue) {
        let (checks, queue) = mpsc::channel(MAX_QUEUED_CHECKS);
        let monitor = Self {
            visit_counts: Arc::new(Cache::new(MAX_TRACKED_SESSIONS)),
            bot_visitors: Arc::new(Cache::new(MAX_TRACKED_SESSIONS)),
            recent_sites: Arc::new(Cache::new(MAX_TRACKED_SESSIONS)),
            hasher: RandomState::new(),
            checks,
        };
        (monitor, queue)
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
    pub fn observe(&self, observation: PendingObservation, recorded: &RecordedVisit) {
        if observation.is_bot || recorded.outcome != RecordOutcome::Recorded {
            return;
        }
        let session = recorded.session_id;
        let count = self.visit_counts.get(&session).unwrap_or(0) + 1;
        self.visit_counts.insert(session, count);
        let is_due = count >= FIRST_CHECK_VISITS && count.is_power_of_two();
        let known_rule = if observation.visits_many_sites {
            Some(BotRule::ManySites)
        } else if self.is_bot_visitor(&observation.visitor, observation.timestamp) {
            // The visitor's session was classified between the inspection and the commit of this
            // visit.
            Some(BotRule::SessionOfBot)
        } else {
            None
        };
        if is_due || known_rule.is_some() {
            let check = SessionCheck {
                session_id: session,
                visitor: observation.visitor,
                seen_at: observation.timestamp,
                known_rule,
            };
            self.enqueue(check);
        }
    }

    /// Queues a check. If the queue is full, the session is checked when it has grown further.
    pub(crate) fn enqueue(&self, check: SessionCheck) {
        let _ = self.checks.try_send(check);
    }

    /// Records the visitor's visits before `until` as a bot's.
    pub(crate) fn mark_bot(&self, visitor: SiteVisitor, until: DateTime<Utc>) {
        self.bot_visitors.insert(visitor, until);
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
        let client = self.hasher.hash_one((visit.ip, &visit.user_agent));
        let site = self.hasher.hash_one(&visit.site);
        let (since, mut sites) = self
            .recent_sites
            .get(&client)
            .unwrap_or((visit.timestamp, vec![]));
        if (visit.timestamp - since).abs() > MANY_SITES_WINDOW {
            self.recent_sites
                .insert(client, (visit.timestamp, vec![site]));
            return false;
        }
        if !sites.contains(&site) && sites.len() < MANY_SITES_THRESHOLD {
            sites.push(site);
            self.recent_sites.insert(client, (since, sites.clone()));
        }
        sites.len() >= MANY_SITES_THRESHOLD
    }
}
