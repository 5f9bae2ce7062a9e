//! MaxMind's web service, with a cache, a limit of concurrent requests, a daily budget, and pauses
//! after failures.

mod client;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chassis::health::CheckResult;
use chrono::{DateTime, TimeDelta, Utc};
use common::clock::Clock;
use common::geo::LocationSource;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SetOnce};
use tokio::time::{Instant, timeout_at};

pub(crate) use self::client::WebLookupResult;
pub use self::client::WebServiceSettings;
use self::client::{WEB_SERVICE, WebServiceClient};
use super::count_lookup;
use crate::domain::{BudgetState, RequestBudget, UpstreamError};

const PROVIDER: &str = "maxmind";

const MAX_CACHED_LOOKUPS: u64 = 10_000;

const CACHE_TTL: TimeDelta = TimeDelta::hours(24);

const MAX_CONCURRENT_REQUESTS: usize = 8;

/// Lookups that are sent or wait to be sent.
const MAX_PENDING_LOOKUPS: usize = 1_000;

/// A client of MaxMind's web service with cache and budget.
pub struct MaxMindWebService {
    client: WebServiceClient,
    clock: Clock,
    budget: Mutex<RequestBudget>,
    /// Completed and pending lookups, so that an address is not requested twice.
    cache: Cache<IpAddr, WebLookup>,
    request_slots: Semaphore,
    pending_slots: Arc<Semaphore>,
}

/// A lookup that was started. It runs to completion even if nobody waits for it.
#[derive(Clone)]
pub(crate) struct WebLookup {
    started_at: DateTime<Utc>,
    /// `None` if the lookup failed.
    result: Arc<SetOnce<Option<WebLookupResult>>>,
}

impl WebLookup {
    /// Waits for the result; `None` after the deadline or if the lookup failed.
    pub(crate) async fn wait(&self, deadline: Instant) -> Option<&WebLookupResult> {
        timeout_at(deadline, self.result.wait())
            .await
            .ok()?
            .as_ref()
    }

    fn is_expired(&self, now: DateTime<Utc>) -> bool {
        let failed = self.result.get().is_some_and(Option::is_none);
        failed || now - self.started_at >= CACHE_TTL
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
            budget: Mutex::new(RequestBudget::new(settings.daily_lookups, clock.now())),
            client: WebServiceClient::new(settings)?,
            clock,
            cache: known.build(),
            request_slots: Semaphore::new(MAX_CONCURRENT_REQUESTS),
            pending_slots: Arc::new(Semaphore::new(MAX_PENDING_LOOKUPS)),
        }))
    }

    /// Starts a lookup, or joins a pending or cached one; `None` if no request is allowed now.
    pub(crate) fn start(self: &Arc<Self>, ip: IpAddr) -> Option<WebLookup> {
        let now = self.clock.now();
        if let Some(lookup) = self.cache.get(&ip).filter(|lookup| !lookup.is_expired(now)) {
            count_lookup(PROVIDER, "cached");
            return Some(lookup);
        }
        let Some(permit) = self.try_acquire_slot(now) else {
            count_lookup(PROVIDER, "not_asked");
            return None;
        };
        let begin = || self.spawn_lookup(ip, now, permit);
        let entry = self.cache.entry(ip);
        let entry = entry.or_insert_with_if(begin, |lookup| lookup.is_expired(now));
        Some(entry.into_value())
    }

    fn try_acquire_slot(&self, now: DateTime<Utc>) -> Option<OwnedSemaphorePermit> {
        let is_ready = self.budget().state(now) == BudgetState::Ready;
        let permit = is_ready.then(|| self.pending_slots.clone().try_acquire_owned());
        permit?.ok()
    }

    fn spawn_lookup(
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
            let _ = result.set(this.look_up(ip).await);
        });
        WebLookup {
            started_at: begun_at,
            result: answer,
        }
    }

    async fn look_up(&self, ip: IpAddr) -> Option<WebLookupResult> {
        let _turn = self.request_slots.acquire().await.ok()?;
        // The state may have changed while waiting.
        if !self.budget().try_acquire(self.clock.now()) {
            count_lookup(PROVIDER, "not_asked");
            return None;
        }
        match self.client.look_up(ip).await {
            Ok(answer) => {
                if self.budget().record_success() {
                    tracing::info!("MaxMind's web service is available again");
                }
                count_lookup(PROVIDER, answer.outcome());
                Some(answer)
            }
            Err(trouble) => {
                if self.budget().record_failure(trouble, self.clock.now()) {
                    log_pause(trouble);
                }
                count_lookup(PROVIDER, "failed");
                None
            }
        }
    }

    pub(crate) fn source() -> LocationSource {
        LocationSource {
            provider: PROVIDER.into(),
            database: WEB_SERVICE.into(),
            build_date: None,
        }
    }

    /// The check for `/health`.
    #[must_use]
    pub fn health(&self) -> CheckResult {
        let now = self.clock.now();
        let allowance = self.budget();
        let host = self.client.host();
        let asked = format!("{host}, {} lookups used today", allowance.usage(now));
        match allowance.state(now) {
            BudgetState::Ready => CheckResult::ok(asked),
            BudgetState::Exhausted => CheckResult::degraded(format!(
                "{asked}: paused until tomorrow (UTC); see MAXMIND_DAILY_LOOKUPS"
            )),
            BudgetState::Paused {
                until,
                cause: trouble,
            } => {
                let until = until.format("%H:%M:%S UTC");
                CheckResult::degraded(format!("{asked}: {trouble}; paused until {until}"))
            }
        }
    }

    fn budget(&self) -> MutexGuard<'_, RequestBudget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Logs the start of a pause.
fn log_pause(trouble: UpstreamError) {
    let minutes = trouble.pause_duration().num_minutes();
    if trouble.needs_operator() {
        tracing::error!("{trouble}; lookups are paused for {minutes} minutes");
    } else {
        tracing::warn!("{trouble}; lookups are paused for {minutes} minutes");
    }
}
