//! Metrics of the process from `/proc` (proc(5)). Missing on systems other than Linux.

use std::fs;

/// Unit of times in `/proc/self/stat` (`USER_HZ`, 100 on every Linux).
const TICKS_PER_SECOND: f64 = 100.0;

/// Sets the metrics of the process.
pub(super) fn observe() {
    if let Some((cpu, started_at)) = cpu_and_start_time() {
        metrics::counter!("process_cpu_seconds_total").absolute(cpu);
        metrics::gauge!("process_start_time_seconds").set(started_at);
    }
    if let Some(bytes) = resident_bytes() {
        metrics::gauge!("process_resident_memory_bytes").set(bytes);
    }
    // Reading the directory opens one descriptor itself.
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        metrics::gauge!("process_open_fds").set(open.count().saturating_sub(1) as f64);
    }
    if let Some(most) = max_descriptors() {
        metrics::gauge!("process_max_fds").set(most);
    }
}

/// Returns the used CPU time in seconds, and the start time as a Unix timestamp.
fn cpu_and_start_time() -> Option<(u64, f64)> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the process may contain spaces and parentheses.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let cpu = (field(14)? + field(15)?) as f64 / TICKS_PER_SECOND;
    let system = fs::read_to_string("/proc/stat").ok()?;
    let booted = system
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?;
    let booted: f64 = booted.trim().parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "CPU seconds are positive and fit"
    )]
    let cpu = cpu as u64;
    Some((cpu, booted + field(22)? as f64 / TICKS_PER_SECOND))
}

fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes * 1_024.0)
}

fn max_descriptors() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
