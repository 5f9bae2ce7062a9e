//! Metrics of PostgreSQL connections and errors.

use sqlx::PgPool;

/// Counts an error by its SQLSTATE, or by kind if PostgreSQL did not respond.
pub fn count_error(error: &sqlx::Error) {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    let state = match (code, error) {
        (Some(code), _) => code.into_owned(),
        (None, sqlx::Error::RowNotFound) => return,
        (None, sqlx::Error::PoolTimedOut) => "pool_timed_out".into(),
        (None, sqlx::Error::PoolClosed) => "pool_closed".into(),
        (None, sqlx::Error::Io(_)) => "io".into(),
        (None, sqlx::Error::Tls(_)) => "tls".into(),
        (None, sqlx::Error::Protocol(_)) => "protocol".into(),
        _ => "other".into(),
    };
    metrics::counter!("database_errors_total", "sqlstate" => state).increment(1);
}

/// Sets the gauges of a connection pool.
pub fn observe_pool(service: &'static str, name: &'static str, pool: &PgPool) {
    let idle = pool.num_idle();
    let used = usize::try_from(pool.size())
        .unwrap_or(0)
        .saturating_sub(idle);
    for (state, number) in [("idle", idle), ("used", used)] {
        metrics::gauge!("database_pool_connections",
            "service" => service, "pool" => name, "state" => state)
        .set(number as f64);
    }
    let most = pool.options().get_max_connections();
    metrics::gauge!("database_pool_max_connections", "service" => service, "pool" => name)
        .set(most);
}

/// Sets the age of the oldest open transaction of the service. An unprivileged role sees only its
/// own sessions, which are those of the service.
pub async fn observe_oldest_transaction(service: &'static str, pool: PgPool) {
    let question = "select coalesce(extract(epoch from max(now() - xact_start)), 0)::float8
         from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()
             and application_name = current_setting('application_name')";
    match sqlx::query_scalar::<_, f64>(question)
        .fetch_one(&pool)
        .await
    {
        Ok(seconds) => {
            metrics::gauge!("database_oldest_transaction_seconds", "service" => service)
                .set(seconds);
        }
        Err(error) => count_error(&error),
    }
}
