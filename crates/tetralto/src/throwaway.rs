//! `tetralto postgres -- COMMAND`: a command with a database of its own, gone afterwards.

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

/// Runs a command with `DATABASE_URL` set to a new, empty database, and with PostgreSQL's
/// programs (`psql` among them) at the end of `PATH`. Returns the command's exit code, 128 + n
/// when signal n ended it. Must be called on the main thread. The first word is the program.
pub fn run(words: &[OsString], durable: bool) -> anyhow::Result<ExitCode> {
    let (program, arguments) = words.split_first().context("no command is given")?;
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
    // Listened for from here on, so that a signal during the start does not leave the folder.
    let mut signals = TerminationSignals::listen()?;
    let folder = tempfile::Builder::new()
        .prefix("tetralto-")
        // Root's cluster belongs to another account, which passes through.
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
            signal = signals.next() => pass_on(signal, &child),
        }
    };
    cluster.remove()?;
    Ok(exit_code(status))
}

/// The signals that end a program.
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

/// Hands a signal to the command; what it does with it is its own affair.
fn pass_on(signal: Signal, child: &Child) {
    let on_terminal = stdin().is_terminal() || stdout().is_terminal() || stderr().is_terminal();
    if signal == Signal::INT && on_terminal {
        // Ctrl-C went to the command as well.
        return;
    }
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    if let Some(pid) = pid {
        // It has not been waited for; if it has just ended, nothing is lost.
        let _ = kill_process(pid, signal);
    }
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}
