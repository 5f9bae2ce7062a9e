//! Whether MaxMind's web service may be asked now: a budget for each day, and a pause when
//! something is wrong.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

/// So many failures in a row are no accident.
const FAILURE_THRESHOLD: u32 = 5;

/// What is wrong with the web service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// The account id or the key is wrong (401).
    #[error("MaxMind does not accept the account: check MAXMIND_ACCOUNT_ID and MAXMIND_API_KEY")]
    Unauthorized,
    /// The account may not ask (402, 403).
    #[error(
        "MaxMind's account has no look-ups left or may not use this service: check its funds and \
         MAXMIND_HOST"
    )]
    Unpaid,
    /// Asked too much, or overloaded (429, 503).
    #[error("MaxMind's web service asks to wait")]
    Busy,
    /// No connection, no answer in time, or an error of its own (5xx).
    #[error("MaxMind's web service does not answer")]
    Away,
    /// An answer that is not MaxMind's protocol.
    #[error("what answers is not MaxMind's web service: check MAXMIND_HOST")]
    Foreign,
}

impl UpstreamError {
    /// How long nothing is asked.
    #[must_use]
    pub fn pause(self) -> TimeDelta {
        match self {
            Self::Unauthorized | Self::Unpaid => TimeDelta::hours(1),
            Self::Busy | Self::Away | Self::Foreign => TimeDelta::minutes(1),
        }
    }

    /// Whether it lasts until somebody changes something.
    #[must_use]
    pub fn needs_people(self) -> bool {
        match self {
            Self::Unauthorized | Self::Unpaid | Self::Foreign => true,
            Self::Busy | Self::Away => false,
        }
    }

    /// Whether one occurrence is proof.
    fn is_certain(self) -> bool {
        match self {
            Self::Unauthorized | Self::Unpaid | Self::Busy => true,
            Self::Away | Self::Foreign => false,
        }
    }
}

/// What may be asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetState {
    /// The next question may be asked.
    Ready,
    /// The day's budget is used up.
    Spent,
    /// Nothing is asked for a while.
    Paused {
        /// The pause's end.
        until: DateTime<Utc>,
        /// Its cause.
        trouble: UpstreamError,
    },
}

/// The budget and the pause.
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
    /// It is over, and one question is under way to find out whether the trouble is.
    probing: bool,
}

impl RequestBudget {
    /// So many look-ups a day (UTC).
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

    /// Whether the next question may be asked.
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

    /// Today's questions and the budget, such as `3 of 1000`.
    #[must_use]
    pub fn usage(&self, now: DateTime<Utc>) -> String {
        format!("{} of {}", self.asked_today(now), self.daily)
    }

    /// Counts a question; `false` where it must not be asked. After a pause a single one is
    /// admitted until its outcome is known.
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

    /// Notes an answer; `true` where it ends a pause.
    pub fn succeeded(&mut self) -> bool {
        self.failures = 0;
        // Questions from before the pause prove nothing about what caused it.
        self.pause.take_if(|pause| pause.probing).is_some()
    }

    /// Notes a failure; `true` where it is news: a pause begins, or its cause has changed.
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
