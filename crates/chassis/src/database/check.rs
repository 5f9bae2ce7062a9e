//! For `GET /health`: whether the database can do what the service needs.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, PgConnection, PgPool, Postgres};

use super::pooler::TransactionPooler;
use super::schema::applied;
use super::state::{describe, is_startup_option_refused};
use crate::health::Finding;

/// How long a connection is waited for; less than a health check may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Whether the database answers, can be written to, and has the newest migration of the service.
pub async fn check(pool: PgPool, schema: &'static str, newest: i64) -> Finding {
    match look(&pool, schema, newest).await {
        Ok(finding) => finding,
        Err(error) if is_startup_option_refused(&error) => {
            Finding::unavailable(TransactionPooler.to_string())
        }
        Err(error) if has_code(&error, "42P01") => {
            Finding::unavailable("the schema is missing: run the service's `migrate` command")
        }
        Err(error) => Finding::unavailable(describe(&error)),
    }
}

async fn look(pool: &PgPool, schema: &'static str, newest: i64) -> Result<Finding, sqlx::Error> {
    let Some(mut connection) = lent(pool).await? else {
        // Not through the pool: is it the database that is away, or are all connections in use?
        let options = pool.connect_options();
        let connecting = PgConnection::connect_with(&options);
        let connection = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
        connection
            .map_err(|_| sqlx::Error::PoolTimedOut)??
            .close()
            .await?;
        let all = pool.options().get_max_connections();
        let detail = format!("it answers, but all {all} connections are in use");
        return Ok(Finding::degraded(detail));
    };
    let version = applied(schema).fetch_one(&mut *connection).await?;
    if version < Some(newest) {
        let detail = "the schema is old: run the service's `migrate` command";
        return Ok(Finding::unavailable(detail));
    }
    probe_write(&mut connection).await?;
    Ok(Finding::ok(if version > Some(newest) {
        "connected; the schema is newer than this program"
    } else {
        "connected"
    }))
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
