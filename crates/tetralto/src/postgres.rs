//! A private PostgreSQL cluster that runs the PostgreSQL binaries of this machine.
//!
//! The cluster has no TCP port. Clients connect through a Unix socket in a folder that only the
//! account of the cluster (and root) can enter; therefore the cluster needs no password.
//!
//! All functions block. Call them on the main thread: on Linux the server is shut down when the
//! *thread* that started it ends.

mod account;
mod binaries;
mod data_dir;
mod environment;
mod error;
mod initialize;
mod orphan;
mod parent_death;
mod server;
mod socket;
#[cfg(test)]
mod tests;

use std::{
    env::{self, JoinPathsError},
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use account::OsAccount;
use binaries::PostgresBinaries;
use data_dir::{ClusterLocation, ClusterLock};
pub use error::PostgresError;
use initialize::SUPERUSER;
pub use parent_death::end_with_parent;
use server::ServerProcess;
use socket::SocketDir;

pub struct ClusterOptions {
    /// The data directory. It is created if missing. The lock file and the log are siblings:
    /// `postgres`, `postgres.lock`, `postgres.log`.
    pub data_dir: PathBuf,
    /// Whether committed data survive a crash of the machine. Tests do not need that.
    pub durable: bool,
}

/// A running cluster. Dropping it shuts the server down.
pub struct Cluster {
    // Fields are dropped in this order: the server stops before the lock is released.
    server: ServerProcess,
    socket: SocketDir,
    binaries: PostgresBinaries,
    data_dir: PathBuf,
    account: Option<OsAccount>,
    durable: bool,
    lock: ClusterLock,
}

impl Cluster {
    /// Starts the cluster of a folder and creates it first if missing. Returns when the server
    /// accepts connections.
    pub fn start(options: &ClusterOptions) -> Result<Self, PostgresError> {
        let ClusterLocation { data_dir, account } = ClusterLocation::find(&options.data_dir)?;
        let lock = data_dir::lock(&data_dir, account)?;
        let binaries = PostgresBinaries::find(&data_dir)?;

        orphan::stop(&data_dir)?;
        if !data_dir.exists() {
            initialize::initialize(&binaries, &data_dir, account, options.durable)?;
        }
        let socket = SocketDir::create(&data_dir, account)?;
        let durable = options.durable;
        let server = start_server(&binaries, &data_dir, &socket, durable, account)?;
        Ok(Self {
            server,
            socket,
            binaries,
            data_dir,
            account,
            durable,
            lock,
        })
    }

    /// Restarts the server if it has exited. Returns whether it was restarted.
    pub fn restart_if_exited(&mut self) -> Result<bool, PostgresError> {
        if !self.server.has_exited() {
            return Ok(false);
        }
        let (durable, account) = (self.durable, self.account);
        self.server = start_server(
            &self.binaries,
            &self.data_dir,
            &self.socket,
            durable,
            account,
        )?;
        Ok(true)
    }

    /// Connection URL for sqlx and libpq. URL parsers require a host next to a user name, so
    /// `localhost` is a placeholder; the parameter `host` is used.
    pub fn url(&self) -> String {
        format!(
            "postgres://{SUPERUSER}@localhost/{SUPERUSER}?host={}",
            socket::percent_encode(&self.socket.0)
        )
    }

    /// Version of the server, such as `17.5`.
    pub fn version(&self) -> &str {
        &self.binaries.version
    }

    /// Data directory of the cluster. It differs from [`ClusterOptions::data_dir`] if this process
    /// is root and the account of the cluster cannot reach that folder.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// `PATH` with the folder of PostgreSQL's programs, such as `psql`, appended.
    pub fn search_path(&self) -> Result<OsString, JoinPathsError> {
        let path = environment::search_path();
        let programs = self.binaries.folder.clone();
        env::join_paths(env::split_paths(&path).chain([programs]))
    }

    /// Shuts the server down and waits until it has exited. Open transactions are rolled back.
    pub fn stop(self) {
        drop(self);
    }

    /// Shuts the server down and deletes the cluster.
    pub fn remove(self) -> Result<(), PostgresError> {
        let Self {
            server,
            data_dir,
            lock,
            ..
        } = self;
        drop(server);
        fs::remove_dir_all(&data_dir).map_err(error::io_error("delete", &data_dir))?;
        for extension in ["log", "lock"] {
            let file = data_dir::sibling(&data_dir, extension);
            fs::remove_file(&file).map_err(error::io_error("delete", &file))?;
        }
        drop(lock);
        Ok(())
    }
}

fn start_server(
    binaries: &PostgresBinaries,
    data_dir: &Path,
    socket: &SocketDir,
    durable: bool,
    account: Option<OsAccount>,
) -> Result<ServerProcess, PostgresError> {
    server::start(&server::ServerOptions {
        program: &binaries.program("postgres"),
        data_dir,
        socket_dir: &socket.0,
        durable,
        account,
    })
}
