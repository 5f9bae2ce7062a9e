//! One try to send a delivery, and what follows from it.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::backoff;
use super::target::ChannelAddress;

/// A provider cannot make us wait longer than this.
const MAX_RETRY_AFTER: TimeDelta = TimeDelta::hours(24);

/// A delivery that was claimed to be sent now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedDelivery {
    /// The delivery's id.
    pub id: Uuid,
    /// To whom.
    pub target: ChannelAddress,
    /// The notification it belongs to.
    pub notification: Uuid,
    /// What happened.
    pub event: String,
    /// The headline.
    pub title: Option<String>,
    /// What to say.
    pub body: String,
    /// The same as HTML.
    pub html: Option<String>,
    /// What came with the event; for webhooks only.
    pub data: Option<Value>,
    /// Where webhooks and browsers are reached.
    pub endpoint: Option<Endpoint>,
    /// When the notification was accepted.
    pub created_at: DateTime<Utc>,
    /// Who tried last.
    pub provider: Option<String>,
    /// Why nothing may be sent there.
    pub suppressed: Option<String>,
    /// This attempt's number, from 1.
    pub number: i32,
    /// How many there were since it was last made due by hand, this one included.
    pub tries: i32,
    /// Since then an attempt may have reached the recipient: look before sending.
    pub unknown_since: Option<DateTime<Utc>>,
}

/// Where webhooks and browsers are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address in the web.
    pub url: String,
    /// The signing secrets of a webhook, the newest first; p256dh and auth of a browser.
    pub keys: Vec<String>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// The provider took the message.
    Sent,
    /// It turned out that the provider had taken it before; nothing was sent now.
    Found,
    /// It was not sent, and may be later; not before the wait that the provider asked for.
    Transient(Option<TimeDelta>),
    /// It was not sent and never will be.
    Permanent,
    /// The recipient is gone for good.
    Gone,
    /// The provider refuses us, not the message: a key, the account, the sender.
    Config,
    /// It was not sent, as nothing may be sent there, or nothing more today.
    Suppressed,
    /// Nobody knows whether it was sent.
    Unknown,
}

impl SendOutcome {
    /// The name, as the API, the database and the metrics have it.
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

/// What a provider said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendResult {
    /// What it means.
    pub outcome: SendOutcome,
    /// The same in words that hold no address and no number; `None` where all went well.
    pub detail: Option<String>,
    /// The HTTP status, where there was one.
    pub http_status: Option<u16>,
    /// The provider's own code.
    pub code: Option<i32>,
    /// The provider's id of the message.
    pub message_id: Option<String>,
}

impl SendResult {
    /// An answer that came without HTTP.
    #[must_use]
    pub fn plain(outcome: SendOutcome, detail: Option<&str>) -> Self {
        Self {
            outcome,
            detail: detail.map(Into::into),
            http_status: None,
            code: None,
            message_id: None,
        }
    }
}

/// What follows where nobody knows whether a provider took a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownOutcomePolicy {
    /// It is looked up before anything is sent again.
    LookUp,
    /// It is sent again: the receiver can tell a second one.
    SendAgain,
    /// There is nothing to look at: it is not sent again, unless by hand.
    Leave,
}

/// An attempt that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletedAttempt {
    /// The delivery.
    pub delivery: ClaimedDelivery,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    pub latency_ms: i32,
    /// Who was asked to send.
    pub provider: &'static str,
    /// What follows from doubt there.
    pub doubt: UnknownOutcomePolicy,
    /// What the provider said.
    pub answer: SendResult,
}

/// A claimed delivery that was not tried: who would carry it is left alone for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeferredDelivery {
    /// The delivery's id.
    pub id: Uuid,
    /// The number that its attempt would have had.
    pub number: i32,
    /// Until when.
    pub until: DateTime<Utc>,
}

/// What a delivery is after an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextState {
    /// It went out.
    Sent,
    /// It is tried again at that moment.
    Again(DateTime<Utc>),
    /// It is a dead letter.
    Dead,
    /// The recipient may have it or not, and nobody can tell.
    Unknown,
    /// It is not sent, and nobody is to look at it.
    Suppressed,
}

