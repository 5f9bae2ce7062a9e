//! Scans column blocks for queries with filters, other time zones or parts of days.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rollups::aggregate::ValueId;
use rollups::column_block::{ColumnBlock, ColumnKind};
use rollups::day::LocalDay;
use rollups::dimension::Dimension;
use rollups::goal::GoalMatcher;
use rollups::query::{Attribute, AttributeFilter};
use rollups::scan::{CodePredicate, GoalFilter, GroupBy, ScanBlock};
use tokio::task::JoinHandle;

use super::day_aggregates::DayDetail;
use super::plan::DirtyDayVersions;
use super::query::ReportQuery;
use crate::store::rollup::{ValueDictionary, load_packs};
use crate::store::{Store, StoreError};

/// The prepared column blocks of a day.
pub(super) struct DayBlocks {
    /// The day, or the part of it that lies in the period.
    pub(super) day: LocalDay,
    /// The blocks contain all visits of the day, and possibly others.
    pub(super) blocks: Vec<ScanBlock<Arc<ColumnBlock>>>,
    /// Whether a visitor may occur in several blocks.
    pub(super) is_multi_day: bool,
}

/// What a task needs to load a day.
struct BlockSource {
    store: Store,
    query: ReportQuery,
    dirty_versions: DirtyDayVersions,
    columns: Vec<ColumnKind>,
}

/// Loads days and their dictionary values.
pub(super) struct ColumnReader {
    source: Arc<BlockSource>,
    pub(super) dictionary: ValueDictionary,
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
        let filters = asked.filters.iter().map(|filter| filter.attribute.column());
        let source = BlockSource {
            columns: filters
                .chain(more.iter().copied())
                .chain(matches!(asked.goal, Some(GoalMatcher::Page(_))).then_some(ColumnKind::Page))
                .collect(),
            store: store.clone(),
            query: asked.clone(),
            dirty_versions: unfolded.clone(),
        };
        Self {
            source: Arc::new(source),
            dictionary: ValueDictionary::new(asked.period.zone),
            as_of: asked.now,
        }
    }

    /// Calls `count` for each day in order. The next day is loaded in the background.
    pub(super) async fn for_each_day(
        &mut self,
        days: &[LocalDay],
        by: &Grouping<'_>,
        mut count: impl FnMut(&DayBlocks, &ValueDictionary),
    ) -> Result<(), StoreError> {
        let mut days = days.iter();
        let source = self.source.clone();
        let read = move |day: &LocalDay| Prefetch(tokio::spawn(load_day(source.clone(), *day)));
        let mut next = days.next().map(&read);
        while let Some(mut this) = next.take() {
            let loaded = (&mut this.0).await;
            let loaded = loaded.map_err(|_| StoreError::Corrupt("the column blocks of a day"))?;
            let LoadedDay {
                day,
                blocks: packs,
                is_multi_day: is_mixed,
                as_of,
            } = loaded?;
            next = days.next().map(&read);
            self.as_of = self.as_of.min(as_of);
            let mut prepared = vec![];
            for pack in packs {
                prepared.push(self.prepare_block(pack, by).await?);
            }
            let day = DayBlocks {
                day,
                blocks: prepared,
                is_multi_day: is_mixed,
            };
            count(&day, &self.dictionary);
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn prepare_block(
        &mut self,
        pack: Arc<ColumnBlock>,
        by: &Grouping<'_>,
    ) -> Result<ScanBlock<Arc<ColumnBlock>>, StoreError> {
        let mut one = ScanBlock {
            computed_columns: vec![],
            predicates: vec![],
            group_by: GroupBy::None,
            goal: GoalFilter::All,
            block: pack,
        };
        let source = self.source.clone();
        for field in &source.columns {
            if let Some(length) = field.unit_seconds()
                && one.computed_columns.iter().all(|(known, _)| known != field)
            {
                one.computed_columns
                    .push((*field, one.block.computed_column(length)));
            }
            let numbers = &one.column(*field).values;
            self.dictionary
                .load_column(&source.store.pool, *field, numbers)
                .await?;
        }
        let tests = source.query.filters.iter().map(|filter| {
            let field = filter.attribute.column();
            let numbers = &one.column(field).values;
            let passes = numbers
                .iter()
                .map(|number| passes_filter(&mut self.dictionary, filter, *number));
            CodePredicate {
                column: field,
                passes: passes.collect(),
            }
        });
        one.predicates = tests.collect();
        one.goal = match &source.query.goal {
            None => GoalFilter::All,
            Some(GoalMatcher::Event(happened)) => GoalFilter::Event(happened.clone()),
            Some(GoalMatcher::Page(pattern)) => {
                let numbers = one.column(ColumnKind::Page).values.iter();
                let page = Attribute::Dimension(Dimension::Page);
                let mut is_it = |number: &u32| {
                    let values = self.dictionary.values(page, *number).into_iter();
                    let mut paths = values.filter_map(|value| self.dictionary.text(value));
                    paths.any(|path| pattern.matches(&path))
                };
                GoalFilter::Page(numbers.map(&mut is_it).collect())
            }
        };
        one.group_by = match by {
            Grouping::Total => GroupBy::None,
            Grouping::Values(subject) => {
                let field = subject.column();
                let numbers = one.column(field).values.iter();
                let values = numbers.map(|number| self.dictionary.values(*subject, *number));
                GroupBy::Column(field, values.collect())
            }
            Grouping::Buckets(field, place) => {
                let length = field.unit_seconds().unwrap_or(1);
                let numbers = one.column(*field).values.iter();
                let values = numbers.map(|number| place(i64::from(*number) * length).into_iter());
                GroupBy::Column(*field, values.map(Iterator::collect).collect())
            }
        };
        Ok(one)
    }
}

/// How visits are grouped.
pub(super) enum Grouping<'a> {
    /// One group of all visits.
    Total,
    /// By the values of a dimension.
    Values(Attribute),
    /// By the buckets of a series. The function maps a Unix time in seconds to the index of its
    /// bucket.
    Buckets(ColumnKind, &'a (dyn Fn(i64) -> Option<ValueId> + Sync)),
}

fn passes_filter(lexicon: &mut ValueDictionary, filter: &AttributeFilter, number: u32) -> bool {
    let values = lexicon.values(filter.attribute, number);
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
    blocks: Vec<Arc<ColumnBlock>>,
    /// Whether the blocks belong to several days of the site, so that a visitor may occur in
    /// several.
    is_multi_day: bool,
    as_of: DateTime<Utc>,
}

async fn load_day(source: Arc<BlockSource>, day: LocalDay) -> Result<LoadedDay, StoreError> {
    let (store, asked) = (&source.store, &source.query);
    let (mut packs, mut as_of) = (vec![], asked.now);
    let last = day.to - TimeDelta::microseconds(1);
    let of_site: Vec<LocalDay> = LocalDay::between(asked.site.zone, day.from, last).collect();
    for of_site in &of_site {
        if let Some(change) = source.dirty_versions.get(&of_site.date) {
            let found = store
                .dirty_day(
                    &asked.site,
                    (of_site.date, *change),
                    asked.now,
                    DayDetail::Blocks,
                )
                .await?;
            as_of = as_of.min(found.as_of);
            packs.extend(found.blocks().iter().cloned());
        } else {
            let (site, fields) = (asked.site.id, &source.columns);
            packs.extend(load_packs(&store.pool, site, of_site.date, fields).await?);
        }
    }
    Ok(LoadedDay {
        day,
        blocks: packs,
        is_multi_day: of_site.len() > 1,
        as_of,
    })
}
