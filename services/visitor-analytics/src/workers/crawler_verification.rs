//! Verifies crawlers by DNS in the background. The first visit of an address is recorded with an
//! unverified verdict, which is corrected later; later visits use the cached result.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::Arc;

use bot_detection::{BotRule, crawler_domains};
use chassis::panics::catch_panics;
use chrono::{DateTime, TimeDelta, Utc};
use common::clock::Clock;
use futures::StreamExt as _;
use futures::stream;
use quick_cache::sync::Cache;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::clients::dns::{DnsVerification, DnsVerifier};
use crate::domain::enriched_visit::EnrichedVisit;
use crate::store::{RecordOutcome, RecordedVisit, Store};

/// Capacity of the cache; an entry uses about 100 bytes.
const MAX_CACHED_ADDRESSES: usize = 10_000;
/// Capacity of the queue. Visits that find the queue full stay unverified.
const MAX_QUEUED_VERIFICATIONS: usize = 256;
/// Addresses that are verified concurrently.
const MAX_CONCURRENT_VERIFICATIONS: usize = 8;
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

/// A result and its expiry; `proof` is `None` after a DNS failure.
#[derive(Clone, Copy, Debug)]
struct CachedVerification {
    rule: Option<BotRule>,
    expires_at: DateTime<Utc>,
}

/// A visit to verify.
#[derive(Clone, Debug)]
pub struct PendingVerification {
    cache_key: u64,
    ip: IpAddr,
    domains: &'static [&'static str],
    visit_key: (Uuid, DateTime<Utc>),
}

/// The worker that verifies visits.
pub struct VerificationTask {
    queue: mpsc::Receiver<PendingVerification>,
    context: Arc<VerificationContext>,
}

struct VerificationContext {
    verifier: CrawlerVerifier,
    dns: DnsVerifier,
    store: Store,
    clock: Clock,
}

impl CrawlerVerifier {
    /// Creates a verifier and its worker, which must run for visits to be verified.
    #[must_use]
    pub fn new(dns: DnsVerifier, store: Store, clock: Clock) -> (Self, VerificationTask) {
        let (claims, receiver) = mpsc::channel(MAX_QUEUED_VERIFICATIONS);
        let proofs = Self {
            cache: Arc::new(Cache::new(MAX_CACHED_ADDRESSES)),
            hasher: RandomState::new(),
            queue: claims,
        };
        let court = Arc::new(VerificationContext {
            verifier: proofs.clone(),
            dns,
            store,
            clock,
        });
        let prover = VerificationTask {
            queue: receiver,
            context: court,
        };
        (proofs, prover)
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
        let Some(known) = self.cached(key, now) else {
            return Some(PendingVerification {
                cache_key: key,
                ip,
                domains,
                visit_key: (visit.visit.id, visit.visit.timestamp),
            });
        };
        if let Some(proof) = known.rule {
            visit.verdict = verdict.with_rules([proof]);
        }
        None
    }

    /// Queues the verification of a visit after it was recorded.
    pub fn enqueue(&self, claim: PendingVerification, recorded: &RecordedVisit) {
        if recorded.outcome == RecordOutcome::Recorded && self.queue.try_send(claim).is_err() {
            metrics::counter!("visits_crawlers_total", "outcome" => "skipped").increment(1);
        }
    }

    fn cached(&self, key: u64, now: DateTime<Utc>) -> Option<CachedVerification> {
        self.cache.get(&key).filter(|known| now < known.expires_at)
    }
}

impl VerificationTask {
    /// Verifies visits until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let claims = stream::unfold(self.queue, |mut claims| async move {
            let claim = claims.recv().await?;
            Some((claim, claims))
        });
        let proving = claims.for_each_concurrent(MAX_CONCURRENT_VERIFICATIONS, |claim| {
            let (court, visit) = (self.context.clone(), claim.visit_key.0);
            async move {
                if let Err(panic) = catch_panics(court.verify_visit(claim)).await {
                    tracing::error!(
                        %panic,
                        %visit,
                        "verifying a crawler panicked; the visit stays unverified"
                    );
                }
            }
        });
        stop.run_until_cancelled(proving).await;
    }
}

impl VerificationContext {
    async fn verify_visit(self: Arc<Self>, claim: PendingVerification) {
        let now = self.clock.now();
        let known = match self.verifier.cached(claim.cache_key, now) {
            Some(known) => known,
            None => self.query_dns(&claim, now).await,
        };
        let Some(proof) = known.rule else {
            return;
        };
        let (id, timestamp) = claim.visit_key;
        if let Err(error) = self
            .store
            .add_crawler_verification((id, timestamp), proof, now)
            .await
        {
            tracing::warn!(
                visit = %id,
                %error,
                "the result of a crawler verification cannot be stored"
            );
        }
    }

    async fn query_dns(
        &self,
        claim: &PendingVerification,
        now: DateTime<Utc>,
    ) -> CachedVerification {
        let confirmed = self.dns.verify(claim.ip, claim.domains).await;
        let known = CachedVerification::from_dns(confirmed, now);
        let outcome = match known.rule {
            Some(proof) => proof.code(),
            None => "unanswered",
        };
        metrics::counter!("visits_crawlers_total", "outcome" => outcome).increment(1);
        self.verifier.cache.insert(claim.cache_key, known);
        known
    }
}

impl CachedVerification {
    fn from_dns(confirmed: Option<DnsVerification>, now: DateTime<Utc>) -> Self {
        let (shortest, longest) = RESULT_TTL_SECONDS;
        let (rule, seconds) = match confirmed {
            None => (None, DNS_FAILURE_TTL_SECONDS),
            Some(DnsVerification {
                is_crawler: is_crawlers,
                ttl_seconds: ttl,
            }) => (
                Some(if is_crawlers {
                    BotRule::VerifiedCrawler
                } else {
                    BotRule::SpoofedCrawler
                }),
                ttl.unwrap_or(DEFAULT_SPOOFED_TTL_SECONDS)
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
        let of = |is_crawlers, ttl| {
            Some(DnsVerification {
                is_crawler: is_crawlers,
                ttl_seconds: ttl,
            })
        };
        let (verified, pretender) = (BotRule::VerifiedCrawler, BotRule::SpoofedCrawler);
        for (confirmed, proof, seconds) in [
            (None, None, 60),
            (of(true, Some(600)), Some(verified), 600),
            (of(true, Some(0)), Some(verified), 300),
            (of(true, Some(u32::MAX)), Some(verified), 86_400),
            (of(false, None), Some(pretender), 3_600),
            (of(false, Some(1_800)), Some(pretender), 1_800),
        ] {
            let known = CachedVerification::from_dns(confirmed, now);
            assert_eq!(known.rule, proof);
            assert_eq!(known.expires_at, now + TimeDelta::seconds(seconds));
        }
    }
}
