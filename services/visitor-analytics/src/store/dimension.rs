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
use crate::domain::classified::Classified;

/// Numbers that are remembered for each table, about 100 bytes each.
const REMEMBERED: usize = 50_000;
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

/// A value's number for each visit, and those that nobody has remembered yet.
#[derive(Default)]
pub(super) struct Column {
    pub(super) ids: Vec<Option<i32>>,
    new: Vec<Number>,
}

impl Dimensions {
    pub(super) fn new() -> Self {
        Self {
            pages: Known::new(),
            origins: Known::new(),
            agents: Known::new(),
            verdicts: Known::new(),
            places: Known::new(),
            networks: Known::new(),
        }
    }

    /// The numbers of everything that these visits share with others; adds what is new. Tables and
    /// keys are gone through in one order, so that two writers never wait for each other.
    pub(super) async fn of(
        &self,
        connection: &mut PgConnection,
        visits: &[&Classified],
    ) -> Result<Numbers, StoreError> {
        let each: Vec<_> = visits.iter().map(|visit| Some(*visit)).collect();
        let verdicts: Vec<_> = visits.iter().map(|v| Some(&v.verdict)).collect();
        let locations: Vec<_> = visits.iter().map(|visit| visit.location()).collect();
        Ok(Numbers {
            pages: self.pages.of::<page::Page>(connection, &each).await?,
            origins: self.origins.of::<origin::Origin>(connection, &each).await?,
            agents: self.agents.of::<agent::Agent>(connection, &each).await?,
            verdicts: self
                .verdicts
                .of::<verdict::Verdict>(connection, &verdicts)
                .await?,
            located: self.located(connection, &locations).await?,
        })
    }

    /// The numbers of places and networks.
    pub(super) async fn located(
        &self,
        connection: &mut PgConnection,
        locations: &[Option<&Location>],
    ) -> Result<Located, StoreError> {
        Ok(Located {
            places: self
                .places
                .of::<place::Place>(connection, locations)
                .await?,
            networks: self
                .networks
                .of::<network::Network>(connection, locations)
                .await?,
        })
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

    async fn of<D: Dimension>(
        &self,
        connection: &mut PgConnection,
        values: &[Option<&D::Value>],
    ) -> Result<Column, StoreError> {
        let keys: Vec<_> = values.iter().map(|value| value.and_then(D::key)).collect();
        let mut ids = HashMap::new();
        let mut missing = HashMap::new();
        for (key, value) in keys.iter().zip(values) {
            let (Some(key), Some(value)) = (*key, *value) else {
                continue;
            };
            match self.0.get(&key) {
                Some(id) => _ = ids.insert(key, id),
                None => _ = missing.insert(key, value),
            }
        }
        let new = added::<D>(connection, missing).await?;
        ids.extend(new.iter().map(|number| (number.key, number.id)));
        let ids = keys.iter().map(|key| key.map(|key| ids[&key])).collect();
        Ok(Column { ids, new })
    }

    fn remember(&self, column: &Column) {
        for number in &column.new {
            self.0.insert(number.key, number.id);
        }
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
