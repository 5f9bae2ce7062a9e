//! What has to be done now and then: partitions ahead of time, salts and addresses forgotten.

use std::time::Duration;

use common::clock::Clock;
use tokio_util::sync::CancellationToken;

use crate::store::{Store, StoreError};

const PAUSE: Duration = Duration::from_mins(10);
const RETRY: Duration = Duration::from_secs(5);

/// Keeps house until `stop`.
pub async fn run(store: Store, clock: Clock, stop: CancellationToken) {
    loop {
        let wait = match tidy(&store, &clock).await {
            Ok(()) => PAUSE,
            Err(error) => {
                tracing::warn!(%error, "housekeeping put off");
                RETRY
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// One round.
pub async fn tidy(store: &Store, clock: &Clock) -> Result<(), StoreError> {
    let now = clock.now();
    store.prepare_months(now).await?;
    store.delete_old_salts(now).await?;
    let forgotten = store.forget_old_addresses(now).await?;
    if forgotten > 0 {
        tracing::warn!(visits = forgotten, "these visits stay without a place");
    }
    Ok(())
}
