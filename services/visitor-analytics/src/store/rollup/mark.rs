//! Marks of days that are not folded. A day that is still open is marked once by each process,
//! one that is over whenever something of it changes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use rollups::day::LocalDay;
use sqlx::PgConnection;

use super::zone::zones;
use super::{ROLLUP_DELAY, ROLLUP_LEASE};
use crate::store::StoreError;

/// A day stays open for this long after its end: nobody folds it yet.
pub(in crate::store) const OPEN_DAY_GRACE: TimeDelta = TimeDelta::hours(1);
/// A site's time zone is looked up again when it is this old, well within [`OPEN`].
const TIME_ZONE_TTL: TimeDelta = TimeDelta::minutes(10);
/// Sites that are remembered, each about 200 bytes.
const MAX_CACHED_SITES: usize = 10_000;

const DIRTY_DAYS_LOCK_POISONED: &str = "no code panics while it holds this lock";

/// From the first to the last visit of something that changes on a site.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct TouchedPeriod {
    pub(in crate::store) site_id: i32,
    pub(in crate::store) from: DateTime<Utc>,
    pub(in crate::store) to: DateTime<Utc>,
}

/// The open days that are known to be marked.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct DirtyDays(Arc<Mutex<HashMap<i32, SiteDirtyDays>>>);

/// Of one site.
#[derive(Clone, Debug)]
struct SiteDirtyDays {
    zone: Tz,
    zone_read_at: DateTime<Utc>,
    days: Vec<LocalDay>,
}

/// What may be remembered once the transaction is committed.
#[must_use]
#[derive(Debug, Default)]
pub(in crate::store) struct MarkedDays(HashMap<i32, SiteDirtyDays>);

impl SiteDirtyDays {
    fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        now < self.zone_read_at + TIME_ZONE_TTL
    }

    fn cover(&self, period: &TouchedPeriod, now: DateTime<Utc>) -> bool {
        let holds = |day: &LocalDay| day.contains(period.from) && day.contains(period.to);
        let mut days = self.days.iter();
        self.is_fresh(now) && days.any(|day| holds(day) && is_open(day, now))
    }
}

fn is_open(day: &LocalDay, now: DateTime<Utc>) -> bool {
    now < day.to + OPEN_DAY_GRACE
}

impl DirtyDays {
    /// Marks every day of these periods. Within the transaction that changes them, as its last
    /// statement: writers wait here for each other, and must not for anything later.
    pub(in crate::store) async fn mark(
        &self,
        connection: &mut PgConnection,
        periods: impl Iterator<Item = TouchedPeriod>,
        now: DateTime<Utc>,
    ) -> Result<MarkedDays, StoreError> {
        let (unknown, mut sites) = self.unknown(periods, now);
        if unknown.is_empty() {
            return Ok(MarkedDays::default());
        }
        let ids: BTreeSet<i32> = unknown.iter().map(|period| period.site_id).collect();
        let ids: Vec<i32> = ids
            .into_iter()
            .filter(|id| !sites.contains_key(id))
            .collect();
        for (id, zone) in zones(connection, &ids).await? {
            let known = SiteDirtyDays {
                zone,
                zone_read_at: now,
                days: vec![],
            };
            sites.insert(id, known);
        }
        let mut write = BTreeMap::new();
        for period in unknown {
            let Some(site) = sites.get(&period.site_id) else {
                continue;
            };
            let days = LocalDay::between(site.zone, period.from, period.to);
            let days = days.filter(|day| !(is_open(day, now) && site.days.contains(day)));
            write.extend(days.map(|day| ((period.site_id, day.date), day)));
        }
        touch(connection, &write, now).await?;
        for ((id, _), day) in write {
            if let Some(site) = sites.get_mut(&id).filter(|_| is_open(&day, now)) {
                site.days.retain(|known| is_open(known, now));
                site.days.push(day);
            }
        }
        Ok(MarkedDays(sites))
    }

    /// Marks every day of these periods anew, also those that are open: what was told of them from
    /// memory is told no longer.
    pub(in crate::store) async fn mark_anew(
        &self,
        connection: &mut PgConnection,
        periods: impl Iterator<Item = TouchedPeriod>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let periods: Vec<TouchedPeriod> = periods.collect();
        let ids: BTreeSet<i32> = periods.iter().map(|period| period.site_id).collect();
        let ids: Vec<i32> = ids.into_iter().collect();
        let zones: HashMap<i32, Tz> = zones(connection, &ids).await?.into_iter().collect();
        let mut days = BTreeMap::new();
        for period in periods {
            if let Some(zone) = zones.get(&period.site_id) {
                let touched = LocalDay::between(*zone, period.from, period.to);
                days.extend(touched.map(|day| ((period.site_id, day.date), day)));
            }
        }
        touch(connection, &days, now).await
    }

    /// Whether nothing has to be marked for these periods.
    pub(in crate::store) fn cover(
        &self,
        periods: impl Iterator<Item = TouchedPeriod>,
        now: DateTime<Utc>,
    ) -> bool {
        self.unknown(periods, now).0.is_empty()
    }

    /// Remembers what was marked; its transaction must be committed.
    pub(in crate::store) fn remember(&self, marked: MarkedDays) {
        if marked.0.is_empty() {
            return;
        }
        let mut known = self.0.lock().expect(DIRTY_DAYS_LOCK_POISONED);
        if known.len() >= MAX_CACHED_SITES {
            known.clear();
        }
        // Another writer may have remembered another day meanwhile: that day is marked once more.
        known.extend(marked.0);
    }

    /// The periods that do not lie within one marked open day, and what is known of their sites.
    fn unknown(
        &self,
        periods: impl Iterator<Item = TouchedPeriod>,
        now: DateTime<Utc>,
    ) -> (Vec<TouchedPeriod>, HashMap<i32, SiteDirtyDays>) {
        let known = self.0.lock().expect(DIRTY_DAYS_LOCK_POISONED);
        let is_known = |period: &TouchedPeriod| {
            let site = known.get(&period.site_id);
            site.is_some_and(|site| site.cover(period, now))
        };
        let unknown: Vec<TouchedPeriod> = periods.filter(|period| !is_known(period)).collect();
        let sites = unknown.iter().filter_map(|period| {
            let site = known.get(&period.site_id)?;
            site.is_fresh(now).then(|| (period.site_id, site.clone()))
        });
        let sites = sites.collect();
        (unknown, sites)
    }
}

/// Marks days, or marks them anew; in order, so that two writers never wait for each other.
async fn touch(
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
