//! Asking geo where addresses are: remembered, many at once, and never for long.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chassis::peer::{ServiceClient, ServiceClientError};
use common::geo::{
    GeolocateBatchRequest, GeolocateBatchResponse, Location, MAX_ADDRESSES_PER_REQUEST,
};
use futures::future::join_all;
use quick_cache::sync::Cache;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::classified::LocationStatus;

/// How long a call to geo may take.
pub const GEO_TIMEOUT: Duration = Duration::from_millis(250);
/// How long a visit waits for its place, its time in the queue included.
const VISIT_LOOKUP_TIMEOUT: Duration = Duration::from_millis(400);
/// Answers that are remembered, about a kilobyte each, and for how long.
const MAX_CACHED_LOCATIONS: usize = 5_000;
const LOCATION_TTL: Duration = Duration::from_hours(1);
/// Questions that may wait; more visits than that keep their place owed.
const MAX_QUEUED_LOOKUPS: usize = 4_096;
/// Calls to geo at the same time.
const MAX_CONCURRENT_CALLS: usize = 4;
/// How long more questions may gather before the first of them is asked: a call costs as much as
/// ten addresses in it.
const BATCH_DELAY: Duration = Duration::from_millis(1);

/// Where an address is; `None` when it has no place.
pub type ResolvedLocation = Option<Arc<Location>>;

type LookupRequest = (IpAddr, oneshot::Sender<ResolvedLocation>);

/// Finds places.
#[derive(Clone, Debug)]
pub struct GeoClient {
    peer: ServiceClient,
    /// With the moment from which geo is asked again.
    known: Arc<Cache<IpAddr, (ResolvedLocation, Instant)>>,
    questions: mpsc::Sender<LookupRequest>,
}

/// The locator's other half, which gathers questions and asks geo.
#[derive(Debug)]
pub struct GeoBatcher {
    locator: GeoClient,
    questions: mpsc::Receiver<LookupRequest>,
}

impl GeoClient {
    /// Over a peer whose tokens may read places; the gatherer must run for answers to come.
    #[must_use]
    pub fn new(peer: ServiceClient) -> (Self, GeoBatcher) {
        let (sender, questions) = mpsc::channel(MAX_QUEUED_LOOKUPS);
        let locator = Self {
            peer,
            known: Arc::new(Cache::new(MAX_CACHED_LOCATIONS)),
            questions: sender,
        };
        let gatherer = GeoBatcher {
            locator: locator.clone(),
            questions,
        };
        (locator, gatherer)
    }

    /// Where these addresses are, in their order. What geo does not say in time is owed.
    pub async fn places(&self, ips: &[IpAddr]) -> Vec<LocationStatus> {
        join_all(ips.iter().map(|ip| self.place(*ip))).await
    }

    async fn place(&self, ip: IpAddr) -> LocationStatus {
        let answer = match self.known.get(&ip) {
            Some((answer, until)) if Instant::now() < until => Some(answer),
            _ => self.wait_for(ip).await,
        };
        match answer {
            Some(Some(location)) => LocationStatus::Known(location),
            Some(None) => LocationStatus::Unknown,
            None => LocationStatus::Owed,
        }
    }

    async fn wait_for(&self, ip: IpAddr) -> Option<ResolvedLocation> {
        let (sender, answer) = oneshot::channel();
        self.questions.try_send((ip, sender)).ok()?;
        tokio::time::timeout(VISIT_LOOKUP_TIMEOUT, answer)
            .await
            .ok()?
            .ok()
    }

    /// Asks geo for up to [`MAX_ADDRESSES_PER_REQUEST`] addresses at once, and remembers.
    pub async fn ask(
        &self,
        ips: Vec<IpAddr>,
    ) -> Result<HashMap<IpAddr, ResolvedLocation>, ServiceClientError> {
        let request = GeolocateBatchRequest {
            ips: ips.iter().map(IpAddr::to_string).collect(),
        };
        let response: GeolocateBatchResponse = self.peer.post("/geolocate", &request, None).await?;
        if response.results.len() != ips.len() {
            return Err(ServiceClientError::Unreadable("results are missing".into()));
        }
        let locations = response.results.into_iter().map(|result| {
            let mut location = result.location?;
            // It is remembered, and time goes on.
            location.local_time = None;
            Some(Arc::new(location))
        });
        let answers: HashMap<_, _> = ips.into_iter().zip(locations).collect();
        let until = Instant::now() + LOCATION_TTL;
        for (ip, answer) in &answers {
            self.known.insert(*ip, (answer.clone(), until));
        }
        Ok(answers)
    }
}

impl GeoBatcher {
    /// Gathers what is asked while geo is busy, and asks it together, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let calls = Arc::new(Semaphore::new(MAX_CONCURRENT_CALLS));
        let tasks = TaskTracker::new();
        let mut batch = vec![];
        loop {
            let permit = calls.clone().acquire_owned().await;
            tokio::select! {
                count = self.questions.recv_many(&mut batch, MAX_ADDRESSES_PER_REQUEST) => if count == 0 { break },
                () = stop.cancelled() => break,
            }
            tokio::time::sleep(BATCH_DELAY).await;
            while batch.len() < MAX_ADDRESSES_PER_REQUEST
                && let Ok(question) = self.questions.try_recv()
            {
                batch.push(question);
            }
            let questions = std::mem::take(&mut batch);
            let locator = self.locator.clone();
            tasks.spawn(async move {
                let _permit = permit;
                answer(&locator, questions).await;
            });
        }
        tasks.close();
        tasks.wait().await;
    }
}

/// Asks for each address once and answers everybody who asked for it. When geo is away, the
/// questions are dropped, and those who asked know.
async fn answer(locator: &GeoClient, questions: Vec<LookupRequest>) {
    let mut waiting: HashMap<IpAddr, Vec<oneshot::Sender<ResolvedLocation>>> = HashMap::new();
    for (ip, sender) in questions {
        waiting.entry(ip).or_default().push(sender);
    }
    let answers = match locator.ask(waiting.keys().copied().collect()).await {
        Ok(answers) => answers,
        Err(error) => {
            metrics::counter!("visits_locations_owed_total").increment(waiting.len() as u64);
            tracing::debug!(%error, "geo did not answer; places are owed");
            return;
        }
    };
    for (ip, senders) in waiting {
        let answer = answers.get(&ip).cloned().flatten();
        for sender in senders {
            // Who does not wait any more has his place owed.
            let _ = sender.send(answer.clone());
        }
    }
}
