//! Background workers.

pub mod crawler_verification;
pub mod erasure;
pub mod ignore_rules;
pub mod live;
pub mod location_backfill;
pub mod maintenance;
pub mod outbox_relay;
pub mod recorder;
pub mod rollup;
pub mod session_check;
pub mod site_limit;

use std::time::Duration;

use chassis::database::StoreError;
use chassis::panics::catch_panics;
use common::clock::Clock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

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
    busy_interval: Duration,
    /// The maximum pause without work; the pause doubles after each idle round. Work from this
    /// process wakes the worker; work from other processes is found by polling.
    max_idle_interval: Duration,
}

impl PollSchedule {
    const fn every(pause: Duration) -> Self {
        Self {
            busy_interval: pause,
            max_idle_interval: pause,
        }
    }
}

/// Runs rounds until `stop`. A round that fails or panics is logged with the task's name `what` and
/// retried.
async fn run_rounds<F>(
    what: &'static str,
    pace: PollSchedule,
    wake: &Notify,
    clock: &Clock,
    stop: CancellationToken,
    round: impl Fn() -> F,
) where
    F: Future<Output = Result<RoundOutcome, StoreError>>,
{
    let mut pause = pace.busy_interval;
    while !stop.is_cancelled() {
        let seen = clock.now();
        match catch_panics(round()).await {
            Ok(Ok(RoundOutcome::More)) => {
                pause = pace.busy_interval;
                continue;
            }
            Ok(Ok(RoundOutcome::Busy)) => pause = pace.busy_interval,
            Ok(Ok(RoundOutcome::Idle)) => pause = (pause * 2).min(pace.max_idle_interval),
            Ok(Err(error)) => {
                tracing::warn!(%error, what, "the round of a worker failed and is retried");
                pause = (pause * 2).min(pace.max_idle_interval);
            }
            Err(panic) => {
                tracing::error!(%panic, what, "the round of a worker panicked and is retried");
                pause = (pause * 2).min(pace.max_idle_interval);
            }
        }
        let waited = async {
            // A wake-up does not shorten the busy pause.
            tokio::time::sleep(pace.busy_interval).await;
            tokio::select! {
                () = tokio::time::sleep(pause.saturating_sub(pace.busy_interval)) => {}
                () = wake.notified() => pause = pace.busy_interval,
                () = clock.wait_until_changed(seen) => pause = pace.busy_interval,
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
        let pace = PollSchedule::every(Duration::from_millis(1));
        let (wake, clock) = (Notify::new(), Clock::system());
        run_rounds("testing", pace, &wake, &clock, stop.clone(), round).await;
        assert_eq!(rounds.load(Ordering::Relaxed), 4);
    }
}
