//! The tables `service_area` and `service_area_version`.

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use geojson::Geometry;
use sqlx::types::Json;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::Store;
use crate::domain::areas::{Center, ServiceAreaSpec};

pub const MAX_AREAS: i64 = 10_000;
/// Positions of all geometries together.
pub const MAX_TOTAL_VERTICES: i64 = 500_000;
/// Postal codes of all areas together.
pub const MAX_TOTAL_POSTAL_CODES: i64 = 200_000;

/// A stored service area.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceArea {
    pub id: Uuid,
    pub spec: ServiceAreaSpec,
    /// The version of the table after the last change of this area.
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A service area to store.
#[derive(Clone, Copy, Debug)]
pub struct ValidatedArea<'a> {
    pub id: Uuid,
    /// Must have passed [`ServiceAreaSpec::compile`].
    pub spec: &'a ServiceAreaSpec,
    /// The number of positions of the geometry.
    pub vertices: usize,
    pub now: DateTime<Utc>,
}

#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("there can be at most {MAX_AREAS} service areas")]
    TooManyAreas,
    #[error("all service areas together can have at most {MAX_TOTAL_VERTICES} positions")]
    TooManyVertices,
    #[error("all service areas together can have at most {MAX_TOTAL_POSTAL_CODES} postal codes")]
    TooManyPostalCodes,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for WriteError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

