//! MaxMind's web service, asked sparingly: each address once a day, a few at the same time, not
//! beyond the budget, and not while it is in trouble.

mod endpoint;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chassis::health::CheckResult;
use chrono::{DateTime, TimeDelta, Utc};
use common::clock::Clock;
use common::geo::LocationSource;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use secrecy::SecretString;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SetOnce};
use tokio::time::{Instant, timeout_at};
use url::Url;

use self::endpoint::{WEB_SERVICE, WebServiceClient};
use super::count;
use super::record::WebServiceRecord;
use crate::domain::{BudgetState, RequestBudget, UpstreamError};

const PROVIDER: &str = "maxmind";

/// How many answers are remembered.
const MAX_CACHED_LOOKUPS: u64 = 10_000;

/// How long an answer holds.
const CACHE_TTL: TimeDelta = TimeDelta::hours(24);

/// How many questions are under way at the same time.
const MAX_CONCURRENT_REQUESTS: usize = 8;

/// How many questions may be open: under way, or waiting for their turn.
const MAX_PENDING_LOOKUPS: usize = 1_000;

/// An account at MaxMind, and how to use it.
#[derive(Clone, Debug)]
pub struct WebServiceSettings {
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
pub struct MaxMindWebService {
    endpoint: WebServiceClient,
    clock: Clock,
    allowance: Mutex<RequestBudget>,
    /// Look-ups that are done and those that are under way, so that nothing is asked twice.
    known: Cache<IpAddr, WebLookup>,
    line: Semaphore,
    open: Arc<Semaphore>,
}

/// What the service says about an address.
pub(super) enum WebLookupResult {
    /// What is known.
    Found(Box<WebServiceRecord>),
    /// Nothing is known.
    NotFound,
    /// The address belongs to no place.
    Reserved,
}

/// A look-up that was begun: it goes on whether or not somebody waits for it.
#[derive(Clone)]
pub(super) struct WebLookup {
    begun_at: DateTime<Utc>,
    /// `None` where it failed.
    answer: Arc<SetOnce<Option<WebLookupResult>>>,
}

impl WebLookup {
    /// The answer, unless there is none until the deadline.
    pub(super) async fn answer(&self, deadline: Instant) -> Option<&WebLookupResult> {
        timeout_at(deadline, self.answer.wait())
            .await
            .ok()?
            .as_ref()
    }

    fn is_worn(&self, now: DateTime<Utc>) -> bool {
        let failed = self.answer.get().is_some_and(Option::is_none);
        failed || now - self.begun_at >= CACHE_TTL
    }
}

impl MaxMindWebService {
    /// Fails where no HTTP client can be made.
    pub fn new(settings: WebServiceSettings, clock: Clock) -> reqwest::Result<Arc<Self>> {
        // Without the admission policy of the default, under which a question that is under way
        // could be forgotten and asked again.
        let known = Cache::builder()
            .max_capacity(MAX_CACHED_LOOKUPS)
            .eviction_policy(EvictionPolicy::lru());
        Ok(Arc::new(Self {
            allowance: Mutex::new(RequestBudget::new(settings.daily_lookups, clock.now())),
            endpoint: WebServiceClient::new(settings)?,
            clock,
            known: known.build(),
            line: Semaphore::new(MAX_CONCURRENT_REQUESTS),
            open: Arc::new(Semaphore::new(MAX_PENDING_LOOKUPS)),
        }))
    }

    /// Begins a look-up, or joins one; `None` where the service is not to be asked now.
    pub(super) fn begin(self: &Arc<Self>, ip: IpAddr) -> Option<WebLookup> {
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
        let is_ready = self.allowance().state(now) == BudgetState::Ready;
        let permit = is_ready.then(|| self.open.clone().try_acquire_owned());
        permit?.ok()
    }

    fn spawn(
        self: &Arc<Self>,
        ip: IpAddr,
        begun_at: DateTime<Utc>,
        permit: OwnedSemaphorePermit,
    ) -> WebLookup {
        let answer = Arc::new(SetOnce::new());
        let (this, result) = (self.clone(), answer.clone());
        tokio::spawn(async move {
            let _permit = permit;
            // Set nowhere else.
            let _ = result.set(this.ask(ip).await);
        });
        WebLookup { begun_at, answer }
    }

    async fn ask(&self, ip: IpAddr) -> Option<WebLookupResult> {
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
    pub(super) fn source() -> LocationSource {
        LocationSource {
            provider: PROVIDER.into(),
            database: WEB_SERVICE.into(),
            build_date: None,
        }
    }

    /// How the service is, for `/health`.
    #[must_use]
    pub fn finding(&self) -> CheckResult {
        let now = self.clock.now();
        let allowance = self.allowance();
        let host = self.endpoint.host();
        let asked = format!("{host}, asked today {}", allowance.usage(now));
        match allowance.state(now) {
            BudgetState::Ready => CheckResult::ok(asked),
            BudgetState::Spent => CheckResult::degraded(format!(
                "{asked}: not asked again before tomorrow (UTC); see MAXMIND_DAILY_LOOKUPS"
            )),
            BudgetState::Paused { until, trouble } => {
                let until = until.format("%H:%M:%S UTC");
                CheckResult::degraded(format!("{asked}: {trouble}; not asked until {until}"))
            }
        }
    }

    fn allowance(&self) -> MutexGuard<'_, RequestBudget> {
        self.allowance
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl WebLookupResult {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Found(_) => "found",
            Self::NotFound => "not_found",
            Self::Reserved => "reserved",
        }
    }
}

/// Tells once when a pause begins.
fn report(trouble: UpstreamError) {
    let minutes = trouble.pause().num_minutes();
    if trouble.needs_people() {
        tracing::error!("{trouble}; not asked for {minutes} minutes");
    } else {
        tracing::warn!("{trouble}; not asked for {minutes} minutes");
    }
}
