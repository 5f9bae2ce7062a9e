//! Compiles and evaluates rules on blocking threads, because a rule may occupy a processor for a
//! while.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinError;
use uuid::Uuid;

use crate::domain::delivery_plan::CancelFlag;
use crate::domain::rule::{InvalidRule, Rule, RuleSpec};

/// Further evaluations wait.
const MAX_CONCURRENT_EVALUATIONS: usize = 2;
/// Separate from [`MAX_CONCURRENT_EVALUATIONS`], so that trials never delay `POST /notify`.
const MAX_CONCURRENT_TRIALS: usize = 1;
/// For compiling or trying a rule, including the wait for other trials.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a rule has no result.
#[derive(Debug, thiserror::Error)]
pub enum RuleEngineError {
    /// The trial took longer than a second.
    #[error("the rule takes too long")]
    Timeout,
    /// The evaluation panicked.
    #[error(transparent)]
    Aborted(#[from] JoinError),
    #[error(transparent)]
    Invalid(#[from] InvalidRule),
}

#[derive(Clone, Debug)]
pub struct RuleEngine {
    evaluation_slots: Arc<Semaphore>,
    trial_slots: Arc<Semaphore>,
}

impl Default for RuleEngine {
    fn default() -> Self {
        Self {
            evaluation_slots: Arc::new(Semaphore::new(MAX_CONCURRENT_EVALUATIONS)),
            trial_slots: Arc::new(Semaphore::new(MAX_CONCURRENT_TRIALS)),
        }
    }
}

impl RuleEngine {
    /// Evaluates the rules for a notification.
    #[tracing::instrument(level = "debug", name = "evaluate_rules", skip_all)]
    pub async fn evaluate<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, RuleEngineError> {
        run_blocking(&self.evaluation_slots, work).await
    }

    /// Runs a trial with a timeout of one second. After the timeout the flag is set, and the
    /// work ends at the next rule or template. Until then no other trial starts.
    #[tracing::instrument(level = "debug", name = "run_rule_trial", skip_all)]
    pub async fn run_trial<T: Send + 'static>(
        &self,
        work: impl FnOnce(&CancelFlag) -> T + Send + 'static,
    ) -> Result<T, RuleEngineError> {
        let abandoned = Arc::new(CancelFlag::new(false));
        let told = abandoned.clone();
        let work = run_blocking(&self.trial_slots, move || work(&told));
        let done = tokio::time::timeout(TRIAL_TIMEOUT, work).await;
        done.unwrap_or_else(|_| {
            abandoned.store(true, Ordering::Relaxed);
            Err(RuleEngineError::Timeout)
        })
    }

    /// Compiles a rule and returns its specification in normal form if it is valid.
    pub async fn validate(&self, id: Uuid, spec: RuleSpec) -> Result<RuleSpec, RuleEngineError> {
        let checked = self.run_trial(move |_| {
            let spec = spec.normalize()?;
            Rule::new(id, &spec).map(|_| spec)
        });
        Ok(checked.await??)
    }
}

/// The permit moves into the work, so it is held until the work ends even if the request is
/// canceled.
async fn run_blocking<T: Send + 'static>(
    room: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, RuleEngineError> {
    let permit = room.clone().acquire_owned().await;
    let work = move || {
        let _permit = permit;
        work()
    };
    Ok(tokio::task::spawn_blocking(work).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_trial_that_takes_too_long_is_given_up_and_ends() {
        let engine = RuleEngine::default();
        let (tell, ended) = tokio::sync::oneshot::channel();
        let endless = engine.run_trial(move |abandoned| {
            while !abandoned.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            tell.send(())
        });
        assert!(matches!(endless.await, Err(RuleEngineError::Timeout)));
        ended.await.unwrap();
        assert_eq!(engine.run_trial(|_| 1).await.unwrap(), 1);
    }
}
