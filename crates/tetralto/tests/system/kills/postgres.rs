//! Faults of the private PostgreSQL. The launcher restarts it.

use std::fs;
use std::path::Path;

use rustix::process::{Signal, kill_process};
use sqlx::{Connection as _, PgConnection};

use crate::faults::postmaster_pid;
use crate::running::wait_for;

/// A fault of PostgreSQL.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A fast shutdown; transactions are rolled back.
    FastShutdown,
    /// SIGKILL; the next start runs recovery.
    Kill,
    /// All connections are terminated; the server keeps running.
    Disconnect,
}

pub const FAULTS: [Fault; 3] = [Fault::FastShutdown, Fault::Kill, Fault::Disconnect];

impl Fault {
    pub fn name(self) -> &'static str {
        match self {
            Self::FastShutdown => "PostgreSQL stopped (fast shutdown)",
            Self::Kill => "PostgreSQL killed (-9)",
            Self::Disconnect => "all connections to PostgreSQL cut",
        }
    }

    pub async fn inject(self, data_dir: &Path) {
        let signal = match self {
            Self::FastShutdown => Signal::INT,
            Self::Kill => Signal::KILL,
            Self::Disconnect => return terminate_connections(data_dir).await,
        };
        kill_process(postmaster_pid(data_dir).unwrap(), signal).unwrap();
    }
}

async fn terminate_connections(data_dir: &Path) {
    let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity
               where datname = current_database() and pid <> pg_backend_pid()";
    let cut: i64 = sqlx::query_scalar(cut)
        .fetch_one(&mut connect(data_dir).await)
        .await
        .unwrap();
    assert!(cut > 0, "there was no connection to terminate");
}

/// Waits until a process holds the exclusive lease.
pub async fn wait_for_exclusive_lease(data_dir: &Path) {
    let mut database = connect(data_dir).await;
    let leased = "select exists (select from pg_locks where locktype = 'advisory'
                  and classid = 32379 and objid = 0 and mode = 'ExclusiveLock' and granted)";
    wait_for("a process that records alone", async || {
        let leased: bool = sqlx::query_scalar(leased)
            .fetch_one(&mut database)
            .await
            .unwrap();
        leased.then_some(())
    })
    .await;
}

/// Opens a connection for the test.
pub async fn connect(data_dir: &Path) -> PgConnection {
    PgConnection::connect(&database_url(data_dir))
        .await
        .unwrap()
}

/// The URL of the private PostgreSQL. Line 5 of `postmaster.pid` is the folder of the socket
/// (PostgreSQL's `pidfile.h`).
pub fn database_url(data_dir: &Path) -> String {
    let file = fs::read_to_string(data_dir.join("postgres/postmaster.pid")).unwrap();
    let socket = file.lines().nth(4).unwrap();
    format!("postgres://tetralto@localhost/tetralto?host={socket}")
}
