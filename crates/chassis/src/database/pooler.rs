//! Poolers between this process and PostgreSQL that lend a connection by the transaction, such as
//! PgBouncer with `pool_mode = transaction`. Session settings, session locks (the recorder's lease)
//! and prepared statements do not survive there.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, PgPool, Row as _};

/// A database that does not answer within this time is looked at later, by `GET /health`.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(5);

/// The database is behind a pooler that lends connections by the transaction.
#[derive(Debug, thiserror::Error)]
#[error(
    "DATABASE_URL leads to a pooler that lends connections by the transaction; connect to \
     PostgreSQL directly, or set the pooler to lend by the session (PgBouncer: pool_mode = session)"
)]
pub struct TransactionPooler;

/// Refuses a pooler that lends connections by the transaction. A database that does not answer is
/// no error here: it may start later.
pub async fn refuse_transaction_pooler(pool: PgPool) -> anyhow::Result<()> {
    let options = pool.connect_options();
    match tokio::time::timeout(STARTUP_TIMEOUT, is_transaction_pooler(&options)).await {
        Ok(Ok(true)) => Err(TransactionPooler.into()),
        Ok(Err(error)) if super::state::is_startup_option_refused(&error) => {
            Err(TransactionPooler.into())
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// PostgreSQL serves each connection by a process of its own; two open connections that are served
/// by the same one go through a pooler.
async fn is_transaction_pooler(options: &PgConnectOptions) -> Result<bool, sqlx::Error> {
    let mut first = PgConnection::connect_with(options).await?;
    let mut second = PgConnection::connect_with(options).await?;
    let is_shared = process(&mut first).await? == process(&mut second).await?;
    first.close().await?;
    second.close().await?;
    Ok(is_shared)
}

/// In the simple protocol, which needs no prepared statement.
async fn process(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    let question = sqlx::raw_sql("select pg_backend_pid()");
    question.fetch_one(connection).await?.try_get(0)
}
