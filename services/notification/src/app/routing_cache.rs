//! Caches the routing table and reloads it when rules or recipients change.

use std::sync::Arc;

use chassis::database::StoreError;
use sqlx::PgPool;
use tokio::sync::watch;

use crate::domain::routing_table::{RoutingTable, UnusableRule};
use crate::store::routing_table;

#[derive(Clone)]
pub struct RoutingCache {
    pool: PgPool,
    /// The version of the loaded table; `None` before the first load.
    version: watch::Sender<Option<i64>>,
    table: watch::Sender<Arc<RoutingTable>>,
}

impl RoutingCache {
    /// The cache is empty until the first use.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            version: watch::Sender::new(None),
            table: watch::Sender::default(),
        }
    }

    /// Returns the routing table. Loads it if no load has succeeded yet.
    pub async fn table(&self) -> Result<Arc<RoutingTable>, StoreError> {
        if self.version.borrow().is_none() {
            self.refresh().await?;
        }
        Ok(self.table.borrow().clone())
    }

    /// The active rules that are not applied, with the reasons.
    #[must_use]
    pub fn unusable_rules(&self) -> Vec<UnusableRule> {
        self.table.borrow().unusable_rules().to_vec()
    }

    /// Reloads the routing table.
    #[tracing::instrument(level = "debug", name = "refresh_rules", skip_all)]
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let (version, table) = routing_table::load(&self.pool).await?;
        // Concurrent loads may finish in another order than they started.
        self.version.send_if_modified(|read| {
            let newer = read.is_none_or(|read| read <= version);
            if newer {
                *read = Some(version);
                self.table.send_replace(Arc::new(table));
            }
            newer
        });
        Ok(())
    }

    /// Reloads the routing table if another version is loaded than `version`.
    pub async fn refresh_to(&self, version: i64) -> Result<(), StoreError> {
        let known = *self.version.borrow();
        if known == Some(version) {
            return Ok(());
        }
        self.refresh().await
    }
}
