//! The service areas in the database and in memory.

use std::sync::Arc;

use chassis::database::StoreError;
use common::clock::Clock;
use tokio::task::JoinError;
use uuid::Uuid;

use super::area_cache::AreaCache;
use crate::domain::areas::{AreaIndex, InvalidServiceArea, ServiceAreaSpec};
use crate::store::{ServiceArea, Store, ValidatedArea, WriteError};

/// Reads and changes service areas. A change is visible to checks of this process at once.
#[derive(Clone)]
pub struct ServiceAreas {
    store: Store,
    cache: Arc<AreaCache>,
    clock: Clock,
}

/// A service area was not stored.
#[derive(Debug, thiserror::Error)]
pub enum ServiceAreaError {
    #[error(transparent)]
    Invalid(#[from] InvalidServiceArea),
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The validation panicked, or the process stops.
    #[error(transparent)]
    Aborted(#[from] JoinError),
}

impl ServiceAreas {
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self {
            cache: Arc::new(AreaCache::new(store.clone())),
            store,
            clock,
        }
    }

    /// The areas in memory.
    #[must_use]
    pub fn cache(&self) -> Arc<AreaCache> {
        self.cache.clone()
    }

    /// The index of the enabled areas; `None` before the first refresh.
    #[must_use]
    pub fn index(&self) -> Option<Arc<AreaIndex>> {
        self.cache.index()
    }

    /// Returns at most `limit` areas older than `before`, newest first.
    pub async fn list(
        &self,
        before: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<ServiceArea>, StoreError> {
        self.store.list_areas(before, limit).await
    }

    pub async fn get(&self, id: Uuid) -> Result<Option<ServiceArea>, StoreError> {
        Ok(self.store.get_areas(&[id]).await?.into_iter().next())
    }

    pub async fn create(&self, spec: ServiceAreaSpec) -> Result<ServiceArea, ServiceAreaError> {
        let (spec, vertices) = validate(spec).await?;
        let now = self.clock.now();
        let new = ValidatedArea {
            id: Clock::new_id_at(now),
            spec: &spec,
            vertices,
            now,
        };
        let stored = self.store.create_area(&new).await?;
        self.refresh().await;
        Ok(stored)
    }

    /// `None` if there is no such area.
    pub async fn replace(
        &self,
        id: Uuid,
        spec: ServiceAreaSpec,
    ) -> Result<Option<ServiceArea>, ServiceAreaError> {
        let (spec, vertices) = validate(spec).await?;
        let new = ValidatedArea {
            id,
            spec: &spec,
            vertices,
            now: self.clock.now(),
        };
        let stored = self.store.replace_area(&new).await?;
        if stored.is_some() {
            self.refresh().await;
        }
        Ok(stored)
    }

    /// Returns whether there was such an area.
    pub async fn delete(&self, id: Uuid) -> Result<bool, StoreError> {
        let existed = self.store.delete_area(id).await?;
        if existed {
            self.refresh().await;
        }
        Ok(existed)
    }

    /// Refreshes the areas in memory after a change. The change is stored already: if this fails,
    /// the worker retries within two seconds.
    async fn refresh(&self) {
        if let Err(error) = self.cache.refresh().await {
            tracing::warn!(%error, "service areas were not reloaded after a change; retrying soon");
        }
    }
}

/// Validates on a blocking thread: a large geometry takes up to a second.
async fn validate(spec: ServiceAreaSpec) -> Result<(ServiceAreaSpec, usize), ServiceAreaError> {
    let spec = spec.normalized();
    let check = tokio::task::spawn_blocking(move || {
        let vertices = spec.compile()?.vertices();
        Ok((spec, vertices))
    });
    check.await?
}
