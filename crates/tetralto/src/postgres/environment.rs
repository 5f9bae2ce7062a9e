//! Environment variables about this machine.
#![expect(
    clippy::disallowed_methods,
    reason = "these variables describe the machine and are not settings of the system"
)]

use std::{env, ffi::OsString, path::PathBuf};

/// The folder of PostgreSQL's programs, if the user has chosen one.
pub fn postgres_bin_override() -> Option<PathBuf> {
    env::var_os("TETRALTO_POSTGRES_BIN").map(PathBuf::from)
}

pub fn search_path() -> OsString {
    env::var_os("PATH").unwrap_or_default()
}

/// User and group id of the caller of `sudo` (sudo(8)).
pub fn sudo_caller() -> Option<(u32, u32)> {
    let number = |name| env::var(name).ok()?.parse().ok();
    Some((number("SUDO_UID")?, number("SUDO_GID")?))
}
