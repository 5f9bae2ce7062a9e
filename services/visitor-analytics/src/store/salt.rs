//! The daily salts of visitor ids.

use std::collections::HashMap;
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

const NOT_POISONED: &str = "no code panics while it holds this lock";

impl Store {
    /// The salt of a day, the same on every replica; made when it is first asked for.
    pub async fn salt(&self, day: NaiveDate, now: DateTime<Utc>) -> Result<Salt, StoreError> {
        {
            let mut known = self.salts.known.lock().expect(NOT_POISONED);
            known.retain(|_, (_, created_at)| now - *created_at < LIFETIME);
            if let Some((salt, _)) = known.get(&day) {
                return Ok(*salt);
            }
        }
        let (salt, created_at) = self.shared_salt(day, now).await?;
        let mut known = self.salts.known.lock().expect(NOT_POISONED);
        known.insert(day, (salt, created_at));
        Ok(salt)
    }

    async fn shared_salt(
        &self,
        day: NaiveDate,
        now: DateTime<Utc>,
    ) -> Result<(Salt, DateTime<Utc>), StoreError> {
        let mut fresh = Salt::default();
        rand::fill(&mut fresh).map_err(|_| StoreError::Unreadable("no randomness"))?;
        sqlx::query!(
            "insert into visitor_analytics.salt as known (day, salt, created_at)
             values ($1, $2, $3)
             on conflict on constraint salt_pkey do update
             set salt = excluded.salt, created_at = excluded.created_at
             where known.created_at <= $4",
            day,
            &fresh[..],
            now,
            now - LIFETIME,
        )
        .execute(&self.pool)
        .await?;
        let row = sqlx::query!(
            "select salt, created_at from visitor_analytics.salt where day = $1",
            day,
        )
        .fetch_one(&self.pool)
        .await?;
        let salt = Salt::try_from(row.salt).map_err(|_| StoreError::Unreadable("salt"))?;
        Ok((salt, row.created_at))
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
