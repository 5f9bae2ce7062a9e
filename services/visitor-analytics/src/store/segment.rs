//! Segments: named sets of filters.

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use sqlx::types::Json;
use uuid::Uuid;

use crate::domain::segment::FilterValues;

const MAX_SEGMENTS: i64 = 1_000;

#[derive(Clone, Debug)]
pub struct Segment {
    pub id: Uuid,
    pub name: String,
    pub filters: Json<FilterValues>,
    pub created_at: DateTime<Utc>,
}

/// The result of adding or changing a named object.
#[derive(Clone, Debug)]
pub enum UpsertOutcome<T> {
    /// The object is stored.
    Saved(T),
    /// Another object has this name.
    NameTaken,
    /// The maximum number of objects is stored.
    LimitReached,
    /// The object to change, or its site, does not exist.
    NotFound,
}

/// Saved segments.
#[derive(Clone, Debug)]
pub struct SegmentStore {
    pub(super) pool: PgPool,
}

impl SegmentStore {
    /// All segments, sorted by name.
    pub async fn list(&self) -> Result<Vec<Segment>, StoreError> {
        let segments = sqlx::query_as!(
            Segment,
            r#"select id, name, filters as "filters: Json<FilterValues>", created_at
               from visitor_analytics.segment order by name limit $1"#,
            MAX_SEGMENTS,
        );
        Ok(segments.fetch_all(&self.pool).await?)
    }

    /// Finds a segment by name or id.
    pub async fn find(&self, named: &str) -> Result<Option<Segment>, StoreError> {
        let segment = sqlx::query_as!(
            Segment,
            r#"select id, name, filters as "filters: Json<FilterValues>", created_at
               from visitor_analytics.segment where name = $1 or id = $2
               order by name = $1 desc limit 1"#,
            named,
            named.parse::<Uuid>().ok(),
        );
        Ok(segment.fetch_optional(&self.pool).await?)
    }

    pub async fn add(
        &self,
        id: Uuid,
        name: &str,
        filters: &FilterValues,
        now: DateTime<Utc>,
    ) -> Result<UpsertOutcome<Segment>, StoreError> {
        let count =
            sqlx::query_scalar!(r#"select count(*) as "count!" from visitor_analytics.segment"#);
        if count.fetch_one(&self.pool).await? >= MAX_SEGMENTS {
            return Ok(UpsertOutcome::LimitReached);
        }
        let added = sqlx::query_as!(
            Segment,
            r#"insert into visitor_analytics.segment (id, name, filters, created_at)
               values ($1, $2, $3, $4) on conflict on constraint segment_name_key do nothing
               returning id, name, filters as "filters: Json<FilterValues>", created_at"#,
            id,
            name,
            Json(filters) as _,
            now,
        );
        let added = added.fetch_optional(&self.pool).await?;
        Ok(added.map_or(UpsertOutcome::NameTaken, UpsertOutcome::Saved))
    }

    /// Changes the name or the filters of a segment; `None` keeps the current value.
    pub async fn update(
        &self,
        id: Uuid,
        name: Option<&str>,
        filters: Option<&FilterValues>,
    ) -> Result<UpsertOutcome<Segment>, StoreError> {
        let changed = sqlx::query_as!(
            Segment,
            r#"update visitor_analytics.segment
               set name = coalesce($2, name), filters = coalesce($3, filters)
               where id = $1 and not exists (select from visitor_analytics.segment
                                             where name = $2 and id <> $1)
               returning id, name, filters as "filters: Json<FilterValues>", created_at"#,
            id,
            name,
            filters.map(Json) as _,
        );
        if let Some(segment) = changed.fetch_optional(&self.pool).await? {
            return Ok(UpsertOutcome::Saved(segment));
        }
        let is_there = self.find(&id.to_string()).await?.is_some();
        Ok(if is_there {
            UpsertOutcome::NameTaken
        } else {
            UpsertOutcome::NotFound
        })
    }

    /// Removes a segment. Returns whether it existed.
    pub async fn remove(&self, id: Uuid) -> Result<bool, StoreError> {
        let removed = sqlx::query!("delete from visitor_analytics.segment where id = $1", id);
        Ok(removed.execute(&self.pool).await?.rows_affected() > 0)
    }
}
