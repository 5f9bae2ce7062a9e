//! Background workers.

pub mod announcer;
pub mod crawlers;
pub mod eraser;
pub mod folder;
pub mod housekeeping;
pub mod live;
pub mod locations;
pub mod recorder;
pub mod site_limit;
pub mod watcher;
pub mod wishes;

use std::time::Duration;

use chassis::panics::catch_panics;
use common::clock::Clock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::store::StoreError;

/// The outcome of a worker's round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RoundOutcome {
    /// There may be more work that is due now.
    More,
    /// Work was done, or is pending until later.
    Busy,
    /// There was no work.
    Idle,
}

/// How often a worker polls for work.
#[derive(Clone, Copy, Debug)]
struct PollSchedule {
    /// The pause between rounds while there is work.
    busy: Duration,
    /// The maximum pause without work; the pause doubles after each idle round. Work from this
    /// process wakes the worker; work from other processes is found by polling.
    idle: Duration,
}

impl PollSchedule {
    const fn steady(pause: Duration) -> Self {
        Self {
            busy: pause,
            idle: pause,
        }
    }
}

/// Runs rounds until `stop`. A round that fails or panics is logged with the task's name `what` and
/// retried.
async fn repeat<F>(
    what: &'static str,
    pace: PollSchedule,
    wake: &Notify,
    clock: &Clock,
    stop: CancellationToken,
    round: impl Fn() -> F,
) where
    F: Future<Output = Result<RoundOutcome, StoreError>>,
{
    let mut pause = pace.busy;
    while !stop.is_cancelled() {
        let seen = clock.now();
        match catch_panics(round()).await {
            Ok(Ok(RoundOutcome::More)) => {
                pause = pace.busy;
                continue;
            }
            Ok(Ok(RoundOutcome::Busy)) => pause = pace.busy,
            Ok(Ok(RoundOutcome::Idle)) => pause = (pause * 2).min(pace.idle),
            Ok(Err(error)) => {
                tracing::warn!(%error, what, "the round of a worker failed and is retried");
                pause = (pause * 2).min(pace.idle);
            }
            Err(panic) => {
                tracing::error!(%panic, what, "the round of a worker panicked and is retried");
                pause = (pause * 2).min(pace.idle);
            }
        }
        let waited = async {
            // A wake-up does not shorten the busy pause.
            tokio::time::sleep(pace.busy).await;
            tokio::select! {
                () = tokio::time::sleep(pause.saturating_sub(pace.busy)) => {}
                () = wake.notified() => pause = pace.busy,
                () = clock.moved(seen) => pause = pace.busy,
            }
        };
        stop.run_until_cancelled(waited).await;
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
            Ok(RoundOutcome::More)
        };
        let pace = PollSchedule::steady(Duration::from_millis(1));
        let (wake, clock) = (Notify::new(), Clock::system());
        repeat("testing", pace, &wake, &clock, stop.clone(), round).await;
        assert_eq!(rounds.load(Ordering::Relaxed), 4);
    }
}