impl CompletedAttempt {
    /// What follows, at `now`, where one of so many providers was asked in turn. The next one is
    /// asked at once; all of them are asked again after a wait.
    #[must_use]
    pub fn next(&self, providers: i32, now: DateTime<Utc>, jitter: f64) -> NextState {
        let providers = providers.max(1);
        let others = self.delivery.tries % providers != 0;
        let asked = match self.answer.outcome {
            SendOutcome::Sent | SendOutcome::Found => return NextState::Sent,
            SendOutcome::Transient(_) | SendOutcome::Config if others => {
                return NextState::Again(now);
            }
            SendOutcome::Permanent | SendOutcome::Gone | SendOutcome::Config => {
                return NextState::Dead;
            }
            SendOutcome::Suppressed => return NextState::Suppressed,
            SendOutcome::Unknown if self.doubt == UnknownOutcomePolicy::Leave => {
                return NextState::Unknown;
            }
            SendOutcome::Transient(asked) => asked.unwrap_or_default().min(MAX_RETRY_AFTER),
            SendOutcome::Unknown => TimeDelta::zero(),
        };
        let rounds = (self.delivery.tries + providers - 1) / providers;
        match backoff::wait(rounds, jitter) {
            Some(wait) => NextState::Again(now + wait.max(asked)),
            None => NextState::Dead,
        }
    }

    /// Since when the recipient may have the message without our knowing.
    #[must_use]
    pub fn unknown_since(&self) -> Option<DateTime<Utc>> {
        match self.answer.outcome {
            SendOutcome::Sent | SendOutcome::Found => None,
            // What a look-up did not find may still turn up there: keep looking.
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
                target: ChannelAddress::log(),
                notification: Uuid::nil(),
                event: "e".into(),
                title: None,
                body: "hello".into(),
                html: None,
                data: None,
                endpoint: None,
                created_at: at(0),
                provider: None,
                suppressed: None,
                number: tries,
                tries,
                unknown_since: None,
            },
            started_at: at(0),
            latency_ms: 1,
            provider: "log",
            doubt: UnknownOutcomePolicy::LookUp,
            answer: SendResult::plain(outcome, None),
        }
    }

    #[test]
    fn each_outcome_leads_on() {
        let next = |outcome, tries| attempted(outcome, tries).next(1, at(1), 0.0);
        assert_eq!(next(SendOutcome::Sent, 1), NextState::Sent);
        assert_eq!(next(SendOutcome::Found, 1), NextState::Sent);
        assert_eq!(next(SendOutcome::Permanent, 1), NextState::Dead);
        assert_eq!(next(SendOutcome::Unknown, 2), NextState::Again(at(31)));
        assert_eq!(
            next(SendOutcome::Transient(None), 7),
            NextState::Again(at(86_401))
        );
        assert_eq!(next(SendOutcome::Transient(None), 8), NextState::Dead);
        assert_eq!(next(SendOutcome::Config, 1), NextState::Dead);
        assert_eq!(next(SendOutcome::Gone, 1), NextState::Dead);
        let mut lost = attempted(SendOutcome::Unknown, 1);
        lost.doubt = UnknownOutcomePolicy::Leave;
        assert_eq!(lost.next(1, at(1), 0.0), NextState::Unknown);
        lost.doubt = UnknownOutcomePolicy::SendAgain;
        assert_eq!(lost.next(1, at(1), 0.0), NextState::Again(at(6)));
    }

    #[test]
    fn providers_are_asked_in_turn_and_all_again_after_a_wait() {
        let next = |outcome, tries| attempted(outcome, tries).next(2, at(0), 0.0);
        assert_eq!(
            next(SendOutcome::Transient(None), 1),
            NextState::Again(at(0))
        );
        assert_eq!(next(SendOutcome::Config, 1), NextState::Again(at(0)));
        assert_eq!(next(SendOutcome::Permanent, 1), NextState::Dead);
        assert_eq!(next(SendOutcome::Unknown, 1), NextState::Again(at(5)));
        assert_eq!(
            next(SendOutcome::Transient(None), 2),
            NextState::Again(at(5))
        );
        assert_eq!(
            next(SendOutcome::Transient(None), 4),
            NextState::Again(at(30))
        );
        assert_eq!(next(SendOutcome::Config, 2), NextState::Dead);
    }

    #[test]
    fn the_provider_may_ask_to_wait_longer_but_not_forever() {
        let asked = |seconds| {
            let outcome = SendOutcome::Transient(Some(TimeDelta::seconds(seconds)));
            attempted(outcome, 1).next(1, at(0), 0.0)
        };
        assert_eq!(asked(2), NextState::Again(at(5)));
        assert_eq!(asked(60), NextState::Again(at(60)));
        assert_eq!(asked(1_000_000), NextState::Again(at(86_400)));
    }

    #[test]
    fn a_doubt_stays_until_the_message_is_known_to_be_sent() {
        let mut attempt = attempted(SendOutcome::Unknown, 1);
        assert_eq!(attempt.unknown_since(), Some(at(0)));
        attempt.delivery.unknown_since = Some(at(-9));
        assert_eq!(attempt.unknown_since(), Some(at(-9)));
        attempt.answer.outcome = SendOutcome::Transient(None);
        assert_eq!(attempt.unknown_since(), Some(at(-9)));
        attempt.answer.outcome = SendOutcome::Found;
        assert_eq!(attempt.unknown_since(), None);
    }
}
