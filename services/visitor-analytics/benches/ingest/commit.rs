//! The second probe: the same rows in transactions of 500, into a table with two indexes, with
//! nothing decided and nobody answered.

use std::time::{Duration, Instant};

use bench::Outcome;
use chrono::{DateTime, Utc};
use common::clock::Clock;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

const ROWS: usize = 500;

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

pub async fn run(database: &str, visits: &[Value], length: Duration) -> Outcome {
    let mut connection = PgConnection::connect(database).await.unwrap();
    sqlx::raw_sql(TABLE).execute(&mut connection).await.unwrap();
    commit(&mut connection, visits, Duration::from_secs(1)).await;
    let outcome = commit(&mut connection, visits, length).await;
    let drop = sqlx::raw_sql("drop table public.commit_probe");
    drop.execute(&mut connection).await.unwrap();
    outcome
}

async fn commit(connection: &mut PgConnection, visits: &[Value], length: Duration) -> Outcome {
    let clock = Clock::system();
    let started = Instant::now();
    let (mut count, mut times) = (0, vec![]);
    let text = |visit: &Value, name: &str| visit[name].as_str().unwrap_or_default().to_owned();
    let mut batches = visits.chunks(ROWS).cycle();
    while started.elapsed() < length {
        let batch = batches.next().unwrap();
        let sent = Instant::now();
        let ids: Vec<Uuid> = batch.iter().map(|_| clock.new_id()).collect();
        let moments: Vec<DateTime<Utc>> = batch.iter().map(|_| clock.now()).collect();
        let visitors: Vec<String> = ids.iter().map(|id| id.simple().to_string()).collect();
        let column = |name: &str| batch.iter().map(|v| text(v, name)).collect::<Vec<String>>();
        let mut transaction = connection.begin().await.unwrap();
        sqlx::query(INSERT)
            .bind(&ids)
            .bind(&moments)
            .bind(&ids)
            .bind(&visitors)
            .bind(column("url"))
            .bind(column("url"))
            .bind(column("referrer"))
            .bind(column("user_agent"))
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        count += batch.len();
        times.push(u32::try_from(sent.elapsed().as_micros()).unwrap());
    }
    Outcome::new(count, started.elapsed(), times)
}
