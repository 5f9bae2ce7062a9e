//! Checks for new releases of databases.

use std::sync::Arc;
use std::time::Duration;

use chassis::panics::catch_panics;
use tokio_util::sync::CancellationToken;

use crate::app::DatabaseUpdater;

/// The maximum length of a sleep: timers stop while a machine is suspended, so that the clock is
/// read again.
const CLOCK_POLL_INTERVAL: Duration = Duration::from_mins(1);

/// Checks for new releases until `stop`.
pub async fn run(updater: Arc<DatabaseUpdater>, stop: CancellationToken) {
    let go_on = async {
        loop {
            if let Err(panic) = catch_panics(updater.run_round()).await {
                tracing::error!(%panic, "updating databases panicked; retrying in a minute");
                tokio::time::sleep(CLOCK_POLL_INTERVAL).await;
            }
            let pause = updater
                .time_until_next_check()
                .clamp(Duration::from_secs(1), CLOCK_POLL_INTERVAL);
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! {
        () = go_on => {}
        () = stop.cancelled() => {}
    }
}
