//! `tetralto postgres -- COMMAND`: runs a command with a temporary database.

use std::{
    ffi::OsString,
    fs::Permissions,
    io::{IsTerminal as _, stderr, stdin, stdout},
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    process::{Command, ExitCode, ExitStatus},
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::Child,
    signal::unix::{self, SignalKind},
};

use crate::postgres::{Cluster, ClusterOptions, end_with_parent};

/// Runs a command with `DATABASE_URL` set to a new, empty database and with PostgreSQL's programs,
/// such as `psql`, at the end of `PATH`. The first word is the program.
///
/// Returns the exit code of the command, or 128 + n if signal n ended it. Must be called on the
/// main thread.
pub fn run(words: &[OsString], durable: bool) -> anyhow::Result<ExitCode> {
    let (program, arguments) = words.split_first().context("no command given")?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(run_in_runtime(program, arguments, durable))
}

async fn run_in_runtime(
    program: &OsString,
    arguments: &[OsString],
    durable: bool,
) -> anyhow::Result<ExitCode> {
    // Register the handlers first: a signal during the start must not leave the folder behind.
    let mut signals = TerminationSignals::listen()?;
    let folder = tempfile::Builder::new()
        .prefix("tetralto-")
        // If this process is root, the cluster runs as another account, which must enter the
        // folder.
        .permissions(Permissions::from_mode(0o711))
        .tempdir()?;
    let cluster = Cluster::start(&ClusterOptions {
        data_dir: folder.path().join("postgres"),
        durable,
    })?;

    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("DATABASE_URL", cluster.url())
        .env("PATH", cluster.search_path()?);
    end_with_parent(&mut command, Signal::TERM);
    let mut child = tokio::process::Command::from(command)
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))?;

    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            signal = signals.next() => forward_signal(signal, &child),
        }
    };
    cluster.remove()?;
    Ok(exit_code(status))
}

struct TerminationSignals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hang_up: unix::Signal,
}

impl TerminationSignals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: unix::signal(SignalKind::interrupt())?,
            terminate: unix::signal(SignalKind::terminate())?,
            hang_up: unix::signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.hang_up.recv() => Signal::HUP,
        }
    }
}

/// Forwards a signal to the command.
fn forward_signal(signal: Signal, child: &Child) {
    let on_terminal = stdin().is_terminal() || stdout().is_terminal() || stderr().is_terminal();
    if signal == Signal::INT && on_terminal {
        // The terminal has sent Ctrl-C to the command as well.
        return;
    }
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    if let Some(pid) = pid {
        // The child has not been waited for, so its pid is still valid. An error means that the
        // child has just exited.
        let _ = kill_process(pid, signal);
    }
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}
