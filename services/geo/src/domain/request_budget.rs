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
    PaymentRequired,
    /// Rate limited or overloaded (HTTP status 429 or 503).
    #[error("MaxMind's web service is rate limiting or overloaded")]
    RateLimited,
    /// A connection error, a timeout, or a server error (HTTP status 5xx).
    #[error("MaxMind's web service is unavailable")]
    Unavailable,
    /// A response that does not follow MaxMind's protocol.
    #[error("the server is not MaxMind's web service: check MAXMIND_HOST")]
    InvalidResponse,
}

impl UpstreamError {
    /// How long requests pause.
    #[must_use]
    pub fn pause_duration(self) -> TimeDelta {
        match self {
            Self::Unauthorized | Self::PaymentRequired => TimeDelta::hours(1),
            Self::RateLimited | Self::Unavailable | Self::InvalidResponse => TimeDelta::minutes(1),
        }
    }

    /// Whether an operator has to act.
    #[must_use]
    pub fn needs_operator(self) -> bool {
        match self {
            Self::Unauthorized | Self::PaymentRequired | Self::InvalidResponse => true,
            Self::RateLimited | Self::Unavailable => false,
        }
    }

    /// Whether a single failure starts a pause.
    fn pauses_immediately(self) -> bool {
        match self {
            Self::Unauthorized | Self::PaymentRequired | Self::RateLimited => true,
            Self::Unavailable | Self::InvalidResponse => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetState {
    /// A request is allowed.
    Ready,
    /// The budget of the day is used up.
    Exhausted,
    /// No request is allowed after a failure.
    Paused {
        until: DateTime<Utc>,
        cause: UpstreamError,
    },
}

/// The budget of the day, and the current pause.
#[derive(Debug)]
pub struct RequestBudget {
    daily_limit: u32,
    day: NaiveDate,
    requests: u32,
    /// Failures in a row.
    failures: u32,
    pause: Option<BudgetPause>,
}

#[derive(Clone, Copy, Debug)]
struct BudgetPause {
    until: DateTime<Utc>,
    cause: UpstreamError,
    /// The pause is over, and a single request probes whether the failure persists.
    is_probing: bool,
}

impl RequestBudget {
    /// `daily_limit` is the number of requests per day (UTC).
    #[must_use]
    pub fn new(daily_limit: u32, now: DateTime<Utc>) -> Self {
        Self {
            daily_limit,
            day: now.date_naive(),
            requests: 0,
            failures: 0,
            pause: None,
        }
    }

    /// Whether a request is allowed now.
    #[must_use]
    pub fn state(&self, now: DateTime<Utc>) -> BudgetState {
        match self.pause {
            Some(BudgetPause {
                until,
                cause: trouble,
                ..
            }) if now < until => BudgetState::Paused {
                until,
                cause: trouble,
            },
            _ if self.requests_today(now) >= self.daily_limit => BudgetState::Exhausted,
            _ => BudgetState::Ready,
        }
    }

    /// The requests of today and the budget, such as `3 of 1000`.
    #[must_use]
    pub fn usage(&self, now: DateTime<Utc>) -> String {
        format!("{} of {}", self.requests_today(now), self.daily_limit)
    }

    /// Counts a request, or returns `false` if it is not allowed. After a pause a single request is
    /// allowed until its outcome is known.
    #[must_use]
    pub fn try_acquire(&mut self, now: DateTime<Utc>) -> bool {
        if self.state(now) != BudgetState::Ready {
            return false;
        }
        self.requests = self.requests_today(now) + 1;
        self.day = now.date_naive();
        if let Some(pause) = &mut self.pause {
            pause.until = now + pause.cause.pause_duration();
            pause.is_probing = true;
        }
        true
    }

    /// Records a response. Returns whether it ends a pause.
    pub fn record_success(&mut self) -> bool {
        self.failures = 0;
        // Requests that were sent before the pause do not show that its cause has ended.
        self.pause.take_if(|pause| pause.is_probing).is_some()
    }

    /// Records a failure. Returns whether a pause starts or its cause changes, so that it is logged
    /// once.
    pub fn record_failure(&mut self, trouble: UpstreamError, now: DateTime<Utc>) -> bool {
        self.failures = self.failures.saturating_add(1);
        let is_proof = trouble.pauses_immediately() || self.failures >= FAILURE_THRESHOLD;
        let until = now + trouble.pause_duration();
        match self.pause {
            None if !is_proof => return false,
            Some(pause) if !pause.is_probing && pause.until > until => return false,
            _ => {}
        }
        let before = self.pause.replace(BudgetPause {
            until,
            cause: trouble,
            is_probing: false,
        });
        before.is_none_or(|pause| pause.cause != trouble)
    }

    fn requests_today(&self, now: DateTime<Utc>) -> u32 {
        if self.day == now.date_naive() {
            self.requests
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests;
