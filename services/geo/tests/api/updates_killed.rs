//! Processes that end badly while they update their databases.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use serde_json::Value;

use crate::support::publisher::Download;
use crate::support::{SECRET, eventually};
use crate::updates::{CITY, Updating, bytes};

/// The program in a process of its own, which is killed when dropped.
struct Process {
    child: Child,
    base: String,
    http: reqwest::Client,
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL: nothing can be tidied up.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts with a limit to the size of files in KiB, which fails writes as a full disk does.
    fn start(updating: &Updating, limit: &str) -> Self {
        let script = format!("trap '' XFSZ; ulimit -f {limit}; exec \"$0\" \"$@\"");
        let mut child = Command::new("bash")
            .args(["-c", &script, env!("CARGO_BIN_EXE_geo")])
            .args(updating.maxmind(CITY))
            .env("JWT_SECRETS", SECRET)
            .env("PORT", "0")
            .env("RUST_LOG", "info")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let line: Value = serde_json::from_str(&line).unwrap_or_default();
                if let Some(port) = line["port"].as_u64() {
                    let _ = send.send(port);
                }
            }
        });
        let port = receive.recv().unwrap();
        Self {
            child,
            base: format!("http://127.0.0.1:{port}"),
            http: chassis::http_client::build("test").unwrap(),
        }
    }

    async fn check(&self, name: &str) -> (String, String) {
        let request = self.http.get(format!("{}/health", self.base));
        let body: Value = request.send().await.unwrap().json().await.unwrap();
        let text = |field: &str| body["checks"][name][field].as_str().unwrap().to_owned();
        (text("status"), text("detail"))
    }
}

fn unfinished(updating: &Updating) -> Vec<PathBuf> {
    let files = updating.folder.path().read_dir().unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let is_unfinished = |path: &PathBuf| path.to_string_lossy().contains("/.download-");
    paths.filter(is_unfinished).collect()
}

#[tokio::test]
async fn a_killed_download_costs_nothing() {
    let updating = Updating::new().await;
    updating.with_an_old_database();
    updating.publisher.download(Download::Held);
    let process = Process::start(&updating, "unlimited");
    eventually("half a download", async || {
        let files = unfinished(&updating);
        files.iter().any(|file| file.metadata().unwrap().len() > 0)
    })
    .await;
    drop(process);
    updating.publisher.release();
    assert_eq!(unfinished(&updating).len(), 1);
    let old = bytes("GeoIP2-City-Test.mmdb");
    assert_eq!(fs::read(updating.file()).unwrap(), old);

    // The next one starts with the old database, tidies up and updates it.
    updating.publisher.download(Download::Whole);
    let process = Process::start(&updating, "unlimited");
    eventually("the new one", async || {
        process
            .check("databases")
            .await
            .1
            .starts_with("GeoLite2-City (")
    })
    .await;
    let new = bytes("GeoLite2-City-Test.mmdb");
    assert_eq!(fs::read(updating.file()).unwrap(), new);
    assert_eq!(unfinished(&updating).len(), 0);
}

#[tokio::test]
async fn a_full_disk_costs_nothing() {
    let updating = Updating::new().await;
    updating.with_an_old_database();
    let process = Process::start(&updating, "8");
    eventually("a finding", async || {
        let (status, detail) = process.check("updates").await;
        status == "degraded" && detail.contains("cannot be written")
    })
    .await;
    let (_, detail) = process.check("databases").await;
    assert!(detail.starts_with("GeoIP2-City ("), "{detail}");
    let old = bytes("GeoIP2-City-Test.mmdb");
    assert_eq!(fs::read(updating.file()).unwrap(), old);
    assert_eq!(unfinished(&updating).len(), 0);
}
