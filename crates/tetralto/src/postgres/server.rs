//! Starts and stops the server process.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::{fs::OpenOptionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    account::{OsAccount, change_owner},
    data_dir::sibling,
    error::{PostgresError, io_error, last_lines},
    parent_death::end_with_parent,
};

pub const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Bound on a start, including the recovery after a crash.
const START_TIMEOUT: Duration = Duration::from_mins(2);
/// Bound on the time until the processes of a killed server have released its shared memory.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(10);
/// A start truncates a log that is larger.
const MAX_LOG_BYTES: u64 = 10 << 20;

/// The last two settings keep personal data out of the log: rows in error details, and values in
/// statements.
const SERVER_SETTINGS: [&str; 11] = [
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "port=5432",
    "shared_buffers=64MB",
    "max_connections=500",
    "max_wal_size=1GB",
    "jit=off",
    "timezone=UTC",
    "log_timezone=UTC",
    "log_error_verbosity=terse",
    "log_min_error_statement=panic",
];
const NON_DURABLE_SETTINGS: [&str; 3] = [
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
];

pub struct ServerOptions<'a> {
    /// Path of `postgres`.
    pub program: &'a Path,
    pub data_dir: &'a Path,
    pub socket_dir: &'a Path,
    /// Whether commits are flushed to disk.
    pub durable: bool,
    /// The account to switch to, if this process is root.
    pub account: Option<OsAccount>,
}

/// A running server. Dropping it stops the server and waits until it has exited.
pub struct ServerProcess(Child);

impl ServerProcess {
    pub fn has_exited(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for ServerProcess {
    /// Tries a fast shutdown (transactions are rolled back), then an immediate shutdown (the next
    /// start runs recovery), then SIGKILL.
    fn drop(&mut self) {
        for (signal, patience) in [(Signal::INT, 30), (Signal::QUIT, 10)] {
            if self.has_exited() {
                return;
            }
            // The child has not been waited for, so its pid is still valid.
            let _ = kill_process(Pid::from_child(&self.0), signal);
            let start = Instant::now();
            while !self.has_exited() && start.elapsed() < Duration::from_secs(patience) {
                thread::sleep(POLL_INTERVAL);
            }
        }
        if !self.has_exited() {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// Starts a server and returns when it accepts connections.
pub fn start(start: &ServerOptions) -> Result<ServerProcess, PostgresError> {
    let begun = Instant::now();
    loop {
        let mut log = ServerLog::open(start)?;
        let mut server = ServerProcess(spawn(start, &log)?);
        match wait_until_ready(&mut server, start.data_dir) {
            Ok(None) => return Ok(server),
            Ok(Some(status)) => {
                let output = log.output_since_start();
                if begun.elapsed() > RELEASE_TIMEOUT || !is_held_by_predecessor(&output) {
                    return Err(PostgresError::ProgramFailed {
                        program: start.program.to_path_buf(),
                        status,
                        output,
                    });
                }
                thread::sleep(POLL_INTERVAL * 10);
            }
            Err(source) => {
                drop(server);
                if source.kind() != io::ErrorKind::TimedOut {
                    return Err(io_error("wait for", start.program)(source));
                }
                return Err(PostgresError::StartTimeout {
                    seconds: START_TIMEOUT.as_secs(),
                    output: log.output_since_start(),
                });
            }
        }
    }
}

/// Whether the server failed because processes of an earlier server still hold its resources.
fn is_held_by_predecessor(output: &str) -> bool {
    output.contains("lock file") || output.contains("pre-existing shared memory block")
}

/// Prepares a PostgreSQL command. It runs in its own process group, so that Ctrl-C reaches only the
/// launcher, and ends together with the launcher.
pub fn postgres_command(program: &Path, account: Option<OsAccount>) -> Command {
    let mut command = Command::new(program);
    // The account may not be able to enter the current folder. On macOS an invalid locale prevents
    // the start.
    command.current_dir("/").env("LC_ALL", "C").process_group(0);
    if let Some(account) = account {
        account.apply(&mut command);
    }
    end_with_parent(&mut command, Signal::INT);
    command
}

fn spawn(start: &ServerOptions, log: &ServerLog) -> Result<Child, PostgresError> {
    let mut socket = std::ffi::OsString::from("unix_socket_directories=");
    socket.push(start.socket_dir);
    let not_durable = if start.durable {
        &[][..]
    } else {
        &NON_DURABLE_SETTINGS
    };

    let mut command = postgres_command(start.program, start.account);
    command
        .arg("-D")
        .arg(start.data_dir)
        .arg("-c")
        .arg(socket)
        .args(
            SERVER_SETTINGS
                .iter()
                .chain(not_durable)
                .flat_map(|s| ["-c", s]),
        )
        .stdin(Stdio::null())
        .stdout(log.handle()?)
        .stderr(log.handle()?);
    command.spawn().map_err(io_error("run", start.program))
}

/// Waits until the server is ready (`None`) or has exited.
fn wait_until_ready(server: &mut ServerProcess, data_dir: &Path) -> io::Result<Option<ExitStatus>> {
    let begun = Instant::now();
    while begun.elapsed() < START_TIMEOUT {
        if let Some(status) = server.0.try_wait()? {
            return Ok(Some(status));
        }
        if is_ready(data_dir, server.0.id()) {
            return Ok(None);
        }
        thread::sleep(POLL_INTERVAL);
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Reads the pid file like `pg_ctl`: line 1 is the pid, line 8 the state of the server
/// (`LOCK_FILE_LINE_PM_STATUS` in PostgreSQL's `pidfile.h`).
fn is_ready(data_dir: &Path, pid: u32) -> bool {
    // The file contains the path of the folder, which may not be UTF-8.
    let bytes = fs::read(pid_file(data_dir)).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines().map(str::trim);
    lines.next() == Some(&pid.to_string()) && lines.nth(6) == Some("ready")
}

/// The file that holds the pid of a running server.
pub fn pid_file(data_dir: &Path) -> PathBuf {
    data_dir.join("postmaster.pid")
}

struct ServerLog {
    file: File,
    path: PathBuf,
    /// Offset at which the output of this start begins.
    start_offset: u64,
}

impl ServerLog {
    fn open(start: &ServerOptions) -> Result<Self, PostgresError> {
        let path = sibling(start.data_dir, "log");
        let file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(io_error("open", &path))?;
        change_owner(&path, start.account)?;
        let mut begin = file
            .metadata()
            .map_err(io_error("read the metadata of", &path))?
            .len();
        if begin > MAX_LOG_BYTES {
            file.set_len(0).map_err(io_error("truncate", &path))?;
            begin = 0;
        }
        Ok(Self {
            file,
            path,
            start_offset: begin,
        })
    }

    fn handle(&self) -> Result<File, PostgresError> {
        self.file.try_clone().map_err(io_error("open", &self.path))
    }

    fn output_since_start(&mut self) -> String {
        let mut output = Vec::new();
        let read = self
            .file
            .seek(SeekFrom::Start(self.start_offset))
            .and_then(|_| (&self.file).take(1 << 20).read_to_end(&mut output));
        match read {
            Ok(_) => last_lines(&output),
            Err(error) => format!("(cannot read {}: {error})", self.path.display()),
        }
    }
}
