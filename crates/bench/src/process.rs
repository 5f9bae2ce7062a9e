//! Starts processes and measures their CPU time and memory.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A server process. Dropping it kills the process.
pub struct MeasuredProcess {
    child: Child,
    pub port: u16,
}

impl Drop for MeasuredProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl MeasuredProcess {
    /// Starts the process and waits until it listens on `port`.
    pub async fn start(mut command: Command, port: u16) -> Self {
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        let mut process = Self { child, port };
        while tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
        {
            let ended = process.child.try_wait().unwrap();
            assert!(ended.is_none(), "{command:?} exited: {ended:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        process
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// CPU time so far.
    #[must_use]
    pub fn cpu(&self) -> CpuTime {
        CpuTime::of_process(self.child.id())
    }

    /// Resident memory in MB (10⁶ bytes).
    #[must_use]
    pub fn memory_mb(&self) -> f64 {
        self.status_mb("VmRSS")
    }

    /// Peak resident memory in MB.
    #[must_use]
    pub fn peak_memory_mb(&self) -> f64 {
        self.status_mb("VmHWM")
    }

    fn status_mb(&self, name: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        let kibibytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kibibytes * 1024.0 / 1e6
    }
}

/// CPU time of a process, including its children that have exited.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuTime {
    pub user: Duration,
    /// Time in the kernel, such as for networking.
    pub system: Duration,
}

impl CpuTime {
    /// CPU time so far of the process `pid`. Zero if there is no such process.
    #[must_use]
    pub fn of_process(pid: u32) -> Self {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name of the process comes first and may contain any characters.
        let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        // proc(5): fields 14 to 17 are ticks of 10 ms.
        let ticks = fields.split(' ').skip(11).take(4);
        let ticks: Vec<u64> = ticks.map(|field| field.parse().unwrap_or(0)).collect();
        let time = |own: usize| {
            let count = |n: usize| ticks.get(n).copied().unwrap_or(0);
            Duration::from_millis((count(own) + count(own + 2)) * 10)
        };
        Self {
            user: time(0),
            system: time(1),
        }
    }

    /// CPU time so far of a process and its children, such as those of a database server.
    #[must_use]
    pub fn of_process_tree(pid: u32) -> Self {
        let processes = fs::read_dir("/proc").unwrap();
        let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let children = pids.filter(|child| parent_pid(*child) == Some(pid));
        children
            .map(Self::of_process)
            .fold(Self::of_process(pid), |sum, one| Self {
                user: sum.user + one.user,
                system: sum.system + one.system,
            })
    }

    #[must_use]
    pub fn total(self) -> Duration {
        self.user + self.system
    }

    /// CPU time since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            user: self.user.saturating_sub(before.user),
            system: self.system.saturating_sub(before.system),
        }
    }
}

/// Returns the pid of the parent process. `None` if there is no process `pid`.
#[must_use]
pub fn parent_pid(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
}

/// Returns a free port.
///
/// On Linux a bound socket that does not listen reserves the port until this process exits: the
/// kernel assigns it to no other socket, connections are refused, and a server with `SO_REUSEADDR`
/// can still listen on it.
#[must_use]
pub fn free_port() -> u16 {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    // Bind to all addresses: a server that listens on all of them would conflict with a socket
    // bound to a single one.
    let everywhere = std::net::Ipv4Addr::UNSPECIFIED;
    socket.bind((everywhere, 0).into()).unwrap();
    let port = socket.local_addr().unwrap().port();
    if cfg!(target_os = "linux") {
        std::mem::forget(socket);
    }
    port
}
