//! A private PostgreSQL cluster, run from the machine's own PostgreSQL binaries.
//!
//! It has no TCP port: clients come through a Unix socket in a folder that only the cluster's
//! account (and root) may enter, which is why it can trust them without a password.
//!
//! Everything here blocks and belongs on the main thread, before a runtime starts: on Linux the
//! server is told to shut down when the *thread* that started it ends.

mod account;
mod binaries;
mod environment;
mod error;
mod initialize;
mod lifeline;
mod orphan;
mod place;
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
pub use error::PostgresError;
pub use lifeline::end_with_parent;
use place::{ClusterLocation, ClusterLock};
use server::ServerProcess;
use socket::SocketDir;

/// The cluster's superuser and its one database.
const SUPERUSER: &str = "tetralto";

/// What a cluster is started with.
pub struct ClusterOptions {
    /// The cluster's folder, made when it does not exist. Its lock and its log lie beside it:
    /// `postgres`, `postgres.lock`, `postgres.log`.
    pub data_dir: PathBuf,
    /// Whether what was committed outlives a crash of the machine. Tests do without.
    pub durable: bool,
}

/// A running cluster. Dropping it shuts it down.
pub struct Cluster {
    // Dropped in this order: the server is down before another launcher may take the lock.
    server: ServerProcess,
    socket: SocketDir,
    binaries: PostgresBinaries,
    data_dir: PathBuf,
    account: Option<OsAccount>,
    durable: bool,
    lock: ClusterLock,
}

impl Cluster {
    /// Starts the cluster of a folder, making it first where there is none. Returns once it
    /// takes connections.
    pub fn start(options: &ClusterOptions) -> Result<Self, PostgresError> {
        let ClusterLocation { data_dir, account } = ClusterLocation::find(&options.data_dir)?;
        let lock = place::lock(&data_dir, account)?;
        let binaries = PostgresBinaries::find(&data_dir)?;

        orphan::stop(&data_dir)?;
        if !data_dir.exists() {
            initialize::initialize(&binaries, &data_dir, account, options.durable)?;
        }
        let socket = SocketDir::make(&data_dir, account)?;
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

    /// Starts the server again if it has ended by itself, and tells whether it had.
    pub fn revive(&mut self) -> Result<bool, PostgresError> {
        if !self.server.ended() {
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

    /// Where to connect, as sqlx and libpq read it. The host before the path is a placeholder
    /// that URL parsers want beside a user name; the parameter is what counts.
    pub fn url(&self) -> String {
        format!(
            "postgres://{SUPERUSER}@localhost/{SUPERUSER}?host={}",
            socket::percent_encoded(&self.socket.0)
        )
    }

    /// The server's version, such as `17.5`.
    pub fn version(&self) -> &str {
        &self.binaries.version
    }

    /// Where the cluster is kept. It differs from what was asked for when this process is root
    /// and no other account can reach that folder.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// `PATH` with PostgreSQL's programs, `psql` among them, at its end.
    pub fn search_path(&self) -> Result<OsString, JoinPathsError> {
        let path = environment::search_path();
        let programs = self.binaries.folder.clone();
        env::join_paths(env::split_paths(&path).chain([programs]))
    }

    /// Shuts the server down: open transactions are rolled back, what was committed is kept.
    /// Returns when it has ended.
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
        fs::remove_dir_all(&data_dir).map_err(error::at("delete", &data_dir))?;
        for extension in ["log", "lock"] {
            let file = place::beside(&data_dir, extension);
            fs::remove_file(&file).map_err(error::at("delete", &file))?;
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
        socket_folder: &socket.0,
        durable,
        account,
    })
}
