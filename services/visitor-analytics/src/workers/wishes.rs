//! Ignore rules of sites, cached in each process, and counters of ignored visits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use chassis::panics::catch_panics;
use tokio_util::sync::CancellationToken;

use crate::domain::site::SiteIgnoreRules;
use crate::domain::visit::NewVisit;
use crate::store::{Store, StoreError};

/// How often the rules are loaded and the counters are stored.
const REFRESH_INTERVAL: Duration = Duration::from_secs(5);

/// Ignore rules by domain.
#[derive(Clone, Debug, Default)]
pub struct IgnoreRules {
    ignored: Arc<RwLock<HashMap<String, SiteIgnoreRules>>>,
    /// Ignored visits by domain, a key of `ignored`.
    counts: Arc<Mutex<HashMap<String, i64>>>,
}

impl IgnoreRules {
    /// Returns whether the site ignores a visit, and counts it if so.
    #[must_use]
    pub fn ignore(&self, visit: &NewVisit) -> bool {
        let known = self.ignored.read().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() {
            return false;
        }
        let ignored = known.get(&visit.site);
        if !ignored
            .is_some_and(|ignored| ignored.holds(visit.ip, visit.url.path(), visit.timestamp))
        {
            return false;
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(visit.site.clone()).or_default() += 1;
        true
    }

    /// Loads the rules.
    pub async fn refresh(&self, store: &Store) -> Result<(), StoreError> {
        let ignored = store.ignored().await?;
        *self.ignored.write().unwrap_or_else(PoisonError::into_inner) = ignored;
        Ok(())
    }

    /// Stores the counters. Those that cannot be stored are kept for the next time.
    pub async fn flush(&self, store: &Store) -> Result<(), StoreError> {
        let counts = {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *counts)
        };
        if counts.is_empty() {
            return Ok(());
        }
        let kept = store.count_ignored(&counts).await;
        if kept.is_err() {
            let mut now = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            for (domain, count) in counts {
                *now.entry(domain).or_default() += count;
            }
        }
        kept
    }

    /// Refreshes rules and counters until `stop`.
    pub async fn run(self, store: Store, stop: CancellationToken) {
        loop {
            match catch_panics(self.refresh(&store)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::debug!(%error, "ignore rules cannot be loaded; retrying");
                }
                Err(panic) => tracing::error!(%panic, "loading ignore rules panicked; retrying"),
            }
            match catch_panics(self.flush(&store)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::debug!(%error, "counts of ignored visits cannot be stored; retrying");
                }
                Err(panic) => {
                    tracing::error!(%panic, "storing counts of ignored visits panicked; retrying");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(REFRESH_INTERVAL) => {}
                () = stop.cancelled() => break,
            }
        }
        // Counts that cannot be stored now are lost.
        let _ = self.flush(&store).await;
    }
}
