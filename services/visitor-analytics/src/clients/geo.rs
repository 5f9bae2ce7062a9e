//! Client of geo: caches locations, batches lookups, and limits how long a visit waits.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chassis::service_client::{ServiceClient, ServiceClientError};
use common::geo::{
    GeolocateBatchRequest, GeolocateBatchResponse, Location, MAX_ADDRESSES_PER_REQUEST,
};
use futures::future::join_all;
use quick_cache::sync::Cache;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::enriched_visit::LocationStatus;

/// Timeout of a request to geo.
pub const GEO_TIMEOUT: Duration = Duration::from_millis(250);
/// How long a visit waits for its location, including the time in the queue.
const VISIT_LOOKUP_TIMEOUT: Duration = Duration::from_millis(400);
/// Cached locations, about a kilobyte each, and how long they are valid.
const MAX_CACHED_LOCATIONS: usize = 5_000;
const LOCATION_TTL: Duration = Duration::from_hours(1);
/// Capacity of the queue of lookups. A visit that finds the queue full is stored with a pending
/// location.
const MAX_QUEUED_LOOKUPS: usize = 4_096;
/// Concurrent requests to geo.
const MAX_CONCURRENT_CALLS: usize = 4;
/// How long a batch waits for more lookups: a request costs as much as ten addresses in it.
const BATCH_DELAY: Duration = Duration::from_millis(1);

/// The location of an address; `None` if geo knows no location.
pub type ResolvedLocation = Option<Arc<Location>>;

type LookupRequest = (IpAddr, oneshot::Sender<ResolvedLocation>);

#[derive(Clone, Debug)]
pub struct GeoClient {
    peer: ServiceClient,
    /// Cached locations, each with its expiry.
    cache: Arc<Cache<IpAddr, (ResolvedLocation, Instant)>>,
    lookups: mpsc::Sender<LookupRequest>,
}

/// The worker that batches lookups and sends them to geo.
#[derive(Debug)]
pub struct GeoBatcher {
    client: GeoClient,
    lookups: mpsc::Receiver<LookupRequest>,
}

impl GeoClient {
    /// Creates a client and its worker. The tokens of `peer` need the scope `geo:read`. Lookups are
    /// answered only while the worker runs.
    #[must_use]
    pub fn new(peer: ServiceClient) -> (Self, GeoBatcher) {
        let (sender, questions) = mpsc::channel(MAX_QUEUED_LOOKUPS);
        let locator = Self {
            peer,
            cache: Arc::new(Cache::new(MAX_CACHED_LOCATIONS)),
            lookups: sender,
        };
        let gatherer = GeoBatcher {
            client: locator.clone(),
            lookups: questions,
        };
        (locator, gatherer)
    }

    /// Looks up addresses. Returns one status per address, in the same order;
    /// [`LocationStatus::Pending`] if geo does not answer in time.
    pub async fn locate_all(&self, ips: &[IpAddr]) -> Vec<LocationStatus> {
        join_all(ips.iter().map(|ip| self.locate(*ip))).await
    }

    async fn locate(&self, ip: IpAddr) -> LocationStatus {
        let answer = match self.cache.get(&ip) {
            Some((answer, until)) if Instant::now() < until => Some(answer),
            _ => self.queue_lookup(ip).await,
        };
        match answer {
            Some(Some(location)) => LocationStatus::Known(location),
            Some(None) => LocationStatus::Unknown,
            None => LocationStatus::Pending,
        }
    }

    async fn queue_lookup(&self, ip: IpAddr) -> Option<ResolvedLocation> {
        let (sender, answer) = oneshot::channel();
        self.lookups.try_send((ip, sender)).ok()?;
        tokio::time::timeout(VISIT_LOOKUP_TIMEOUT, answer)
            .await
            .ok()?
            .ok()
    }

    /// Requests up to [`MAX_ADDRESSES_PER_REQUEST`] locations from geo and caches them.
    pub async fn fetch_locations(
        &self,
        ips: Vec<IpAddr>,
    ) -> Result<HashMap<IpAddr, ResolvedLocation>, ServiceClientError> {
        let request = GeolocateBatchRequest {
            ips: ips.iter().map(IpAddr::to_string).collect(),
        };
        let response: GeolocateBatchResponse = self.peer.post("/geolocate", &request, None).await?;
        if response.results.len() != ips.len() {
            return Err(ServiceClientError::InvalidResponse(
                "results are missing".into(),
            ));
        }
        let locations = response.results.into_iter().map(|result| {
            let mut location = result.location?;
            // The answer is cached, and the local time would be outdated.
            location.local_time = None;
            Some(Arc::new(location))
        });
        let answers: HashMap<_, _> = ips.into_iter().zip(locations).collect();
        let until = Instant::now() + LOCATION_TTL;
        for (ip, answer) in &answers {
            self.cache.insert(*ip, (answer.clone(), until));
        }
        Ok(answers)
    }
}

impl GeoBatcher {
    /// Batches lookups while all requests are busy, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let calls = Arc::new(Semaphore::new(MAX_CONCURRENT_CALLS));
        let tasks = TaskTracker::new();
        let mut batch = vec![];
        loop {
            let permit = calls.clone().acquire_owned().await;
            tokio::select! {
                count = self.lookups.recv_many(&mut batch, MAX_ADDRESSES_PER_REQUEST) => if count == 0 { break },
                () = stop.cancelled() => break,
            }
            tokio::time::sleep(BATCH_DELAY).await;
            while batch.len() < MAX_ADDRESSES_PER_REQUEST
                && let Ok(question) = self.lookups.try_recv()
            {
                batch.push(question);
            }
            let questions = std::mem::take(&mut batch);
            let locator = self.client.clone();
            tasks.spawn(async move {
                let _permit = permit;
                answer_lookups(&locator, questions).await;
            });
        }
        tasks.close();
        tasks.wait().await;
    }
}

/// Requests each address once and answers all lookups of it. If geo fails, the lookups are dropped,
/// which their receivers notice.
async fn answer_lookups(locator: &GeoClient, questions: Vec<LookupRequest>) {
    let mut waiting: HashMap<IpAddr, Vec<oneshot::Sender<ResolvedLocation>>> = HashMap::new();
    for (ip, sender) in questions {
        waiting.entry(ip).or_default().push(sender);
    }
    let answers = match locator
        .fetch_locations(waiting.keys().copied().collect())
        .await
    {
        Ok(answers) => answers,
        Err(error) => {
            metrics::counter!("visits_pending_locations_total").increment(waiting.len() as u64);
            tracing::debug!(%error, "geo did not answer; the locations are filled in later");
            return;
        }
    };
    for (ip, senders) in waiting {
        let answer = answers.get(&ip).cloned().flatten();
        for sender in senders {
            // A lookup that timed out has no receiver any more.
            let _ = sender.send(answer.clone());
        }
    }
}
