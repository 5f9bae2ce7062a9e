//! Questions that are answered from packed visits: with filters, in another time zone, about parts
//! of days.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rollups::day::LocalDay;
use rollups::dimension::Dimension;
use rollups::fold::ValueId;
use rollups::goal::GoalMatcher;
use rollups::pack::{ColumnBlock, ColumnKind};
use rollups::question::{Attribute, AttributeFilter};
use rollups::scan::{CodePredicate, GoalFilter, GroupBy, ScanBlock};
use tokio::task::JoinHandle;

use super::unfolded::DayDetail;
use super::{DirtyDayVersions, ReportQuery};
use crate::store::rollup::{ValueDictionary, load_packs};
use crate::store::{Store, StoreError};

/// A day's visits, ready to be counted.
pub(super) struct DayBlocks {
    /// The day, perhaps cut.
    pub(super) day: LocalDay,
    /// Its visits, and perhaps some around it.
    pub(super) packs: Vec<ScanBlock<Arc<ColumnBlock>>>,
    /// Whether visitors lie in several packs.
    pub(super) is_mixed: bool,
}

/// Where days are read from.
struct BlockSource {
    store: Store,
    asked: ReportQuery,
    unfolded: DirtyDayVersions,
    fields: Vec<ColumnKind>,
}

/// What is learned on the way.
pub(super) struct ColumnReader {
    source: Arc<BlockSource>,
    pub(super) lexicon: ValueDictionary,
    pub(super) as_of: DateTime<Utc>,
}

impl ColumnReader {
    /// Reads the columns of the filters, and `more`.
    pub(super) fn new(
        store: &Store,
        asked: &ReportQuery,
        unfolded: &DirtyDayVersions,
        more: &[ColumnKind],
    ) -> Self {
        let filters = asked.filters.iter().map(|filter| filter.subject.field());
        let source = BlockSource {
            fields: filters
                .chain(more.iter().copied())
                .chain(
                    matches!(asked.reach, Some(GoalMatcher::Page(_))).then_some(ColumnKind::Page),
                )
                .collect(),
            store: store.clone(),
            asked: asked.clone(),
            unfolded: unfolded.clone(),
        };
        Self {
            source: Arc::new(source),
            lexicon: ValueDictionary::new(asked.period.zone),
            as_of: asked.now,
        }
    }

