//! Marks dirty days: the table `unfolded_day`. Each process marks an open day once, and a past day
//! at every change.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use chassis::database::StoreError;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use rollups::day::LocalDay;
use sqlx::PgConnection;

use super::schedule::{OPEN_DAY_GRACE, ROLLUP_DELAY, ROLLUP_LEASE};
use super::time_zone::load_time_zones;

/// How long a site's time zone is cached; well below [`OPEN_DAY_GRACE`].
const TIME_ZONE_TTL: TimeDelta = TimeDelta::minutes(10);
/// About 200 bytes each.
const MAX_CACHED_SITES: usize = 10_000;

const DIRTY_DAYS_LOCK_POISONED: &str = "no code panics while it holds this lock";

/// The period of visits or a session that change on a site.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct TouchedPeriod {
    pub(in crate::store) site_id: i32,
    pub(in crate::store) from: DateTime<Utc>,
    pub(in crate::store) to: DateTime<Utc>,
}

/// Caches which open days are marked already.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct DirtyDays(Arc<Mutex<HashMap<i32, SiteDirtyDays>>>);

#[derive(Clone, Debug)]
struct SiteDirtyDays {
    zone: Tz,
    zone_read_at: DateTime<Utc>,
    days: Vec<LocalDay>,
}

/// The days that a transaction marked. They may be cached once it is committed.
#[must_use]
#[derive(Debug, Default)]
pub(in crate::store) struct MarkedDays(HashMap<i32, SiteDirtyDays>);

impl SiteDirtyDays {
    fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        now < self.zone_read_at + TIME_ZONE_TTL
    }

    fn covers(&self, period: &TouchedPeriod, now: DateTime<Utc>) -> bool {
        let holds = |day: &LocalDay| day.contains(period.from) && day.contains(period.to);
        let mut days = self.days.iter();
        self.is_fresh(now) && days.any(|day| holds(day) && is_open(day, now))
    }
}

fn is_open(day: &LocalDay, now: DateTime<Utc>) -> bool {
    now < day.to + OPEN_DAY_GRACE
}

impl DirtyDays {
    /// Marks every day of these periods. Must be the last statement of the transaction that changes
    /// them: concurrent writers wait here for each other, and a later wait could deadlock.
    pub(in crate::store) async fn mark(
        &self,
        connection: &mut PgConnection,
        periods: impl Iterator<Item = TouchedPeriod>,
        now: DateTime<Utc>,
    ) -> Result<MarkedDays, StoreError> {
        let (unknown, mut sites) = self.unmarked(periods, now);
        if unknown.is_empty() {
            return Ok(MarkedDays::default());
        }
        let ids: BTreeSet<i32> = unknown.iter().map(|period| period.site_id).collect();
        let ids: Vec<i32> = ids
            .into_iter()
            .filter(|id| !sites.contains_key(id))
            .collect();
        for (id, zone) in load_time_zones(connection, &ids).await? {
            let site = SiteDirtyDays {
                zone,
                zone_read_at: now,
                days: vec![],
            };
            sites.insert(id, site);
        }
        let mut marked_days = BTreeMap::new();
        for period in unknown {
            let Some(site) = sites.get(&period.site_id) else {
                continue;
            };
            let days = LocalDay::between(site.zone, period.from, period.to);
            let days = days.filter(|day| !(is_open(day, now) && site.days.contains(day)));
            marked_days.extend(days.map(|day| ((period.site_id, day.date), day)));
        }
        upsert_marks(connection, &marked_days, now).await?;
        for ((id, _), day) in marked_days {
            if let Some(site) = sites.get_mut(&id).filter(|_| is_open(&day, now)) {
                site.days.retain(|day| is_open(day, now));
                site.days.push(day);
            }
        }
        Ok(MarkedDays(sites))
    }

    /// Marks every day of these periods with a new id, including open days, so that cached results
    /// become invalid.
    pub(in crate::store) async fn mark_changed(
        &self,
        connection: &mut PgConnection,
        periods: impl Iterator<Item = TouchedPeriod>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let periods: Vec<TouchedPeriod> = periods.collect();
        let ids: BTreeSet<i32> = periods.iter().map(|period| period.site_id).collect();
        let ids: Vec<i32> = ids.into_iter().collect();
        let zones: HashMap<i32, Tz> = load_time_zones(connection, &ids)
            .await?
            .into_iter()
            .collect();
        let mut days = BTreeMap::new();
        for period in periods {
            if let Some(zone) = zones.get(&period.site_id) {
                let touched = LocalDay::between(*zone, period.from, period.to);
                days.extend(touched.map(|day| ((period.site_id, day.date), day)));
            }
        }
        upsert_marks(connection, &days, now).await
    }

    /// Whether all days of these periods are marked already.
    pub(in crate::store) fn are_marked(
        &self,
        periods: impl Iterator<Item = TouchedPeriod>,
        now: DateTime<Utc>,
    ) -> bool {
        self.unmarked(periods, now).0.is_empty()
    }

    /// Caches marked days. Their transaction must be committed.
    pub(in crate::store) fn remember(&self, marked: MarkedDays) {
        if marked.0.is_empty() {
            return;
        }
        let mut cache = self.0.lock().expect(DIRTY_DAYS_LOCK_POISONED);
        if cache.len() >= MAX_CACHED_SITES {
            cache.clear();
        }
        // The days of a concurrent writer may be lost here; they are marked once more.
        cache.extend(marked.0);
    }

    /// The periods that do not lie within one open, marked day, and the cached data of their sites.
    fn unmarked(
        &self,
        periods: impl Iterator<Item = TouchedPeriod>,
        now: DateTime<Utc>,
    ) -> (Vec<TouchedPeriod>, HashMap<i32, SiteDirtyDays>) {
        let cache = self.0.lock().expect(DIRTY_DAYS_LOCK_POISONED);
        let is_marked = |period: &TouchedPeriod| {
            let site = cache.get(&period.site_id);
            site.is_some_and(|site| site.covers(period, now))
        };
        let unknown: Vec<TouchedPeriod> = periods.filter(|period| !is_marked(period)).collect();
        let sites = unknown.iter().filter_map(|period| {
            let site = cache.get(&period.site_id)?;
            site.is_fresh(now).then(|| (period.site_id, site.clone()))
        });
        let sites = sites.collect();
        (unknown, sites)
    }
}

/// Marks days, or gives their marks a new id, in a fixed order, so that concurrent writers do not
/// deadlock.
async fn upsert_marks(
    connection: &mut PgConnection,
    days: &BTreeMap<(i32, NaiveDate), LocalDay>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if days.is_empty() {
        return Ok(());
    }
    let sites: Vec<i32> = days.keys().map(|(site, _)| *site).collect();
    let dates: Vec<NaiveDate> = days.keys().map(|(_, date)| *date).collect();
    let due = |day: &LocalDay| (day.to + ROLLUP_DELAY).max(now + ROLLUP_LEASE);
    let due: Vec<DateTime<Utc>> = days.values().map(due).collect();
    sqlx::query!(
        "insert into visitor_analytics.unfolded_day as u (site_id, day, due_at)
         select * from unnest($1::int[], $2::date[], $3::timestamptz[])
         on conflict on constraint unfolded_day_pkey
         do update set change = gen_random_uuid(), due_at = greatest(u.due_at, excluded.due_at)",
        &sites,
        &dates,
        &due,
    )
    .execute(connection)
    .await?;
    Ok(())
}
