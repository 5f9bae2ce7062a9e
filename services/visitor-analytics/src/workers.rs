//! Background loops.

pub mod announcer;
pub mod crawlers;
pub mod eraser;
pub mod folder;
pub mod housekeeping;
pub mod live;
pub mod locations;
pub mod recorder;
pub mod watcher;
pub mod wishes;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::store::StoreError;

/// Works in rounds until `stop`, with a pause after each that tells there is no more to do.
/// A round that fails is logged as `what`, and tried again after the pause.
async fn repeat<F>(
    what: &'static str,
    pause: Duration,
    stop: CancellationToken,
    round: impl Fn() -> F,
) where
    F: Future<Output = Result<bool, StoreError>>,
{
    while !stop.is_cancelled() {
        let more = round().await.unwrap_or_else(|error| {
            tracing::warn!(%error, what, "put off");
            false
        });
        if !more {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}
