//! The baseline: a handler that parses the same JSON and inserts it into two tables with group
//! commit, without any decision. Each table has one index in addition to its primary key.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use common::clock::Clock;
use common::notification::NotifyRequest;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// Starts this program as the baseline server.
pub const SERVE_FLAG: &str = "--serve-bare-commit";
const MAX_BATCH_SIZE: usize = 500;

const TABLES: &str = "
    drop table if exists public.bare_notification, public.bare_delivery;
    create table public.bare_notification
        (id uuid primary key, event text, data json, status text, created_at timestamptz);
    alter table public.bare_notification set (toast_tuple_target = 8160);
    create index on public.bare_notification (event, id);
    create table public.bare_delivery (id uuid primary key, notification_id uuid, channel text,
        recipient text, body text, status text, due_at timestamptz, created_at timestamptz);
    create index on public.bare_delivery (notification_id)";

const INSERT: &str = "
    with asked as materialized (
        select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::json[], $5::timestamptz[])
            as asked (id, delivery_id, event, data, now)),
    kept as (
        insert into public.bare_notification select id, event, data, 'queued', now from asked)
    insert into public.bare_delivery
    select delivery_id, id, 'log', 'log', 'New visitor from London, United Kingdom', 'pending',
        now, now from asked";

type Job = (NotifyRequest, oneshot::Sender<()>);

/// Runs the baseline server if the arguments request it; otherwise returns false.
pub async fn serve(arguments: &[String]) -> bool {
    let [_, flag, port, ..] = arguments else {
        return false;
    };
    if flag != SERVE_FLAG {
        return false;
    }
    let database = std::env::var("DATABASE_URL").unwrap();
    let mut connection = PgConnection::connect(&database).await.unwrap();
    sqlx::raw_sql(TABLES)
        .execute(&mut connection)
        .await
        .unwrap();
    let (jobs, waiting) = mpsc::channel(10_000);
    tokio::spawn(commit_batches(connection, waiting));
    let router = Router::new()
        .route("/notify", post(accept))
        .with_state(jobs);
    let address = format!("127.0.0.1:{port}");
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    axum::serve(listener, router).await.unwrap();
    true
}

async fn accept(
    State(jobs): State<mpsc::Sender<Job>>,
    Json(asked): Json<NotifyRequest>,
) -> StatusCode {
    let (done, committed) = oneshot::channel();
    jobs.send((asked, done)).await.unwrap();
    committed.await.unwrap();
    StatusCode::ACCEPTED
}

async fn commit_batches(mut connection: PgConnection, mut waiting: mpsc::Receiver<Job>) {
    let clock = Clock::system();
    let mut jobs = vec![];
    while waiting.recv_many(&mut jobs, MAX_BATCH_SIZE).await > 0 {
        let (batch, done): (Vec<_>, Vec<_>) = jobs.drain(..).unzip();
        let ids = || batch.iter().map(|_| clock.new_id()).collect::<Vec<Uuid>>();
        let now: Vec<DateTime<Utc>> = batch.iter().map(|_| clock.now()).collect();
        let insert = sqlx::query(INSERT)
            .bind(ids())
            .bind(ids())
            .bind(batch.iter().map(|b| b.event.as_deref()).collect::<Vec<_>>())
            .bind(
                batch
                    .iter()
                    .map(|b| sqlx::types::Json(&b.data))
                    .collect::<Vec<_>>(),
            )
            .bind(now);
        insert.execute(&mut connection).await.unwrap();
        for done in done {
            let _ = done.send(());
        }
    }
}
