//! What the shell says about this machine: where programs are, and who called `sudo`.
#![expect(
    clippy::disallowed_methods,
    reason = "facts about the machine, not settings of the system"
)]

use std::{env, ffi::OsString, path::PathBuf};

/// The folder of PostgreSQL's programs, where somebody has chosen one.
pub fn chosen_programs() -> Option<PathBuf> {
    env::var_os("TETRALTO_POSTGRES_BIN").map(PathBuf::from)
}

/// `PATH`.
pub fn search_path() -> OsString {
    env::var_os("PATH").unwrap_or_default()
}

/// The user and group that called `sudo` (sudo(8)).
pub fn sudo_caller() -> Option<(u32, u32)> {
    let number = |name| env::var(name).ok()?.parse().ok();
    Some((number("SUDO_UID")?, number("SUDO_GID")?))
}
