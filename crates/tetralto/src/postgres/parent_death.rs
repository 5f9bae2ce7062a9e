//! Ends a child process together with this process, so that kill -9 leaves no orphan.

use std::process::Command;

use rustix::process::Signal;

/// Makes the kernel send `signal` to the child when the thread that spawns it ends for any reason.
/// Only Linux supports this; elsewhere the next start stops the orphan.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "pre_exec is unsafe to call")]
pub fn end_with_parent(command: &mut Command, signal: Signal) {
    use std::{io, os::unix::process::CommandExt as _};

    use rustix::process::{getpid, getppid, set_parent_process_death_signal};

    let parent = getpid();
    let tie = move || {
        set_parent_process_death_signal(Some(signal))?;
        // The parent may have ended before the signal was set.
        if getppid() == Some(parent) {
            Ok(())
        } else {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    };
    // SAFETY: the closure runs in the child between fork and exec, where only what is safe in a
    // signal handler may be called: it makes two system calls and neither allocates nor locks.
    unsafe {
        command.pre_exec(tie);
    }
}

/// Does nothing on this platform: the next start stops the orphan.
#[cfg(not(target_os = "linux"))]
pub fn end_with_parent(_command: &mut Command, _signal: Signal) {}
