//! An attempt to send a delivery, and the state of the delivery afterwards.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::backoff;
use super::channel_address::ChannelAddress;

/// Bounds the wait that a provider may request.
const MAX_RETRY_AFTER: TimeDelta = TimeDelta::hours(24);

/// A delivery that a dispatcher has claimed in order to send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedDelivery {
    pub id: Uuid,
    pub address: ChannelAddress,
    pub notification_id: Uuid,
    /// The event of the notification.
    pub event: String,
    pub title: Option<String>,
    pub body: String,
    pub html: Option<String>,
    /// The data of the notification; for webhooks only.
    pub data: Option<Value>,
    /// The URL and keys of a webhook or browser.
    pub endpoint: Option<Endpoint>,
    /// When the notification was accepted.
    pub created_at: DateTime<Utc>,
    /// The provider of the last attempt.
    pub last_provider: Option<String>,
    /// Why the address is suppressed.
    pub suppression_reason: Option<String>,
    /// The number of this attempt, starting at 1.
    pub attempt_number: i32,
    /// The number of attempts since the last manual retry, including this one.
    pub attempts_since_retry: i32,
    /// Time of the first attempt with an unknown outcome. If set, the provider is asked whether the
    /// message exists before it is sent again.
    pub unknown_since: Option<DateTime<Utc>>,
}

/// The URL and keys of a webhook or browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub url: String,
    /// The signing secrets of a webhook, newest first, or `p256dh` and `auth` of a browser.
    pub keys: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// The provider accepted the message.
    Sent,
    /// A lookup showed that the provider accepted the message before; nothing was sent.
    Found,
    /// The message was not sent and may be retried, after the wait that the provider requested.
    Transient(Option<TimeDelta>),
    /// The message was not sent, and a retry cannot succeed.
    Permanent,
    /// The address no longer exists.
    Gone,
    /// The provider refused the account, a key or the sender, not the message.
    Config,
    /// The message was not sent: the address is suppressed or a daily limit is reached.
    Suppressed,
    /// The message may or may not have been sent.
    Unknown,
}

impl SendOutcome {
    /// The name in the API, the database and the metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Found => "found",
            Self::Transient(_) => "transient",
            Self::Permanent => "permanent",
            Self::Gone => "gone",
            Self::Config => "config",
            Self::Suppressed => "suppressed",
            Self::Unknown => "unknown",
        }
    }
}

/// The result of a call to a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendResult {
    pub outcome: SendOutcome,
    /// Explanation without addresses and phone numbers; `None` on success.
    pub detail: Option<String>,
    pub http_status: Option<u16>,
    /// The provider's own error code.
    pub code: Option<i32>,
    pub message_id: Option<String>,
}

impl SendResult {
    /// Creates a result without an HTTP response.
    #[must_use]
    pub fn new(outcome: SendOutcome, detail: Option<&str>) -> Self {
        Self {
            outcome,
            detail: detail.map(Into::into),
            http_status: None,
            code: None,
            message_id: None,
        }
    }
}

/// What to do if it is unknown whether a provider accepted a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownOutcomePolicy {
    /// Looks the message up before it is sent again.
    LookUp,
    /// Sends again; the receiver recognizes duplicates.
    SendAgain,
    /// Does not send again unless somebody retries manually, because no lookup exists.
    GiveUp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletedAttempt {
    pub delivery: ClaimedDelivery,
    pub started_at: DateTime<Utc>,
    pub latency_ms: i32,
    pub provider: &'static str,
    /// The provider's policy for unknown outcomes.
    pub unknown_outcome_policy: UnknownOutcomePolicy,
    pub result: SendResult,
}

/// A claimed delivery that was not attempted, because the circuit breakers of its providers are
/// open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeferredDelivery {
    pub id: Uuid,
    /// The number that the attempt would have had.
    pub attempt_number: i32,
    pub deferred_until: DateTime<Utc>,
}

/// The state of a delivery after an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextState {
    Sent,
    /// Retried at this time.
    Retry(DateTime<Utc>),
    /// A dead letter.
    DeadLetter,
    /// Unknown whether the recipient got the message; not retried.
    Unknown,
    /// Not sent, and not listed with the dead letters.
    Suppressed,
}

impl CompletedAttempt {
    /// Returns the next state. `providers` is the number of providers of the channel: the next one
    /// is called at once, and after the last one the next round starts after a wait.
    #[must_use]
    pub fn next_state(&self, providers: i32, now: DateTime<Utc>, jitter: f64) -> NextState {
        let providers = providers.max(1);
        let others = self.delivery.attempts_since_retry % providers != 0;
        let asked = match self.result.outcome {
            SendOutcome::Sent | SendOutcome::Found => return NextState::Sent,
            SendOutcome::Transient(_) | SendOutcome::Config if others => {
                return NextState::Retry(now);
            }
            SendOutcome::Permanent | SendOutcome::Gone | SendOutcome::Config => {
                return NextState::DeadLetter;
            }
            SendOutcome::Suppressed => return NextState::Suppressed,
            SendOutcome::Unknown if self.unknown_outcome_policy == UnknownOutcomePolicy::GiveUp => {
                return NextState::Unknown;
            }
            SendOutcome::Transient(asked) => asked.unwrap_or_default().min(MAX_RETRY_AFTER),
            SendOutcome::Unknown => TimeDelta::zero(),
        };
        let rounds = (self.delivery.attempts_since_retry + providers - 1) / providers;
        match backoff::retry_delay(rounds, jitter) {
            Some(wait) => NextState::Retry(now + wait.max(asked)),
            None => NextState::DeadLetter,
        }
    }

