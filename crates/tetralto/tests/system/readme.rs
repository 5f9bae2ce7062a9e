//! The examples of the README: runs each command and compares the response with the README.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::running::{RunningSystem, data_folder, json, start, wait_for};

/// Marks omitted fields in an object of the README.
const OMITTED_FIELDS: &str = "…";

/// The commands that are followed by a response, in order.
fn examples() -> Vec<(String, Value)> {
    let readme = include_str!("../../../../README.md");
    let shell = readme.split("```sh\n").skip(1);
    let examples = shell.filter_map(|rest| {
        let (command, after) = rest.split_once("\n```\n")?;
        let answer = after.trim_start().strip_prefix("```json\n")?;
        let (answer, _) = answer.split_once("\n```")?;
        let answer = answer.replace(OMITTED_FIELDS, &format!("\"{OMITTED_FIELDS}\": null"));
        Some((command.to_owned(), serde_json::from_str(&answer).unwrap()))
    });
    examples.collect()
}

fn run(system: &RunningSystem, folder: &Path, command: &str) -> Value {
    let mut command = command.to_owned();
    for (documented, port) in [8001, 8002, 8003].iter().zip(system.ports) {
        let (from, to) = (
            format!("localhost:{documented}"),
            format!("localhost:{port}"),
        );
        command = command.replace(&from, &to);
    }
    let script = format!("TOKEN=$(cat .tetralto/token)\n{command}");
    let mut bash = Command::new("bash");
    let said = bash
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(folder)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{command}\n{text}"))
}

/// Whether the response equals the one in the README, except for ids, timestamps, latencies and
/// omitted fields. If no fields are omitted, an additional field is a difference.
fn matches_readme(shown: &Value, real: &Value) -> bool {
    match (shown, real) {
        (Value::Object(a), Value::Object(b)) => {
            let field = |(name, value): (&String, &Value)| {
                let other = b.get(name);
                other.is_some_and(|other| name == "latency_ms" || matches_readme(value, other))
            };
            let fields = || a.iter().filter(|(name, _)| *name != OMITTED_FIELDS);
            let has_all_fields = if a.contains_key(OMITTED_FIELDS) {
                fields().count() < b.len()
            } else {
                a.len() == b.len()
            };
            has_all_fields && fields().all(field)
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| matches_readme(a, b))
        }
        (Value::String(a), Value::String(b)) => {
            a == b || (differs_per_run(a) && differs_per_run(b))
        }
        _ => shown == real,
    }
}

/// Ids, hashes and timestamps differ in each run.
fn differs_per_run(text: &str) -> bool {
    let hexadecimal = |c: char| c.is_ascii_hexdigit() || c == '-';
    let id = text.len() >= 32 && text.chars().all(hexadecimal);
    id || text.parse::<chrono::DateTime<chrono::Utc>>().is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_answers_what_it_shows() {
    let folder = data_folder();
    let system = start(&folder.path().join(".tetralto"), &[]).await;
    let examples = examples();
    assert!(examples.len() > 10);
    for (command, shown) in examples {
        let real = run(&system, folder.path(), &command);
        assert!(
            matches_readme(&shown, &real),
            "{command}\nshown {shown}\nreal  {real}"
        );
        // A reader of the README is slower than this test: accepted messages are sent by then.
        wait_for("everything sent", async || {
            let health = json(system.get(2, "/health")).await;
            let detail = health["checks"]["delivery"]["detail"].as_str()?.to_owned();
            detail.starts_with("0 waiting").then_some(())
        })
        .await;
    }
    assert!(system.stop().await.success());
}
