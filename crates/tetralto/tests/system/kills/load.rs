//! Clients that retry each request with the same ids until it is acknowledged.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use serde_json::Value;
use sqlx::types::Uuid;
use tokio::task::JoinHandle;

use super::visit_generator::{VisitGenerator, VisitRequest};
use crate::running::wait_for;

const CLIENTS: u64 = 8;
/// Number of requests after which an earlier one is sent again.
const REPEAT_AFTER: usize = 5;

/// Shared state of the clients.
#[derive(Default)]
struct SharedCounters {
    stop: AtomicBool,
    acknowledged: AtomicUsize,
    unavailable: AtomicUsize,
    no_response: AtomicUsize,
}

/// Running clients.
pub struct LoadClients {
    shared: Arc<SharedCounters>,
    clients: Vec<JoinHandle<SentRequests>>,
}

/// The sent requests and their results.
#[derive(Default)]
pub struct SentRequests {
    /// Acknowledged visits, and the number of times that each was reported as `recorded`.
    pub visits: HashMap<Uuid, usize>,
    /// Number of new sessions of people, which must be announced.
    pub arrivals: usize,
    /// Requests that were sent twice concurrently, to different replicas if there are two.
    pub sent_twice: usize,
    /// Requests that were repeated after they had been acknowledged.
    pub repeated: usize,
    /// Requests that were acknowledged, that got a 503, and that got no response.
    pub acknowledged: usize,
    pub unavailable: usize,
    pub no_response: usize,
}

impl LoadClients {
    /// Starts clients that send to these URLs.
    pub fn start(addresses: &[String], token: &str) -> Self {
        let shared = Arc::new(SharedCounters::default());
        let client = |number| {
            let client = Client {
                http: chassis::http_client::build("test").unwrap(),
                addresses: addresses.to_vec(),
                token: token.to_owned(),
                shared: shared.clone(),
                sent: SentRequests::default(),
            };
            tokio::spawn(client.run(VisitGenerator::new(number)))
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { shared, clients }
    }

    /// Waits until `count` more requests are acknowledged.
    pub async fn wait_for_more(&self, count: usize) {
        let goal = self.shared.acknowledged.load(SeqCst) + count;
        wait_for("more answers", async || {
            let ended = self.clients.iter().any(JoinHandle::is_finished);
            assert!(!ended, "a client has failed");
            (self.shared.acknowledged.load(SeqCst) >= goal).then_some(())
        })
        .await;
    }

    /// Stops the clients and returns when all started requests are acknowledged.
    pub async fn finish(self) -> SentRequests {
        self.shared.stop.store(true, SeqCst);
        let mut all = SentRequests::default();
        for client in self.clients {
            let sent = client.await.unwrap();
            all.visits.extend(sent.visits);
            all.arrivals += sent.arrivals;
            all.sent_twice += sent.sent_twice;
            all.repeated += sent.repeated;
        }
        all.acknowledged = self.shared.acknowledged.load(SeqCst);
        all.unavailable = self.shared.unavailable.load(SeqCst);
        all.no_response = self.shared.no_response.load(SeqCst);
        all
    }
}

struct Client {
    http: reqwest::Client,
    addresses: Vec<String>,
    token: String,
    shared: Arc<SharedCounters>,
    sent: SentRequests,
}

impl Client {
    async fn run(mut self, mut crowd: VisitGenerator) -> SentRequests {
        let mut done: Vec<VisitRequest> = vec![];
        while !self.shared.stop.load(SeqCst) {
            let parcel = crowd.next_request();
            self.deliver(&parcel, done.len() % 2).await;
            done.push(parcel);
            if done.len().is_multiple_of(REPEAT_AFTER) {
                let early = &done[done.len() / 2];
                let is_new = self.send(early, done.len() % 2).await;
                assert!(
                    is_new.iter().all(|is_new| !is_new),
                    "a visit was recorded twice"
                );
                self.sent.repeated += 1;
            }
        }
        self.sent
    }

    async fn deliver(&mut self, parcel: &VisitRequest, replica: usize) {
        let first = self.send(parcel, replica);
        let is_new = if parcel.is_sent_twice {
            let (one, other) = tokio::join!(first, self.send(parcel, replica + 1));
            [one, other].concat()
        } else {
            first.await
        };
        for (id, is_new) in parcel.ids.iter().cycle().zip(is_new) {
            *self.sent.visits.entry(*id).or_default() += usize::from(is_new);
        }
        self.sent.arrivals += usize::from(parcel.is_arrival);
        self.sent.sent_twice += usize::from(parcel.is_sent_twice);
    }

    /// Sends a request to the replicas in turn until it is acknowledged. Returns which of its
    /// visits the last attempt recorded.
    async fn send(&self, parcel: &VisitRequest, mut replica: usize) -> Vec<bool> {
        loop {
            if let Some(answer) = self.try_once(parcel, replica).await {
                self.shared.acknowledged.fetch_add(1, SeqCst);
                let one = std::slice::from_ref(&answer);
                let results = answer["results"].as_array().map_or(one, Vec::as_slice);
                assert_eq!(results.len(), parcel.ids.len());
                return results.iter().map(is_recorded).collect();
            }
            replica += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn try_once(&self, parcel: &VisitRequest, replica: usize) -> Option<Value> {
        let request = self
            .http
            .post(&self.addresses[replica % self.addresses.len()]);
        let request = request.bearer_auth(&self.token).json(&parcel.body);
        let Ok(answer) = request.send().await else {
            self.shared.no_response.fetch_add(1, SeqCst);
            return None;
        };
        let status = answer.status().as_u16();
        if status == 503 {
            self.shared.unavailable.fetch_add(1, SeqCst);
            return None;
        }
        let Ok(text) = answer.text().await else {
            self.shared.no_response.fetch_add(1, SeqCst);
            return None;
        };
        assert!(matches!(status, 200 | 201), "{status} {text}");
        Some(serde_json::from_str(&text).unwrap())
    }
}

fn is_recorded(result: &Value) -> bool {
    let status = result["status"].as_str().unwrap();
    assert!(matches!(status, "recorded" | "duplicate"), "{result}");
    status == "recorded"
}
