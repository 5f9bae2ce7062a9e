//! Detects connection poolers in transaction mode (PgBouncer: `pool_mode = transaction`). Session
//! settings, session locks (the lease of the recorder) and prepared statements do not work with
//! them.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, PgPool, Row as _};

/// If the database takes longer to respond, the start continues; `GET /health` checks again.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(5);

/// The database is behind a pooler in transaction mode.
#[derive(Debug, thiserror::Error)]
#[error(
    "DATABASE_URL points to a connection pooler in transaction mode; connect to PostgreSQL \
     directly, or use session mode (PgBouncer: pool_mode = session)"
)]
pub struct TransactionPoolerError;

/// Fails if the database is behind a pooler in transaction mode. An unreachable database is not an
/// error, because it may start later.
pub async fn reject_transaction_pooler(pool: PgPool) -> anyhow::Result<()> {
    let options = pool.connect_options();
    match tokio::time::timeout(STARTUP_TIMEOUT, is_transaction_pooler(&options)).await {
        Ok(Ok(true)) => Err(TransactionPoolerError.into()),
        Ok(Err(error)) if super::error_class::is_startup_option_refused(&error) => {
            Err(TransactionPoolerError.into())
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// PostgreSQL has one server process per connection. If two open connections have the same one, a
/// pooler is in between.
async fn is_transaction_pooler(options: &PgConnectOptions) -> Result<bool, sqlx::Error> {
    let mut first = PgConnection::connect_with(options).await?;
    let mut second = PgConnection::connect_with(options).await?;
    let is_shared = backend_pid(&mut first).await? == backend_pid(&mut second).await?;
    first.close().await?;
    second.close().await?;
    Ok(is_shared)
}

/// Returns the pid of the server process. Uses the simple query protocol, which needs no prepared
/// statement.
async fn backend_pid(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    let question = sqlx::raw_sql("select pg_backend_pid()");
    question.fetch_one(connection).await?.try_get(0)
}
