//! Stops servers that have outlived their launcher.

use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    error::{PostgresError, io_error},
    server::{POLL_INTERVAL, pid_file},
};

/// Stops a server that still runs on a folder. The caller must hold the lock of the folder.
///
/// PostgreSQL itself handles a pid file whose process has exited. If the pid now belongs to another
/// program, PostgreSQL would never start, so the file is deleted.
pub fn stop(data_dir: &Path) -> Result<(), PostgresError> {
    let path = pid_file(data_dir);
    let Ok(bytes) = fs::read(&path) else {
        return Ok(());
    };
    // The file contains the path of the folder, which may not be UTF-8.
    let text = String::from_utf8_lossy(&bytes);
    let Some(pid) = text.lines().next().and_then(|line| line.parse().ok()) else {
        return Ok(());
    };
    let Some(process) = Pid::from_raw(pid).filter(|_| pid > 1) else {
        return Ok(());
    };
    if !is_server_of(process, data_dir) {
        if rustix::process::test_kill_process(process).is_ok() {
            fs::remove_file(&path).map_err(io_error("delete", &path))?;
        }
        return Ok(());
    }
    for (signal, patience) in [(Signal::INT, 20), (Signal::QUIT, 10), (Signal::KILL, 5)] {
        // An error means that the server has exited meanwhile.
        let _ = kill_process(process, signal);
        if wait_for_exit(Duration::from_secs(patience), process, data_dir) {
            return Ok(());
        }
    }
    Err(PostgresError::OrphanedServer {
        pid: pid.cast_unsigned(),
        data_dir: data_dir.to_path_buf(),
    })
}

fn wait_for_exit(patience: Duration, process: Pid, data_dir: &Path) -> bool {
    let start = Instant::now();
    while is_server_of(process, data_dir) {
        if start.elapsed() > patience {
            return false;
        }
        thread::sleep(POLL_INTERVAL);
    }
    true
}

/// Whether a process is the server of this folder, by its command line (see `server::spawn`).
/// A zombie process has no command line.
fn is_server_of(process: Pid, data_dir: &Path) -> bool {
    let pid = process.as_raw_nonzero();
    let line = match fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(line) => line,
        Err(_) => Command::new("ps")
            .args(["-ww", "-o", "command=", "-p", &pid.to_string()])
            .output()
            .map(|said| said.stdout)
            .unwrap_or_default(),
    };
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    line.contains(&format!("postgres -D {} -c", data_dir.display()))
}
