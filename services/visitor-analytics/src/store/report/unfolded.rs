//! Days that are not folded: their visits are folded when somebody asks, and what was folded is
//! told for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use uuid::Uuid;

use super::SiteOfReport;
use crate::domain::day::Day;
use crate::domain::dimension::Dimension;
use crate::domain::fold::Numbers;
use crate::domain::pack::Pack;
use crate::store::rollup::{OPEN, Row};
use crate::store::{Store, StoreError};

/// A day of so many visits, or fewer, is folded each time.
const FEW: usize = 500;
/// The numbers of a day of more are told for this long, or for [`REST`] times as long as it took
/// to fold them, whichever is longer; meanwhile and after that for as long as folding takes.
const FRESH: Duration = Duration::from_secs(2);
const REST: u32 = 4;
/// Numbers older than this are not told: who asks waits.
const STALE: Duration = Duration::from_mins(5);
/// What is remembered, in bytes.
const ROOM: u64 = 256 << 20;
/// Days that are folded at a time.
const AT_ONCE: usize = 2;

const NOT_POISONED: &str = "no code panics while it holds this lock";

/// A day's numbers and visits at a moment.
#[derive(Debug)]
pub(super) struct Unfolded {
    rows: HashMap<Dimension, Vec<Row>>,
    /// The visits.
    pub(super) packs: Vec<Arc<Pack>>,
    /// When they were read.
    pub(super) as_of: DateTime<Utc>,
    begun: Instant,
    took: Duration,
    /// Of a day that is over: what it was touched by last.
    change: Option<Uuid>,
    visits: usize,
}

impl Unfolded {
    /// The numbers of a dimension's values.
    pub(super) fn rows(&self, dimension: Dimension) -> &[Row] {
        self.rows.get(&dimension).map_or(&[], Vec::as_slice)
    }

    /// Numbers without a value.
    pub(super) fn total(&self) -> [Numbers; 2] {
        let mut total = [Numbers::default(); 2];
        for row in self.rows(Dimension::Total) {
            total[usize::from(row.is_bot)] = row.numbers;
        }
        total
    }

    fn weight(&self) -> u64 {
        let rows: usize = self.rows.values().map(Vec::len).sum();
        let packs: usize = self.packs.iter().map(|pack| pack.size()).sum();
        (rows * 120 + packs + 1_000) as u64
    }
}

type Key = (i32, NaiveDate);

/// What was folded lately.
#[derive(Clone, Debug)]
pub(in crate::store) struct Days {
    known: Arc<Cache<Key, Arc<Unfolded>, Weight>>,
    busy: Arc<Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>>,
    turns: Arc<Semaphore>,
}

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<Key, Arc<Unfolded>> for Weight {
    fn weight(&self, _: &Key, day: &Arc<Unfolded>) -> u64 {
        day.weight()
    }
}

impl Days {
    pub(in crate::store) fn new() -> Self {
        Self {
            known: Arc::new(Cache::with_weighter(1_000, ROOM, Weight)),
            busy: Arc::default(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    fn lock(&self, key: Key) -> Arc<tokio::sync::Mutex<()>> {
        let mut busy = self.busy.lock().expect(NOT_POISONED);
        busy.retain(|_, lock| Arc::strong_count(lock) > 1);
        busy.entry(key).or_default().clone()
    }
}

/// What can be done with what is known of a day.
enum Use {
    /// It is told.
    Tell,
    /// It is told, and folded anew meanwhile.
    TellAndFold,
    /// It is too old.
    Fold,
}

impl Store {
    /// The numbers of a day that is not folded.
    pub(super) async fn unfolded(
        &self,
        site: &SiteOfReport,
        date: NaiveDate,
        change: Uuid,
        now: DateTime<Utc>,
    ) -> Result<Arc<Unfolded>, StoreError> {
        let key = (site.id, date);
        let is_over = Day::new(site.zone, date).to + OPEN <= now;
        let change = is_over.then_some(change);
        let asked = Instant::now();
        if let Some(known) = self.days.known.get(&key) {
            match use_of(&known, change) {
                Use::Tell => return Ok(known),
                Use::TellAndFold => {
                    if let Ok(turn) = self.days.lock(key).try_lock_owned() {
                        let (store, site) = (self.clone(), site.clone());
                        tokio::spawn(async move {
                            let _turn = turn;
                            store.fold_now(&site, date, change, now).await
                        });
                    }
                    return Ok(known);
                }
                Use::Fold => {}
            }
        }
        // It goes on, and is remembered, where the one who asked goes away.
        let (store, site) = (self.clone(), site.clone());
        let folding = tokio::spawn(async move {
            let lock = store.days.lock(key);
            let _turn = lock.lock().await;
            // Somebody else may have folded it since it was asked.
            let known = store.days.known.get(&key);
            if let Some(known) = known.filter(|k| k.begun >= asked && k.change == change) {
                return Ok(known);
            }
            store.fold_now(&site, date, change, now).await
        });
        folding
            .await
            .map_err(|_| StoreError::Unreadable("a day that cannot be folded"))?
    }

    async fn fold_now(
        &self,
        site: &SiteOfReport,
        date: NaiveDate,
        change: Option<Uuid>,
        now: DateTime<Utc>,
    ) -> Result<Arc<Unfolded>, StoreError> {
        let _turn = self.days.turns.acquire().await;
        let begun = Instant::now();
        let folded = self.fold_day(site.id, date).await?;
        let mut rows: HashMap<Dimension, Vec<Row>> = HashMap::new();
        for row in folded.rows {
            rows.entry(row.dimension).or_default().push(row);
        }
        let day = Arc::new(Unfolded {
            rows,
            visits: folded.packs.iter().map(|pack| pack.at.len()).sum(),
            packs: folded.packs.into_iter().map(Arc::new).collect(),
            as_of: now,
            begun,
            took: begun.elapsed(),
            change,
        });
        self.days.known.insert((site.id, date), day.clone());
        Ok(day)
    }
}

fn use_of(known: &Unfolded, change: Option<Uuid>) -> Use {
    let age = known.begun.elapsed();
    if change.is_some() {
        // Each touch of a day that is over gives it another mark.
        return if known.change == change {
            Use::Tell
        } else {
            Use::Fold
        };
    }
    if known.change.is_some() || known.visits <= FEW || age > STALE.max(known.took * REST * 2) {
        Use::Fold
    } else if age < FRESH.max(known.took * REST) {
        Use::Tell
    } else {
        Use::TellAndFold
    }
}
