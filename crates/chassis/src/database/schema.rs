//! Migrations. Each service stores its list of applied migrations in its own schema.

use std::collections::HashSet;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Connection as _, PgConnection, PgPool, SqlSafeStr as _};

use super::reject_transaction_pooler;

/// Why a migration failed.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    #[error("cannot connect to the database at DATABASE_URL")]
    Unreachable(#[source] sqlx::Error),
    /// The database is behind a pooler in transaction mode.
    #[error(transparent)]
    Pooler(anyhow::Error),
    #[error("cannot migrate the database at DATABASE_URL")]
    Migration(#[source] MigrateError),
    /// Schemas are missing and the role cannot create them. Holds SQL statements.
    #[error("the role in DATABASE_URL cannot create schemas; as owner of the database, run: {0}")]
    MissingPrivilege(String),
}

impl SchemaError {
    /// Recognizes a missing privilege on the database (not on a table) and adds the SQL that fixes
    /// it.
    fn from_migrate_error(error: MigrateError, missing: &[String]) -> Self {
        let (MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)) = &error
        else {
            return Self::Migration(error);
        };
        // insufficient_privilege (PostgreSQL, appendix A).
        let is_refused = cause.as_database_error().is_some_and(|error| {
            error.code().as_deref() == Some("42501") && error.message().contains("for database")
        });
        if !is_refused {
            return Self::Migration(error);
        }
        let create = |schema: &String| format!("create schema {schema} authorization <the role>;");
        let statements: Vec<String> = missing.iter().map(create).collect();
        Self::MissingPrivilege(statements.join(" "))
    }
}

/// Applies all pending migrations.
pub async fn migrate(
    pool: &PgPool,
    schema: &'static str,
    migrator: Migrator,
) -> Result<(), SchemaError> {
    reject_transaction_pooler(pool.clone())
        .await
        .map_err(SchemaError::Pooler)?;
    // A connection outside of the pool reports its error at once and has no statement timeout.
    let options = (*pool.connect_options()).clone().options([
        ("statement_timeout", "0"),
        ("idle_in_transaction_session_timeout", "0"),
    ]);
    let mut connection = PgConnection::connect_with(&options)
        .await
        .map_err(SchemaError::Unreachable)?;
    let newest = newest_version(&migrator);
    let existing = list_schemas(&mut connection).await?;
    let missing = missing_schemas(&migrator, schema, &existing);
    // `create schema if not exists` requires a privilege on the database even if the schema exists.
    // A role that owns only its schema does not have this privilege.
    let mut migrator = without_existing_schemas(&migrator, &existing);
    if missing.iter().any(|name| name == schema) {
        migrator.create_schema(schema);
    }
    migrator.dangerous_set_table_name(format!("{schema}._sqlx_migrations"));
    // After a rollback to an older version, the schema has unknown migrations. Migrations only add
    // (expand and contract), so the older version works with them.
    migrator.set_ignore_missing(true);
    let migrated = migrator.run(&mut connection).await;
    migrated.map_err(|error| SchemaError::from_migrate_error(error, &missing))?;
    let version = applied_version_query(schema)
        .fetch_one(&mut connection)
        .await;
    match version.map_err(SchemaError::Unreachable)? {
        Some(version) if version > newest => tracing::warn!(
            schema,
            version,
            newest,
            "the schema is newer than this program; it is not changed"
        ),
        _ => tracing::info!(schema, "the schema is up to date"),
    }
    Ok(())
}

/// Returns the names of all schemas of the database.
async fn list_schemas(connection: &mut PgConnection) -> Result<HashSet<String>, SchemaError> {
    let names = sqlx::query_scalar("select nspname::text from pg_namespace");
    let names: Vec<String> = names
        .fetch_all(connection)
        .await
        .map_err(SchemaError::Unreachable)?;
    Ok(names.into_iter().collect())
}

/// Extracts the name from a line that creates a schema.
fn parse_created_schema(line: &str) -> Option<&str> {
    let name = line.strip_prefix("create schema ")?.strip_suffix(';')?;
    Some(name.strip_prefix("if not exists ").unwrap_or(name))
}

/// Returns `schema` and the schemas that migrations create, as far as they do not exist.
fn missing_schemas(migrator: &Migrator, schema: &str, existing: &HashSet<String>) -> Vec<String> {
    let lines = migrator.iter().flat_map(|m| m.sql.as_str().lines());
    let names = std::iter::once(schema).chain(lines.filter_map(parse_created_schema));
    let mut missing: Vec<String> = vec![];
    for name in names {
        if !existing.contains(name) && !missing.iter().any(|known| known == name) {
            missing.push(name.to_owned());
        }
    }
    missing
}

/// Removes statements that create existing schemas from the migrations. The checksums stay the
/// same.
fn without_existing_schemas(migrator: &Migrator, existing: &HashSet<String>) -> Migrator {
    let is_kept =
        |line: &&str| !parse_created_schema(line).is_some_and(|schema| existing.contains(schema));
    let migrations = migrator.iter().cloned().map(|mut migration| {
        let kept: Vec<&str> = migration.sql.as_str().lines().filter(is_kept).collect();
        // The lines are from our own migrations.
        migration.sql = sqlx::AssertSqlSafe(kept.join("\n")).into_sql_str();
        migration
    });
    Migrator::with_migrations(migrations.collect())
}

type VersionQuery =
    sqlx::query::QueryScalar<'static, sqlx::Postgres, Option<i64>, sqlx::postgres::PgArguments>;

/// The query for the version of the newest applied migration.
pub(super) fn applied_version_query(schema: &'static str) -> VersionQuery {
    let question = format!("select max(version) from {schema}._sqlx_migrations where success");
    // Only the name of the schema, a constant of the service, is inserted.
    sqlx::query_scalar(sqlx::AssertSqlSafe(question))
}

/// The version of the newest migration in `migrator`.
#[must_use]
pub fn newest_version(migrator: &Migrator) -> i64 {
    migrator.iter().map(|m| m.version).max().unwrap_or(0)
}
