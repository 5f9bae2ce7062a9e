//! A role that can connect and owns its schema, without further privileges.

use chassis::database::migrate;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};

use crate::running::services;

async fn execute(pool: &PgPool, statement: String) {
    let run = sqlx::query(AssertSqlSafe(statement)).execute(pool);
    run.await.unwrap();
}

/// Creates a role and a pool for it. Roles belong to the whole server, so the role is named like
/// the database.
async fn create_role_pool(pool: &PgPool, name: &str) -> PgPool {
    let database = pool.connect_options();
    let database = database.get_database().unwrap();
    let role = format!("{database}_{name}").replace('-', "_");
    // An aborted test may have left the role behind.
    execute(pool, format!("drop role if exists \"{role}\"")).await;
    execute(pool, format!("create role \"{role}\" login password 'x'")).await;
    for statement in [
        format!("revoke all on database \"{database}\" from public"),
        "revoke all on schema public from public".to_owned(),
        format!("grant connect on database \"{database}\" to \"{role}\""),
    ] {
        execute(pool, statement).await;
    }
    let options = (*pool.connect_options()).clone();
    let options = options.username(&role).password("x");
    PgPoolOptions::new()
        .max_connections(2)
        .connect_lazy_with(options)
}

async fn drop_role(pool: &PgPool, role: &PgPool) {
    let options = role.connect_options();
    role.close().await;
    let role = options.get_username();
    execute(pool, format!("drop owned by \"{role}\" cascade")).await;
    execute(pool, format!("drop role \"{role}\"")).await;
}

#[sqlx::test(migrations = false)]
async fn a_role_that_owns_only_its_schema_migrates_it(pool: PgPool) {
    for (name, schema, migrator) in services() {
        let role = create_role_pool(&pool, name).await;
        let owner = role.connect_options();
        let owner = owner.get_username();
        // One of the schemas is only needed by an early migration, which removes it.
        let early = (name == visitor_analytics::SERVICE_NAME).then_some("visitor_analytics_before");
        for schema in [schema].into_iter().chain(early) {
            let made = format!("create schema {schema} authorization \"{owner}\"");
            execute(&pool, made).await;
        }
        // The second run has nothing to do.
        for migrator in [migrator, migrator_of(name)] {
            migrate(&role, schema, migrator).await.unwrap();
        }
        drop_role(&pool, &role).await;
    }
}

#[sqlx::test(migrations = false)]
async fn a_role_that_may_not_make_its_schema_is_told_what_to_do(pool: PgPool) {
    let (name, schema, migrator) = services().into_iter().next().unwrap();
    let role = create_role_pool(&pool, name).await;
    let error = migrate(&role, schema, migrator).await.unwrap_err();
    let advice = format!("create schema {schema} authorization <the role>;");
    assert!(error.to_string().contains(&advice), "{error}");
    drop_role(&pool, &role).await;
}

fn migrator_of(name: &str) -> sqlx::migrate::Migrator {
    let mut services = services().into_iter();
    services.find(|(own, ..)| *own == name).unwrap().2
}
