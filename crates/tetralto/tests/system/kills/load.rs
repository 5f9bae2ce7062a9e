//! Clients that send each request, with the same ids, until it is answered well.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use serde_json::Value;
use sqlx::types::Uuid;
use tokio::task::JoinHandle;

use super::crowd::{Crowd, Parcel};
use crate::running::until;

const CLIENTS: u64 = 8;
/// After so many requests an early one is sent once more.
const ECHO: usize = 5;

/// What the clients share.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    answered: AtomicUsize,
    refused: AtomicUsize,
    broken: AtomicUsize,
}

/// Clients at work.
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Sent>>,
}

/// What was sent, and how it was answered.
#[derive(Default)]
pub struct Sent {
    /// The visits that were answered well, and how often with `recorded`.
    pub visits: HashMap<Uuid, usize>,
    /// People who are to be announced.
    pub arrivals: usize,
    /// Requests that were sent twice at the same moment, to different replicas if there are two.
    pub to_both: usize,
    /// Requests that were sent again after they had been answered well.
    pub echoes: usize,
    /// Answers: well, 503, and none.
    pub answered: usize,
    pub refused: usize,
    pub broken: usize,
}

impl Load {
    /// Sends to these addresses.
    pub fn start(addresses: &[String], token: &str) -> Self {
        let shared = Arc::new(Shared::default());
        let client = |number| {
            let client = Client {
                http: chassis::http_client::build("test").unwrap(),
                addresses: addresses.to_vec(),
                token: token.to_owned(),
                shared: shared.clone(),
                sent: Sent::default(),
            };
            tokio::spawn(client.run(Crowd::new(number)))
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { shared, clients }
    }

    /// Waits until so many more requests were answered well.
    pub async fn more(&self, count: usize) {
        let goal = self.shared.answered.load(SeqCst) + count;
        until("more answers", async || {
            let ended = self.clients.iter().any(JoinHandle::is_finished);
            assert!(!ended, "a client has ended");
            (self.shared.answered.load(SeqCst) >= goal).then_some(())
        })
        .await;
    }

    /// Returns when everything that was begun is answered well.
    pub async fn finish(self) -> Sent {
        self.shared.stop.store(true, SeqCst);
        let mut all = Sent::default();
        for client in self.clients {
            let sent = client.await.unwrap();
            all.visits.extend(sent.visits);
            all.arrivals += sent.arrivals;
            all.to_both += sent.to_both;
            all.echoes += sent.echoes;
        }
        all.answered = self.shared.answered.load(SeqCst);
        all.refused = self.shared.refused.load(SeqCst);
        all.broken = self.shared.broken.load(SeqCst);
        all
    }
}

struct Client {
    http: reqwest::Client,
    addresses: Vec<String>,
    token: String,
    shared: Arc<Shared>,
    sent: Sent,
}

impl Client {
    async fn run(mut self, mut crowd: Crowd) -> Sent {
        let mut done: Vec<Parcel> = vec![];
        while !self.shared.stop.load(SeqCst) {
            let parcel = crowd.next();
            self.deliver(&parcel, done.len() % 2).await;
            done.push(parcel);
            if done.len().is_multiple_of(ECHO) {
                let early = &done[done.len() / 2];
                let is_new = self.send(early, done.len() % 2).await;
                assert!(is_new.iter().all(|is_new| !is_new), "recorded once more");
                self.sent.echoes += 1;
            }
        }
        self.sent
    }

    async fn deliver(&mut self, parcel: &Parcel, replica: usize) {
        let first = self.send(parcel, replica);
        let is_new = if parcel.to_both {
            let (one, other) = tokio::join!(first, self.send(parcel, replica + 1));
            [one, other].concat()
        } else {
            first.await
        };
        for (id, is_new) in parcel.ids.iter().cycle().zip(is_new) {
            *self.sent.visits.entry(*id).or_default() += usize::from(is_new);
        }
        self.sent.arrivals += usize::from(parcel.is_arrival);
        self.sent.to_both += usize::from(parcel.to_both);
    }

    /// Sends until it is answered well, to this replica, the next, and so on. Returns which of its
    /// visits were recorded by the last sending.
    async fn send(&self, parcel: &Parcel, mut replica: usize) -> Vec<bool> {
        loop {
            if let Some(answer) = self.try_once(parcel, replica).await {
                self.shared.answered.fetch_add(1, SeqCst);
                let one = std::slice::from_ref(&answer);
                let results = answer["results"].as_array().map_or(one, Vec::as_slice);
                assert_eq!(results.len(), parcel.ids.len());
                return results.iter().map(is_recorded).collect();
            }
            replica += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn try_once(&self, parcel: &Parcel, replica: usize) -> Option<Value> {
        let request = self
            .http
            .post(&self.addresses[replica % self.addresses.len()]);
        let request = request.bearer_auth(&self.token).json(&parcel.body);
        let Ok(answer) = request.send().await else {
            self.shared.broken.fetch_add(1, SeqCst);
            return None;
        };
        let status = answer.status().as_u16();
        if status == 503 {
            self.shared.refused.fetch_add(1, SeqCst);
            return None;
        }
        let Ok(text) = answer.text().await else {
            self.shared.broken.fetch_add(1, SeqCst);
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
