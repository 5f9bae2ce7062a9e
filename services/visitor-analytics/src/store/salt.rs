//! The daily salts of visitor ids.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::{Store, StoreError};
use crate::domain::visitor::Salt;

/// A salt is deleted when it is this old; then nobody can tie the day's visitors to addresses.
const LIFETIME: TimeDelta = TimeDelta::hours(48);

/// The salts in use, with the moment each was made.
#[derive(Clone, Debug, Default)]
pub(super) struct Salts {
    known: Arc<Mutex<HashMap<NaiveDate, Known>>>,
}

type Known = (Salt, DateTime<Utc>);

impl Salts {
    /// The salts that are known, and the days that have none.
    fn known(
        &self,
        days: BTreeSet<NaiveDate>,
        now: DateTime<Utc>,
    ) -> (BTreeMap<NaiveDate, Salt>, Vec<NaiveDate>) {
        let mut known = self.known.lock().expect(NOT_POISONED);
        known.retain(|_, (_, created_at)| now - *created_at < LIFETIME);
        let mut salts = BTreeMap::new();
        let mut missing = vec![];
        for day in days {
            match known.get(&day) {
                Some((salt, _)) => _ = salts.insert(day, *salt),
                None => missing.push(day),
            }
        }
        (salts, missing)
    }

    fn remember(&self, day: NaiveDate, salt: Salt, created_at: DateTime<Utc>) {
        let mut known = self.known.lock().expect(NOT_POISONED);
        known.insert(day, (salt, created_at));
    }
}

const NOT_POISONED: &str = "no code panics while it holds this lock";

impl Store {
    /// The salts of days, the same on every replica; made when they are first asked for.
    pub async fn salts(
        &self,
        days: BTreeSet<NaiveDate>,
        now: DateTime<Utc>,
    ) -> Result<BTreeMap<NaiveDate, Salt>, StoreError> {
        let (mut salts, missing) = self.salts.known(days, now);
        if missing.is_empty() {
            return Ok(salts);
        }
        for (day, salt, created_at) in self.shared_salts(&missing, now).await? {
            self.salts.remember(day, salt, created_at);
            salts.insert(day, salt);
        }
        Ok(salts)
    }

    async fn shared_salts(
        &self,
        days: &[NaiveDate],
        now: DateTime<Utc>,
    ) -> Result<Vec<(NaiveDate, Salt, DateTime<Utc>)>, StoreError> {
        let mut fresh = vec![];
        for _ in days {
            let mut salt = Salt::default();
            rand::fill(&mut salt).map_err(|_| StoreError::Unreadable("no randomness"))?;
            fresh.push(salt.to_vec());
        }
        sqlx::query!(
            "insert into visitor_analytics.salt as known (day, salt, created_at)
             select day, salt, $3 from unnest($1::date[], $2::bytea[]) as n (day, salt)
             order by day
             on conflict on constraint salt_pkey do update
             set salt = excluded.salt, created_at = excluded.created_at
             where known.created_at <= $4",
            days,
            &fresh,
            now,
            now - LIFETIME,
        )
        .execute(&self.pool)
        .await?;
        let rows = sqlx::query!(
            "select day, salt, created_at from visitor_analytics.salt where day = any($1)",
            days,
        )
        .fetch_all(&self.pool)
        .await?;
        let salts = rows.into_iter().map(|row| {
            let salt = Salt::try_from(row.salt).map_err(|_| StoreError::Unreadable("salt"))?;
            Ok((row.day, salt, row.created_at))
        });
        salts.collect()
    }

    /// Deletes the salts that have lived long enough.
    pub async fn delete_old_salts(&self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "delete from visitor_analytics.salt where created_at <= $1",
            now - LIFETIME,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}
