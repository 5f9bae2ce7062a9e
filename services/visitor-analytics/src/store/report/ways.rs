//! The ways of sessions, and what comes before and after a page: from rollups where days are whole
//! and all visits count, else from packed visits.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::packed::{DayOfPacks, Reader};
use super::paths::{BY_PAGE, Matching, PAGE};
use super::unfolded::Want;
use super::{Answered, Asked, Plan, UNREADABLE};
use crate::domain::fold::Value;
use crate::domain::journey::{Around, Way, Ways, around};
use crate::domain::pattern::Pattern;
use crate::domain::question::seconds;
use crate::store::rollup::{Lexicon, load_ways, value};
use crate::store::{Store, StoreError};

/// A way and how many sessions took it.
#[derive(Clone, Debug)]
pub struct WayTaken {
    /// Its first pages.
    pub pages: Vec<Arc<str>>,
    /// Whether there are more.
    pub goes_on: bool,
    /// How many sessions.
    pub sessions: i64,
}

/// A page, or the begin or end of a session, and how many visits.
pub type Neighbours = Vec<(Option<Arc<str>>, i64)>;

/// What comes before and after a page.
#[derive(Clone, Debug)]
pub struct AroundPage {
    /// Visits of the page.
    pub visits: i64,
    /// By the page before, the most frequent first.
    pub before: Neighbours,
    /// By the page after.
    pub after: Neighbours,
}

/// What is known of the days of a question without a look at their visits.
struct Known {
    /// Of days and months.
    rows: Vec<Vec<u8>>,
    /// The other days are to be scanned.
    plan: Plan,
    as_of: DateTime<Utc>,
}

impl Store {
    /// The ways that sessions take most often, and how many sessions there are.
    pub async fn ways(
        &self,
        asked: &Asked,
        is_bot: Option<bool>,
        depth: usize,
        limit: usize,
    ) -> Result<Answered<(Vec<WayTaken>, i64)>, StoreError> {
        let known = self.known_ways(asked, depth).await?;
        let mut scanned = Ways::default();
        let reader = self
            .scan(asked, &known.plan, |day, _| {
                let packs = (&day.packs[..], day.is_mixed);
                scanned.add(packs, &seconds(&day.day), is_bot, depth);
            })
            .await?;
        let pages = scanned.counts.keys().flat_map(|(pages, _)| *pages);
        let numbers = self.numbers_of(&reader.lexicon, pages.collect()).await?;
        let mut ways = Ways::default();
        ways.add_named(&scanned, &numbers);
        for row in &known.rows {
            ways.add_bytes(row, is_bot).ok_or(UNREADABLE)?;
        }
        Ok(Answered {
            answer: (self.ways_taken(ways.first(limit)).await?, ways.sessions),
            as_of: known.as_of.min(reader.as_of),
        })
    }

    /// Where visitors come from before a page, and where they go after it.
    pub async fn around(
        &self,
        asked: &Asked,
        is_bot: Option<bool>,
        wanted: &Pattern,
        limit: usize,
    ) -> Result<Answered<AroundPage>, StoreError> {
        let known = self.known_ways(asked, 0).await?;
        let mut scanned = Around::default();
        let mut matching = Matching::new(std::slice::from_ref(wanted));
        let reader = self
            .scan(asked, &known.plan, |day, lexicon| {
                let packs = (&day.packs[..], day.is_mixed);
                let is_it = matching.of(lexicon);
                scanned.add(packs, &seconds(&day.day), is_bot, |page| {
                    is_it[page as usize] != 0
                });
            })
            .await?;
        let pages = scanned.before.keys().chain(scanned.after.keys());
        let numbers = self.numbers_of(&reader.lexicon, pages.copied().collect());
        let mut found = Around::default();
        found.add_named(&scanned, &numbers.await?);
        let pages = self.pages_like(wanted, &known.rows).await?;
        for row in &known.rows {
            let added = found.add_bytes(row, is_bot, |page| pages.contains(&page));
            added.ok_or(UNREADABLE)?;
        }
        Ok(Answered {
            answer: AroundPage {
                visits: found.visits,
                before: self.neighbours(found.before, limit).await?,
                after: self.neighbours(found.after, limit).await?,
            },
            as_of: known.as_of.min(reader.as_of),
        })
    }

