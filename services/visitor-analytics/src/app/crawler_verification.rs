//! Applies the cached results of crawler verification to visits, and queues the visits to verify.
//! The first visit of an address is recorded with an unverified verdict, which is corrected later.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::Arc;

use bot_detection::{BotRule, crawler_domains};
use chrono::{DateTime, TimeDelta, Utc};
use quick_cache::sync::Cache;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::clients::dns::DnsVerification;
use crate::domain::enriched_visit::EnrichedVisit;
use crate::store::{RecordOutcome, RecordedVisit};

/// Capacity of the cache; an entry uses about 100 bytes.
const MAX_CACHED_ADDRESSES: usize = 10_000;
/// Capacity of the queue. Visits that find the queue full stay unverified.
const MAX_QUEUED_VERIFICATIONS: usize = 256;
/// Minimum and maximum time in the cache in seconds, whatever the time to live of the records.
const RESULT_TTL_SECONDS: (u32, u32) = (300, 86_400);
/// Time in the cache of a spoofed crawler in seconds, if there are no records.
const DEFAULT_SPOOFED_TTL_SECONDS: u32 = 3_600;
/// Time in the cache after a DNS failure, in seconds.
const DNS_FAILURE_TTL_SECONDS: u32 = 60;

/// Verifies crawlers, with a cache in the memory of this process.
#[derive(Clone, Debug)]
pub struct CrawlerVerifier {
    /// Results by the hash of address and crawler domains.
    cache: Arc<Cache<u64, CachedVerification>>,
    hasher: RandomState,
    queue: mpsc::Sender<PendingVerification>,
}

/// The queue of the worker that verifies visits.
pub type VerificationQueue = mpsc::Receiver<PendingVerification>;

/// A result and its expiry; `rule` is `None` after a DNS failure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CachedVerification {
    pub(crate) rule: Option<BotRule>,
    expires_at: DateTime<Utc>,
}

/// A visit to verify.
#[derive(Clone, Debug)]
pub struct PendingVerification {
    pub(crate) cache_key: u64,
    pub(crate) ip: IpAddr,
    pub(crate) domains: &'static [&'static str],
    pub(crate) visit_key: (Uuid, DateTime<Utc>),
}

impl CrawlerVerifier {
    /// Creates a verifier and the queue of its worker, which must run for visits to be verified.
    #[must_use]
    pub fn new() -> (Self, VerificationQueue) {
        let (sender, queue) = mpsc::channel(MAX_QUEUED_VERIFICATIONS);
        let verifier = Self {
            cache: Arc::new(Cache::new(MAX_CACHED_ADDRESSES)),
            hasher: RandomState::new(),
            queue: sender,
        };
        (verifier, queue)
    }

    /// Inspects a visit before it is recorded: applies the cached result, or returns the
    /// verification to queue.
    #[must_use]
    pub fn inspect(
        &self,
        visit: &mut EnrichedVisit,
        now: DateTime<Utc>,
    ) -> Option<PendingVerification> {
        let name = visit.user_agent_info.verdict.name.as_deref()?;
        let domains = crawler_domains(name)?;
        let verdict = &visit.verdict;
        if !verdict.is_bot || verdict.has_crawler_verification() || visit.visit.opted_out {
            return None;
        }
        let ip = visit.visit.ip;
        let key = self.hasher.hash_one((ip, domains));
        let Some(cached) = self.cached(key, now) else {
            return Some(PendingVerification {
                cache_key: key,
                ip,
                domains,
                visit_key: (visit.visit.id, visit.visit.timestamp),
            });
        };
        if let Some(rule) = cached.rule {
            visit.verdict = verdict.with_rules([rule]);
        }
        None
    }

    /// Queues the verification of a visit after it was recorded.
    pub fn enqueue(&self, pending: PendingVerification, recorded: &RecordedVisit) {
        if recorded.outcome == RecordOutcome::Recorded && self.queue.try_send(pending).is_err() {
            metrics::counter!("visits_crawler_verifications_total", "outcome" => "skipped")
                .increment(1);
        }
    }

    /// The cached result, unless it has expired.
    pub(crate) fn cached(&self, key: u64, now: DateTime<Utc>) -> Option<CachedVerification> {
        let cached = self.cache.get(&key);
        cached.filter(|cached| now < cached.expires_at)
    }

    pub(crate) fn insert(&self, key: u64, verification: CachedVerification) {
        self.cache.insert(key, verification);
    }
}

impl CachedVerification {
    pub(crate) fn from_dns(confirmed: Option<DnsVerification>, now: DateTime<Utc>) -> Self {
        let (shortest, longest) = RESULT_TTL_SECONDS;
        let (rule, seconds) = match confirmed {
            None => (None, DNS_FAILURE_TTL_SECONDS),
            Some(DnsVerification {
                is_crawler,
                ttl_seconds,
            }) => (
                Some(if is_crawler {
                    BotRule::VerifiedCrawler
                } else {
                    BotRule::SpoofedCrawler
                }),
                ttl_seconds
                    .unwrap_or(DEFAULT_SPOOFED_TTL_SECONDS)
                    .clamp(shortest, longest),
            ),
        };
        Self {
            rule,
            expires_at: now + TimeDelta::seconds(seconds.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_dns_says_is_believed_for_a_while() {
        let now = DateTime::UNIX_EPOCH;
        let answer = |is_crawler, ttl_seconds| {
            Some(DnsVerification {
                is_crawler,
                ttl_seconds,
            })
        };
        let (verified, spoofed) = (BotRule::VerifiedCrawler, BotRule::SpoofedCrawler);
        for (verification, rule, seconds) in [
            (None, None, 60),
            (answer(true, Some(600)), Some(verified), 600),
            (answer(true, Some(0)), Some(verified), 300),
            (answer(true, Some(u32::MAX)), Some(verified), 86_400),
            (answer(false, None), Some(spoofed), 3_600),
            (answer(false, Some(1_800)), Some(spoofed), 1_800),
        ] {
            let cached = CachedVerification::from_dns(verification, now);
            assert_eq!(cached.rule, rule);
            assert_eq!(cached.expires_at, now + TimeDelta::seconds(seconds));
        }
    }
}
