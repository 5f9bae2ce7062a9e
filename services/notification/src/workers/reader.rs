//! Caches the routing table and reloads it when rules or recipients change.

use std::sync::Arc;

use sqlx::PgPool;
use tokio::sync::watch;

use crate::domain::book::{RoutingTable, UnusableRule};
use crate::store::{StoreError, book};

#[derive(Clone)]
pub struct RoutingCache {
    pool: PgPool,
    /// The version of the loaded table; `None` before the first load.
    read: watch::Sender<Option<i64>>,
    book: watch::Sender<Arc<RoutingTable>>,
}

impl RoutingCache {
    /// The cache is empty until the first use.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            read: watch::Sender::new(None),
            book: watch::Sender::default(),
        }
    }

    /// Returns the routing table. Loads it if no load has succeeded yet.
    pub async fn book(&self) -> Result<Arc<RoutingTable>, StoreError> {
        if self.read.borrow().is_none() {
            self.refresh().await?;
        }
        Ok(self.book.borrow().clone())
    }

    /// The active rules that are not applied, with the reasons.
    #[must_use]
    pub fn unfollowed(&self) -> Vec<UnusableRule> {
        self.book.borrow().unfollowed().to_vec()
    }

    /// Reloads the routing table.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let (edition, book) = book::read(&self.pool).await?;
        // Concurrent loads may finish in another order than they started.
        self.read.send_if_modified(|read| {
            let newer = read.is_none_or(|read| read <= edition);
            if newer {
                *read = Some(edition);
                self.book.send_replace(Arc::new(book));
            }
            newer
        });
        Ok(())
    }

    /// Reloads the routing table if its version is not `edition`.
    pub async fn follow(&self, edition: i64) -> Result<(), StoreError> {
        let known = *self.read.borrow();
        if known == Some(edition) {
            return Ok(());
        }
        self.refresh().await
    }
}
