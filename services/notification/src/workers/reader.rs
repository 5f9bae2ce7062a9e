//! Keeps rules and recipients at hand, and reads them again when they change.

use std::sync::Arc;

use sqlx::PgPool;
use tokio::sync::watch;

use crate::domain::book::{RoutingTable, UnusableRule};
use crate::store::{StoreError, book};

/// The book as it was read last.
#[derive(Clone)]
pub struct RoutingCache {
    pool: PgPool,
    /// `None` before it was read once.
    read: watch::Sender<Option<i64>>,
    book: watch::Sender<Arc<RoutingTable>>,
}

impl RoutingCache {
    /// An empty one, to be filled from there.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            read: watch::Sender::new(None),
            book: watch::Sender::default(),
        }
    }

    /// The book; the first time, and where that failed before, it is read.
    pub async fn book(&self) -> Result<Arc<RoutingTable>, StoreError> {
        if self.read.borrow().is_none() {
            self.refresh().await?;
        }
        Ok(self.book.borrow().clone())
    }

    /// Rules that should be followed and are not, as they were read last.
    #[must_use]
    pub fn unfollowed(&self) -> Vec<UnusableRule> {
        self.book.borrow().unfollowed().to_vec()
    }

    /// Reads the book again.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let (edition, book) = book::read(&self.pool).await?;
        // Two readers may end in another order than they began.
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

    /// Reads it again if it is not of that edition.
    pub async fn follow(&self, edition: i64) -> Result<(), StoreError> {
        let known = *self.read.borrow();
        if known == Some(edition) {
            return Ok(());
        }
        self.refresh().await
    }
}
