//! Values that many visits share, each kept once: a visit holds their numbers.

mod agent;
mod network;
mod origin;
mod page;
mod place;
mod verdict;

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use common::geo::Location;
use quick_cache::sync::Cache;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use super::cache_age::CacheAge;
use crate::domain::classified::Classified;

/// Numbers that are remembered for each table, about 100 bytes each.
const REMEMBERED: usize = 20_000;
/// A value that somebody else adds at the same moment is seen by the next statement.
const TRIES: usize = 3;

/// A table of values.
trait Dimension {
    /// A value.
    type Value: ?Sized;

    /// What stands for the value, the same on every replica; `None` where there is nothing to keep.
    fn key(value: &Self::Value) -> Option<Uuid>;

    /// Adds values where they are missing. Returns the numbers of all that it could see.
    async fn add(
        connection: &mut PgConnection,
        keys: &[Uuid],
        values: &[&Self::Value],
    ) -> Result<Vec<Number>, StoreError>;
}

/// A value's key with its number.
struct Number {
    key: Uuid,
    id: i32,
}

/// The numbers met lately, table by table.
#[derive(Clone, Debug)]
pub(super) struct Dimensions {
    age: CacheAge,
    pages: Known,
    origins: Known,
    agents: Known,
    verdicts: Known,
    places: Known,
    networks: Known,
}

/// What visits hold, column by column. New numbers hold once the transaction is committed.
pub(super) struct Numbers {
    pub(super) pages: Column,
    pub(super) origins: Column,
    pub(super) agents: Column,
    pub(super) verdicts: Column,
    pub(super) located: Located,
}

/// The numbers of places and networks.
pub(super) struct Located {
    pub(super) places: Column,
    pub(super) networks: Column,
}

/// A value's key and number for each visit, and the numbers that nobody has remembered yet.
#[derive(Default)]
pub(super) struct Column {
    keys: Vec<Option<Uuid>>,
    pub(super) ids: Vec<Option<i32>>,
    new: Vec<Number>,
}

impl Dimensions {
    pub(super) fn new() -> Self {
        Self {
            age: CacheAge::default(),
            pages: Known::new(),
            origins: Known::new(),
            agents: Known::new(),
            verdicts: Known::new(),
            places: Known::new(),
            networks: Known::new(),
        }
    }

    /// Forgets all numbers.
    pub(super) fn forget(&self) {
        for known in [
            &self.pages,
            &self.origins,
            &self.agents,
            &self.verdicts,
            &self.places,
            &self.networks,
        ] {
            known.0.clear();
        }
    }

    /// What is remembered of everything that these visits share with others.
    pub(super) fn look_up(&self, visits: &[&Classified]) -> Numbers {
        if self.age.is_over() {
            self.forget();
        }
        let locations: Vec<_> = visits.iter().map(|visit| visit.location()).collect();
        let each = || visits.iter().map(|visit| Some(*visit));
        Numbers {
            pages: self.pages.look_up::<page::Page>(each()),
            origins: self.origins.look_up::<origin::Origin>(each()),
            agents: self.agents.look_up::<agent::Agent>(each()),
            verdicts: {
                let verdicts = visits.iter().map(|v| Some(&v.verdict));
                self.verdicts.look_up::<verdict::Verdict>(verdicts)
            },
            located: self.look_up_located(&locations),
        }
    }

    /// Adds what is missing. Tables and keys are gone through in one order, so that two writers
    /// never wait for each other.
    pub(super) async fn complete(
        connection: &mut PgConnection,
        numbers: &mut Numbers,
        visits: &[&Classified],
    ) -> Result<(), StoreError> {
        if numbers.are_whole() {
            return Ok(());
        }
        let each: Vec<_> = visits.iter().map(|visit| Some(*visit)).collect();
        let verdicts: Vec<_> = visits.iter().map(|v| Some(&v.verdict)).collect();
        let locations: Vec<_> = visits.iter().map(|visit| visit.location()).collect();
        numbers
            .pages
            .complete::<page::Page>(connection, &each)
            .await?;
        let origins = &mut numbers.origins;
        origins
            .complete::<origin::Origin>(connection, &each)
            .await?;
        let agents = &mut numbers.agents;
        agents.complete::<agent::Agent>(connection, &each).await?;
        let judged = &mut numbers.verdicts;
        judged
            .complete::<verdict::Verdict>(connection, &verdicts)
            .await?;
        numbers.located.complete(connection, &locations).await
    }

    /// The numbers of places and networks; adds what is new.
    pub(super) async fn located(
        &self,
        connection: &mut PgConnection,
        locations: &[Option<&Location>],
    ) -> Result<Located, StoreError> {
        let mut located = self.look_up_located(locations);
        located.complete(connection, locations).await?;
        Ok(located)
    }

    fn look_up_located(&self, locations: &[Option<&Location>]) -> Located {
        let each = || locations.iter().copied();
        Located {
            places: self.places.look_up::<place::Place>(each()),
            networks: self.networks.look_up::<network::Network>(each()),
        }
    }

