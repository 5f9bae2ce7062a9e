//! Sessions.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use super::record::Planned;
use crate::domain::classified::Classified;
use crate::domain::session::{GAP, Session};

/// A visitor of a site.
pub(super) type VisitorKey = (i32, String);

/// Sessions by their visitor.
pub(super) type Sessions = HashMap<VisitorKey, Vec<Session>>;

/// The sessions that lie within a gap of these visits; `keys` has each visit's visitor.
///
/// A session that has gone on for 31 days is not looked for: it ends, and another begins. So no
/// more than a few partitions are read, however many there are.
pub(super) async fn near(
    connection: &mut PgConnection,
    keys: &[VisitorKey],
    visits: &[Classified],
) -> Result<Sessions, StoreError> {
    let mut periods: HashMap<&VisitorKey, (DateTime<Utc>, DateTime<Utc>)> = HashMap::new();
    for (key, visit) in keys.iter().zip(visits) {
        let moment = visit.visit.timestamp;
        let period = periods.entry(key).or_insert((moment, moment));
        *period = (period.0.min(moment), period.1.max(moment));
    }
    let sites: Vec<i32> = periods.keys().map(|key| key.0).collect();
    let visitors: Vec<&str> = periods.keys().map(|key| key.1.as_str()).collect();
    let from: Vec<_> = periods.values().map(|(first, _)| *first - GAP).collect();
    let to: Vec<_> = periods.values().map(|(_, last)| *last + GAP).collect();
    let rows = sqlx::query!(
        r#"select s.site_id, s.visitor_id, s.id, s.started_at, s.last_seen_at, s.entry_visit_id,
                  s.exit_visit_id, s.visits, s.is_bot, s.announced
           from unnest($1::int[], $2::text[], $3::timestamptz[], $4::timestamptz[])
                as p (site_id, visitor_id, earliest, latest)
           join visitor_analytics.session s
             on s.visitor_id = p.visitor_id and s.site_id = p.site_id
            and s.last_seen_at > p.earliest and s.started_at < p.latest
            and s.started_at > p.earliest - interval '31 days'"#,
        &sites,
        &visitors as _,
        &from,
        &to,
    )
    .fetch_all(connection)
    .await?;
    let mut found = Sessions::new();
    for row in rows {
        let session = Session {
            id: row.id,
            entry: (row.started_at, row.entry_visit_id),
            exit: (row.last_seen_at, row.exit_visit_id),
            visits: u32::try_from(row.visits).map_err(|_| StoreError::Unreadable("visits"))?,
            is_bot: row.is_bot,
            announced: row.announced,
        };
        let key = (row.site_id, row.visitor_id);
        found.entry(key).or_default().push(session);
    }
    Ok(found)
}

/// Writes what becomes of sessions.
pub(super) async fn write(
    connection: &mut PgConnection,
    plans: &[Planned],
) -> Result<(), StoreError> {
    let merged: Vec<_> = plans
        .iter()
        .flat_map(|p| p.plan.merged.iter().map(|m| (&p.key, m)))
        .collect();
    let changed: Vec<_> = plans.iter().flat_map(|p| &p.plan.changed).collect();
    let new: Vec<_> = plans
        .iter()
        .flat_map(|p| p.plan.new.iter().map(|s| (&p.key, s)))
        .collect();
    merge(connection, &merged).await?;
    update(connection, &changed).await?;
    insert(connection, &new).await
}

