//! MaxMind's web service, with a cache, a limit of concurrent requests, a daily budget, and pauses
//! after failures.

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

const MAX_CACHED_LOOKUPS: u64 = 10_000;

const CACHE_TTL: TimeDelta = TimeDelta::hours(24);

const MAX_CONCURRENT_REQUESTS: usize = 8;

/// Lookups that are sent or wait to be sent.
const MAX_PENDING_LOOKUPS: usize = 1_000;

#[derive(Clone, Debug)]
pub struct WebServiceSettings {
    pub account_id: u32,
    /// The license key of the account.
    pub api_key: SecretString,
    /// Such as `https://geolite.info`; only scheme, host and port are used.
    pub host: Url,
    /// Maximum number of lookups per day (UTC).
    pub daily_lookups: u32,
}

/// A client of MaxMind's web service with cache and budget.
pub struct MaxMindWebService {
    endpoint: WebServiceClient,
    clock: Clock,
    allowance: Mutex<RequestBudget>,
    /// Completed and pending lookups, so that an address is not requested twice.
    known: Cache<IpAddr, WebLookup>,
    line: Semaphore,
    open: Arc<Semaphore>,
}

pub(super) enum WebLookupResult {
    Found(Box<WebServiceRecord>),
    NotFound,
    /// The address is reserved and has no location.
    Reserved,
}

/// A lookup that was started. It runs to completion even if nobody waits for it.
#[derive(Clone)]
pub(super) struct WebLookup {
    begun_at: DateTime<Utc>,
    /// `None` if the lookup failed.
    answer: Arc<SetOnce<Option<WebLookupResult>>>,
}

impl WebLookup {
    /// Waits for the result; `None` after the deadline or if the lookup failed.
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
    /// Fails if the HTTP client cannot be created.
    pub fn new(settings: WebServiceSettings, clock: Clock) -> reqwest::Result<Arc<Self>> {
        // The default policy may refuse to admit a pending lookup, which would then be sent twice.
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

    /// Starts a lookup, or joins a pending or cached one; `None` if no request is allowed now.
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
            // Cannot fail: the cell is set only here.
            let _ = result.set(this.ask(ip).await);
        });
        WebLookup { begun_at, answer }
    }

    async fn ask(&self, ip: IpAddr) -> Option<WebLookupResult> {
        let _turn = self.line.acquire().await.ok()?;
        // The state may have changed while waiting.
        if !self.allowance().admit(self.clock.now()) {
            count(PROVIDER, "not_asked");
            return None;
        }
        match self.endpoint.ask(ip).await {
            Ok(answer) => {
                if self.allowance().succeeded() {
                    tracing::info!("MaxMind's web service is available again");
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

    pub(super) fn source() -> LocationSource {
        LocationSource {
            provider: PROVIDER.into(),
            database: WEB_SERVICE.into(),
            build_date: None,
        }
    }

    /// The check for `/health`.
    #[must_use]
    pub fn finding(&self) -> CheckResult {
        let now = self.clock.now();
        let allowance = self.allowance();
        let host = self.endpoint.host();
        let asked = format!("{host}, {} lookups used today", allowance.usage(now));
        match allowance.state(now) {
            BudgetState::Ready => CheckResult::ok(asked),
            BudgetState::Spent => CheckResult::degraded(format!(
                "{asked}: paused until tomorrow (UTC); see MAXMIND_DAILY_LOOKUPS"
            )),
            BudgetState::Paused { until, trouble } => {
                let until = until.format("%H:%M:%S UTC");
                CheckResult::degraded(format!("{asked}: {trouble}; paused until {until}"))
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

/// Logs the start of a pause.
fn report(trouble: UpstreamError) {
    let minutes = trouble.pause().num_minutes();
    if trouble.needs_people() {
        tracing::error!("{trouble}; lookups are paused for {minutes} minutes");
    } else {
        tracing::warn!("{trouble}; lookups are paused for {minutes} minutes");
    }
}
