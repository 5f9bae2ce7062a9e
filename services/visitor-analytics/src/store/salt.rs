//! Salts of visitor ids.

mod cache;

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::rand;
use cache::ExpiringSalt;
pub(super) use cache::SaltCache;
use chassis::database::StoreError;
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgPool;

use crate::domain::visitor_id::{SALT_BYTES, Salt, SaltPeriod};

/// Salts of visitor ids.
#[derive(Clone, Debug)]
pub struct SaltStore {
    pub(super) pool: PgPool,
    pub(super) salts: SaltCache,
}

impl SaltStore {
    /// The salts of periods, the same on every replica. Creates missing salts.
    pub async fn get_or_create(
        &self,
        periods: BTreeSet<SaltPeriod>,
        now: DateTime<Utc>,
    ) -> Result<BTreeMap<SaltPeriod, Salt>, StoreError> {
        let (salts, missing) = self.salts.look_up(&periods, now);
        if missing.is_empty() {
            return Ok(salts);
        }
        // Boxed, because otherwise the future of every request would reserve memory for this rare
        // call.
        Box::pin(self.create_missing(&periods, now)).await
    }

    async fn create_missing(
        &self,
        periods: &BTreeSet<SaltPeriod>,
        now: DateTime<Utc>,
    ) -> Result<BTreeMap<SaltPeriod, Salt>, StoreError> {
        let _turn = self.salts.create_lock.lock().await;
        let (mut salts, missing) = self.salts.look_up(periods, now);
        if missing.is_empty() {
            return Ok(salts);
        }
        self.insert(&missing, now).await?;
        for (period, salt) in self.load(&missing).await? {
            salts.insert(period, salt.0.clone());
            self.salts.insert(period, salt);
        }
        Ok(salts)
    }

    /// Creates salts for periods that have none, or an expired one.
    async fn insert(&self, periods: &[SaltPeriod], now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut fresh = vec![];
        for _ in periods {
            let mut salt = [0; SALT_BYTES];
            rand::fill(&mut salt).map_err(|_| StoreError::RandomSource)?;
            fresh.push(salt.to_vec());
        }
        let (kinds, days) = period_columns(periods);
        let ends: Vec<_> = periods.iter().map(|p| p.salt_expires_at(now)).collect();
        sqlx::query!(
            "insert into visitor_analytics.salt as known (kind, day, salt, expires_at, created_at)
             select kind, day, salt, expires_at, $5
             from unnest($1::text[], $2::date[], $3::bytea[], $4::timestamptz[])
                 as n (kind, day, salt, expires_at)
             order by kind, day
             on conflict on constraint salt_pkey do update
             set salt = excluded.salt, expires_at = excluded.expires_at,
                 created_at = excluded.created_at
             where known.expires_at <= excluded.created_at",
            &kinds as _,
            &days,
            &fresh,
            &ends as _,
            now,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn load(
        &self,
        periods: &[SaltPeriod],
    ) -> Result<Vec<(SaltPeriod, ExpiringSalt)>, StoreError> {
        let (kinds, days) = period_columns(periods);
        let rows = sqlx::query!(
            r#"select n.place as "place!", s.salt, s.expires_at
               from unnest($1::text[], $2::date[]) with ordinality as n (kind, day, place)
               join visitor_analytics.salt s on s.kind = n.kind and s.day = n.day"#,
            &kinds as _,
            &days,
        )
        .fetch_all(&self.pool)
        .await?;
        if rows.len() < periods.len() {
            // Another replica has just deleted an expired salt.
            return Err(StoreError::Corrupt("a salt expired while it was read"));
        }
        let salts = rows.into_iter().map(|row| {
            let salt = row.salt.as_slice().try_into();
            let salt =
                Salt::new(salt.map_err(|_| StoreError::Corrupt("a salt of the wrong length"))?);
            let place = usize::try_from(row.place - 1).unwrap_or_default();
            Ok((periods[place], (salt, row.expires_at)))
        });
        salts.collect()
    }

    /// Deletes expired salts.
    pub async fn delete_expired(&self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "delete from visitor_analytics.salt where expires_at <= $1",
            now
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}

fn period_columns(periods: &[SaltPeriod]) -> (Vec<&'static str>, Vec<NaiveDate>) {
    let columns = periods.iter().map(|p| (p.lifetime.as_str(), p.first_day));
    columns.unzip()
}
