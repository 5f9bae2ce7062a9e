//! Dictionaries of values that many visits share. Each value is stored once; visits refer to its
//! id.

mod agent;
mod network;
mod origin;
mod page;
mod place;
mod table;
mod verdict;

use std::collections::HashMap;
use std::sync::Arc;

use chassis::database::StoreError;
use common::geo::Location;
use quick_cache::sync::Cache;
use sqlx::PgConnection;
use uuid::Uuid;

pub(super) use table::key;
use table::{DimensionId, DimensionTable};

use super::cache_age::CacheAge;
use crate::domain::enriched_visit::EnrichedVisit;

/// Cached ids per table, about 100 bytes each.
const MAX_CACHED_IDS: usize = 20_000;
/// A value that a concurrent transaction inserts is visible to the next statement.
const MAX_INSERT_ATTEMPTS: usize = 3;

/// Cached ids by table.
#[derive(Clone, Debug)]
pub(super) struct DictionaryCache {
    age: CacheAge,
    pages: IdCache,
    origins: IdCache,
    agents: IdCache,
    verdicts: IdCache,
    places: IdCache,
    networks: IdCache,
}

/// The ids of visits, column by column. New ids are valid once the transaction is committed.
pub(super) struct VisitDimensionIds {
    pub(super) pages: IdColumn,
    pub(super) origins: IdColumn,
    pub(super) agents: IdColumn,
    pub(super) verdicts: IdColumn,
    pub(super) locations: LocationIds,
}

pub(super) struct LocationIds {
    pub(super) places: IdColumn,
    pub(super) networks: IdColumn,
}

/// The keys and ids of the visits, and the ids that are not cached yet.
#[derive(Default)]
pub(super) struct IdColumn {
    keys: Vec<Option<Uuid>>,
    pub(super) ids: Vec<Option<i32>>,
    new: Vec<DimensionId>,
}

impl DictionaryCache {
    pub(super) fn new() -> Self {
        Self {
            age: CacheAge::default(),
            pages: IdCache::new(),
            origins: IdCache::new(),
            agents: IdCache::new(),
            verdicts: IdCache::new(),
            places: IdCache::new(),
            networks: IdCache::new(),
        }
    }

    pub(super) fn clear(&self) {
        for cache in [
            &self.pages,
            &self.origins,
            &self.agents,
            &self.verdicts,
            &self.places,
            &self.networks,
        ] {
            cache.0.clear();
        }
    }

    /// Looks up the cached ids of the values of these visits.
    pub(super) fn look_up(&self, visits: &[&EnrichedVisit]) -> VisitDimensionIds {
        if self.age.restart_if_expired() {
            self.clear();
        }
        let locations: Vec<_> = visits.iter().map(|visit| visit.location()).collect();
        let each = || visits.iter().map(|visit| Some(*visit));
        VisitDimensionIds {
            pages: self.pages.look_up::<page::PageTable>(each()),
            origins: self.origins.look_up::<origin::OriginTable>(each()),
            agents: self.agents.look_up::<agent::AgentTable>(each()),
            verdicts: {
                let verdicts = visits.iter().map(|v| Some(&v.verdict));
                self.verdicts.look_up::<verdict::VerdictTable>(verdicts)
            },
            locations: self.look_up_locations(&locations),
        }
    }

    /// Inserts missing values. Tables and keys are processed in a fixed order, so that concurrent
    /// writers do not deadlock.
    pub(super) async fn insert_missing(
        connection: &mut PgConnection,
        ids: &mut VisitDimensionIds,
        visits: &[&EnrichedVisit],
    ) -> Result<(), StoreError> {
        if ids.is_complete() {
            return Ok(());
        }
        let each: Vec<_> = visits.iter().map(|visit| Some(*visit)).collect();
        let verdicts: Vec<_> = visits.iter().map(|v| Some(&v.verdict)).collect();
        let locations: Vec<_> = visits.iter().map(|visit| visit.location()).collect();
        ids.pages
            .insert_missing::<page::PageTable>(connection, &each)
            .await?;
        let origin_ids = &mut ids.origins;
        origin_ids
            .insert_missing::<origin::OriginTable>(connection, &each)
            .await?;
        let agent_ids = &mut ids.agents;
        agent_ids
            .insert_missing::<agent::AgentTable>(connection, &each)
            .await?;
        let verdict_ids = &mut ids.verdicts;
        verdict_ids
            .insert_missing::<verdict::VerdictTable>(connection, &verdicts)
            .await?;
        ids.locations.insert_missing(connection, &locations).await
    }

    /// The ids of places and networks; inserts missing ones.
    pub(super) async fn location_ids(
        &self,
        connection: &mut PgConnection,
        locations: &[Option<&Location>],
    ) -> Result<LocationIds, StoreError> {
        let mut ids = self.look_up_locations(locations);
        ids.insert_missing(connection, locations).await?;
        Ok(ids)
    }

