//! Deletes the rows of an erased person.

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::person::Person;
use crate::store::rollup::TouchedPeriod;
use crate::store::session::VisitorKey;

/// The keys of visits that are deleted.
pub(in crate::store) struct VisitKeyColumns {
    pub(in crate::store) ids: Vec<Uuid>,
    pub(in crate::store) timestamps: Vec<DateTime<Utc>>,
}

/// Deleted visits with the dictionary values they used.
#[derive(Default)]
pub(super) struct DeletedVisits {
    pub(super) ids: Vec<Uuid>,
    pub(super) timestamps: Vec<DateTime<Utc>>,
    pub(super) sessions: Vec<Uuid>,
    pub(super) pages: Vec<i32>,
    pub(super) origins: Vec<i32>,
    pub(super) agents: Vec<i32>,
    /// Languages and properties, in the format of the rollups.
    pub(super) texts: Vec<String>,
}

impl DeletedVisits {
    pub(super) fn keys(&self) -> VisitKeyColumns {
        VisitKeyColumns {
            ids: self.ids.clone(),
            timestamps: self.timestamps.clone(),
        }
    }
}

pub(super) struct ErasedSession {
    pub(super) id: Uuid,
    pub(super) visitor: String,
    pub(super) period: TouchedPeriod,
}

/// Finds the visitors that belong to a person.
pub(super) async fn find_visitors(
    connection: &mut PgConnection,
    person: Person<'_>,
    site: Option<&str>,
) -> Result<Vec<VisitorKey>, StoreError> {
    let keys: Vec<VisitorKey> = match person {
        Person::Visitor(id) => {
            let sites = sqlx::query_scalar!(
                r#"select distinct v.site_id as "site_id!" from visitor_analytics.session v
                   join visitor_analytics.site s on s.id = v.site_id
                   where v.visitor_id = $1 and ($2::text is null or s.domain = $2)
                   union
                   select e.site_id from visitor_analytics.event e
                   join visitor_analytics.site s on s.id = e.site_id
                   where e.visitor_id = $1 and ($2::text is null or s.domain = $2)
                   union
                   select a.site_id from visitor_analytics.announcement a
                   join visitor_analytics.site s on s.id = a.site_id
                   where a.visitor_id = $1 and ($2::text is null or s.domain = $2)"#,
                id,
                site,
            );
            let sites = sites.fetch_all(connection).await?.into_iter();
            sites.map(|site| (site, id.to_owned())).collect()
        }
        Person::User(id) => {
            let rows = sqlx::query!(
                r#"select v.site_id as "site_id!", v.visitor_id as "visitor_id!"
                   from visitor_analytics.visit v
                   join visitor_analytics.site s on s.id = v.site_id
                   where v.user_id = $1 and ($2::text is null or s.domain = $2)
                   union
                   select e.site_id, e.visitor_id from visitor_analytics.event e
                   join visitor_analytics.site s on s.id = e.site_id
                   where e.user_id = $1 and ($2::text is null or s.domain = $2)"#,
                id,
                site,
            );
            let rows = rows.fetch_all(connection).await?.into_iter();
            rows.map(|row| (row.site_id, row.visitor_id)).collect()
        }
    };
    Ok(keys)
}

fn visitor_columns(keys: &[VisitorKey]) -> (Vec<i32>, Vec<&str>) {
    keys.iter().map(|(site, id)| (*site, id.as_str())).unzip()
}

pub(super) async fn find_sessions(
    connection: &mut PgConnection,
    keys: &[VisitorKey],
) -> Result<Vec<ErasedSession>, StoreError> {
    let (sites, visitors) = visitor_columns(keys);
    let rows = sqlx::query!(
        r#"select s.id, s.visitor_id, s.site_id, s.started_at, s.last_seen_at
           from unnest($1::int[], $2::text[]) as k (site_id, visitor_id)
           join visitor_analytics.session s
             on s.visitor_id = k.visitor_id and s.site_id = k.site_id"#,
        &sites,
        &visitors as _,
    );
    let rows = rows.fetch_all(connection).await?.into_iter();
    let sessions = rows.map(|row| ErasedSession {
        id: row.id,
        visitor: row.visitor_id,
        period: TouchedPeriod {
            site_id: row.site_id,
            from: row.started_at,
            to: row.last_seen_at,
        },
    });
    Ok(sessions.collect())
}

