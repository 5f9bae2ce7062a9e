//! Health check of the database: connection, schema version and write access.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, PgConnection, PgPool, Postgres};

use super::error_class::{describe_error, is_startup_option_refused};
use super::pooler::TransactionPoolerError;
use super::schema::applied_version_query;
use crate::health::CheckResult;

/// Bound on waiting for a connection. Shorter than the timeout of a health check.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Minimum time between two write probes. `GET /health` is public, and each probe leaves dead rows
/// in the system catalogs.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// Checks that the database responds, is writable, and has the newest migration of the service.
#[derive(Clone, Debug)]
pub struct DatabaseCheck {
    pool: PgPool,
    schema: &'static str,
    newest: i64,
    /// Time of the last successful write probe.
    written_at: Arc<Mutex<Option<Instant>>>,
}

impl DatabaseCheck {
    /// `newest` is the version of the newest migration of `schema`.
    #[must_use]
    pub fn new(pool: &PgPool, schema: &'static str, newest: i64) -> Self {
        Self {
            pool: pool.clone(),
            schema,
            newest,
            written_at: Arc::default(),
        }
    }

    /// Runs the check.
    pub async fn run(self) -> CheckResult {
        match self.try_run().await {
            Ok(finding) => finding,
            Err(error) if is_startup_option_refused(&error) => {
                CheckResult::unavailable(TransactionPoolerError.to_string())
            }
            Err(error) if has_code(&error, "42P01") => CheckResult::unavailable(
                "the schema is missing; run the command `migrate` of the service",
            ),
            Err(error) => CheckResult::unavailable(describe_error(&error)),
        }
    }

    async fn try_run(&self) -> Result<CheckResult, sqlx::Error> {
        let Some(mut connection) = acquire(&self.pool).await? else {
            return check_exhausted_pool(&self.pool).await;
        };
        let version = applied_version_query(self.schema)
            .fetch_one(&mut *connection)
            .await?;
        if version < Some(self.newest) {
            let detail = "the schema is outdated; run the command `migrate` of the service";
            return Ok(CheckResult::unavailable(detail));
        }
        self.probe_write_if_due(&mut connection).await?;
        Ok(CheckResult::ok(if version > Some(self.newest) {
            "connected; the schema is newer than this program"
        } else {
            "connected"
        }))
    }

    async fn probe_write_if_due(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let written_at = *self
            .written_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if written_at.is_some_and(|at| at.elapsed() < PROBE_INTERVAL) {
            return Ok(());
        }
        probe_write(connection).await?;
        let mut written_at = self
            .written_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *written_at = Some(Instant::now());
        Ok(())
    }
}

/// Opens a connection outside of the pool to find out whether the database is unavailable or the
/// pool is exhausted.
async fn check_exhausted_pool(pool: &PgPool) -> Result<CheckResult, sqlx::Error> {
    let options = pool.connect_options();
    let connecting = PgConnection::connect_with(&options);
    let connection = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
    let connection = connection.map_err(|_| sqlx::Error::PoolTimedOut)??;
    connection.close().await?;
    let all = pool.options().get_max_connections();
    let detail = format!("connected, but all {all} connections of the pool are in use");
    Ok(CheckResult::degraded(detail))
}

/// Takes a connection from the pool; `None` if all are in use.
async fn acquire(pool: &PgPool) -> Result<Option<PoolConnection<Postgres>>, sqlx::Error> {
    match tokio::time::timeout(CONNECT_TIMEOUT, pool.acquire()).await {
        Ok(Ok(connection)) => Ok(Some(connection)),
        Ok(Err(sqlx::Error::PoolTimedOut)) | Err(_) => Ok(None),
        Ok(Err(error)) => Err(error),
    }
}

/// Creates a temporary table and rolls back. This fails on a standby, a read-only database and a
/// full disk. Skipped if the role has no privilege to create temporary tables.
async fn probe_write(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let may_write = sqlx::query_scalar::<_, bool>(
        "select has_database_privilege(current_database(), 'temporary')",
    );
    if !may_write.fetch_one(&mut *connection).await? {
        return Ok(());
    }
    let probe = "create temporary table health_probe on commit drop as select 1 as written";
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(probe).execute(&mut *transaction).await?;
    transaction.rollback().await
}

fn has_code(error: &sqlx::Error, wanted: &str) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.as_deref() == Some(wanted)
}
