//! Refreshes the cached ignore rules, and stores the counters of ignored visits.

use std::time::Duration;

use chassis::panics::catch_panics;
use tokio_util::sync::CancellationToken;

use crate::app::ignore_rules::IgnoreRules;
use crate::store::Store;

/// How often the rules are loaded and the counters are stored.
const REFRESH_INTERVAL: Duration = Duration::from_secs(5);

/// Refreshes rules and counters until `stop`.
pub async fn run(rules: IgnoreRules, store: Store, stop: CancellationToken) {
    loop {
        match catch_panics(rules.refresh(&store)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(%error, "ignore rules cannot be loaded; retrying");
            }
            Err(panic) => tracing::error!(%panic, "loading ignore rules panicked; retrying"),
        }
        match catch_panics(rules.flush_counts(&store)).await {
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
    let _ = rules.flush_counts(&store).await;
}