    /// Gives the days to `count`, one after the other; the next one is read meanwhile.
    pub(super) async fn each(
        &mut self,
        days: &[LocalDay],
        by: &Grouping<'_>,
        mut count: impl FnMut(&DayBlocks, &ValueDictionary),
    ) -> Result<(), StoreError> {
        let mut days = days.iter();
        let source = self.source.clone();
        let read = move |day: &LocalDay| Prefetch(tokio::spawn(load(source.clone(), *day)));
        let mut next = days.next().map(&read);
        while let Some(mut this) = next.take() {
            let loaded = (&mut this.0).await;
            let loaded = loaded.map_err(|_| StoreError::Unreadable("a day's packed visits"))?;
            let LoadedDay {
                day,
                packs,
                is_mixed,
                as_of,
            } = loaded?;
            next = days.next().map(&read);
            self.as_of = self.as_of.min(as_of);
            let mut prepared = vec![];
            for pack in packs {
                prepared.push(self.prepare(pack, by).await?);
            }
            let day = DayBlocks {
                day,
                packs: prepared,
                is_mixed,
            };
            count(&day, &self.lexicon);
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn prepare(
        &mut self,
        pack: Arc<ColumnBlock>,
        by: &Grouping<'_>,
    ) -> Result<ScanBlock<Arc<ColumnBlock>>, StoreError> {
        let mut one = ScanBlock {
            computed: vec![],
            tests: vec![],
            groups: GroupBy::None,
            reaching: GoalFilter::Anything,
            pack,
        };
        let source = self.source.clone();
        for field in &source.fields {
            if let Some(length) = field.length()
                && one.computed.iter().all(|(known, _)| known != field)
            {
                one.computed.push((*field, one.pack.parts(length)));
            }
            let numbers = &one.column(*field).numbers;
            self.lexicon
                .learn_numbers(&source.store.pool, *field, numbers)
                .await?;
        }
        let tests = source.asked.filters.iter().map(|filter| {
            let field = filter.subject.field();
            let numbers = &one.column(field).numbers;
            let passes = numbers
                .iter()
                .map(|number| passes(&mut self.lexicon, filter, *number));
            CodePredicate {
                field,
                passes: passes.collect(),
            }
        });
        one.tests = tests.collect();
        one.reaching = match &source.asked.reach {
            None => GoalFilter::Anything,
            Some(GoalMatcher::Event(happened)) => GoalFilter::Event(happened.clone()),
            Some(GoalMatcher::Page(pattern)) => {
                let numbers = one.column(ColumnKind::Page).numbers.iter();
                let page = Attribute::Of(Dimension::Page);
                let mut is_it = |number: &u32| {
                    let values = self.lexicon.values(page, *number).into_iter();
                    let mut paths = values.filter_map(|value| self.lexicon.text(value));
                    paths.any(|path| pattern.matches(&path))
                };
                GoalFilter::Page(numbers.map(&mut is_it).collect())
            }
        };
        one.groups = match by {
            Grouping::Nothing => GroupBy::None,
            Grouping::Subject(subject) => {
                let field = subject.field();
                let numbers = one.column(field).numbers.iter();
                let values = numbers.map(|number| self.lexicon.values(*subject, *number));
                GroupBy::Of(field, values.collect())
            }
            Grouping::Parts(field, place) => {
                let length = field.length().unwrap_or(1);
                let numbers = one.column(*field).numbers.iter();
                let values = numbers.map(|number| place(i64::from(*number) * length).into_iter());
                GroupBy::Of(*field, values.map(Iterator::collect).collect())
            }
        };
        Ok(one)
    }
}

/// What visits are counted by.
pub(super) enum Grouping<'a> {
    /// All together.
    Nothing,
    /// The values of a subject.
    Subject(Attribute),
    /// The parts of a series: the place of a moment, in seconds since 1970.
    Parts(ColumnKind, &'a (dyn Fn(i64) -> Option<ValueId> + Sync)),
}

fn passes(lexicon: &mut ValueDictionary, filter: &AttributeFilter, number: u32) -> bool {
    let values = lexicon.values(filter.subject, number);
    let texts: Vec<_> = values
        .into_iter()
        .map(|value| lexicon.text(value))
        .collect();
    let texts: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
    filter.passes(&texts)
}

/// A day that is being read; nobody reads it for one who has gone.
struct Prefetch(JoinHandle<Result<LoadedDay, StoreError>>);

impl Drop for Prefetch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A day and the packs in which its visits lie.
struct LoadedDay {
    day: LocalDay,
    packs: Vec<Arc<ColumnBlock>>,
    /// Whether they are of several of the site's days, so that visitors lie in several packs.
    is_mixed: bool,
    /// Up to when they are known.
    as_of: DateTime<Utc>,
}

async fn load(source: Arc<BlockSource>, day: LocalDay) -> Result<LoadedDay, StoreError> {
    let (store, asked) = (&source.store, &source.asked);
    let (mut packs, mut as_of) = (vec![], asked.now);
    let last = day.to - TimeDelta::microseconds(1);
    let of_site: Vec<LocalDay> = LocalDay::between(asked.site.zone, day.from, last).collect();
    for of_site in &of_site {
        if let Some(change) = source.unfolded.get(&of_site.date) {
            let found = store
                .unfolded(
                    &asked.site,
                    (of_site.date, *change),
                    asked.now,
                    DayDetail::Packs,
                )
                .await?;
            as_of = as_of.min(found.as_of);
            packs.extend(found.packs().iter().cloned());
        } else {
            let (site, fields) = (asked.site.id, &source.fields);
            packs.extend(load_packs(&store.pool, site, of_site.date, fields).await?);
        }
    }
    Ok(LoadedDay {
        day,
        packs,
        is_mixed: of_site.len() > 1,
        as_of,
    })
}
