//! `tetralto postgres -- COMMAND`.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// A temporary folder for the test, to check that nothing is left in it.
fn temp_folder() -> tempfile::TempDir {
    tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o711))
        .tempdir()
        .unwrap()
}

fn tetralto(temporary: &Path, script: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tetralto"));
    command
        .args(["postgres", "--", "sh", "-c", script])
        .env("TMPDIR", temporary);
    command
}

fn run(temporary: &Path, script: &str) -> Output {
    tetralto(temporary, script).output().unwrap()
}

/// Starts a command whose script prints `ready`, and waits for that line.
fn start(temporary: &Path, script: &str) -> Child {
    let mut child = tetralto(temporary, script)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.as_mut().unwrap());
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "timeout while waiting for: {what}"
        );
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_command_has_a_database_that_is_gone_afterwards() {
    let folder = temp_folder();
    let output = run(folder.path(), r#"psql "$DATABASE_URL" -XAtc 'select 1'"#);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"1\n");
    assert_eq!(entries(folder.path()), [] as [&Path; 0]);
}

#[test]
fn the_exit_code_is_the_commands() {
    let folder = temp_folder();
    assert_eq!(run(folder.path(), "exit 7").status.code(), Some(7));
    assert_eq!(run(folder.path(), "kill -9 $$").status.code(), Some(137));
    assert_eq!(entries(folder.path()), [] as [&Path; 0]);
}

#[test]
fn a_command_that_does_not_exist_is_named() {
    let folder = temp_folder();
    let output = Command::new(env!("CARGO_BIN_EXE_tetralto"))
        .args(["postgres", "--", "no-such-command"])
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no-such-command"), "{said}");
    assert_eq!(entries(folder.path()), [] as [&Path; 0]);
}

#[test]
fn signals_are_passed_on_and_everything_is_cleared_away() {
    for (signal, script) in [
        (
            Signal::TERM,
            "trap 'exit 3' TERM; echo ready; while :; do sleep 0.1; done",
        ),
        (
            Signal::INT,
            "trap 'exit 3' INT; echo ready; while :; do sleep 0.1; done",
        ),
    ] {
        let folder = temp_folder();
        let mut child = start(folder.path(), script);
        send(&child, signal);
        assert_eq!(child.wait().unwrap().code(), Some(3));
        assert_eq!(entries(folder.path()), [] as [&Path; 0]);
    }
}

/// On other systems than Linux, the server outlives its launcher until the next start.
#[cfg(target_os = "linux")]
#[test]
fn killing_the_launcher_ends_the_server() {
    let folder = temp_folder();
    let mut child = start(folder.path(), "echo ready; exec sleep 1000");
    let mut found = entries(folder.path()).into_iter();
    let pid_file = found
        .find_map(|entry| Some(entry.join("postgres/postmaster.pid")).filter(|file| file.exists()))
        .unwrap();

    send(&child, Signal::KILL);
    child.wait().unwrap();
    // The last step of a regular shutdown removes this file.
    wait_until("the server has ended", || !pid_file.exists());

    let output = run(folder.path(), r#"psql "$DATABASE_URL" -XAtc 'select 1'"#);
    assert_eq!(output.stdout, b"1\n");
}

#[test]
fn a_machine_without_postgresql_is_told_what_to_do() {
    let folder = temp_folder();
    let output = tetralto(folder.path(), "true")
        .env("TETRALTO_POSTGRES_BIN", folder.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("TETRALTO_POSTGRES_BIN"), "{said}");
}