    /// The numbers of verdicts.
    pub(super) async fn judged(
        &self,
        connection: &mut PgConnection,
        verdicts: &[Option<&crate::domain::bot::Verdict>],
    ) -> Result<Column, StoreError> {
        let values = verdicts.iter().copied();
        let mut column = self.verdicts.look_up::<verdict::Verdict>(values);
        column
            .complete::<verdict::Verdict>(connection, verdicts)
            .await?;
        Ok(column)
    }

    /// Remembers the numbers of verdicts, whose transaction must be committed.
    pub(super) fn remember_judged(&self, verdicts: &Column) {
        self.verdicts.remember(verdicts);
    }

    /// Remembers numbers, whose transaction must be committed.
    pub(super) fn remember(&self, numbers: &Numbers) {
        self.pages.remember(&numbers.pages);
        self.origins.remember(&numbers.origins);
        self.agents.remember(&numbers.agents);
        self.verdicts.remember(&numbers.verdicts);
        self.places.remember(&numbers.located.places);
        self.networks.remember(&numbers.located.networks);
    }
}

/// The numbers of one table, by key.
#[derive(Clone, Debug)]
struct Known(Arc<Cache<Uuid, i32>>);

impl Known {
    fn new() -> Self {
        Self(Arc::new(Cache::new(REMEMBERED)))
    }

    fn look_up<'a, D: Dimension>(
        &self,
        values: impl Iterator<Item = Option<&'a D::Value>>,
    ) -> Column
    where
        D::Value: 'a,
    {
        let keys: Vec<_> = values.map(|value| value.and_then(D::key)).collect();
        let known = |key: &Option<Uuid>| key.and_then(|key| self.0.get(&key));
        Column {
            ids: keys.iter().map(known).collect(),
            keys,
            new: vec![],
        }
    }

    fn remember(&self, column: &Column) {
        for number in &column.new {
            self.0.insert(number.key, number.id);
        }
    }
}

impl Numbers {
    /// Whether there is nothing to add.
    pub(super) fn are_whole(&self) -> bool {
        let shared = [&self.pages, &self.origins, &self.agents, &self.verdicts];
        let located = [&self.located.places, &self.located.networks];
        shared.into_iter().chain(located).all(Column::is_whole)
    }
}

impl Located {
    async fn complete(
        &mut self,
        connection: &mut PgConnection,
        locations: &[Option<&Location>],
    ) -> Result<(), StoreError> {
        let places = &mut self.places;
        places
            .complete::<place::Place>(connection, locations)
            .await?;
        let networks = &mut self.networks;
        networks
            .complete::<network::Network>(connection, locations)
            .await
    }
}

impl Column {
    fn is_whole(&self) -> bool {
        let mut each = self.keys.iter().zip(&self.ids);
        each.all(|(key, id)| key.is_some() == id.is_some())
    }

    async fn complete<D: Dimension>(
        &mut self,
        connection: &mut PgConnection,
        values: &[Option<&D::Value>],
    ) -> Result<(), StoreError> {
        let each = self.keys.iter().zip(&self.ids).zip(values);
        let missing: HashMap<_, _> = each
            .filter(|((_, id), _)| id.is_none())
            .filter_map(|((key, _), value)| Some(((*key)?, (*value)?)))
            .collect();
        self.new = added::<D>(connection, missing).await?;
        let ids: HashMap<Uuid, i32> = self.new.iter().map(|n| (n.key, n.id)).collect();
        for (key, id) in self.keys.iter().zip(&mut self.ids) {
            *id = id.or_else(|| ids.get(key.as_ref()?).copied());
        }
        Ok(())
    }
}

/// The numbers of values that nobody remembers.
async fn added<D: Dimension>(
    connection: &mut PgConnection,
    mut missing: HashMap<Uuid, &D::Value>,
) -> Result<Vec<Number>, StoreError> {
    let mut new = vec![];
    for _ in 0..TRIES {
        if missing.is_empty() {
            return Ok(new);
        }
        let mut pairs: Vec<_> = missing.iter().map(|(key, value)| (*key, *value)).collect();
        pairs.sort_by_key(|(key, _)| *key);
        let (keys, values): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        for number in D::add(connection, &keys, &values).await? {
            missing.remove(&number.key);
            new.push(number);
        }
    }
    Err(StoreError::Unreadable("a value that is there and is not"))
}

/// The first half of the SHA-256 over a value's parts, whose ends UTF-8 cannot contain.
pub(super) fn key<const N: usize>(parts: [Option<&[u8]>; N]) -> Uuid {
    let mut hash = Context::new(&SHA256);
    for part in parts {
        match part {
            Some(bytes) => {
                hash.update(bytes);
                hash.update(&[254]);
            }
            None => hash.update(&[255]),
        }
    }
    let hash = hash.finish();
    let mut half = [0; 16];
    half.copy_from_slice(&hash.as_ref()[..16]);
    Uuid::from_bytes(half)
}

fn bytes(text: Option<&String>) -> Option<&[u8]> {
    text.map(String::as_bytes)
}

/// A column of the values' fields.
fn column<'a, V: ?Sized, T>(values: &[&'a V], field: impl Fn(&'a V) -> T) -> Vec<T> {
    values.iter().map(|value| field(value)).collect()
}
