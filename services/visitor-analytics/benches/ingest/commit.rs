//! The second probe: commits the same rows in transactions of up to 500 visits into a table with
//! two indexes, without enrichment and sessions.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use chrono::{DateTime, Utc};
use common::clock::Clock;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;
use visitor_analytics::domain::visit::SubmittedVisit;

const MAX_BATCH_VISITS: usize = 500;

const TABLE: &str = "
    drop table if exists public.commit_probe;
    create table public.commit_probe (
        id uuid, moment timestamptz, site_id integer, session_id uuid, visitor_id text, url text,
        path text, referrer text, source text, medium text, method text, status_code integer,
        response_time_ms integer, user_agent text, browser text, browser_version text, os text,
        os_version text, device_type text, language text, country_code text, country text,
        is_bot boolean, bot_score integer, primary key (id, moment));
    create index on public.commit_probe (site_id, moment, id)";

const INSERT: &str = "
    insert into public.commit_probe
    select id, moment, 1, session_id, visitor_id, url, path, referrer, 'google.com', 'referral',
        'GET', 200, 12, user_agent, 'Firefox', '144.0', 'Windows', '10', 'desktop', 'en-GB', 'GB',
        'United Kingdom', false, 0
    from unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::text[], $5::text[], $6::text[],
        $7::text[], $8::text[])
        as n (id, moment, session_id, visitor_id, url, path, referrer, user_agent)
    on conflict do nothing";

type Job = (SubmittedVisit, oneshot::Sender<()>);

/// A handler that answers after its visit is committed.
pub async fn router() -> axum::Router {
    let database = std::env::var("DATABASE_URL").unwrap();
    let mut connection = PgConnection::connect(&database).await.unwrap();
    sqlx::raw_sql(TABLE).execute(&mut connection).await.unwrap();
    let (jobs, waiting) = mpsc::channel(10_000);
    tokio::spawn(commit_batches(connection, waiting));
    axum::Router::new()
        .route("/visits", post(handle_visit))
        .with_state(jobs)
}

async fn handle_visit(
    State(jobs): State<mpsc::Sender<Job>>,
    Json(visit): Json<SubmittedVisit>,
) -> StatusCode {
    let (done, committed) = oneshot::channel();
    jobs.send((visit, done)).await.unwrap();
    committed.await.unwrap();
    StatusCode::ACCEPTED
}

async fn commit_batches(mut connection: PgConnection, mut waiting: mpsc::Receiver<Job>) {
    let clock = Clock::system();
    let mut jobs = vec![];
    while waiting.recv_many(&mut jobs, MAX_BATCH_VISITS).await > 0 {
        let (batch, done): (Vec<_>, Vec<_>) = jobs.drain(..).unzip();
        let ids: Vec<Uuid> = batch.iter().map(|_| clock.new_id()).collect();
        let moments: Vec<DateTime<Utc>> = batch.iter().map(|_| clock.now()).collect();
        let visitors: Vec<String> = ids.iter().map(|id| id.simple().to_string()).collect();
        let column = |field: fn(&SubmittedVisit) -> Option<&str>| {
            batch.iter().map(field).collect::<Vec<_>>()
        };
        let mut transaction = connection.begin().await.unwrap();
        let insert = sqlx::query(INSERT)
            .bind(&ids)
            .bind(&moments)
            .bind(&ids)
            .bind(&visitors)
            .bind(column(|visit| Some(&visit.url)))
            .bind(column(|visit| Some(&visit.url)))
            .bind(column(|visit| visit.referrer.as_deref()))
            .bind(column(|visit| visit.user_agent.as_deref()));
        insert.execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
        for done in done {
            let _ = done.send(());
        }
    }
}
