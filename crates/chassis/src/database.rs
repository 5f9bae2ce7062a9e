//! PostgreSQL: connection pools, errors, health checks and migrations.

mod check;
mod clock;
mod error_class;
mod pooler;
mod schema;
mod store_error;

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool};

use crate::settings::secret;

pub use check::DatabaseCheck;
pub use clock::check_clock_skew;
pub use error_class::is_unavailable;
pub use pooler::{TransactionPoolerError, reject_transaction_pooler};
pub use schema::{SchemaError, migrate, newest_version};
pub use store_error::StoreError;

/// Settings of the database.
#[derive(Clone, Debug, clap::Args)]
pub struct DatabaseArgs {
    /// URL of the PostgreSQL database, such as `postgres://user:password@host:5432/name`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_parser = secret)]
    pub database_url: SecretString,
    /// Maximum size of the connection pool.
    #[arg(long, env = "DATABASE_CONNECTIONS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=200))]
    pub database_connections: u32,
}

/// Settings of the database for a service that works without one.
#[derive(Clone, Debug, clap::Args)]
pub struct OptionalDatabaseArgs {
    /// URL of the PostgreSQL database, such as `postgres://user:password@host:5432/name`. Empty for
    /// none.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_parser = secret)]
    pub database_url: Option<SecretString>,
    /// Maximum size of the connection pool.
    #[arg(long, env = "DATABASE_CONNECTIONS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=200))]
    pub database_connections: u32,
}

#[derive(Debug, thiserror::Error)]
#[error("DATABASE_URL is not a valid PostgreSQL URL: {0}")]
pub struct InvalidDatabaseUrl(sqlx::Error);

impl DatabaseArgs {
    /// Creates a pool that connects at first use, so that the service can start before the
    /// database. `application` is shown in `pg_stat_activity`.
    pub fn pool(&self, application: &str) -> Result<PgPool, InvalidDatabaseUrl> {
        let address = self.database_url.expose_secret();
        let scheme = address.split("://").next().unwrap_or_default();
        if !matches!(scheme, "postgres" | "postgresql") {
            let other = sqlx::Error::Configuration("it must begin with postgres://".into());
            return Err(InvalidDatabaseUrl(other));
        }
        let options: PgConnectOptions = address.parse().map_err(InvalidDatabaseUrl)?;
        let options = without_brackets(options);
        Ok(request_pool(
            options.application_name(application),
            self.database_connections,
        ))
    }
}

/// Removes the brackets that an IPv6 host has in a URL.
fn without_brackets(options: PgConnectOptions) -> PgConnectOptions {
    let host = options.get_host();
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    match address.map(ToOwned::to_owned) {
        Some(address) => options.host(&address),
        None => options,
    }
}

impl OptionalDatabaseArgs {
    /// Like [`DatabaseArgs::pool`], if a URL is set.
    pub fn pool(&self, application: &str) -> Result<Option<PgPool>, InvalidDatabaseUrl> {
        let given = self.database_url.clone();
        let given = given.filter(|url| !url.expose_secret().is_empty());
        let given = given.map(|database_url| DatabaseArgs {
            database_url,
            database_connections: self.database_connections,
        });
        given.map(|given| given.pool(application)).transpose()
    }
}

/// A connection that was idle for longer may be broken and is pinged before use.
const PING_AFTER_IDLE: Duration = Duration::from_secs(1);
/// Idle connections are closed after this time. The pool uses connections in turn; with a longer
/// timeout, one statement every few seconds would keep all of them open.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that is returned to the pool must respond within this time, or it is closed.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// Settings of every connection (PostgreSQL documentation, "Server Configuration"). On solid-state
/// disks random pages cost little more than sequential ones. JIT compilation takes longer than the
/// queries. The timeouts make the server end the transaction and release its locks if this process
/// is frozen or the network is interrupted.
const SESSION_OPTIONS: [(&str, &str); 9] = [
    ("random_page_cost", "1.1"),
    ("jit", "off"),
    ("client_min_messages", "warning"),
    ("statement_timeout", "25s"),
    ("idle_in_transaction_session_timeout", "5s"),
    ("tcp_user_timeout", "10s"),
    ("tcp_keepalives_idle", "5s"),
    ("tcp_keepalives_interval", "2s"),
    ("tcp_keepalives_count", "3"),
];

/// Statements of background workers and commands may take longer than those of requests.
const BACKGROUND_STATEMENT_TIMEOUT: (&str, &str) = ("statement_timeout", "15min");

/// Creates a pool for background workers, to the same database as the pool of requests.
#[must_use]
pub fn background_pool(requests: &PgPool, connections: u32) -> PgPool {
    let options = (*requests.connect_options()).clone();
    build_pool(
        options
            .options(SESSION_OPTIONS)
            .options([BACKGROUND_STATEMENT_TIMEOUT]),
        connections,
    )
}

/// Creates a pool for requests. The statement timeout is shorter than the request timeout.
#[must_use]
pub fn request_pool(options: PgConnectOptions, connections: u32) -> PgPool {
    build_pool(options.options(SESSION_OPTIONS), connections)
}

fn build_pool(options: PgConnectOptions, connections: u32) -> PgPool {
    use sqlx::ConnectOptions as _;
    let options = options.disable_statement_logging();
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(5))
        .idle_timeout(IDLE_TIMEOUT)
        // Pings only after an idle period instead of before every statement.
        .test_before_acquire(false)
        .before_acquire(|connection, used| {
            Box::pin(async move {
                if used.idle_for > PING_AFTER_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_release(|connection, _| Box::pin(async { Ok(is_reusable(connection).await) }))
        .connect_lazy_with(options)
}

/// Whether a connection that is returned to the pool has no open transaction. sqlx registers a
/// transaction only after the response to `BEGIN`. If the future is dropped earlier, the
/// transaction stays open without sqlx knowing it, and the statements of the next user would be
/// part of it.
async fn is_reusable(connection: &mut PgConnection) -> bool {
    // An empty query has no effect, and the response tells whether a transaction is open.
    let begun = tokio::time::timeout(RELEASE_TIMEOUT, connection.begin_with("")).await;
    let in_transaction = match begun {
        Ok(Err(sqlx::Error::BeginFailed)) => Ok(false),
        Ok(Ok(_)) => Ok(true),
        Ok(Err(_)) | Err(_) => Err(()),
    };
    let reason = match in_transaction {
        Ok(false) => return true,
        Ok(true) => "open_transaction",
        Err(()) => "no_answer",
    };
    metrics::counter!("database_connections_discarded_total", "reason" => reason).increment(1);
    false
}

/// Connection options for statements that find every row by its key. Each statement is planned
/// once, and the plan uses the indexes even if the tables were empty at that time.
#[must_use]
pub fn key_lookup_options(pool: &PgPool) -> PgConnectOptions {
    (*pool.connect_options())
        .clone()
        .options(SESSION_OPTIONS)
        .options([
            ("plan_cache_mode", "force_generic_plan"),
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
        ])
}
