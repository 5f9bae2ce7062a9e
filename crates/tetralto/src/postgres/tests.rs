//! Starts, kills and restarts clusters.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::{
    fs::{FlockOperation, flock},
    process::{Pid, Signal, kill_process},
};

use super::{Cluster, ClusterOptions, PostgresError, server::pid_file};

fn start(data_dir: &Path) -> Result<Cluster, PostgresError> {
    Cluster::start(&ClusterOptions {
        data_dir: data_dir.to_path_buf(),
        durable: true,
    })
}

/// A folder that the account of the cluster can enter.
fn temp_folder() -> tempfile::TempDir {
    tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o711))
        .tempdir()
        .unwrap()
}

/// Runs a statement with `psql` and returns its output.
fn run_sql(cluster: &Cluster, statement: &str) -> String {
    let said = Command::new(cluster.binaries.program("psql"))
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"])
        .args(["-c", statement, &cluster.url()])
        .output()
        .unwrap();
    assert!(said.status.success(), "{statement}: {said:?}");
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

fn kill(cluster: &Cluster) {
    let text = fs::read_to_string(pid_file(cluster.data_dir())).unwrap();
    let pid = text.lines().next().unwrap().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn what_was_written_is_there_after_a_stop_and_after_a_kill() {
    let folder = temp_folder();
    let data_dir = folder.path().join("data").join("postgres");

    let cluster = start(&data_dir).unwrap();
    assert_eq!(run_sql(&cluster, "show server_encoding"), "UTF8");
    assert_eq!(run_sql(&cluster, "show listen_addresses"), "");
    assert_eq!(run_sql(&cluster, "show fsync"), "on");
    assert_eq!(
        run_sql(&cluster, "select lower('É') || current_user"),
        "étetralto"
    );
    assert!(run_sql(&cluster, "show server_version").starts_with(cluster.version()));
    run_sql(&cluster, "create table kept (n int)");
    run_sql(&cluster, "insert into kept values (1)");
    cluster.stop();
    assert!(!pid_file(&data_dir).exists());

    let cluster = start(&data_dir).unwrap();
    run_sql(&cluster, "insert into kept values (2)");
    kill(&cluster);
    drop(cluster);

    let cluster = start(&data_dir).unwrap();
    assert_eq!(run_sql(&cluster, "select sum(n) from kept"), "3");
}

#[test]
fn a_second_launcher_is_refused_and_the_first_goes_on() {
    let folder = temp_folder();
    let data_dir = folder.path().join("postgres");
    let first = start(&data_dir).unwrap();
    assert!(matches!(
        start(&data_dir),
        Err(PostgresError::AlreadyRunning(_))
    ));
    assert_eq!(run_sql(&first, "select 1"), "1");
}

#[test]
fn a_server_that_outlived_its_launcher_is_replaced() {
    let folder = temp_folder();
    let data_dir = folder.path().join("postgres");
    let first = start(&data_dir).unwrap();
    // Simulates kill -9 of the launcher on a system without parent-death signals.
    flock(&first.lock.0, FlockOperation::Unlock).unwrap();
    std::mem::forget(first);

    let second = start(&data_dir).unwrap();
    assert_eq!(run_sql(&second, "select 1"), "1");
}

#[test]
fn a_process_that_came_by_the_servers_number_does_not_block() {
    let folder = temp_folder();
    let data_dir = folder.path().join("postgres");
    start(&data_dir).unwrap().stop();
    let ours = std::process::id();
    fs::write(pid_file(&data_dir), format!("{ours}\n")).unwrap();

    let cluster = start(&data_dir).unwrap();
    assert_eq!(run_sql(&cluster, "select 1"), "1");
}

#[test]
fn an_interrupted_first_start_is_begun_again() {
    let folder = temp_folder();
    let data_dir = folder.path().join("postgres");
    let half = folder.path().join("postgres.new");
    fs::create_dir(&half).unwrap();
    fs::write(half.join("PG_VERSION"), "").unwrap();
    assert_eq!(run_sql(&start(&data_dir).unwrap(), "select 1"), "1");
}

#[test]
fn a_folder_with_a_long_name_works() {
    let folder = temp_folder();
    let deep: PathBuf = [&"d".repeat(60), &"e f'%".repeat(12), "postgres"]
        .iter()
        .collect();
    let cluster = start(&folder.path().join(deep)).unwrap();
    assert_eq!(run_sql(&cluster, "select 1"), "1");
}

#[test]
fn a_folder_only_its_owner_can_enter_works() {
    let folder = temp_folder();
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let data_dir = closed.join("postgres");

    let cluster = start(&data_dir).unwrap();
    assert_eq!(run_sql(&cluster, "select 1"), "1");
    let moved = rustix::process::geteuid().is_root();
    assert_eq!(cluster.data_dir() != data_dir, moved);
    cluster.remove().unwrap();
    assert!(!data_dir.exists());
}

#[test]
fn a_start_that_fails_says_what_the_server_said() {
    let folder = temp_folder();
    let data_dir = folder.path().join("postgres");
    start(&data_dir).unwrap().stop();
    fs::write(
        data_dir.join("postgresql.auto.conf"),
        "no_such_setting = 1\n",
    )
    .unwrap();
    let error = start(&data_dir).err().unwrap().to_string();
    assert!(error.contains("no_such_setting"), "{error}");
}
