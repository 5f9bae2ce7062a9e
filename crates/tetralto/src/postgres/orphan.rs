//! Servers that outlived their launcher.

use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    error::{PostgresError, at},
    server::{POLL_INTERVAL, pid_file},
};

/// Ends the server that still runs on a folder whose lock is ours, or is still ending.
///
/// A file that names a process which has ended is left to PostgreSQL. One that names a live
/// process which is something else (numbers come round again) would block PostgreSQL for good.
pub fn stop(data_dir: &Path) -> Result<(), PostgresError> {
    let path = pid_file(data_dir);
    let Ok(bytes) = fs::read(&path) else {
        return Ok(());
    };
    // The folder's name stands in it, which need not be UTF-8.
    let text = String::from_utf8_lossy(&bytes);
    let Some(pid) = text.lines().next().and_then(|line| line.parse().ok()) else {
        return Ok(());
    };
    let Some(process) = Pid::from_raw(pid).filter(|_| pid > 1) else {
        return Ok(());
    };
    if !serves(process, data_dir) {
        if rustix::process::test_kill_process(process).is_ok() {
            fs::remove_file(&path).map_err(at("delete", &path))?;
        }
        return Ok(());
    }
    for (signal, patience) in [(Signal::INT, 20), (Signal::QUIT, 10), (Signal::KILL, 5)] {
        // It may have ended meanwhile, which is what is wanted.
        let _ = kill_process(process, signal);
        if ends_within(Duration::from_secs(patience), process, data_dir) {
            return Ok(());
        }
    }
    Err(PostgresError::Orphan {
        pid: pid.cast_unsigned(),
        data_dir: data_dir.to_path_buf(),
    })
}

fn ends_within(patience: Duration, process: Pid, data_dir: &Path) -> bool {
    let start = Instant::now();
    while serves(process, data_dir) {
        if start.elapsed() > patience {
            return false;
        }
        thread::sleep(POLL_INTERVAL);
    }
    true
}

/// Whether a process is the server of this folder, by its command line (see `server::start`).
/// One that ended and was not waited for has none.
fn serves(process: Pid, data_dir: &Path) -> bool {
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
