//! Checks the behaviour of sessions that have grown.

use std::time::Duration;

use bot_detection::BotRule;
use chassis::database::StoreError;
use chassis::panics::catch_panics;
use common::clock::Clock;
use tokio_util::sync::CancellationToken;

use crate::app::session_monitor::{SessionCheck, SessionCheckQueue, SessionMonitor};
use crate::domain::session::SESSION_TIMEOUT;
use crate::store::Store;

/// Pause after a failed check.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The worker that checks sessions.
#[derive(Debug)]
pub struct SessionCheckTask {
    pub monitor: SessionMonitor,
    pub store: Store,
    pub clock: Clock,
    pub checks: SessionCheckQueue,
}

impl SessionCheckTask {
    /// Checks sessions until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let next = stop.run_until_cancelled(self.checks.recv()).await;
            let Some(Some(check)) = next else {
                return;
            };
            let outcome = catch_panics(self.check(&check)).await;
            let is_done = outcome.unwrap_or_else(|panic| {
                let session = check.session_id;
                tracing::error!(%panic, %session, "the check of a session panicked");
                true
            });
            if is_done {
                continue;
            }
            self.monitor.enqueue(check);
            stop.run_until_cancelled(tokio::time::sleep(RETRY_DELAY))
                .await;
        }
    }

    /// Returns whether the check is complete; otherwise it is retried.
    #[tracing::instrument(level = "debug", name = "check_session", skip_all, fields(session = %check.session_id))]
    async fn check(&self, check: &SessionCheck) -> bool {
        match self.check_stored_visits(check).await {
            Ok(reasons) if reasons.is_empty() => return true,
            Ok(reasons) => {
                let codes: Vec<_> = reasons.iter().map(|reason| reason.code()).collect();
                let session = check.session_id;
                tracing::info!(%session, ?codes, "classified a session as a bot's");
                metrics::counter!("visits_bot_sessions_detected_total").increment(1);
            }
            Err(error) => {
                tracing::warn!(
                    session = %check.session_id,
                    %error,
                    "the check of a session failed and is retried"
                );
                return false;
            }
        }
        let until = check.seen_at + SESSION_TIMEOUT;
        self.monitor.mark_bot(check.visitor.clone(), until);
        // Includes visits that were stored during the first check; later ones find the cached
        // visitor.
        if let Err(error) = self.check_stored_visits(check).await {
            tracing::warn!(
                session = %check.session_id,
                %error,
                "the check of a session failed and is retried"
            );
            return false;
        }
        true
    }

    async fn check_stored_visits(&self, check: &SessionCheck) -> Result<Vec<BotRule>, StoreError> {
        let now = self.clock.now();
        self.store
            .verdicts
            .check_session(check.session_id, check.known_rule, now)
            .await
    }
}