    fn look_up_locations(&self, locations: &[Option<&Location>]) -> LocationIds {
        let each = || locations.iter().copied();
        LocationIds {
            places: self.places.look_up::<place::PlaceTable>(each()),
            networks: self.networks.look_up::<network::NetworkTable>(each()),
        }
    }

    /// The ids of verdicts; inserts missing ones.
    pub(super) async fn verdict_ids(
        &self,
        connection: &mut PgConnection,
        verdicts: &[Option<&bot_detection::BotVerdict>],
    ) -> Result<IdColumn, StoreError> {
        let values = verdicts.iter().copied();
        let mut column = self.verdicts.look_up::<verdict::VerdictTable>(values);
        column
            .insert_missing::<verdict::VerdictTable>(connection, verdicts)
            .await?;
        Ok(column)
    }

    /// Caches the ids of verdicts. Their transaction must be committed.
    pub(super) fn remember_verdicts(&self, verdicts: &IdColumn) {
        self.verdicts.remember(verdicts);
    }

    /// Caches ids. Their transaction must be committed.
    pub(super) fn remember(&self, ids: &VisitDimensionIds) {
        self.pages.remember(&ids.pages);
        self.origins.remember(&ids.origins);
        self.agents.remember(&ids.agents);
        self.verdicts.remember(&ids.verdicts);
        self.places.remember(&ids.locations.places);
        self.networks.remember(&ids.locations.networks);
    }
}

/// Ids of one table by key.
#[derive(Clone, Debug)]
struct IdCache(Arc<Cache<Uuid, i32>>);

impl IdCache {
    fn new() -> Self {
        Self(Arc::new(Cache::new(MAX_CACHED_IDS)))
    }

    fn look_up<'a, D: DimensionTable>(
        &self,
        values: impl Iterator<Item = Option<&'a D::Value>>,
    ) -> IdColumn
    where
        D::Value: 'a,
    {
        let keys: Vec<_> = values.map(|value| value.and_then(D::key)).collect();
        let known = |key: &Option<Uuid>| key.and_then(|key| self.0.get(&key));
        IdColumn {
            ids: keys.iter().map(known).collect(),
            keys,
            new: vec![],
        }
    }

    fn remember(&self, column: &IdColumn) {
        for new_id in &column.new {
            self.0.insert(new_id.key, new_id.id);
        }
    }
}

impl VisitDimensionIds {
    pub(super) fn is_complete(&self) -> bool {
        let shared = [&self.pages, &self.origins, &self.agents, &self.verdicts];
        let located = [&self.locations.places, &self.locations.networks];
        shared.into_iter().chain(located).all(IdColumn::is_complete)
    }
}

impl LocationIds {
    async fn insert_missing(
        &mut self,
        connection: &mut PgConnection,
        locations: &[Option<&Location>],
    ) -> Result<(), StoreError> {
        let places = &mut self.places;
        places
            .insert_missing::<place::PlaceTable>(connection, locations)
            .await?;
        let networks = &mut self.networks;
        networks
            .insert_missing::<network::NetworkTable>(connection, locations)
            .await
    }
}

impl IdColumn {
    fn is_complete(&self) -> bool {
        let mut each = self.keys.iter().zip(&self.ids);
        each.all(|(key, id)| key.is_some() == id.is_some())
    }

    async fn insert_missing<D: DimensionTable>(
        &mut self,
        connection: &mut PgConnection,
        values: &[Option<&D::Value>],
    ) -> Result<(), StoreError> {
        let each = self.keys.iter().zip(&self.ids).zip(values);
        let missing: HashMap<_, _> = each
            .filter(|((_, id), _)| id.is_none())
            .filter_map(|((key, _), value)| Some(((*key)?, (*value)?)))
            .collect();
        self.new = insert_values::<D>(connection, missing).await?;
        let ids: HashMap<Uuid, i32> = self.new.iter().map(|n| (n.key, n.id)).collect();
        for (key, id) in self.keys.iter().zip(&mut self.ids) {
            *id = id.or_else(|| ids.get(key.as_ref()?).copied());
        }
        Ok(())
    }
}

/// Inserts values that are not cached. Returns their ids.
async fn insert_values<D: DimensionTable>(
    connection: &mut PgConnection,
    mut missing: HashMap<Uuid, &D::Value>,
) -> Result<Vec<DimensionId>, StoreError> {
    let mut new = vec![];
    for _ in 0..MAX_INSERT_ATTEMPTS {
        if missing.is_empty() {
            return Ok(new);
        }
        let mut pairs: Vec<_> = missing.iter().map(|(key, value)| (*key, *value)).collect();
        pairs.sort_by_key(|(key, _)| *key);
        let (keys, values): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        for number in D::insert_missing(connection, &keys, &values).await? {
            missing.remove(&number.key);
            new.push(number);
        }
    }
    Err(StoreError::Corrupt(
        "a dictionary value that can be neither inserted nor read",
    ))
}