/// Deletes visits within the sessions of their visitor, where the index by site and time finds
/// them.
pub(super) async fn delete_visits(
    connection: &mut PgConnection,
    person: Person<'_>,
    sessions: &[ErasedSession],
) -> Result<DeletedVisits, StoreError> {
    let visitors: Vec<&str> = sessions.iter().map(|s| s.visitor.as_str()).collect();
    let sites: Vec<i32> = sessions.iter().map(|s| s.period.site_id).collect();
    let from: Vec<_> = sessions.iter().map(|s| s.period.from).collect();
    let to: Vec<_> = sessions.iter().map(|s| s.period.to).collect();
    let visits = sqlx::query!(
        r#"delete from visitor_analytics.visit v
           using unnest($1::text[], $2::int[], $3::timestamptz[], $4::timestamptz[])
                   as s (visitor_id, site_id, started_at, last_seen_at),
               visitor_analytics.site o
           where v.visitor_id = s.visitor_id and v.site_id = s.site_id and o.id = v.site_id
             and v.timestamp between s.started_at and s.last_seen_at
             and ($5::text is null or v.user_id is null or v.user_id = $5)
           returning v.id, v.timestamp, v.session_id, v.page_id, v.origin_id, v.agent_id, v.language,
               array(select name || '=' || left(v.properties ->> name, 200)
                     from unnest(o.properties) name
                     where jsonb_typeof(v.properties -> name) in ('string', 'number', 'boolean')
                     order by name collate "C") as "properties!: Vec<String>""#,
        &visitors as _,
        &sites,
        &from,
        &to,
        person.user_id(),
    )
    .fetch_all(connection)
    .await?;
    let mut deleted = DeletedVisits::default();
    for visit in visits {
        deleted.ids.push(visit.id);
        deleted.timestamps.push(visit.timestamp);
        deleted.sessions.push(visit.session_id);
        deleted.pages.push(visit.page_id);
        deleted.origins.push(visit.origin_id);
        deleted.agents.push(visit.agent_id);
        deleted.texts.extend(visit.language);
        // The format of the column blocks.
        deleted
            .texts
            .extend(serde_json::to_string(&visit.properties).ok());
        deleted.texts.extend(visit.properties);
    }
    deleted.texts.sort_unstable();
    deleted.texts.dedup();
    Ok(deleted)
}

pub(in crate::store) async fn delete_pending_locations(
    connection: &mut PgConnection,
    deleted: &VisitKeyColumns,
) -> Result<u64, StoreError> {
    let result = sqlx::query!(
        "delete from visitor_analytics.owed_location o
         using unnest($1::uuid[], $2::timestamptz[]) as n (id, moment)
         where o.visit_id = n.id and o.visit_timestamp = n.moment",
        &deleted.ids,
        &deleted.timestamps,
    );
    Ok(result.execute(connection).await?.rows_affected())
}

pub(super) async fn delete_events(
    connection: &mut PgConnection,
    person: Person<'_>,
    keys: &[VisitorKey],
) -> Result<u64, StoreError> {
    let (sites, visitors) = visitor_columns(keys);
    let result = sqlx::query!(
        "delete from visitor_analytics.event e
         using unnest($1::int[], $2::text[]) as k (site_id, visitor_id)
         where e.visitor_id = k.visitor_id and e.site_id = k.site_id
           and ($3::text is null or e.user_id is null or e.user_id = $3)",
        &sites,
        &visitors as _,
        person.user_id(),
    );
    Ok(result.execute(connection).await?.rows_affected())
}

pub(in crate::store) async fn delete_outbox_entries(
    connection: &mut PgConnection,
    deleted: &VisitKeyColumns,
) -> Result<u64, StoreError> {
    let result = sqlx::query!(
        "delete from visitor_analytics.outbox o
         using unnest($1::uuid[], $2::timestamptz[]) as n (id, moment)
         where o.visit_id = n.id and o.visit_timestamp = n.moment",
        &deleted.ids,
        &deleted.timestamps,
    );
    Ok(result.execute(connection).await?.rows_affected())
}

/// Deletes the records of announced sessions. For a visitor, deletes those of sessions that no
/// longer exist, too.
pub(super) async fn delete_announcements(
    connection: &mut PgConnection,
    person: Person<'_>,
    keys: &[VisitorKey],
    sessions: &[Uuid],
) -> Result<(), StoreError> {
    let (sites, visitors) = visitor_columns(keys);
    sqlx::query!(
        "delete from visitor_analytics.announcement a
         where a.session_id = any($1)
            or $4::text is null and (a.site_id, a.visitor_id) in (
                select * from unnest($2::int[], $3::text[]))",
        sessions,
        &sites,
        &visitors as _,
        person.user_id(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(in crate::store) async fn delete_import_marks(
    connection: &mut PgConnection,
    deleted: &VisitKeyColumns,
) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from visitor_analytics.imported_visit v
         using unnest($1::uuid[], $2::timestamptz[]) as n (id, moment)
         where v.visit_id = n.id and v.visit_timestamp = n.moment",
        &deleted.ids,
        &deleted.timestamps,
    )
    .execute(connection)
    .await?;
    Ok(())
}
