//! MaxMind's web service, asked sparingly: each address once a day, a few at the same time, not
//! beyond the budget, and not while it is in trouble.

mod endpoint;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chassis::health::Finding;
use chrono::{DateTime, TimeDelta, Utc};
use common::clock::Clock;
use common::geo::Source;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use secrecy::SecretString;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SetOnce};
use tokio::time::{Instant, timeout_at};
use url::Url;

use self::endpoint::{Endpoint, SERVICE};
use super::count;
use super::record::WebRecord;
use crate::domain::{Allowance, State, Trouble};

const PROVIDER: &str = "maxmind";

/// How many answers are remembered.
const REMEMBERED: u64 = 10_000;

/// How long an answer holds.
const LIFETIME: TimeDelta = TimeDelta::hours(24);

/// How many questions are under way at the same time.
const AT_ONCE: usize = 8;

/// How many questions may be open: under way, or waiting for their turn.
const OPEN: usize = 1_000;

/// An account at MaxMind, and how to use it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The account's number.
    pub account_id: u32,
    /// A licence key of the account.
    pub api_key: SecretString,
    /// Where the service is, such as `https://geolite.info`; only scheme, host and port count.
    pub host: Url,
    /// Look-ups a day (UTC).
    pub daily_lookups: u32,
}

/// MaxMind's web service, with a memory.
pub struct MaxMind {
    endpoint: Endpoint,
    clock: Clock,
    allowance: Mutex<Allowance>,
    /// Look-ups that are done and those that are under way, so that nothing is asked twice.
    known: Cache<IpAddr, Lookup>,
    line: Semaphore,
    open: Arc<Semaphore>,
}

/// What the service says about an address.
pub(super) enum Answer {
    /// What is known.
    Found(Box<WebRecord>),
    /// Nothing is known.
    NotFound,
    /// The address belongs to no place.
    Reserved,
}

/// A look-up that was begun: it goes on whether or not somebody waits for it.
#[derive(Clone)]
pub(super) struct Lookup {
    begun_at: DateTime<Utc>,
    /// `None` where it failed.
    answer: Arc<SetOnce<Option<Answer>>>,
}

impl Lookup {
    /// The answer, unless there is none until the deadline.
    pub(super) async fn answer(&self, deadline: Instant) -> Option<&Answer> {
        timeout_at(deadline, self.answer.wait())
            .await
            .ok()?
            .as_ref()
    }

    fn is_worn(&self, now: DateTime<Utc>) -> bool {
        let failed = self.answer.get().is_some_and(Option::is_none);
        failed || now - self.begun_at >= LIFETIME
    }
}

impl MaxMind {
    /// Fails where no HTTP client can be made.
    pub fn new(settings: Settings, clock: Clock) -> reqwest::Result<Arc<Self>> {
        // Without the admission policy of the default, under which a question that is under way
        // could be forgotten and asked again.
        let known = Cache::builder()
            .max_capacity(REMEMBERED)
            .eviction_policy(EvictionPolicy::lru());
        Ok(Arc::new(Self {
            allowance: Mutex::new(Allowance::new(settings.daily_lookups, clock.now())),
            endpoint: Endpoint::new(settings)?,
            clock,
            known: known.build(),
            line: Semaphore::new(AT_ONCE),
            open: Arc::new(Semaphore::new(OPEN)),
        }))
    }

    /// Begins a look-up, or joins one; `None` where the service is not to be asked now.
    pub(super) fn begin(self: &Arc<Self>, ip: IpAddr) -> Option<Lookup> {
        let now = self.clock.now();
        if let Some(lookup) = self.known.get(&ip).filter(|lookup| !lookup.is_worn(now)) {
            count(PROVIDER, "cached");
            return Some(lookup);
        }
        let Some(permit) = self.permit(now) else {
            count(PROVIDER, "not_asked");
            return None;
        };
        let begin = || self.spawn(ip, now, permit);
        let entry = self.known.entry(ip);
        let entry = entry.or_insert_with_if(begin, |lookup| lookup.is_worn(now));
        Some(entry.into_value())
    }

    fn permit(&self, now: DateTime<Utc>) -> Option<OwnedSemaphorePermit> {
        let is_ready = self.allowance().state(now) == State::Ready;
        let permit = is_ready.then(|| self.open.clone().try_acquire_owned());
        permit?.ok()
    }

    fn spawn(
        self: &Arc<Self>,
        ip: IpAddr,
        begun_at: DateTime<Utc>,
        permit: OwnedSemaphorePermit,
    ) -> Lookup {
        let answer = Arc::new(SetOnce::new());
        let (this, result) = (self.clone(), answer.clone());
        tokio::spawn(async move {
            let _permit = permit;
            // Set nowhere else.
            let _ = result.set(this.ask(ip).await);
        });
        Lookup { begun_at, answer }
    }

    async fn ask(&self, ip: IpAddr) -> Option<Answer> {
        let _turn = self.line.acquire().await.ok()?;
        // Much may have happened in the line.
        if !self.allowance().admit(self.clock.now()) {
            count(PROVIDER, "not_asked");
            return None;
        }
        match self.endpoint.ask(ip).await {
            Ok(answer) => {
                if self.allowance().succeeded() {
                    tracing::info!("MaxMind's web service answers again");
                }
                count(PROVIDER, answer.outcome());
                Some(answer)
            }
            Err(trouble) => {
                if self.allowance().failed(trouble, self.clock.now()) {
                    report(trouble);
                }
                count(PROVIDER, "failed");
                None
            }
        }
    }

    /// What an answer of the service is based on.
    pub(super) fn source() -> Source {
        Source {
            provider: PROVIDER.into(),
            database: SERVICE.into(),
            build_date: None,
        }
    }

    /// How the service is, for `/health`.
    #[must_use]
    pub fn finding(&self) -> Finding {
        let now = self.clock.now();
        let allowance = self.allowance();
        let host = self.endpoint.host();
        let asked = format!("{host}, asked today {}", allowance.usage(now));
        match allowance.state(now) {
            State::Ready => Finding::ok(asked),
            State::Spent => Finding::degraded(format!(
                "{asked}: not asked again before tomorrow (UTC); see MAXMIND_DAILY_LOOKUPS"
            )),
            State::Paused { until, trouble } => {
                let until = until.format("%H:%M:%S UTC");
                Finding::degraded(format!("{asked}: {trouble}; not asked until {until}"))
            }
        }
    }

    fn allowance(&self) -> MutexGuard<'_, Allowance> {
        self.allowance
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answer {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Found(_) => "found",
            Self::NotFound => "not_found",
            Self::Reserved => "reserved",
        }
    }
}

/// Tells once when a pause begins.
fn report(trouble: Trouble) {
    let minutes = trouble.pause().num_minutes();
    if trouble.needs_people() {
        tracing::error!("{trouble}; not asked for {minutes} minutes");
    } else {
        tracing::warn!("{trouble}; not asked for {minutes} minutes");
    }
}
