//! Verifies crawlers by DNS in the background, and corrects the verdicts of their visits.

use std::sync::Arc;

use chassis::panics::catch_panics;
use chrono::{DateTime, Utc};
use common::clock::Clock;
use futures::StreamExt as _;
use futures::stream;
use tokio_util::sync::CancellationToken;

use crate::app::crawler_verification::{
    CachedVerification, CrawlerVerifier, PendingVerification, VerificationQueue,
};
use crate::clients::dns::DnsVerifier;
use crate::store::Store;

/// Addresses that are verified concurrently.
const MAX_CONCURRENT_VERIFICATIONS: usize = 8;

struct VerificationContext {
    verifier: CrawlerVerifier,
    dns: DnsVerifier,
    store: Store,
    clock: Clock,
}

/// The worker that verifies visits.
pub struct VerificationTask {
    queue: VerificationQueue,
    context: Arc<VerificationContext>,
}

impl VerificationTask {
    #[must_use]
    pub fn new(
        verifier: CrawlerVerifier,
        queue: VerificationQueue,
        dns: DnsVerifier,
        store: Store,
        clock: Clock,
    ) -> Self {
        let context = Arc::new(VerificationContext {
            verifier,
            dns,
            store,
            clock,
        });
        Self { queue, context }
    }

    /// Verifies visits until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let pending_visits = stream::unfold(self.queue, |mut queue| async move {
            let pending = queue.recv().await?;
            Some((pending, queue))
        });
        let verifying =
            pending_visits.for_each_concurrent(MAX_CONCURRENT_VERIFICATIONS, |pending| {
                let (context, visit) = (self.context.clone(), pending.visit_key.0);
                async move {
                    if let Err(panic) = catch_panics(context.verify_visit(pending)).await {
                        tracing::error!(
                            %panic,
                            %visit,
                            "verifying a crawler panicked; the visit stays unverified"
                        );
                    }
                }
            });
        stop.run_until_cancelled(verifying).await;
    }
}

impl VerificationContext {
    #[tracing::instrument(level = "debug", name = "verify_crawler", skip_all, fields(visit = %pending.visit_key.0))]
    async fn verify_visit(self: Arc<Self>, pending: PendingVerification) {
        let now = self.clock.now();
        let verification = match self.verifier.cached(pending.cache_key, now) {
            Some(cached) => cached,
            None => self.query_dns(&pending, now).await,
        };
        let Some(rule) = verification.rule else {
            return;
        };
        let (id, timestamp) = pending.visit_key;
        if let Err(error) = self
            .store
            .verdicts
            .add_crawler_verification((id, timestamp), rule, now)
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
        pending: &PendingVerification,
        now: DateTime<Utc>,
    ) -> CachedVerification {
        let answer = self.dns.verify(pending.ip, pending.domains).await;
        let verification = CachedVerification::from_dns(answer, now);
        let outcome = match verification.rule {
            Some(rule) => rule.code(),
            None => "unanswered",
        };
        metrics::counter!("visits_crawler_verifications_total", "outcome" => outcome).increment(1);
        self.verifier.insert(pending.cache_key, verification);
        verification
    }
}
