//! Pages: the URL without its query, and the title.

use chassis::database::StoreError;
use sqlx::PgConnection;
use url::{Position, Url};
use uuid::Uuid;

use super::table::{DimensionId, DimensionTable, bytes, column, key};
use crate::domain::enriched_visit::EnrichedVisit;

pub(super) struct PageTable;

fn base(url: &Url) -> &str {
    &url[..Position::AfterPath]
}

impl DimensionTable for PageTable {
    type Value = EnrichedVisit;

    fn key(visit: &EnrichedVisit) -> Option<Uuid> {
        let base = base(&visit.visit.url).as_bytes();
        Some(key([Some(base), bytes(visit.visit.title.as_ref())]))
    }

    async fn insert_missing(
        connection: &mut PgConnection,
        keys: &[Uuid],
        visits: &[&EnrichedVisit],
    ) -> Result<Vec<DimensionId>, StoreError> {
        let bases: Vec<&str> = column(visits, |v| base(&v.visit.url));
        let paths: Vec<&str> = column(visits, |v| v.visit.url.path());
        let titles = column(visits, |v| v.visit.title.as_deref());
        let ids = sqlx::query_as!(
            DimensionId,
            r#"with added as (
                   insert into visitor_analytics.page (key, base, path, title)
                   select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[])
                   on conflict on constraint page_key_key do nothing
                   returning key, id)
               select key as "key!", id as "id!" from added
               union all
               select key, id from visitor_analytics.page where key = any($1)"#,
            keys,
            &bases as _,
            &paths as _,
            &titles as _,
        );
        Ok(ids.fetch_all(connection).await?)
    }
}
