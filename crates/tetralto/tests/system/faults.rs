//! Kills processes under load: acknowledged visits are stored exactly once.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use common::clock::Clock;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::running::{RunningSystem, data_folder, start, wait_for};
use crate::twilio::TwilioStub;

const CLIENTS: usize = 8;

/// Clients that send visits and retry each with the same id until it is acknowledged.
struct LoadClients {
    stop: Arc<AtomicBool>,
    recorded: Arc<AtomicUsize>,
    clients: Vec<tokio::task::JoinHandle<usize>>,
}

/// The current URL of the system, which changes with each start.
type SystemAddress = Arc<std::sync::RwLock<(String, String)>>;

fn visits_url_and_token(system: &RunningSystem) -> (String, String) {
    (
        format!("http://127.0.0.1:{}/visits", system.ports[1]),
        system.token.clone(),
    )
}

impl LoadClients {
    fn start(address: &SystemAddress) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let recorded = Arc::new(AtomicUsize::new(0));
        let client = |client: usize| {
            let (stop, recorded, address) = (stop.clone(), recorded.clone(), address.clone());
            tokio::spawn(async move {
                let http = chassis::http_client::build("test").unwrap();
                let mut sent = 0;
                while !stop.load(Ordering::SeqCst) {
                    let visit = visit(client, sent);
                    while !send(&http, &address, &visit).await {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    sent += 1;
                    recorded.fetch_add(1, Ordering::SeqCst);
                }
                sent
            })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self {
            stop,
            recorded,
            clients,
        }
    }

    /// Waits until `count` more visits are recorded.
    async fn wait_for_more(&self, count: usize) {
        let goal = self.recorded.load(Ordering::SeqCst) + count;
        wait_for("more visits", async || {
            (self.recorded.load(Ordering::SeqCst) >= goal).then_some(())
        })
        .await;
    }

    async fn finish(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        let mut sent = 0;
        for client in self.clients {
            sent += client.await.unwrap();
        }
        sent
    }
}

/// Each visit has a different visitor.
fn visit(client: usize, number: usize) -> Value {
    let now = Clock::system().now();
    json!({
        "id": Clock::new_id_at(now), "timestamp": now, "url": "https://shop.example/",
        "ip": format!("81.{client}.{}.{}", number / 250, number % 250),
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"
    })
}

async fn send(http: &reqwest::Client, address: &SystemAddress, visit: &Value) -> bool {
    let (url, token) = address.read().unwrap().clone();
    let answer = http.post(url).bearer_auth(token).json(visit).send().await;
    let Ok(answer) = answer else { return false };
    let status = answer.status().as_u16();
    assert!(matches!(status, 201 | 503), "{status}");
    status == 201
}

/// The pid of the postmaster of the private PostgreSQL.
pub fn postmaster_pid(folder: &Path) -> Option<Pid> {
    let file = fs::read_to_string(folder.join("postgres/postmaster.pid")).ok()?;
    Pid::from_raw(file.lines().next()?.parse().ok()?)
}

/// Checks that all visits and messages exist exactly once.
async fn check_visits_and_messages(system: &RunningSystem, twilio: &TwilioStub, sent: usize) {
    let visits = system.visits().await;
    assert_eq!(visits.len(), sent);
    let mut sessions: Vec<_> = visits.iter().map(|v| v["session_id"].to_string()).collect();
    sessions.sort();
    sessions.dedup();
    assert_eq!(sessions.len(), sent);
    wait_for("a message for each", async || {
        (twilio.messages().len() >= sent).then_some(())
    })
    .await;
    wait_for("an empty outbox", async || {
        let health = crate::running::json(system.get(1, "/health")).await;
        let detail = health["checks"]["outbox"]["detail"].as_str()?.to_owned();
        detail.starts_with("0 announcements pending").then_some(())
    })
    .await;
    assert_eq!(twilio.messages().len(), sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_killed_under_load_loses_and_doubles_nothing() {
    let (folder, twilio) = (data_folder(), TwilioStub::start().await);
    let system = start(folder.path(), &twilio.settings()).await;
    system.remove_throttle().await;
    let place = SystemAddress::new(visits_url_and_token(&system).into());
    let load = LoadClients::start(&place);
    for signal in [Signal::KILL, Signal::INT, Signal::KILL] {
        load.wait_for_more(60).await;
        kill_process(postmaster_pid(folder.path()).unwrap(), signal).unwrap();
    }
    load.wait_for_more(60).await;
    let sent = load.finish().await;
    check_visits_and_messages(&system, &twilio, sent).await;
    assert!(system.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_that_is_killed_under_load_loses_and_doubles_nothing() {
    let (folder, twilio) = (data_folder(), TwilioStub::start().await);
    let mut system = start(folder.path(), &twilio.settings()).await;
    system.remove_throttle().await;
    let place = SystemAddress::new(visits_url_and_token(&system).into());
    let load = LoadClients::start(&place);
    for _ in 0..3 {
        load.wait_for_more(60).await;
        let sent_before = twilio.messages().len();
        wait_for("messages on their way", async || {
            (twilio.messages().len() > sent_before).then_some(())
        })
        .await;
        system.signal(Signal::KILL);
        system.wait_for_exit().await;
        system = start(folder.path(), &twilio.settings()).await;
        *place.write().unwrap() = visits_url_and_token(&system);
    }
    load.wait_for_more(60).await;
    let sent = load.finish().await;
    check_visits_and_messages(&system, &twilio, sent).await;
    assert!(system.stop().await.success());
}