/// Adds sessions.
async fn insert(
    connection: &mut PgConnection,
    sessions: &[(&VisitorKey, &Session)],
) -> Result<(), StoreError> {
    if sessions.is_empty() {
        return Ok(());
    }
    let sites: Vec<i32> = sessions.iter().map(|(key, _)| key.0).collect();
    let visitors: Vec<&str> = sessions.iter().map(|(key, _)| key.1.as_str()).collect();
    let columns = Columns::of(sessions.iter().map(|(_, session)| *session));
    sqlx::query!(
        "insert into visitor_analytics.session (site_id, visitor_id, id, started_at, last_seen_at,
             entry_visit_id, exit_visit_id, visits, is_bot, announced)
         select * from unnest($1::int[], $2::text[], $3::uuid[], $4::timestamptz[],
             $5::timestamptz[], $6::uuid[], $7::uuid[], $8::int[], $9::bool[], $10::bool[])",
        &sites,
        &visitors as _,
        &columns.ids,
        &columns.started_at,
        &columns.last_seen_at,
        &columns.entries,
        &columns.exits,
        &columns.visits,
        &columns.bots,
        &columns.announced,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes changed sessions; each comes with the moment at which it began until now.
async fn update(
    connection: &mut PgConnection,
    sessions: &[&(DateTime<Utc>, Session)],
) -> Result<(), StoreError> {
    if sessions.is_empty() {
        return Ok(());
    }
    let before: Vec<_> = sessions.iter().map(|(before, _)| *before).collect();
    let columns = Columns::of(sessions.iter().map(|(_, session)| session));
    sqlx::query!(
        "update visitor_analytics.session s
         set started_at = n.started_at, last_seen_at = n.last_seen_at,
             entry_visit_id = n.entry_visit_id, exit_visit_id = n.exit_visit_id,
             visits = n.visits, is_bot = n.is_bot, announced = n.announced
         from unnest($1::timestamptz[], $2::uuid[], $3::timestamptz[], $4::timestamptz[],
             $5::uuid[], $6::uuid[], $7::int[], $8::bool[], $9::bool[])
             as n (before, id, started_at, last_seen_at, entry_visit_id, exit_visit_id, visits,
                   is_bot, announced)
         where s.id = n.id and s.started_at = n.before",
        &before,
        &columns.ids,
        &columns.started_at,
        &columns.last_seen_at,
        &columns.entries,
        &columns.exits,
        &columns.visits,
        &columns.bots,
        &columns.announced,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Removes sessions that are part of others now, and gives their visits to those.
async fn merge(
    connection: &mut PgConnection,
    merged: &[(&VisitorKey, &(Session, Uuid))],
) -> Result<(), StoreError> {
    if merged.is_empty() {
        return Ok(());
    }
    let sites: Vec<i32> = merged.iter().map(|(key, _)| key.0).collect();
    let into: Vec<Uuid> = merged.iter().map(|(_, (_, into))| *into).collect();
    let gone = Columns::of(merged.iter().map(|(_, (gone, _))| gone));
    sqlx::query!(
        "update visitor_analytics.visit v set session_id = m.remains
         from unnest($1::int[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[])
             as m (site_id, gone, remains, started_at, last_seen_at)
         where v.site_id = m.site_id and v.session_id = m.gone
           and v.timestamp between m.started_at and m.last_seen_at",
        &sites,
        &gone.ids,
        &into,
        &gone.started_at,
        &gone.last_seen_at,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "delete from visitor_analytics.session s
         using unnest($1::uuid[], $2::timestamptz[]) as m (id, started_at)
         where s.id = m.id and s.started_at = m.started_at",
        &gone.ids,
        &gone.started_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Sessions as PostgreSQL takes them in one statement: an array a column.
#[derive(Default)]
struct Columns {
    ids: Vec<Uuid>,
    started_at: Vec<DateTime<Utc>>,
    last_seen_at: Vec<DateTime<Utc>>,
    entries: Vec<Uuid>,
    exits: Vec<Uuid>,
    visits: Vec<i32>,
    bots: Vec<bool>,
    announced: Vec<bool>,
}

impl Columns {
    fn of<'a>(sessions: impl Iterator<Item = &'a Session>) -> Self {
        let mut columns = Self::default();
        for session in sessions {
            columns.ids.push(session.id);
            columns.started_at.push(session.entry.0);
            columns.last_seen_at.push(session.exit.0);
            columns.entries.push(session.entry.1);
            columns.exits.push(session.exit.1);
            columns
                .visits
                .push(i32::try_from(session.visits).unwrap_or(i32::MAX));
            columns.bots.push(session.is_bot);
            columns.announced.push(session.announced);
        }
        columns
    }
}
