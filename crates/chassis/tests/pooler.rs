//! PgBouncer between a service and PostgreSQL: transaction mode is rejected, session mode is
//! accepted.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use chassis::database::{reject_transaction_pooler, request_pool};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, PgPool};
use tempfile::TempDir;

/// A PgBouncer in front of the PostgreSQL of the tests, on a socket in a temporary folder.
struct PgBouncerProcess {
    process: Child,
    folder: TempDir,
}

impl Drop for PgBouncerProcess {
    fn drop(&mut self) {
        // An error means that the process has exited already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl PgBouncerProcess {
    /// `ignored` are startup parameters that PgBouncer drops instead of rejecting the connection.
    fn start(database: &PgConnectOptions, mode: &str, ignored: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let sockets = database.get_socket();
        let sockets =
            sockets.expect("the tests connect through a socket; run them with `tetralto postgres`");
        let settings = format!(
            "[databases]\n* = host={} port={} user={}\n\
             [pgbouncer]\nauth_type = any\npool_mode = {mode}\nunix_socket_dir = {path}\n\
             listen_port = 6432\nignore_startup_parameters = {ignored}\n",
            sockets.display(),
            database.get_port(),
            database.get_username(),
        );
        let file = folder.path().join("pgbouncer.ini");
        fs::write(&file, settings).unwrap();
        let mut command = Command::new(pgbouncer_path());
        command
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // PgBouncer refuses to run as root, and only its owner can use PostgreSQL's socket.
        let owner = fs::metadata(sockets).unwrap();
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            for path in [folder.path(), &file] {
                chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
            }
            command.uid(owner.uid()).gid(owner.gid());
        }
        let process = command.spawn().unwrap();
        Self { process, folder }
    }

    fn options(&self, database: &PgConnectOptions) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(self.folder.path())
            .port(6432)
            .username(database.get_username())
            .database(database.get_database().unwrap_or_default())
    }
}

fn pgbouncer_path() -> PathBuf {
    let places = [
        "/usr/sbin/pgbouncer",
        "/usr/bin/pgbouncer",
        "/opt/homebrew/bin/pgbouncer",
    ];
    let found = places
        .map(PathBuf::from)
        .into_iter()
        .find(|place| place.exists());
    found.expect("PgBouncer is installed; `./dev test` installs it (Debian: pgbouncer)")
}

/// Starts a PgBouncer and returns the startup error of a service that connects through it.
async fn startup_error(database: &PgPool, mode: &str, ignored: &str) -> Option<String> {
    let database = (*database.connect_options()).clone();
    let pooler = PgBouncerProcess::start(&database, mode, ignored);
    let options = pooler.options(&database);
    // PgBouncer is ready when it accepts a connection without startup parameters.
    for _ in 0..200 {
        if let Ok(connection) = PgConnection::connect_with(&options).await {
            connection.close().await.unwrap();
            let refused = reject_transaction_pooler(request_pool(options, 2)).await;
            return refused.err().map(|error| error.to_string());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("PgBouncer was not ready within 10 seconds");
}

#[sqlx::test(migrations = false)]
async fn a_pooler_that_lends_by_the_transaction_is_refused(database: PgPool) {
    for ignored in ["extra_float_digits", "extra_float_digits,options"] {
        let said = startup_error(&database, "transaction", ignored)
            .await
            .unwrap();
        assert!(said.contains("pool_mode = session"), "{ignored}: {said}");
    }
}

#[sqlx::test(migrations = false)]
async fn a_pooler_that_lends_by_the_session_is_not(database: PgPool) {
    let ignored = "extra_float_digits,options";
    assert_eq!(startup_error(&database, "session", ignored).await, None);
}

#[sqlx::test(migrations = false)]
async fn postgresql_itself_is_not_refused_nor_is_its_absence(database: PgPool) {
    let options = (*database.connect_options()).clone();
    reject_transaction_pooler(request_pool(options.clone(), 2))
        .await
        .unwrap();
    let nobody = options.socket("/nonexistent");
    reject_transaction_pooler(request_pool(nobody, 2))
        .await
        .unwrap();
}