    async fn known_ways(&self, asked: &Asked, depth: usize) -> Result<Known, StoreError> {
        let mut known = Known {
            rows: vec![],
            plan: self.plan(&asked.by_days_of_site()).await?,
            as_of: asked.now,
        };
        if let Some(period) = known.plan.folded {
            let which = (asked.site.id, depth);
            known.rows = load_ways(&self.pool, which, period, &known.plan.open).await?;
        }
        for date in &known.plan.open {
            let day = (*date, known.plan.unfolded[date]);
            let day = self
                .unfolded(&asked.site, day, asked.now, Want::Numbers)
                .await?;
            known.as_of = known.as_of.min(day.as_of);
            known.rows.push(day.ways(depth).to_vec());
        }
        Ok(known)
    }

    async fn scan(
        &self,
        asked: &Asked,
        plan: &Plan,
        count: impl FnMut(&DayOfPacks, &Lexicon),
    ) -> Result<Reader, StoreError> {
        let mut reader = Reader::new(self, asked, &plan.unfolded, &[PAGE]);
        reader.each(&plan.scanned, &BY_PAGE, count).await?;
        Ok(reader)
    }

    /// The numbers that these pages' texts have in rollups.
    async fn numbers_of(
        &self,
        lexicon: &Lexicon,
        pages: BTreeSet<Value>,
    ) -> Result<HashMap<Value, Value>, StoreError> {
        let texts = pages.into_iter();
        let texts = texts.filter_map(|page| Some((page, lexicon.text(page)?)));
        let texts: Vec<(Value, Arc<str>)> = texts.collect();
        let ids = self.value_ids(texts.iter().map(|(_, text)| text)).await?;
        let numbers = texts.into_iter();
        let numbers = numbers.map(|(page, text)| (page, ids[&text].cast_unsigned()));
        Ok(numbers.collect())
    }

    async fn ways_taken(&self, ways: Vec<(Way, i64)>) -> Result<Vec<WayTaken>, StoreError> {
        let ids = ways
            .iter()
            .flat_map(|((pages, _), _)| pages.iter().copied());
        let ids: BTreeSet<Value> = ids.collect();
        let texts = self.texts(ids.into_iter()).await?;
        let taken = ways
            .into_iter()
            .map(|((pages, goes_on), sessions)| WayTaken {
                pages: pages
                    .iter()
                    .filter_map(|page| texts.get(page).cloned())
                    .collect(),
                goes_on,
                sessions,
            });
        let mut taken: Vec<WayTaken> = taken.collect();
        taken.sort_by(|a, b| {
            let by_number = b.sessions.cmp(&a.sessions);
            by_number.then_with(|| (&a.pages, a.goes_on).cmp(&(&b.pages, b.goes_on)))
        });
        Ok(taken)
    }

    /// The pages of these rows that match.
    async fn pages_like(
        &self,
        wanted: &Pattern,
        rows: &[Vec<u8>],
    ) -> Result<BTreeSet<Value>, StoreError> {
        if let Some(text) = wanted.as_text() {
            return Ok(value(&self.pool, text).await?.into_iter().collect());
        }
        let mut pages = BTreeSet::new();
        for row in rows {
            around::pages(row, |page| _ = pages.insert(page)).ok_or(UNREADABLE)?;
        }
        let texts = self.texts(pages.into_iter()).await?;
        let matching = texts.into_iter().filter(|(_, text)| wanted.matches(text));
        Ok(matching.map(|(page, _)| page).collect())
    }

    async fn neighbours(
        &self,
        counts: HashMap<Value, i64>,
        limit: usize,
    ) -> Result<Neighbours, StoreError> {
        let mut counts: Vec<(Value, i64)> = counts.into_iter().collect();
        counts.sort_unstable_by_key(|(page, visits)| (std::cmp::Reverse(*visits), *page));
        counts.truncate(limit);
        let texts = self.texts(counts.iter().map(|(page, _)| *page)).await?;
        let named = counts
            .into_iter()
            .map(|(page, visits)| (texts.get(&page).cloned(), visits));
        let mut named: Neighbours = named.collect();
        named.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Ok(named)
    }
}
