//! Texts of values and their ids: the table `rollup_value`.

use std::collections::HashMap;
use std::sync::Arc;

use chassis::database::StoreError;

use super::rollup_store::RollupStore;
use super::write::ensure_value_ids;
use crate::store::dictionary::key;

impl RollupStore {
    /// The ids of texts in `rollup_value`, mostly from the cache. An id does not change as long as
    /// anything refers to it.
    pub async fn value_ids<'a>(
        &self,
        texts: impl Iterator<Item = &'a Arc<str>>,
    ) -> Result<HashMap<Arc<str>, i32>, StoreError> {
        self.text_ids.clear_if_expired();
        let mut ids = HashMap::new();
        let mut missing = vec![];
        for text in texts {
            match self.text_ids.get(text) {
                Some(id) => _ = ids.insert(text.clone(), id),
                None => missing.push(text),
            }
        }
        for (text, id) in ensure_value_ids(&self.pool, missing.into_iter()).await? {
            self.text_ids.insert(text.clone(), id);
            ids.insert(text, id);
        }
        Ok(ids)
    }

    /// The texts with these ids. The id 0 stands for no value.
    pub async fn value_texts(
        &self,
        ids: impl Iterator<Item = u32>,
    ) -> Result<HashMap<u32, Arc<str>>, StoreError> {
        let ids: Vec<i32> = ids.filter(|id| *id != 0).map(u32::cast_signed).collect();
        let rows = sqlx::query!(
            "select id, text from visitor_analytics.rollup_value where id = any($1)",
            &ids
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        let texts = rows.map(|row| (row.id.cast_unsigned(), Arc::from(row.text)));
        Ok(texts.collect())
    }

    /// The id of a text, if it has one.
    pub async fn find_value_id(&self, text: &str) -> Result<Option<u32>, StoreError> {
        let id = sqlx::query_scalar!(
            "select id from visitor_analytics.rollup_value where key = $1",
            key([Some(text.as_bytes())]),
        );
        let id = id.fetch_optional(&self.pool).await?;
        Ok(id.map(i32::cast_unsigned))
    }
}