    /// Returns the time since which the recipient may have the message without a confirmation.
    #[must_use]
    pub fn unknown_since(&self) -> Option<DateTime<Utc>> {
        match self.result.outcome {
            SendOutcome::Sent | SendOutcome::Found => None,
            // A message that a lookup did not find may still appear later, so lookups continue.
            SendOutcome::Transient(_)
            | SendOutcome::Permanent
            | SendOutcome::Gone
            | SendOutcome::Config
            | SendOutcome::Suppressed => self.delivery.unknown_since,
            SendOutcome::Unknown => self.delivery.unknown_since.or(Some(self.started_at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_176_000 + seconds, 0).unwrap()
    }

    fn attempted(outcome: SendOutcome, tries: i32) -> CompletedAttempt {
        CompletedAttempt {
            delivery: ClaimedDelivery {
                id: Uuid::nil(),
                address: ChannelAddress::log(),
                notification_id: Uuid::nil(),
                event: "e".into(),
                title: None,
                body: "hello".into(),
                html: None,
                data: None,
                endpoint: None,
                created_at: at(0),
                last_provider: None,
                suppression_reason: None,
                attempt_number: tries,
                attempts_since_retry: tries,
                unknown_since: None,
            },
            started_at: at(0),
            latency_ms: 1,
            provider: "log",
            unknown_outcome_policy: UnknownOutcomePolicy::LookUp,
            result: SendResult::new(outcome, None),
        }
    }

    #[test]
    fn each_outcome_leads_on() {
        let next = |outcome, tries| attempted(outcome, tries).next_state(1, at(1), 0.0);
        assert_eq!(next(SendOutcome::Sent, 1), NextState::Sent);
        assert_eq!(next(SendOutcome::Found, 1), NextState::Sent);
        assert_eq!(next(SendOutcome::Permanent, 1), NextState::DeadLetter);
        assert_eq!(next(SendOutcome::Unknown, 2), NextState::Retry(at(31)));
        assert_eq!(
            next(SendOutcome::Transient(None), 7),
            NextState::Retry(at(86_401))
        );
        assert_eq!(next(SendOutcome::Transient(None), 8), NextState::DeadLetter);
        assert_eq!(next(SendOutcome::Config, 1), NextState::DeadLetter);
        assert_eq!(next(SendOutcome::Gone, 1), NextState::DeadLetter);
        let mut lost = attempted(SendOutcome::Unknown, 1);
        lost.unknown_outcome_policy = UnknownOutcomePolicy::GiveUp;
        assert_eq!(lost.next_state(1, at(1), 0.0), NextState::Unknown);
        lost.unknown_outcome_policy = UnknownOutcomePolicy::SendAgain;
        assert_eq!(lost.next_state(1, at(1), 0.0), NextState::Retry(at(6)));
    }

    #[test]
    fn providers_are_asked_in_turn_and_all_again_after_a_wait() {
        let next = |outcome, tries| attempted(outcome, tries).next_state(2, at(0), 0.0);
        assert_eq!(
            next(SendOutcome::Transient(None), 1),
            NextState::Retry(at(0))
        );
        assert_eq!(next(SendOutcome::Config, 1), NextState::Retry(at(0)));
        assert_eq!(next(SendOutcome::Permanent, 1), NextState::DeadLetter);
        assert_eq!(next(SendOutcome::Unknown, 1), NextState::Retry(at(5)));
        assert_eq!(
            next(SendOutcome::Transient(None), 2),
            NextState::Retry(at(5))
        );
        assert_eq!(
            next(SendOutcome::Transient(None), 4),
            NextState::Retry(at(30))
        );
        assert_eq!(next(SendOutcome::Config, 2), NextState::DeadLetter);
    }

    #[test]
    fn the_provider_may_ask_to_wait_longer_but_not_forever() {
        let asked = |seconds| {
            let outcome = SendOutcome::Transient(Some(TimeDelta::seconds(seconds)));
            attempted(outcome, 1).next_state(1, at(0), 0.0)
        };
        assert_eq!(asked(2), NextState::Retry(at(5)));
        assert_eq!(asked(60), NextState::Retry(at(60)));
        assert_eq!(asked(1_000_000), NextState::Retry(at(86_400)));
    }

    #[test]
    fn a_doubt_stays_until_the_message_is_known_to_be_sent() {
        let mut attempt = attempted(SendOutcome::Unknown, 1);
        assert_eq!(attempt.unknown_since(), Some(at(0)));
        attempt.delivery.unknown_since = Some(at(-9));
        assert_eq!(attempt.unknown_since(), Some(at(-9)));
        attempt.result.outcome = SendOutcome::Transient(None);
        assert_eq!(attempt.unknown_since(), Some(at(-9)));
        attempt.result.outcome = SendOutcome::Found;
        assert_eq!(attempt.unknown_since(), None);
    }
}
