//! What the process writes to its log about MaxMind's web service.

use std::fs::{File, read_to_string};
use std::path::PathBuf;
use std::process::{Child, Command};

use common::jwt::Scope;

use crate::maxmind_faults::OTHERS;
use crate::support::maxmind::{ACCOUNT, KEY, MaxMind, Reply};
use crate::support::{SECRET, eventually, token};

/// The program, with its log in a file.
struct Process {
    child: Child,
    log: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn start(maxmind: &MaxMind, name: &str) -> Self {
        let log: PathBuf = [env!("CARGO_TARGET_TMPDIR"), name].iter().collect();
        let child = Command::new(env!("CARGO_BIN_EXE_geo"))
            .env_clear()
            .env("RUST_LOG", "debug")
            .env("JWT_SECRETS", SECRET)
            .env("PORT", "0")
            .env("MAXMIND_ACCOUNT_ID", ACCOUNT)
            .env("MAXMIND_API_KEY", KEY)
            .env("MAXMIND_HOST", &maxmind.base)
            .env("GEOIP_UPDATE", "off")
            .stdout(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self { child, log }
    }

    fn log(&self) -> String {
        read_to_string(&self.log).unwrap()
    }

    fn port(&self) -> Option<u64> {
        let log = self.log();
        let line = log.lines().find(|line| line.contains("\"listening\""))?;
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        line["port"].as_u64()
    }
}

/// The log of a process that was asked for several addresses.
async fn log(reply: Reply, name: &str) -> String {
    let maxmind = MaxMind::start(reply).await;
    let process = Process::start(&maxmind, name);
    eventually("listening", async || process.port().is_some()).await;
    let base = format!("http://127.0.0.1:{}", process.port().unwrap());
    let http = chassis::http_client::build("test").unwrap();
    for ip in OTHERS {
        let request = http.get(format!("{base}/geolocate?ip={ip}"));
        let request = request.bearer_auth(token(&[Scope::GeoRead], 60));
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    process.log()
}

#[tokio::test]
async fn a_refused_key_is_told_once_with_what_to_do() {
    let log = log(Reply::Error(401, "AUTHORIZATION_INVALID"), "refused.log").await;
    let errors: Vec<_> = log.lines().filter(|l| l.contains("\"ERROR\"")).collect();
    assert_eq!(errors.len(), 1, "{log}");
    assert!(errors[0].contains("MAXMIND_API_KEY"), "{log}");
}

#[tokio::test]
async fn silence_is_told_once() {
    let log = log(Reply::Cut, "silent.log").await;
    assert_eq!(log.matches("\"WARN\"").count(), 1, "{log}");
    assert_eq!(log.matches("\"ERROR\"").count(), 0, "{log}");
}

#[tokio::test]
async fn addresses_and_the_key_are_never_told() {
    for reply in [Reply::Place, Reply::Cut, Reply::Garbled, Reply::Bare(402)] {
        let log = log(reply, "quiet.log").await;
        assert!(log.contains("/geolocate"), "{log}");
        assert!(!log.contains("193.0.6."), "{log}");
        assert!(!log.contains(KEY), "{log}");
    }
}
