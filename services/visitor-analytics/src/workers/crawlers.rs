//! Finds out by the DNS who is the crawler that the user agent names. Nobody waits for that: the
//! first visit of an address is judged without it and corrected, those that follow are known.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::Arc;

use bot_detection::{BotRule, hosts};
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
use crate::domain::classified::EnrichedVisit;
use crate::store::{RecordOutcome, RecordedVisit, Store};

/// Addresses that are remembered, each about 100 bytes.
const MAX_CACHED_ADDRESSES: usize = 10_000;
/// Visits that may wait; further ones are judged without.
const MAX_QUEUED_VERIFICATIONS: usize = 256;
/// Addresses that are asked for at once.
const MAX_CONCURRENT_VERIFICATIONS: usize = 8;
/// The shortest and the longest that something is believed, in seconds, whatever the DNS says.
const RESULT_TTL_SECONDS: (u32, u32) = (300, 86_400);
/// How long a pretender is believed to be one, where the DNS names no time.
const DEFAULT_SPOOFED_TTL_SECONDS: u32 = 3_600;
/// When the DNS is asked again that did not answer, in seconds.
const DNS_FAILURE_TTL_SECONDS: u32 = 60;

/// What has been found out. It is each process's own.
#[derive(Clone, Debug)]
pub struct CrawlerVerifier {
    /// By the hash of address and crawler.
    known: Arc<Cache<u64, CachedVerification>>,
    hasher: RandomState,
    claims: mpsc::Sender<PendingVerification>,
}

/// What is known of an address, until when; nothing where the DNS did not answer.
#[derive(Clone, Copy, Debug)]
struct CachedVerification {
    proof: Option<BotRule>,
    until: DateTime<Utc>,
}

/// A visit that claims to be a crawler's.
#[derive(Clone, Debug)]
pub struct PendingVerification {
    key: u64,
    ip: IpAddr,
    domains: &'static [&'static str],
    visit: (Uuid, DateTime<Utc>),
}

/// The one that asks.
pub struct VerificationTask {
    claims: mpsc::Receiver<PendingVerification>,
    court: Arc<VerificationContext>,
}

struct VerificationContext {
    proofs: CrawlerVerifier,
    dns: DnsVerifier,
    store: Store,
    clock: Clock,
}

impl CrawlerVerifier {
    /// What is known, and who finds it out, which must run for that.
    #[must_use]
    pub fn new(dns: DnsVerifier, store: Store, clock: Clock) -> (Self, VerificationTask) {
        let (claims, receiver) = mpsc::channel(MAX_QUEUED_VERIFICATIONS);
        let proofs = Self {
            known: Arc::new(Cache::new(MAX_CACHED_ADDRESSES)),
            hasher: RandomState::new(),
            claims,
        };
        let court = Arc::new(VerificationContext {
            proofs: proofs.clone(),
            dns,
            store,
            clock,
        });
        let prover = VerificationTask {
            claims: receiver,
            court,
        };
        (proofs, prover)
    }

    /// Looks at a visit before it is recorded: judges it by what is known of its address, or
    /// returns what has to be found out.
    #[must_use]
    pub fn look(
        &self,
        visit: &mut EnrichedVisit,
        now: DateTime<Utc>,
    ) -> Option<PendingVerification> {
        let name = visit.findings.verdict.name.as_deref()?;
        let domains = hosts(name)?;
        let verdict = &visit.verdict;
        if !verdict.is_bot || verdict.is_proven() || visit.visit.opted_out {
            return None;
        }
        let ip = visit.visit.ip;
        let key = self.hasher.hash_one((ip, domains));
        let Some(known) = self.known(key, now) else {
            return Some(PendingVerification {
                key,
                ip,
                domains,
                visit: (visit.visit.id, visit.visit.timestamp),
            });
        };
        if let Some(proof) = known.proof {
            visit.verdict = verdict.with([proof]);
        }
        None
    }

    /// Has a claim looked into, whose visit was recorded.
    pub fn doubt(&self, claim: PendingVerification, recorded: &RecordedVisit) {
        if recorded.outcome == RecordOutcome::Recorded && self.claims.try_send(claim).is_err() {
            metrics::counter!("visits_crawlers_total", "outcome" => "skipped").increment(1);
        }
    }

    fn known(&self, key: u64, now: DateTime<Utc>) -> Option<CachedVerification> {
        self.known.get(&key).filter(|known| now < known.until)
    }
}

impl VerificationTask {
    /// Looks into claims until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let claims = stream::unfold(self.claims, |mut claims| async move {
            let claim = claims.recv().await?;
            Some((claim, claims))
        });
        let proving = claims.for_each_concurrent(MAX_CONCURRENT_VERIFICATIONS, |claim| {
            let (court, visit) = (self.court.clone(), claim.visit.0);
            async move {
                if let Err(panic) = catch_panics(court.prove(claim)).await {
                    tracing::error!(%panic, %visit, "a crawler's visit stays unproven");
                }
            }
        });
        stop.run_until_cancelled(proving).await;
    }
}

impl VerificationContext {
    async fn prove(self: Arc<Self>, claim: PendingVerification) {
        let now = self.clock.now();
        let known = match self.proofs.known(claim.key, now) {
            Some(known) => known,
            None => self.ask(&claim, now).await,
        };
        let Some(proof) = known.proof else {
            return;
        };
        let (id, timestamp) = claim.visit;
        if let Err(error) = self.store.prove((id, timestamp), proof, now).await {
            tracing::warn!(visit = %id, %error, "a crawler's visit stays unproven");
        }
    }

    async fn ask(&self, claim: &PendingVerification, now: DateTime<Utc>) -> CachedVerification {
        let confirmed = self.dns.confirm(claim.ip, claim.domains).await;
        let known = CachedVerification::of(confirmed, now);
        let outcome = match known.proof {
            Some(proof) => proof.code(),
            None => "unanswered",
        };
        metrics::counter!("visits_crawlers_total", "outcome" => outcome).increment(1);
        self.proofs.known.insert(claim.key, known);
        known
    }
}

impl CachedVerification {
    fn of(confirmed: Option<DnsVerification>, now: DateTime<Utc>) -> Self {
        let (shortest, longest) = RESULT_TTL_SECONDS;
        let (proof, seconds) = match confirmed {
            None => (None, DNS_FAILURE_TTL_SECONDS),
            Some(DnsVerification { is_crawlers, ttl }) => (
                Some(if is_crawlers {
                    BotRule::VerifiedCrawler
                } else {
                    BotRule::CrawlerPretender
                }),
                ttl.unwrap_or(DEFAULT_SPOOFED_TTL_SECONDS)
                    .clamp(shortest, longest),
            ),
        };
        Self {
            proof,
            until: now + TimeDelta::seconds(seconds.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_dns_says_is_believed_for_a_while() {
        let now = DateTime::UNIX_EPOCH;
        let of = |is_crawlers, ttl| Some(DnsVerification { is_crawlers, ttl });
        let (verified, pretender) = (BotRule::VerifiedCrawler, BotRule::CrawlerPretender);
        for (confirmed, proof, seconds) in [
            (None, None, 60),
            (of(true, Some(600)), Some(verified), 600),
            (of(true, Some(0)), Some(verified), 300),
            (of(true, Some(u32::MAX)), Some(verified), 86_400),
            (of(false, None), Some(pretender), 3_600),
            (of(false, Some(1_800)), Some(pretender), 1_800),
        ] {
            let known = CachedVerification::of(confirmed, now);
            assert_eq!(known.proof, proof);
            assert_eq!(known.until, now + TimeDelta::seconds(seconds));
        }
    }
}
