//! Networks: AS number and organization.

use chassis::database::StoreError;
use common::geo::Location;
use sqlx::PgConnection;
use uuid::Uuid;

use super::table::{DimensionId, DimensionTable, bytes, column, key};

pub(super) struct NetworkTable;

impl DimensionTable for NetworkTable {
    type Value = Location;

    fn key(location: &Location) -> Option<Uuid> {
        let organization = location.as_organization.as_ref();
        if location.asn.is_none() && organization.is_none() {
            return None;
        }
        let asn = location.asn.map(|asn| i64::from(asn).to_be_bytes());
        let asn = asn.as_ref().map(|bits| &bits[..]);
        Some(key([asn, bytes(organization)]))
    }

    async fn insert_missing(
        connection: &mut PgConnection,
        keys: &[Uuid],
        locations: &[&Location],
    ) -> Result<Vec<DimensionId>, StoreError> {
        let asns = column(locations, |l| l.asn.map(i64::from));
        let organizations = column(locations, |l| l.as_organization.as_deref());
        let ids = sqlx::query_as!(
            DimensionId,
            r#"with added as (
                   insert into visitor_analytics.network (key, asn, as_organization)
                   select * from unnest($1::uuid[], $2::bigint[], $3::text[])
                   on conflict on constraint network_key_key do nothing
                   returning key, id)
               select key as "key!", id as "id!" from added
               union all
               select key, id from visitor_analytics.network where key = any($1)"#,
            keys,
            &asns as _,
            &organizations as _,
        );
        Ok(ids.fetch_all(connection).await?)
    }
}
