//! What has to be done now and then: partitions ahead of time, salts and addresses forgotten.

use std::time::Duration;

use common::clock::Clock;
use tokio_util::sync::CancellationToken;

use super::repeat;
use crate::store::{Store, StoreError};

const PAUSE: Duration = Duration::from_mins(1);

/// Keeps house until `stop`.
pub async fn run(store: Store, clock: Clock, stop: CancellationToken) {
    repeat("keeping house", PAUSE, stop, || tidy(&store, &clock)).await;
}

/// There is never more to do at once.
async fn tidy(store: &Store, clock: &Clock) -> Result<bool, StoreError> {
    let now = clock.now();
    store.prepare_months(now).await?;
    store.delete_old_salts(now).await?;
    let forgotten = store.forget_old_addresses(now).await?;
    if forgotten > 0 {
        tracing::warn!(visits = forgotten, "these visits stay without a place");
    }
    Ok(false)
}
