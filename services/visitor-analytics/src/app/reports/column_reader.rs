//! Scans column blocks for queries with filters, other time zones or parts of days.

use std::ops::Range;
use std::sync::Arc;

use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use rollups::aggregate::ValueId;
use rollups::column_block::{ColumnBlock, ColumnKind, SessionRows};
use rollups::day::LocalDay;
use rollups::dimension::Dimension;
use rollups::goal::GoalMatcher;
use rollups::query::{Attribute, AttributeFilter};
use rollups::scan::{CodePredicate, GoalFilter, GroupBy, ScanBlock, for_each_session};
use tokio::task::JoinHandle;

use super::day_aggregates::DayDetail;
use super::plan::DirtyDayVersions;
use super::query::ReportQuery;
use super::report_engine::ReportEngine;
use crate::store::ValueDictionary;

/// The prepared column blocks of a day.
pub(super) struct DayBlocks {
    /// The day, or the part of it that lies in the period.
    pub(super) day: LocalDay,
    /// The blocks contain all visits of the day, and possibly others.
    pub(super) blocks: Vec<ScanBlock<Arc<ColumnBlock>>>,
    /// Whether a visitor may occur in several blocks.
    pub(super) is_multi_day: bool,
}

impl DayBlocks {
    /// Passes each session with a visit in `period` (in seconds since 1970) that passes the filters.
    pub(super) fn for_each_active_session(
        &self,
        period: &Range<i64>,
        mut take: impl FnMut(&SessionRows<'_>),
    ) {
        self.for_each_passing_session(|block, rows| {
            if visit_seconds(block, rows, period).next().is_some() {
                take(rows);
            }
        });
    }

    /// Passes each visit in `period` that passes the filters, with its time in the same unit.
    pub(super) fn for_each_visit(
        &self,
        period: &Range<i64>,
        mut take: impl FnMut(&SessionRows<'_>, i64),
    ) {
        self.for_each_passing_session(|block, rows| {
            visit_seconds(block, rows, period).for_each(|second| take(rows, second));
        });
    }

    fn for_each_passing_session(
        &self,
        mut take: impl FnMut(&ScanBlock<Arc<ColumnBlock>>, &SessionRows<'_>),
    ) {
        for_each_session(&self.blocks, self.is_multi_day, |block, rows| {
            if block.passes_session(&rows) {
                take(block, &rows);
            }
        });
    }
}

/// The times of a session's visits in `period` that pass the filters.
fn visit_seconds(
    block: &ScanBlock<Arc<ColumnBlock>>,
    rows: &SessionRows<'_>,
    period: &Range<i64>,
) -> impl Iterator<Item = i64> {
    let visits = rows.visits.clone().filter(|row| block.passes_visit(*row));
    let seconds = visits.map(|row| block.block.start + i64::from(block.block.times[row]));
    seconds.filter(|second| period.contains(second))
}

/// What a task needs to load a day.
struct BlockSource {
    engine: ReportEngine,
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
    /// Creates a reader of the columns that the filters need, and of `columns`.
    pub(super) fn new(
        engine: &ReportEngine,
        query: &ReportQuery,
        dirty_versions: &DirtyDayVersions,
        columns: &[ColumnKind],
    ) -> Self {
        let filters = query.filters.iter().map(|filter| filter.attribute.column());
        let source = BlockSource {
            columns: filters
                .chain(columns.iter().copied())
                .chain(matches!(query.goal, Some(GoalMatcher::Page(_))).then_some(ColumnKind::Page))
                .collect(),
            engine: engine.clone(),
            query: query.clone(),
            dirty_versions: dirty_versions.clone(),
        };
        Self {
            source: Arc::new(source),
            dictionary: ValueDictionary::new(query.period.zone),
            as_of: query.now,
        }
    }

    /// Calls `count` for each day in order. The next day is loaded in the background.
    pub(super) async fn for_each_day(
        &mut self,
        days: &[LocalDay],
        grouping: &Grouping<'_>,
        mut count: impl FnMut(&DayBlocks, &ValueDictionary),
    ) -> Result<(), StoreError> {
        let mut days = days.iter();
        let source = self.source.clone();
        let prefetch =
            move |day: &LocalDay| PrefetchTask(tokio::spawn(load_day(source.clone(), *day)));
        let mut next = days.next().map(&prefetch);
        while let Some(mut current) = next.take() {
            let loaded = (&mut current.0).await;
            let loaded = loaded.map_err(|_| StoreError::Panicked)?;
            let LoadedDay {
                day,
                blocks,
                is_multi_day,
                as_of,
            } = loaded?;
            next = days.next().map(&prefetch);
            self.as_of = self.as_of.min(as_of);
            let mut scan_blocks = vec![];
            for block in blocks {
                scan_blocks.push(self.prepare_block(block, grouping).await?);
            }
            let day = DayBlocks {
                day,
                blocks: scan_blocks,
                is_multi_day,
            };
            count(&day, &self.dictionary);
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn prepare_block(
        &mut self,
        block: Arc<ColumnBlock>,
        grouping: &Grouping<'_>,
    ) -> Result<ScanBlock<Arc<ColumnBlock>>, StoreError> {
        let mut scan_block = ScanBlock {
            computed_columns: vec![],
            predicates: vec![],
            group_by: GroupBy::None,
            goal: GoalFilter::All,
            block,
        };
        let source = self.source.clone();
        for column in &source.columns {
            if let Some(length) = column.unit_seconds()
                && scan_block
                    .computed_columns
                    .iter()
                    .all(|(computed, _)| computed != column)
            {
                scan_block
                    .computed_columns
                    .push((*column, scan_block.block.computed_column(length)));
            }
            let codes = &scan_block.column(*column).values;
            let rollups = &source.engine.store.rollups;
            rollups
                .load_column(&mut self.dictionary, *column, codes)
                .await?;
        }
        let predicates = source.query.filters.iter().map(|filter| {
            let column = filter.attribute.column();
            let codes = &scan_block.column(column).values;
            let passes = codes
                .iter()
                .map(|code| passes_filter(&mut self.dictionary, filter, *code));
            CodePredicate {
                column,
                passes: passes.collect(),
            }
        });
        scan_block.predicates = predicates.collect();
        scan_block.goal = match &source.query.goal {
            None => GoalFilter::All,
            Some(GoalMatcher::Event(sessions)) => GoalFilter::Event(sessions.clone()),
            Some(GoalMatcher::Page(pattern)) => {
                let codes = scan_block.column(ColumnKind::Page).values.iter();
                let page = Attribute::Dimension(Dimension::Page);
                let mut matches = |code: &u32| {
                    let values = self.dictionary.values(page, *code).into_iter();
                    let mut paths = values.filter_map(|value| self.dictionary.text(value));
                    paths.any(|path| pattern.matches(&path))
                };
                GoalFilter::Page(codes.map(&mut matches).collect())
            }
        };
        scan_block.group_by = match grouping {
            Grouping::Total => GroupBy::None,
            Grouping::Values(subject) => {
                let column = subject.column();
                let codes = scan_block.column(column).values.iter();
                let values = codes.map(|code| self.dictionary.values(*subject, *code));
                GroupBy::Column(column, values.collect())
            }
            Grouping::Buckets(column, bucket_of) => {
                let length = column.unit_seconds().unwrap_or(1);
                let codes = scan_block.column(*column).values.iter();
                let values = codes.map(|code| bucket_of(i64::from(*code) * length).into_iter());
                GroupBy::Column(*column, values.map(Iterator::collect).collect())
            }
        };
        Ok(scan_block)
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

fn passes_filter(dictionary: &mut ValueDictionary, filter: &AttributeFilter, code: u32) -> bool {
    let values = dictionary.values(filter.attribute, code);
    let texts: Vec<_> = values
        .into_iter()
        .map(|value| dictionary.text(value))
        .collect();
    let texts: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
    filter.passes(&texts)
}

/// A day that is being loaded. The task is aborted when the reader is dropped.
struct PrefetchTask(JoinHandle<Result<LoadedDay, StoreError>>);

impl Drop for PrefetchTask {
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
    let (engine, query) = (&source.engine, &source.query);
    let (mut blocks, mut as_of) = (vec![], query.now);
    let last = day.to - TimeDelta::microseconds(1);
    let site_days: Vec<LocalDay> = LocalDay::between(query.site.zone, day.from, last).collect();
    for site_day in &site_days {
        if let Some(change) = source.dirty_versions.get(&site_day.date) {
            let aggregates = engine
                .dirty_day(query, (site_day.date, *change), DayDetail::Blocks)
                .await?;
            as_of = as_of.min(aggregates.as_of);
            blocks.extend(aggregates.blocks().iter().cloned());
        } else {
            let (rollups, site, fields) = (&engine.store.rollups, query.site.id, &source.columns);
            blocks.extend(rollups.blocks(site, site_day.date, fields).await?);
        }
    }
    Ok(LoadedDay {
        day,
        blocks,
        is_multi_day: site_days.len() > 1,
        as_of,
    })
}
