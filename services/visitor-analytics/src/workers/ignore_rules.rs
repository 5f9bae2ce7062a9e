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
    rules: Arc<RwLock<HashMap<String, SiteIgnoreRules>>>,
    /// Ignored visits by domain, a key of `ignored`.
    ignored_counts: Arc<Mutex<HashMap<String, i64>>>,
}

impl IgnoreRules {
    /// Returns whether the site ignores a visit, and counts it if so.
    #[must_use]
    pub fn count_if_ignored(&self, visit: &NewVisit) -> bool {
        let known = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() {
            return false;
        }
        let ignored = known.get(&visit.site);
        if !ignored
            .is_some_and(|ignored| ignored.matches(visit.ip, visit.url.path(), visit.timestamp))
        {
            return false;
        }
        let mut counts = self
            .ignored_counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *counts.entry(visit.site.clone()).or_default() += 1;
        true
    }

    /// Loads the rules.
    pub async fn refresh(&self, store: &Store) -> Result<(), StoreError> {
        let ignored = store.ignore_rules().await?;
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = ignored;
        Ok(())
    }

    /// Stores the counters. Those that cannot be stored are kept for the next time.
    pub async fn flush_counts(&self, store: &Store) -> Result<(), StoreError> {
        let counts = {
            let mut counts = self
                .ignored_counts
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *counts)
        };
        if counts.is_empty() {
            return Ok(());
        }
        let kept = store.add_ignored_visits(&counts).await;
        if kept.is_err() {
            let mut now = self
                .ignored_counts
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
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
            match catch_panics(self.flush_counts(&store)).await {
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
        let _ = self.flush_counts(&store).await;
    }
}
