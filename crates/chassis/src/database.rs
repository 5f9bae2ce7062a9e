//! The pool of connections to PostgreSQL, and migrations.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use common::clock::Clock;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool, SqlSafeStr as _};

use tokio::time::timeout;

use crate::health::Finding;
use crate::settings::secret;

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
pub struct BadAddress(sqlx::Error);

impl DatabaseArgs {
    /// A pool that connects when it is first used, so that a service starts while its database
    /// does. `application` is shown in `pg_stat_activity`.
    pub fn pool(&self, application: &str) -> Result<PgPool, BadAddress> {
        let address = self.database_url.expose_secret();
        let scheme = address.split("://").next().unwrap_or_default();
        if !matches!(scheme, "postgres" | "postgresql") {
            let other = sqlx::Error::Configuration("it begins with postgres://".into());
            return Err(BadAddress(other));
        }
        let options: PgConnectOptions = address.parse().map_err(BadAddress)?;
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
    pub fn pool(&self, application: &str) -> Result<Option<PgPool>, BadAddress> {
        let given = self.database_url.clone();
        let given = given.filter(|url| !url.expose_secret().is_empty());
        let given = given.map(|database_url| DatabaseArgs {
            database_url,
            database_connections: self.database_connections,
        });
        given.map(|given| given.pool(application)).transpose()
    }
}

/// A connection that was not used for so long may have died meanwhile.
const PAUSE: Duration = Duration::from_secs(1);

/// A connection that is not needed any more is closed after so long. Those that are there are used
/// in turn, so a longer time keeps all of them alive with a statement every few seconds.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// A pool with the settings that this system's reads need: on solid-state disks random pages cost
/// no more than others, and compiling a query takes longer than running it.
#[must_use]
pub fn pool(options: PgConnectOptions, connections: u32) -> PgPool {
    use sqlx::ConnectOptions as _;
    let options = options
        .options([
            ("random_page_cost", "1.1"),
            ("jit", "off"),
            ("client_min_messages", "warning"),
        ])
        .disable_statement_logging();
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(5))
        .idle_timeout(IDLE_TIMEOUT)
        // Whether a connection still lives is asked after a pause, not before every statement.
        .test_before_acquire(false)
        .before_acquire(|connection, used| {
            Box::pin(async move {
                if used.idle_for > PAUSE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options)
}

/// How to connect to a pool's database for statements that find every row by its key. They are
/// planned once, and by the keys' indexes even when the tables were empty at that time.
#[must_use]
pub fn by_keys(pool: &PgPool) -> PgConnectOptions {
    (*pool.connect_options()).clone().options([
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
    ])
}

/// The schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The database does not answer.
    #[error("the database at DATABASE_URL cannot be reached")]
    Away(#[source] sqlx::Error),
    /// A migration failed.
    #[error("the database at DATABASE_URL cannot be migrated")]
    Failed(#[source] MigrateError),
    /// Schemas are missing, and the role may not create them.
    #[error("the role in DATABASE_URL may not create schemas; as the database's owner, run: {0}")]
    NoRights(String),
}

impl SchemaError {
    /// Says what to do where the role lacks a right on the database, rather than on a table.
    fn of(error: MigrateError, missing: &[String]) -> Self {
        let (MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)) = &error
        else {
            return Self::Failed(error);
        };
        // insufficient_privilege (PostgreSQL, appendix A).
        let is_refused = cause.as_database_error().is_some_and(|error| {
            error.code().as_deref() == Some("42501") && error.message().contains("for database")
        });
        if !is_refused {
            return Self::Failed(error);
        }
        let create = |schema: &String| format!("create schema {schema} authorization <the role>;");
        let statements: Vec<String> = missing.iter().map(create).collect();
        Self::NoRights(statements.join(" "))
    }
}

/// Brings the schema to the newest version. Each service keeps its list of applied migrations in
/// its own schema, since they share one database.
pub async fn migrate(
    pool: &PgPool,
    schema: &'static str,
    migrator: Migrator,
) -> Result<(), SchemaError> {
    // Not from the pool, which would wait and not say why.
    let options = pool.connect_options();
    let mut connection = PgConnection::connect_with(&options)
        .await
        .map_err(SchemaError::Away)?;
    let newest = newest(&migrator);
    let existing = schemas(&mut connection).await?;
    let missing = missing_schemas(&migrator, schema, &existing);
    // To create a schema takes a right on the database, even where the schema exists, which a role
    // that owns only its schema does not have.
    let mut migrator = without_existing_schemas(&migrator, &existing);
    if missing.iter().any(|name| name == schema) {
        migrator.create_schema(schema);
    }
    migrator.dangerous_set_table_name(format!("{schema}._sqlx_migrations"));
    // After a rollback the schema has migrations that this program does not know. They only ever
    // add (expand and contract), so that it works with them.
    migrator.set_ignore_missing(true);
    let migrated = migrator.run(&mut connection).await;
    migrated.map_err(|error| SchemaError::of(error, &missing))?;
    let version = applied(schema).fetch_one(&mut connection).await;
    match version.map_err(SchemaError::Away)? {
        Some(version) if version > newest => tracing::warn!(
            schema,
            version,
            newest,
            "the schema is newer than this program, and stays as it is"
        ),
        _ => tracing::info!(schema, "the schema is up to date"),
    }
    Ok(())
}

/// The names of the database's schemas.
async fn schemas(connection: &mut PgConnection) -> Result<HashSet<String>, SchemaError> {
    let names = sqlx::query_scalar("select nspname::text from pg_namespace");
    let names: Vec<String> = names
        .fetch_all(connection)
        .await
        .map_err(SchemaError::Away)?;
    Ok(names.into_iter().collect())
}

/// The name in a line that creates a schema.
fn created_schema(line: &str) -> Option<&str> {
    let name = line.strip_prefix("create schema ")?.strip_suffix(';')?;
    Some(name.strip_prefix("if not exists ").unwrap_or(name))
}

/// Schemas that migrations create, and `schema`, as far as they do not exist.
fn missing_schemas(migrator: &Migrator, schema: &str, existing: &HashSet<String>) -> Vec<String> {
    let lines = migrator.iter().flat_map(|m| m.sql.as_str().lines());
    let names = std::iter::once(schema).chain(lines.filter_map(created_schema));
    let mut missing: Vec<String> = vec![];
    for name in names {
        if !existing.contains(name) && !missing.iter().any(|known| known == name) {
            missing.push(name.to_owned());
        }
    }
    missing
}

/// The same migrations, known by the same checksums, without creating schemas that exist.
fn without_existing_schemas(migrator: &Migrator, existing: &HashSet<String>) -> Migrator {
    let is_kept =
        |line: &&str| !created_schema(line).is_some_and(|schema| existing.contains(schema));
    let migrations = migrator.iter().cloned().map(|mut migration| {
        let kept: Vec<&str> = migration.sql.as_str().lines().filter(is_kept).collect();
        // Lines of our own migrations.
        migration.sql = sqlx::AssertSqlSafe(kept.join("\n")).into_sql_str();
        migration
    });
    Migrator::with_migrations(migrations.collect())
}

type Version =
    sqlx::query::QueryScalar<'static, sqlx::Postgres, Option<i64>, sqlx::postgres::PgArguments>;

/// Asks for the newest migration that was applied.
fn applied(schema: &'static str) -> Version {
    let question = format!("select max(version) from {schema}._sqlx_migrations where success");
    // Only the schema's name, a constant of the service, is put into the text.
    sqlx::query_scalar(sqlx::AssertSqlSafe(question))
}

/// For `GET /health`: whether the database answers and has the newest migration of `migrator`.
pub async fn check(pool: PgPool, schema: &'static str, newest: i64) -> Finding {
    match applied(schema).fetch_one(&pool).await {
        Ok(Some(version)) if version > newest => {
            Finding::ok("connected; the schema is newer than this program")
        }
        Ok(Some(version)) if version >= newest => Finding::ok("connected"),
        Ok(_) => Finding::unavailable("the schema is old: run the service's `migrate` command"),
        Err(error) if is_undefined_table(&error) => {
            Finding::unavailable("the schema is missing: run the service's `migrate` command")
        }
        Err(_) => Finding::unavailable("no connection"),
    }
}

/// Clocks that differ by more than this put visits on wrong days and let tokens expire early.
const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::minutes(1);

/// PostgreSQL tells its time within this time, or the clocks are not compared.
const CLOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// For `GET /health`: whether the machine's clock agrees with `PostgreSQL`'s.
pub async fn clock_skew(pool: PgPool, clock: Clock) -> Finding {
    let before = clock.now();
    let question = sqlx::query_scalar::<_, DateTime<Utc>>("select clock_timestamp()");
    let Ok(Ok(theirs)) = timeout(CLOCK_TIMEOUT, question.fetch_one(&pool)).await else {
        // The database's own check says why.
        return Finding::ok("not compared: no connection to PostgreSQL");
    };
    let ours = before + (clock.now() - before) / 2;
    let ahead = ours - theirs;
    if ahead.abs() <= MAX_CLOCK_SKEW {
        return Finding::ok("agrees with PostgreSQL's");
    }
    let seconds = ahead.num_seconds().abs();
    let direction = if ahead > TimeDelta::zero() {
        "ahead of"
    } else {
        "behind"
    };
    Finding::degraded(format!(
        "{seconds} seconds {direction} PostgreSQL's clock; synchronize both machines (NTP)"
    ))
}

fn is_undefined_table(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .as_deref()
        == Some("42P01")
}

/// The newest version in `migrator`.
#[must_use]
pub fn newest(migrator: &Migrator) -> i64 {
    migrator.iter().map(|m| m.version).max().unwrap_or(0)
}

/// Whether the database was out of reach (or out of room), so that the same may succeed later.
/// Anything else is our mistake or the data's.
#[must_use]
pub fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            // Connection exceptions, insufficient resources, operator intervention, system
            // errors, serialization failures and deadlocks (PostgreSQL, appendix A).
            ["08", "53", "57", "58", "40"].contains(&&code[..2.min(code.len())])
        }),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::BeginFailed
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}
