//! Scans column blocks for queries with filters, other time zones or parts of days.

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

/// The prepared column blocks of a day.
pub(super) struct DayBlocks {
    /// The day, or the part of it that lies in the period.
    pub(super) day: LocalDay,
    /// The blocks contain all visits of the day, and possibly others.
    pub(super) packs: Vec<ScanBlock<Arc<ColumnBlock>>>,
    /// Whether a visitor may occur in several blocks.
    pub(super) is_mixed: bool,
}

/// What a task needs to load a day.
struct BlockSource {
    store: Store,
    asked: ReportQuery,
    unfolded: DirtyDayVersions,
    fields: Vec<ColumnKind>,
}

/// Loads days and their dictionary values.
pub(super) struct ColumnReader {
    source: Arc<BlockSource>,
    pub(super) lexicon: ValueDictionary,
    pub(super) as_of: DateTime<Utc>,
}

impl ColumnReader {
    /// Creates a reader of the columns that the filters need, and of `more`.
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

    /// Calls `count` for each day in order. The next day is loaded in the background.
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
            let loaded =
                loaded.map_err(|_| StoreError::Unreadable("the column blocks of a day"))?;
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

/// How visits are grouped.
pub(super) enum Grouping<'a> {
    /// One group of all visits.
    Nothing,
    /// By the values of a dimension.
    Subject(Attribute),
    /// By the buckets of a series. The function maps a Unix time in seconds to the index of its
    /// bucket.
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

/// A day that is being loaded. The task is aborted when the reader is dropped.
struct Prefetch(JoinHandle<Result<LoadedDay, StoreError>>);

impl Drop for Prefetch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct LoadedDay {
    day: LocalDay,
    packs: Vec<Arc<ColumnBlock>>,
    /// Whether the blocks belong to several days of the site, so that a visitor may occur in
    /// several.
    is_mixed: bool,
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
