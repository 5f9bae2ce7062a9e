//! The pool of connections to PostgreSQL, its errors and health, and migrations.

mod check;
mod clock;
mod pooler;
mod schema;
mod state;

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool};

use crate::settings::secret;

pub use check::DatabaseCheck;
pub use clock::clock_skew;
pub use pooler::{TransactionPooler, refuse_transaction_pooler};
pub use schema::{SchemaError, migrate, newest};
pub use state::is_away;

/// Where the database is.
#[derive(Clone, Debug, clap::Args)]
pub struct DatabaseArgs {
    /// The PostgreSQL database, as `postgres://user:password@host:5432/name`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_parser = secret)]
    pub database_url: SecretString,
    /// The most connections to hold.
    #[arg(long, env = "DATABASE_CONNECTIONS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=200))]
    pub database_connections: u32,
}

/// Where the database is, for a service that can do without one.
#[derive(Clone, Debug, clap::Args)]
pub struct OptionalDatabaseArgs {
    /// The PostgreSQL database, as `postgres://user:password@host:5432/name`; empty means none.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_parser = secret)]
    pub database_url: Option<SecretString>,
    /// The most connections to hold.
    #[arg(long, env = "DATABASE_CONNECTIONS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=200))]
    pub database_connections: u32,
}

/// The database's address cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("DATABASE_URL is no address of a PostgreSQL database: {0}")]
pub struct InvalidDatabaseUrl(sqlx::Error);

impl DatabaseArgs {
    /// A pool that connects when it is first used, so that a service starts while its database
    /// does. `application` is shown in `pg_stat_activity`.
    pub fn pool(&self, application: &str) -> Result<PgPool, InvalidDatabaseUrl> {
        let address = self.database_url.expose_secret();
        let scheme = address.split("://").next().unwrap_or_default();
        if !matches!(scheme, "postgres" | "postgresql") {
            let other = sqlx::Error::Configuration("it begins with postgres://".into());
            return Err(InvalidDatabaseUrl(other));
        }
        let options: PgConnectOptions = address.parse().map_err(InvalidDatabaseUrl)?;
        let options = without_brackets(options);
        Ok(pool(
            options.application_name(application),
            self.database_connections,
        ))
    }
}

/// An IPv6 host stands in brackets in a URL, and without them elsewhere.
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
    /// The same as [`DatabaseArgs::pool`], where an address is set.
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

/// A connection that was idle for longer may have died and is pinged before it is used.
const PING_AFTER: Duration = Duration::from_secs(1);
/// Idle connections are closed after this time. Those that are there are used in turn, so a longer
/// time keeps all of them alive with a statement every few seconds.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that is given back must answer within this time, or it is closed.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// Settings of every connection (PostgreSQL, chapter 20). On solid-state disks random pages cost no
/// more than others, and compiling a query takes longer than running it. The rest bounds what a
/// process that is frozen, or a network that is cut without a word, can hold up: the server ends
/// the transaction and frees its locks.
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

/// Statements of background work and commands may take longer than those of requests.
const BACKGROUND_STATEMENT_TIMEOUT: (&str, &str) = ("statement_timeout", "15min");

/// A pool for background work beside a pool of requests, to the same database.
#[must_use]
pub fn background_pool(requests: &PgPool, connections: u32) -> PgPool {
    let options = (*requests.connect_options()).clone();
    pooled(
        options
            .options(SESSION_OPTIONS)
            .options([BACKGROUND_STATEMENT_TIMEOUT]),
        connections,
    )
}

/// A pool for requests, whose statements are bounded by their time limit.
#[must_use]
pub fn pool(options: PgConnectOptions, connections: u32) -> PgPool {
    pooled(options.options(SESSION_OPTIONS), connections)
}

fn pooled(options: PgConnectOptions, connections: u32) -> PgPool {
    use sqlx::ConnectOptions as _;
    let options = options.disable_statement_logging();
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(5))
        .idle_timeout(IDLE_TIMEOUT)
        // Whether a connection still lives is asked after a pause, not before every statement.
        .test_before_acquire(false)
        .before_acquire(|connection, used| {
            Box::pin(async move {
                if used.idle_for > PING_AFTER {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_release(|connection, _| Box::pin(async { Ok(is_reusable(connection).await) }))
        .connect_lazy_with(options)
}

/// Whether a connection that is given back is outside of any transaction. sqlx counts a transaction
/// only when the answer to its `BEGIN` has been read: a future that is dropped before leaves one
/// open that sqlx does not know of, and the next user's statements would be rolled back with it.
async fn is_reusable(connection: &mut PgConnection) -> bool {
    // An empty query begins nothing, and its answer says whether a transaction is open.
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

/// How to connect to a pool's database for statements that find every row by its key. They are
/// planned once, and by the keys' indexes even when the tables were empty at that time.
#[must_use]
pub fn by_keys(pool: &PgPool) -> PgConnectOptions {
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
