//! Errors of the private cluster. Each message says what to do.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitStatus,
};

#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    #[error(
        "PostgreSQL is not installed: install it with `apt-get install postgresql` (Debian), \
         `dnf install postgresql-server` (Fedora) or `brew install postgresql@18` (macOS), \
         or set DATABASE_URL to use an existing server"
    )]
    NotInstalled,

    #[error(
        "TETRALTO_POSTGRES_BIN is {0}, but this folder has no working initdb and postgres: \
         set it to the folder of PostgreSQL's programs, or unset it"
    )]
    MissingPrograms(PathBuf),

    #[error(
        "the database in {data_dir} was created by PostgreSQL {needed}, but this machine has \
         {found}: install PostgreSQL {needed}, or move the folder away to start with an empty \
         database"
    )]
    VersionMismatch {
        data_dir: PathBuf,
        /// The major version that created the cluster.
        needed: u32,
        /// The installed versions, separated by commas.
        found: String,
    },

    /// Another process holds the lock.
    #[error("another tetralto is using {0}: stop it first")]
    AlreadyRunning(PathBuf),

    /// A server has outlived its launcher and cannot be stopped.
    #[error(
        "a PostgreSQL of an earlier start (process {pid}) still uses {data_dir} and does not \
         stop: end this process, then try again"
    )]
    OrphanedServer { pid: u32, data_dir: PathBuf },

    /// This process is root, and no other account was found.
    #[error(
        "PostgreSQL does not run as root, and this machine has neither a user `postgres` nor a \
         user `nobody`: start tetralto as another user"
    )]
    NoAccount,

    /// The socket folder exists and other users can reach it.
    #[error("{0} belongs to another user or is accessible to others: delete it, or set TMPDIR")]
    NotPrivate(PathBuf),

    /// A program of PostgreSQL exited with an error.
    #[error("{program} failed ({status}):\n{output}")]
    ProgramFailed {
        program: PathBuf,
        status: ExitStatus,
        /// The last lines of the output.
        output: String,
    },

    /// The server runs but does not accept connections.
    #[error("PostgreSQL was not ready after {seconds} seconds:\n{output}")]
    StartTimeout {
        seconds: u64,
        /// The last lines of the output.
        output: String,
    },

    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// A verb, such as `open`.
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

/// Adds the attempted action and the path to an I/O error, for `map_err`.
pub fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PostgresError {
    move |source| PostgresError::Io {
        action,
        path: path.to_path_buf(),
        source,
    }
}

/// Returns the last 20 lines of a program's output.
pub fn last_lines(output: &[u8]) -> String {
    const LINES: usize = 20;
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
