//! Background loops.

pub mod announcer;
pub mod crawlers;
pub mod folder;
pub mod housekeeping;
pub mod live;
pub mod locations;
pub mod recorder;
pub mod watcher;
pub mod wishes;

use std::time::Duration;

use chassis::panics::catch_panics;
use tokio_util::sync::CancellationToken;

use crate::store::StoreError;

/// Works in rounds until `stop`, with a pause after each that tells there is no more to do.
/// A round that fails or panics is logged as `what`, and tried again after the pause.
async fn repeat<F>(
    what: &'static str,
    pause: Duration,
    stop: CancellationToken,
    round: impl Fn() -> F,
) where
    F: Future<Output = Result<bool, StoreError>>,
{
    while !stop.is_cancelled() {
        let more = match catch_panics(round()).await {
            Ok(Ok(more)) => more,
            Ok(Err(error)) => {
                tracing::warn!(%error, what, "put off");
                false
            }
            Err(panic) => {
                tracing::error!(%panic, what, "put off");
                false
            }
        };
        if !more {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_round_that_panics_is_followed_by_others() {
        let (rounds, stop) = (AtomicU32::new(0), CancellationToken::new());
        let round = async || {
            let round = rounds.fetch_add(1, Ordering::Relaxed);
            assert!(round != 1, "the second round");
            if round == 3 {
                stop.cancel();
            }
            Ok(true)
        };
        repeat("testing", Duration::from_millis(1), stop.clone(), round).await;
        assert_eq!(rounds.load(Ordering::Relaxed), 4);
    }
}
