//! For `GET /health`: whether the database can do what the service needs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, PgConnection, PgPool, Postgres};

use super::pooler::TransactionPooler;
use super::schema::applied;
use super::state::{describe, is_startup_option_refused};
use crate::health::CheckResult;

/// How long a connection is waited for; less than a health check may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_500);

/// A write is tried again after this time. Anybody may ask for `GET /health`, and each try leaves dead
/// rows in the system's catalogs.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// Whether a service's database answers, can be written to, and has the service's newest migration.
#[derive(Clone, Debug)]
pub struct DatabaseCheck {
    pool: PgPool,
    schema: &'static str,
    newest: i64,
    /// When a write succeeded last.
    written_at: Arc<Mutex<Option<Instant>>>,
}

impl DatabaseCheck {
    /// Checks `schema`, whose newest migration is `newest`.
    #[must_use]
    pub fn new(pool: &PgPool, schema: &'static str, newest: i64) -> Self {
        Self {
            pool: pool.clone(),
            schema,
            newest,
            written_at: Arc::default(),
        }
    }

    /// What `GET /health` says about it.
    pub async fn look(self) -> CheckResult {
        match self.try_look().await {
            Ok(finding) => finding,
            Err(error) if is_startup_option_refused(&error) => {
                CheckResult::unavailable(TransactionPooler.to_string())
            }
            Err(error) if has_code(&error, "42P01") => CheckResult::unavailable(
                "the schema is missing: run the service's `migrate` command",
            ),
            Err(error) => CheckResult::unavailable(describe(&error)),
        }
    }

    async fn try_look(&self) -> Result<CheckResult, sqlx::Error> {
        let Some(mut connection) = lent(&self.pool).await? else {
            return exhausted(&self.pool).await;
        };
        let version = applied(self.schema).fetch_one(&mut *connection).await?;
        if version < Some(self.newest) {
            let detail = "the schema is old: run the service's `migrate` command";
            return Ok(CheckResult::unavailable(detail));
        }
        self.probe_write(&mut connection).await?;
        Ok(CheckResult::ok(if version > Some(self.newest) {
            "connected; the schema is newer than this program"
        } else {
            "connected"
        }))
    }

    async fn probe_write(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
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

/// Tells, by a connection that is not the pool's, whether the database is away or only all of the
/// pool's connections are in use.
async fn exhausted(pool: &PgPool) -> Result<CheckResult, sqlx::Error> {
    let options = pool.connect_options();
    let connecting = PgConnection::connect_with(&options);
    let connection = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
    let connection = connection.map_err(|_| sqlx::Error::PoolTimedOut)??;
    connection.close().await?;
    let all = pool.options().get_max_connections();
    let detail = format!("it answers, but all {all} connections are in use");
    Ok(CheckResult::degraded(detail))
}

/// A connection, or `None` where all are in use.
async fn lent(pool: &PgPool) -> Result<Option<PoolConnection<Postgres>>, sqlx::Error> {
    match tokio::time::timeout(CONNECT_TIMEOUT, pool.acquire()).await {
        Ok(Ok(connection)) => Ok(Some(connection)),
        Ok(Err(sqlx::Error::PoolTimedOut)) | Err(_) => Ok(None),
        Ok(Err(error)) => Err(error),
    }
}

/// Writes a page to the disk and takes it back: a standby, a read-only database and a full disk
/// refuse that. A role without the right to temporary tables is not asked.
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
