//! Ignore rules of sites, cached in each process, and counters of ignored visits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use chassis::database::StoreError;

use crate::domain::site::SiteIgnoreRules;
use crate::domain::visit::NewVisit;
use crate::store::Store;

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
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        if rules.is_empty() {
            return false;
        }
        let is_ignored = rules
            .get(&visit.site)
            .is_some_and(|rules| rules.matches(visit.ip, visit.url.path(), visit.timestamp));
        if !is_ignored {
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
    #[tracing::instrument(level = "debug", name = "refresh_ignore_rules", skip_all)]
    pub async fn refresh(&self, store: &Store) -> Result<(), StoreError> {
        let rules = store.sites.ignore_rules().await?;
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
        Ok(())
    }

    /// Stores the counters. Those that cannot be stored are kept for the next time.
    #[tracing::instrument(level = "debug", name = "store_ignored_counts", skip_all)]
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
        let stored = store.sites.add_ignored_visits(&counts).await;
        if stored.is_err() {
            let mut current = self
                .ignored_counts
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            for (domain, count) in counts {
                *current.entry(domain).or_default() += count;
            }
        }
        stored
    }
}
