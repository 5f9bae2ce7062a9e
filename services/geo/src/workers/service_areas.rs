//! Follows changes of service areas in the database, so that every replica uses the same areas.

use std::sync::Arc;
use std::time::Duration;

use chassis::panics::catch_panics;
use tokio_util::sync::CancellationToken;

use crate::app::AreaCache;

const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Refreshes the index periodically until `stop`. The last index stays in use while the database is
/// unavailable.
pub async fn run(cache: Arc<AreaCache>, stop: CancellationToken) {
    let mut was_well = true;
    loop {
        let error = match catch_panics(cache.refresh()).await {
            Ok(renewed) => renewed.err().map(|error| error.to_string()),
            Err(panic) => Some(panic.to_string()),
        };
        // Logged once per outage; `/health` reports it, too.
        if let Some(error) = error.as_ref().filter(|_| was_well) {
            tracing::warn!(
                error,
                "service areas cannot be read; the last version stays in use"
            );
        }
        was_well = error.is_none();
        tokio::select! {
            () = tokio::time::sleep(POLL_INTERVAL) => {}
            () = stop.cancelled() => return,
        }
    }
}
