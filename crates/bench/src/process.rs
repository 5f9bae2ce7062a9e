//! Processes that are measured: started, asked what they used, stopped.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A process with a port.
pub struct MeasuredProcess {
    child: Child,
    /// Where it listens.
    pub port: u16,
}

impl Drop for MeasuredProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl MeasuredProcess {
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

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Processor time used so far.
    #[must_use]
    pub fn cpu(&self) -> CpuTime {
        CpuTime::of(self.child.id())
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

/// Processor time of a process, its children that have ended included.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuTime {
    /// In the program.
    pub user: Duration,
    /// In the kernel for it, where the network's work is done.
    pub system: Duration,
}

impl CpuTime {
    /// Used so far by the process with this number; nothing where there is none.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name before may hold anything.
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

    /// The same of a process and its children, such as a database server's.
    #[must_use]
    pub fn of_family(pid: u32) -> Self {
        let processes = fs::read_dir("/proc").unwrap();
        let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let children = pids.filter(|child| parent(*child) == Some(pid));
        children.map(Self::of).fold(Self::of(pid), |sum, one| Self {
            user: sum.user + one.user,
            system: sum.system + one.system,
        })
    }

    /// Both together.
    #[must_use]
    pub fn total(self) -> Duration {
        self.user + self.system
    }

    /// What was used after `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            user: self.user.saturating_sub(before.user),
            system: self.system.saturating_sub(before.system),
        }
    }
}

/// The number of the process that started this one; `None` where there is none.
#[must_use]
pub fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
}

/// A port that nobody listens on.
///
/// On Linux a socket that does not listen reserves it until this process ends: the system gives it
/// to nobody else, a process that names it can listen on it (as servers do, with `SO_REUSEADDR`), and
/// until then connections are refused.
#[must_use]
pub fn free_port() -> u16 {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    // On every address: a server that listens on all would meet those who bound another one.
    let everywhere = std::net::Ipv4Addr::UNSPECIFIED;
    socket.bind((everywhere, 0).into()).unwrap();
    let port = socket.local_addr().unwrap().port();
    if cfg!(target_os = "linux") {
        std::mem::forget(socket);
    }
    port
}
