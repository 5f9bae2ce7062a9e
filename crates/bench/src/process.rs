//! Processes that are measured: started, asked what they used, stopped.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A process with a port.
pub struct Process {
    child: Child,
    /// Where it listens.
    pub port: u16,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts it and waits until it listens.
    pub async fn start(mut command: Command, port: u16) -> Self {
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        let mut process = Self { child, port };
        while tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
        {
            let ended = process.child.try_wait().unwrap();
            assert!(ended.is_none(), "{command:?} ended: {ended:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        process
    }

    /// Processor time used so far.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        process_time(self.child.id())
    }

    /// Resident memory now, in MB (10⁶ bytes).
    #[must_use]
    pub fn memory(&self) -> f64 {
        self.status("VmRSS")
    }

    /// The most resident memory so far, in MB.
    #[must_use]
    pub fn peak_memory(&self) -> f64 {
        self.status("VmHWM")
    }

    fn status(&self, name: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        let kibibytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kibibytes * 1024.0 / 1e6
    }
}

/// proc(5): fields 14 to 17 of `stat` are ticks of 10 ms, children that have ended included.
#[must_use]
pub fn process_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before may hold anything.
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = fields.split(' ').skip(11).take(4);
    let ticks = ticks.map(|field| field.parse::<u64>().unwrap_or(0));
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

/// A port that nobody listens on.
#[must_use]
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
