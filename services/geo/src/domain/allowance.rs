//! The request budget of MaxMind's web service: a number of requests per day, with pauses after
//! failures.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

/// Failures in a row after which requests pause, if a single failure does not suffice.
const FAILURE_THRESHOLD: u32 = 5;

/// A failure of the web service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// HTTP status 401.
    #[error("MaxMind refused the account: check MAXMIND_ACCOUNT_ID and MAXMIND_API_KEY")]
    Unauthorized,
    /// HTTP status 402 or 403.
    #[error(
        "the MaxMind account has no lookups left or no access to this service: check its balance \
         and MAXMIND_HOST"
    )]
    Unpaid,
    /// Rate limited or overloaded (HTTP status 429 or 503).
    #[error("MaxMind's web service is rate limiting or overloaded")]
    Busy,
    /// A connection error, a timeout, or a server error (HTTP status 5xx).
    #[error("MaxMind's web service is unavailable")]
    Away,
    /// A response that does not follow MaxMind's protocol.
    #[error("the server is not MaxMind's web service: check MAXMIND_HOST")]
    Foreign,
}

impl UpstreamError {
    /// How long requests pause.
    #[must_use]
    pub fn pause(self) -> TimeDelta {
        match self {
            Self::Unauthorized | Self::Unpaid => TimeDelta::hours(1),
            Self::Busy | Self::Away | Self::Foreign => TimeDelta::minutes(1),
        }
    }

    /// Whether an operator has to act.
    #[must_use]
    pub fn needs_people(self) -> bool {
        match self {
            Self::Unauthorized | Self::Unpaid | Self::Foreign => true,
            Self::Busy | Self::Away => false,
        }
    }

    /// Whether a single failure starts a pause.
    fn is_certain(self) -> bool {
        match self {
            Self::Unauthorized | Self::Unpaid | Self::Busy => true,
            Self::Away | Self::Foreign => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetState {
    /// A request is allowed.
    Ready,
    /// The budget of the day is used up.
    Spent,
    /// No request is allowed after a failure.
    Paused {
        until: DateTime<Utc>,
        trouble: UpstreamError,
    },
}

/// The budget of the day, and the current pause.
#[derive(Debug)]
pub struct RequestBudget {
    daily: u32,
    day: NaiveDate,
    asked: u32,
    /// Failures in a row.
    failures: u32,
    pause: Option<BudgetPause>,
}

#[derive(Clone, Copy, Debug)]
struct BudgetPause {
    until: DateTime<Utc>,
    trouble: UpstreamError,
    /// The pause is over, and a single request probes whether the failure persists.
    probing: bool,
}

impl RequestBudget {
    /// `daily` is the number of requests per day (UTC).
    #[must_use]
    pub fn new(daily: u32, now: DateTime<Utc>) -> Self {
        Self {
            daily,
            day: now.date_naive(),
            asked: 0,
            failures: 0,
            pause: None,
        }
    }

    /// Whether a request is allowed now.
    #[must_use]
    pub fn state(&self, now: DateTime<Utc>) -> BudgetState {
        match self.pause {
            Some(BudgetPause { until, trouble, .. }) if now < until => {
                BudgetState::Paused { until, trouble }
            }
            _ if self.asked_today(now) >= self.daily => BudgetState::Spent,
            _ => BudgetState::Ready,
        }
    }

    /// The requests of today and the budget, such as `3 of 1000`.
    #[must_use]
    pub fn usage(&self, now: DateTime<Utc>) -> String {
        format!("{} of {}", self.asked_today(now), self.daily)
    }

    /// Counts a request, or returns `false` if it is not allowed. After a pause a single request is
    /// allowed until its outcome is known.
    #[must_use]
    pub fn admit(&mut self, now: DateTime<Utc>) -> bool {
        if self.state(now) != BudgetState::Ready {
            return false;
        }
        self.asked = self.asked_today(now) + 1;
        self.day = now.date_naive();
        if let Some(pause) = &mut self.pause {
            pause.until = now + pause.trouble.pause();
            pause.probing = true;
        }
        true
    }

    /// Records a response. Returns whether it ends a pause.
    pub fn succeeded(&mut self) -> bool {
        self.failures = 0;
        // Requests that were sent before the pause do not show that its cause has ended.
        self.pause.take_if(|pause| pause.probing).is_some()
    }

    /// Records a failure. Returns whether a pause starts or its cause changes, so that it is logged
    /// once.
    pub fn failed(&mut self, trouble: UpstreamError, now: DateTime<Utc>) -> bool {
        self.failures = self.failures.saturating_add(1);
        let is_proof = trouble.is_certain() || self.failures >= FAILURE_THRESHOLD;
        let until = now + trouble.pause();
        match self.pause {
            None if !is_proof => return false,
            Some(pause) if !pause.probing && pause.until > until => return false,
            _ => {}
        }
        let before = self.pause.replace(BudgetPause {
            until,
            trouble,
            probing: false,
        });
        before.is_none_or(|pause| pause.trouble != trouble)
    }

    fn asked_today(&self, now: DateTime<Utc>) -> u32 {
        if self.day == now.date_naive() {
            self.asked
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests;
