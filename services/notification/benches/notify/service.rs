//! The measured service and the database server.

use std::process::{Command, Stdio};

use bench::{CpuTime, MeasuredProcess, free_port, parent_pid};
use common::clock::Clock;
use common::jwt::{Claims, Keyring, Scope};
use sqlx::{Connection as _, PgConnection};

const SECRET: &str = "a-secret-of-the-benchmark-with-32-characters";

/// The release binary and its database.
pub struct Service {
    pub process: MeasuredProcess,
    pub token: String,
    pub connection: PgConnection,
    /// Process id of the postmaster.
    postgres: u32,
}

/// CPU time of the service and of PostgreSQL.
#[derive(Clone, Copy)]
pub struct CpuUsage {
    service: CpuTime,
    postgres: CpuTime,
}

impl Service {
    /// Starts the service with a local ntfy server on the port `ntfy`.
    pub async fn start(database: &str, ntfy: u16) -> Self {
        let mut connection = PgConnection::connect(database).await.unwrap();
        let backend = sqlx::query_scalar::<_, i32>("select pg_backend_pid()");
        let backend = backend.fetch_one(&mut connection).await.unwrap();
        let port = free_port();
        migrate(database);
        let mut command = command(database);
        command
            .env("NTFY_URL", format!("http://127.0.0.1:{ntfy}"))
            .env("PORT", port.to_string());
        Self {
            process: MeasuredProcess::start(command, port).await,
            token: token(),
            connection,
            postgres: parent_pid(backend.cast_unsigned()).unwrap(),
        }
    }

    pub fn cpu_usage(&self) -> CpuUsage {
        CpuUsage {
            service: self.process.cpu(),
            postgres: CpuTime::of_process_tree(self.postgres),
        }
    }

    /// Formats the CPU time since `before` in microseconds per item.
    pub fn cost_per_item(&self, before: CpuUsage, items: usize) -> String {
        let micros = |used: CpuTime| used.total().as_secs_f64() * 1e6 / items as f64;
        let now = self.cpu_usage();
        format!(
            "notification {:.1}, PostgreSQL {:.1}",
            micros(now.service.since(before.service)),
            micros(now.postgres.since(before.postgres))
        )
    }
}

/// Migrates the schema to the newest version.
pub fn migrate(database: &str) {
    let mut migrate = command(database);
    migrate.arg("migrate").stdout(Stdio::null());
    assert!(migrate.status().unwrap().success());
}

fn command(database: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_notification"));
    command
        .env("JWT_SECRETS", SECRET)
        .env("DATABASE_URL", database);
    command
}

fn token() -> String {
    let keys = Keyring::new(&[SECRET.into()], None, false).unwrap();
    let now = Clock::system().now().timestamp();
    let scopes = [Scope::NotifySend, Scope::NotifyWrite]
        .into_iter()
        .collect();
    keys.sign(&Claims::new("bench", scopes, now, 86_400))
        .unwrap()
}
