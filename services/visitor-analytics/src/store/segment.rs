//! Segments: named sets of filters.

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::domain::segment::Written;

const MAX_SEGMENTS: i64 = 1_000;

#[derive(Clone, Debug)]
pub struct Segment {
    pub id: Uuid,
    pub name: String,
    pub filters: Json<Written>,
    pub created_at: DateTime<Utc>,
}

/// The result of adding or changing a named object.
#[derive(Clone, Debug)]
pub enum UpsertOutcome<T> {
    /// The object is stored.
    Done(T),
    /// Another object has this name.
    Taken,
    /// The maximum number of objects is stored.
    Full,
    /// The object to change, or its site, does not exist.
    Missing,
}

impl Store {
    /// All segments, sorted by name.
    pub async fn segments(&self) -> Result<Vec<Segment>, StoreError> {
        let segments = sqlx::query_as!(
            Segment,
            r#"select id, name, filters as "filters: Json<Written>", created_at
               from visitor_analytics.segment order by name limit $1"#,
            MAX_SEGMENTS,
        );
        Ok(segments.fetch_all(&self.pool).await?)
    }

    /// Finds a segment by name or id.
    pub async fn segment(&self, named: &str) -> Result<Option<Segment>, StoreError> {
        let segment = sqlx::query_as!(
            Segment,
            r#"select id, name, filters as "filters: Json<Written>", created_at
               from visitor_analytics.segment where name = $1 or id = $2
               order by name = $1 desc limit 1"#,
            named,
            named.parse::<Uuid>().ok(),
        );
        Ok(segment.fetch_optional(&self.pool).await?)
    }

    pub async fn add_segment(
        &self,
        id: Uuid,
        name: &str,
        filters: &Written,
        now: DateTime<Utc>,
    ) -> Result<UpsertOutcome<Segment>, StoreError> {
        let count =
            sqlx::query_scalar!(r#"select count(*) as "count!" from visitor_analytics.segment"#);
        if count.fetch_one(&self.pool).await? >= MAX_SEGMENTS {
            return Ok(UpsertOutcome::Full);
        }
        let added = sqlx::query_as!(
            Segment,
            r#"insert into visitor_analytics.segment (id, name, filters, created_at)
               values ($1, $2, $3, $4) on conflict on constraint segment_name_key do nothing
               returning id, name, filters as "filters: Json<Written>", created_at"#,
            id,
            name,
            Json(filters) as _,
            now,
        );
        let added = added.fetch_optional(&self.pool).await?;
        Ok(added.map_or(UpsertOutcome::Taken, UpsertOutcome::Done))
    }

    /// Changes the name or the filters of a segment; `None` keeps the current value.
    pub async fn change_segment(
        &self,
        id: Uuid,
        name: Option<&str>,
        filters: Option<&Written>,
    ) -> Result<UpsertOutcome<Segment>, StoreError> {
        let changed = sqlx::query_as!(
            Segment,
            r#"update visitor_analytics.segment
               set name = coalesce($2, name), filters = coalesce($3, filters)
               where id = $1 and not exists (select from visitor_analytics.segment
                                             where name = $2 and id <> $1)
               returning id, name, filters as "filters: Json<Written>", created_at"#,
            id,
            name,
            filters.map(Json) as _,
        );
        if let Some(segment) = changed.fetch_optional(&self.pool).await? {
            return Ok(UpsertOutcome::Done(segment));
        }
        let is_there = self.segment(&id.to_string()).await?.is_some();
        Ok(if is_there {
            UpsertOutcome::Taken
        } else {
            UpsertOutcome::Missing
        })
    }

    /// Removes a segment. Returns whether it existed.
    pub async fn remove_segment(&self, id: Uuid) -> Result<bool, StoreError> {
        let removed = sqlx::query!("delete from visitor_analytics.segment where id = $1", id);
        Ok(removed.execute(&self.pool).await?.rows_affected() > 0)
    }
}
