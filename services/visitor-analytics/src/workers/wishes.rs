//! What sites do not want: known to each process, and counted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use chassis::panics::catch_panics;
use tokio_util::sync::CancellationToken;

use crate::domain::site::SiteIgnoreRules;
use crate::domain::visit::NewVisit;
use crate::store::{Store, StoreError};

/// How often other processes' changes are looked for.
const REFRESH_INTERVAL: Duration = Duration::from_secs(5);

/// What sites do not want.
#[derive(Clone, Debug, Default)]
pub struct IgnoreRules {
    ignored: Arc<RwLock<HashMap<String, SiteIgnoreRules>>>,
    /// Visits by the domain they named, which is one of the above.
    counts: Arc<Mutex<HashMap<String, i64>>>,
}

impl IgnoreRules {
    /// Whether a visit is not to be stored; it is counted then.
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

    /// Looks what sites want now.
    pub async fn refresh(&self, store: &Store) -> Result<(), StoreError> {
        let ignored = store.ignored().await?;
        *self.ignored.write().unwrap_or_else(PoisonError::into_inner) = ignored;
        Ok(())
    }

    /// Keeps what was counted.
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

    /// Keeps both up to date until `stop`.
    pub async fn run(self, store: Store, stop: CancellationToken) {
        loop {
            match catch_panics(self.refresh(&store)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "what sites want is not known anew"),
                Err(panic) => tracing::error!(%panic, "what sites want is not known anew"),
            }
            match catch_panics(self.flush(&store)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "ignored visits wait to be counted"),
                Err(panic) => tracing::error!(%panic, "ignored visits wait to be counted"),
            }
            tokio::select! {
                () = tokio::time::sleep(REFRESH_INTERVAL) => {}
                () = stop.cancelled() => break,
            }
        }
        // What cannot be kept now is lost.
        let _ = self.flush(&store).await;
    }
}