struct ServiceAreaRow {
    id: Uuid,
    name: String,
    enabled: bool,
    geometry: Option<Json<Geometry>>,
    center_latitude: Option<f64>,
    center_longitude: Option<f64>,
    radius_km: Option<f64>,
    postal_codes: Vec<String>,
    regions: Vec<String>,
    countries: Vec<String>,
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<ServiceAreaRow> for ServiceArea {
    fn from(row: ServiceAreaRow) -> Self {
        let center = row.center_latitude.zip(row.center_longitude);
        Self {
            id: row.id,
            spec: ServiceAreaSpec {
                name: row.name,
                enabled: row.enabled,
                geometry: row.geometry.map(|geometry| geometry.0),
                center: center.map(|(latitude, longitude)| Center {
                    latitude,
                    longitude,
                }),
                radius_km: row.radius_km,
                postal_codes: row.postal_codes,
                regions: row.regions,
                countries: row.countries,
            },
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

impl Store {
    /// Returns at most `limit` areas older than `before`, newest first.
    pub async fn list_areas(
        &self,
        before: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<ServiceArea>, StoreError> {
        let rows = sqlx::query_as!(
            ServiceAreaRow,
            r#"select id, name, enabled, geometry as "geometry: Json<Geometry>", center_latitude,
                 center_longitude, radius_km, postal_codes, regions, countries, version,
                 created_at, updated_at
               from geo.service_area where id < $1 order by id desc limit $2"#,
            before.unwrap_or(Uuid::max()),
            limit,
        );
        let rows = rows.fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Returns the areas with these ids that exist.
    pub async fn get_areas(&self, ids: &[Uuid]) -> Result<Vec<ServiceArea>, StoreError> {
        let rows = sqlx::query_as!(
            ServiceAreaRow,
            r#"select id, name, enabled, geometry as "geometry: Json<Geometry>", center_latitude,
                 center_longitude, radius_km, postal_codes, regions, countries, version,
                 created_at, updated_at
               from geo.service_area where id = any($1)"#,
            ids,
        );
        let rows = rows.fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// The version of the table: the number of changes so far.
    pub async fn areas_version(&self) -> Result<i64, StoreError> {
        let version = sqlx::query_scalar!("select version from geo.service_area_version");
        Ok(version.fetch_one(&self.pool).await?)
    }

    /// The version of every area.
    pub async fn area_versions(&self) -> Result<Vec<(Uuid, i64)>, StoreError> {
        let rows = sqlx::query!("select id, version from geo.service_area");
        let rows = rows.fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|row| (row.id, row.version)).collect())
    }

    pub async fn create_area(&self, area: &ValidatedArea<'_>) -> Result<ServiceArea, WriteError> {
        let mut transaction = self.pool.begin().await?;
        let kept = upsert_area(&mut transaction, area).await?;
        transaction.commit().await?;
        Ok(kept)
    }

    /// Returns `None` if there is no area with this id.
    pub async fn replace_area(
        &self,
        area: &ValidatedArea<'_>,
    ) -> Result<Option<ServiceArea>, WriteError> {
        let mut transaction = self.pool.begin().await?;
        // Locks the row, so that it is not deleted before the update.
        let known = sqlx::query_scalar!(
            "select id from geo.service_area where id = $1 for update",
            area.id
        );
        if known.fetch_optional(&mut *transaction).await?.is_none() {
            return Ok(None);
        }
        let kept = upsert_area(&mut transaction, area).await?;
        transaction.commit().await?;
        Ok(Some(kept))
    }

    /// Returns `false` if there is no area with this id.
    pub async fn delete_area(&self, id: Uuid) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await?;
        increment_version(&mut transaction).await?;
        let deleted = sqlx::query!("delete from geo.service_area where id = $1", id);
        let deleted = deleted.execute(&mut *transaction).await?.rows_affected() > 0;
        transaction.commit().await?;
        Ok(deleted)
    }
}

async fn upsert_area(
    transaction: &mut Transaction<'_, Postgres>,
    area: &ValidatedArea<'_>,
) -> Result<ServiceArea, WriteError> {
    let ValidatedArea {
        id,
        spec: draft,
        vertices,
        now,
    } = *area;
    let version = increment_version(transaction).await?;
    let geometry = draft.geometry.as_ref().map(Json);
    let vertices = i32::try_from(vertices).map_err(|_| WriteError::TooManyVertices)?;
    let created_at = sqlx::query_scalar!(
        "insert into geo.service_area (id, name, enabled, geometry, center_latitude,
             center_longitude, radius_km, postal_codes, regions, countries, vertices, version,
             created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)
         on conflict on constraint service_area_pkey do update
         set name = excluded.name, enabled = excluded.enabled, geometry = excluded.geometry,
             center_latitude = excluded.center_latitude,
             center_longitude = excluded.center_longitude, radius_km = excluded.radius_km,
             postal_codes = excluded.postal_codes, regions = excluded.regions,
             countries = excluded.countries, vertices = excluded.vertices,
             version = excluded.version, updated_at = excluded.updated_at
         returning created_at",
        id,
        draft.name,
        draft.enabled,
        geometry as _,
        draft.center.map(|center| center.latitude),
        draft.center.map(|center| center.longitude),
        draft.radius_km,
        &draft.postal_codes,
        &draft.regions,
        &draft.countries,
        vertices,
        version,
        now,
    );
    let created_at = created_at.fetch_one(&mut **transaction).await?;
    check_totals(transaction).await?;
    Ok(ServiceArea {
        id,
        spec: draft.clone(),
        version,
        created_at,
        updated_at: now,
    })
}

/// Increments the version of the table. The row lock serializes changes until the transaction ends.
async fn increment_version(
    transaction: &mut Transaction<'_, Postgres>,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        "update geo.service_area_version set version = version + 1 returning version"
    )
    .fetch_one(&mut **transaction)
    .await
}

/// Limits the totals, because every replica holds all areas in memory.
async fn check_totals(transaction: &mut Transaction<'_, Postgres>) -> Result<(), WriteError> {
    let sums = sqlx::query!(
        r#"select count(*) as "areas!", coalesce(sum(vertices), 0)::bigint as "vertices!",
             coalesce(sum(cardinality(postal_codes)), 0)::bigint as "postal_codes!"
           from geo.service_area"#
    );
    let sums = sums.fetch_one(&mut **transaction).await?;
    if sums.areas > MAX_AREAS {
        return Err(WriteError::TooManyAreas);
    }
    if sums.vertices > MAX_TOTAL_VERTICES {
        return Err(WriteError::TooManyVertices);
    }
    if sums.postal_codes > MAX_TOTAL_POSTAL_CODES {
        return Err(WriteError::TooManyPostalCodes);
    }
    Ok(())
}
