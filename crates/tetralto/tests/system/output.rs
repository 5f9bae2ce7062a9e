//! The system keeps running if standard output cannot be written.

use std::collections::HashSet;
use std::fs::{self, File};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::running::{command, data_folder, start, wait_for};

/// The ports on which a process listens, from `/proc` (proc(5)). Without output there is no banner.
fn listening_ports(child: &Child) -> Vec<u16> {
    let folder = format!("/proc/{}", child.id());
    let open = fs::read_dir(format!("{folder}/fd")).into_iter().flatten();
    let open = open
        .flatten()
        .filter_map(|fd| fs::read_link(fd.path()).ok());
    let sockets: HashSet<String> = open.map(|link| link.display().to_string()).collect();
    let tables = ["tcp", "tcp6"].map(|table| {
        let table = fs::read_to_string(format!("{folder}/net/{table}"));
        table.unwrap_or_default()
    });
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    let listening = lines.filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let is_own = sockets.contains(&format!("socket:[{}]", words.get(9)?));
        let (_, port) = words.get(1)?.rsplit_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        (is_own && words[3] == "0A").then_some(port)
    });
    listening.collect()
}

/// Starts the system with `output` as its standard output and error, and sends requests.
async fn check_keeps_running(output: impl Fn() -> Stdio) {
    let folder = data_folder();
    let mut command = command(folder.path(), &[("RUST_LOG", "debug,loud=very".into())]);
    let mut child = command.stdout(output()).stderr(output()).spawn().unwrap();
    // The reader has closed the pipes.
    drop((child.stdout.take(), child.stderr.take()));
    let http = chassis::http_client::build("test").unwrap();
    let visits = wait_for("visitor-analytics", async || {
        assert_eq!(child.try_wait().unwrap(), None, "the process has exited");
        for port in listening_ports(&child) {
            let url = format!("http://127.0.0.1:{port}");
            let Ok(answer) = http.get(format!("{url}/health")).send().await else {
                continue;
            };
            let health: Value = answer.json().await.unwrap_or_default();
            if health["service"] == "visitor-analytics" && health["status"] == "ok" {
                return Some(url);
            }
        }
        None
    })
    .await;
    let token = fs::read_to_string(folder.path().join("token")).unwrap();
    let visit = json!({"url": "https://shop.example/", "ip": "81.2.69.142",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"});
    for _ in 0..50 {
        let path = format!("{visits}/no-such-path");
        assert_eq!(http.get(path).send().await.unwrap().status(), 404);
        let call = http.post(format!("{visits}/visits")).json(&visit);
        let answer = call.bearer_auth(token.trim()).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }
    let metrics = http.get(format!("{visits}/metrics")).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let lost = metrics
        .lines()
        .find_map(|line| line.strip_prefix("log_lines_dropped_total "));
    assert!(lost.unwrap().parse::<u64>().unwrap() >= 50, "{lost:?}");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let status = wait_for("the end", async || child.try_wait().unwrap()).await;
    assert!(status.success(), "{status}");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_log_ends_nothing() {
    check_keeps_running(|| {
        File::options()
            .write(true)
            .open("/dev/full")
            .unwrap()
            .into()
    })
    .await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pipe_under_the_log_ends_nothing() {
    check_keeps_running(Stdio::piped).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_a_request_names_it_and_its_trace_and_repeats_are_counted() {
    let folder = data_folder();
    let system = start(folder.path(), &[]).await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    for n in 0..200 {
        let call = system.get(1, "/no-such-path");
        let call = call.header("x-request-id", format!("request-{n}"));
        let call = call.header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"));
        assert_eq!(call.send().await.unwrap().status(), 404);
    }
    let lines = || -> Vec<Value> {
        let output = system.output();
        let lines = output.lines();
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    };
    let first = wait_for("the first one's line", async || {
        let mut lines = lines().into_iter();
        lines.find(|line| line["request_id"] == "request-0")
    })
    .await;
    assert_eq!(
        (&first["trace_id"], &first["status"]),
        (&json!(trace), &json!(404))
    );
    // The log contains all of them, as a line or in a count.
    wait_for("the others are counted", async || {
        let lines = lines();
        let written = lines.iter().filter(|line| line["status"] == 404).count() as u64;
        let summaries = lines.iter().filter(|line| {
            let text = line["message"].as_str().unwrap_or_default();
            text.contains("more like this") && text.contains("no such path")
        });
        let counted: u64 = summaries.filter_map(|line| line["repeats"].as_u64()).sum();
        assert!(written < 100, "{written} lines");
        (written + counted == 200).then_some(())
    })
    .await;
    assert!(system.stop().await.success());
}
