//! Places: country, region, city and coordinates.

use chassis::database::StoreError;
use common::geo::Location;
use sqlx::PgConnection;
use uuid::Uuid;

use super::table::{DimensionId, DimensionTable, bytes, column, key};

pub(super) struct PlaceTable;

impl DimensionTable for PlaceTable {
    type Value = Location;

    fn key(location: &Location) -> Option<Uuid> {
        if location.country_code.is_none() && location.latitude.is_none() {
            return None;
        }
        let (latitude, longitude) = (
            location.latitude.map(f64::to_be_bytes),
            location.longitude.map(f64::to_be_bytes),
        );
        Some(key([
            bytes(location.country_code.as_ref()),
            bytes(location.country.as_ref()),
            bytes(location.region_code.as_ref()),
            bytes(location.region.as_ref()),
            bytes(location.city.as_ref()),
            latitude.as_ref().map(|bits| &bits[..]),
            longitude.as_ref().map(|bits| &bits[..]),
            bytes(location.time_zone.as_ref()),
        ]))
    }

    async fn insert_missing(
        connection: &mut PgConnection,
        keys: &[Uuid],
        locations: &[&Location],
    ) -> Result<Vec<DimensionId>, StoreError> {
        let country_codes = column(locations, |l| l.country_code.as_deref());
        let countries = column(locations, |l| l.country.as_deref());
        let region_codes = column(locations, |l| l.region_code.as_deref());
        let regions = column(locations, |l| l.region.as_deref());
        let cities = column(locations, |l| l.city.as_deref());
        let latitudes = column(locations, |l| l.latitude);
        let longitudes = column(locations, |l| l.longitude);
        let time_zones = column(locations, |l| l.time_zone.as_deref());
        let ids = sqlx::query_as!(
            DimensionId,
            r#"with added as (
                   insert into visitor_analytics.place (key, country_code, country, region_code,
                       region, city, latitude, longitude, time_zone)
                   select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[],
                       $6::text[], $7::float8[], $8::float8[], $9::text[])
                   on conflict on constraint place_key_key do nothing
                   returning key, id)
               select key as "key!", id as "id!" from added
               union all
               select key, id from visitor_analytics.place where key = any($1)"#,
            keys,
            &country_codes as _,
            &countries as _,
            &region_codes as _,
            &regions as _,
            &cities as _,
            &latitudes as _,
            &longitudes as _,
            &time_zones as _,
        );
        Ok(ids.fetch_all(connection).await?)
    }
}
