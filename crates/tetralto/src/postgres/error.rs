//! What can keep a cluster from starting, said so that the reader knows what to do.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitStatus,
};

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// Nothing on this machine holds both `initdb` and `postgres`.
    #[error(
        "PostgreSQL is not installed: install it with `apt-get install postgresql` (Debian), \
         `dnf install postgresql-server` (Fedora) or `brew install postgresql@18` (macOS), \
         or set DATABASE_URL to a server that runs elsewhere"
    )]
    NotInstalled,

    /// `TETRALTO_POSTGRES_BIN` was set to a folder without them.
    #[error("TETRALTO_POSTGRES_BIN is {0}, where no working initdb and postgres are")]
    NoPrograms(PathBuf),

    /// The cluster needs the major version that made it.
    #[error(
        "the database in {data_dir} was made by PostgreSQL {needed}, but this machine has {found}: \
         install PostgreSQL {needed}, or move that folder away to start with an empty database"
    )]
    OtherVersion {
        /// The existing cluster.
        data_dir: PathBuf,
        /// The major version it needs.
        needed: u32,
        /// The versions found, separated by commas.
        found: String,
    },

    /// Another process holds the lock.
    #[error("another tetralto is running on {0}: stop it first")]
    InUse(PathBuf),

    /// A server outlived its launcher and does not end.
    #[error("an earlier PostgreSQL (process {pid}) still runs on {data_dir} and does not stop")]
    Orphan {
        /// The process that should end.
        pid: u32,
        /// The cluster it holds.
        data_dir: PathBuf,
    },

    /// PostgreSQL refuses root, and there is nobody else.
    #[error(
        "PostgreSQL does not run as root, and this machine knows neither the user `postgres` \
         nor `nobody`: start tetralto as another user"
    )]
    NoAccount,

    /// The folder of the socket exists and somebody else can reach it.
    #[error("{0} belongs to somebody else or is open to others: delete it, or set TMPDIR")]
    NotPrivate(PathBuf),

    /// A program of PostgreSQL's ended when it should not have.
    #[error("{program} failed ({status}):\n{output}")]
    Failed {
        /// The program that was run.
        program: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// The last lines it wrote.
        output: String,
    },

    /// The server runs but does not take connections.
    #[error("PostgreSQL did not come up in {seconds} seconds:\n{output}")]
    TooSlow {
        /// How long was waited.
        seconds: u64,
        /// The last lines it wrote.
        output: String,
    },

    /// The operating system refused something.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Says what was tried with which path, for `map_err`.
pub fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PostgresError {
    move |source| PostgresError::Io {
        action,
        path: path.to_path_buf(),
        source,
    }
}

/// The end of a program's output: what is worth showing of it.
pub fn last_lines(output: &[u8]) -> String {
    const LINES: usize = 20;
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
