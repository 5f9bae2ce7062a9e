//! Starts the binary and sends requests to it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::RequestBuilder;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A running system.
pub struct RunningSystem {
    child: Child,
    output: Arc<Mutex<Vec<String>>>,
    pub ports: [u16; 3],
    pub token: String,
    pub http: reqwest::Client,
}

/// A folder that works for a private PostgreSQL, whoever runs the tests.
pub fn data_folder() -> tempfile::TempDir {
    let passable = fs::Permissions::from_mode(0o711);
    tempfile::Builder::new()
        .permissions(passable)
        .tempdir()
        .unwrap()
}

/// The command for the binary with a data folder and free ports.
pub fn command(data_dir: &Path, settings: &[(&str, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tetralto"));
    command
        .env_remove("DATABASE_URL")
        .env("TETRALTO_DATA_DIR", data_dir)
        .env("GEOIP_UPDATE", "off")
        .envs([
            ("GEO_PORT", "0"),
            ("VISITOR_ANALYTICS_PORT", "0"),
            ("NOTIFICATION_PORT", "0"),
        ])
        .envs(settings.iter().map(|(name, value)| (name, value)));
    command
}

/// Starts a system and returns when it accepts visits.
pub async fn start(data_dir: &Path, settings: &[(&str, String)]) -> RunningSystem {
    let mut command = command(data_dir, settings);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let output = collect_output(&mut child);
    let ports = wait_for("the banner", async || banner_ports(&output.lock().unwrap())).await;
    let running = RunningSystem {
        child,
        output,
        ports,
        token: fs::read_to_string(data_dir.join("token"))
            .unwrap()
            .trim()
            .to_owned(),
        http: chassis::http_client::build("test").unwrap(),
    };
    wait_for("health", async || {
        let answer = running.get(1, "/health").send().await;
        answer
            .is_ok_and(|answer| answer.status() == 200)
            .then_some(())
    })
    .await;
    running
}

fn collect_output(child: &mut Child) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::new(Mutex::new(vec![]));
    let kept = lines.clone();
    let output = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            kept.lock().unwrap().push(line);
        }
    });
    lines
}

/// The ports in the banner.
fn banner_ports(lines: &[String]) -> Option<[u16; 3]> {
    let port = |name: &str| -> Option<u16> {
        let line = lines.iter().find(|l| l.trim_start().starts_with(name))?;
        line.split("localhost:")
            .nth(1)?
            .split('/')
            .next()?
            .parse()
            .ok()
    };
    Some([
        port("geo ")?,
        port("visitor-analytics ")?,
        port("notification ")?,
    ])
}

impl RunningSystem {
    pub fn get(&self, service: usize, path: &str) -> RequestBuilder {
        let url = format!("http://127.0.0.1:{}{path}", self.ports[service]);
        self.http.get(url).bearer_auth(&self.token)
    }

    pub fn post(&self, service: usize, path: &str, body: &Value) -> RequestBuilder {
        let url = format!("http://127.0.0.1:{}{path}", self.ports[service]);
        self.http.post(url).bearer_auth(&self.token).json(body)
    }

    /// Lists all visits.
    pub async fn visits(&self) -> Vec<Value> {
        let mut all = vec![];
        let mut cursor = String::new();
        loop {
            let path = format!("/visits?include_bots=true&limit=400{cursor}");
            let page = json(self.get(1, &path)).await;
            all.extend(page["data"].as_array().unwrap().clone());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
    }

    /// Replaces the built-in rule by one without a throttle.
    pub async fn remove_throttle(&self) {
        let path = "/rules/01900000-0000-7000-8000-000000000001";
        let url = format!("http://127.0.0.1:{}{path}", self.ports[2]);
        let rule = serde_json::json!({"name": "Visitors", "event": "visitor.arrived"});
        json(self.http.put(url).bearer_auth(&self.token).json(&rule)).await;
    }

    pub fn output(&self) -> String {
        self.output.lock().unwrap().join("\n")
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until the process exits.
    pub async fn wait_for_exit(&mut self) -> ExitStatus {
        wait_for("the end", async || self.child.try_wait().unwrap()).await
    }

    /// Sends SIGTERM and waits until the process exits.
    pub async fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait_for_exit().await
    }
}

impl Drop for RunningSystem {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The JSON body of a successful response.
pub async fn json(request: RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{status} {text}");
    serde_json::from_str(&text).unwrap()
}

/// Polls until there is a result. Panics after three minutes: a delivery that a killed process had
/// claimed is claimed again only when its lease of a minute has expired.
pub async fn wait_for<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..3_600 {
        if let Some(found) = ask().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("timeout while waiting for: {what}");
}
