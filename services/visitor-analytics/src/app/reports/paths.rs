//! Paths of sessions, and the pages before and after a page: from rollups for complete days if all
//! visits count, otherwise from column blocks.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use rollups::aggregate::ValueId;
use rollups::paths::{AdjacentPages, PathCounts, PathKey, adjacent_pages};
use rollups::pattern::WildcardPattern;
use rollups::query::day_seconds;

use super::column_reader::{ColumnReader, DayBlocks};
use super::day_aggregates::CORRUPT_DAY_METRICS;
use super::day_aggregates::DayDetail;
use super::funnel::{GROUP_BY_PAGE, PAGE_COLUMN, PatternMatcher};
use super::plan::ReportPlan;
use super::query::{AsOf, ReportQuery};
use super::report_engine::ReportEngine;
use crate::store::ValueDictionary;

/// A path and the number of sessions that take it.
#[derive(Clone, Debug)]
pub struct SessionPath {
    /// The first pages of the sessions.
    pub pages: Vec<Arc<str>>,
    /// Whether the sessions have further pages.
    pub has_more_pages: bool,
    pub sessions: i64,
}

/// The number of visits by page. `None` stands for the begin or end of the session.
pub type AdjacentPageCounts = Vec<(Option<Arc<str>>, i64)>;

/// The pages before and after a page.
#[derive(Clone, Debug)]
pub struct AdjacentPagesReport {
    /// The number of visits of the page.
    pub visits: i64,
    /// By previous page, the most frequent first.
    pub before: AdjacentPageCounts,
    /// By next page, the most frequent first.
    pub after: AdjacentPageCounts,
}

/// The part of a query that rollups contain.
struct RollupPaths {
    /// Encoded rows of days and months.
    rows: Vec<Vec<u8>>,
    /// The plan, whose scanned days are missing in `rows`.
    plan: ReportPlan,
    as_of: DateTime<Utc>,
}

impl ReportEngine {
    /// The most frequent paths of sessions, and the number of all sessions.
    pub async fn session_paths(
        &self,
        query: &ReportQuery,
        is_bot: Option<bool>,
        depth: usize,
        limit: usize,
    ) -> Result<AsOf<(Vec<SessionPath>, i64)>, StoreError> {
        let rollups = self.load_path_rollups(query, depth).await?;
        let mut scanned = PathCounts::default();
        let reader = self
            .scan_days(query, &rollups.plan, |day, _| {
                let blocks = (&day.blocks[..], day.is_multi_day);
                scanned.add_blocks(blocks, &day_seconds(&day.day), is_bot, depth);
            })
            .await?;
        let pages = scanned.counts.keys().flat_map(|(pages, _)| *pages);
        let text_ids = self
            .page_text_ids(&reader.dictionary, pages.collect())
            .await?;
        let mut path_counts = PathCounts::default();
        path_counts.add_translated(&scanned, &text_ids);
        for row in &rollups.rows {
            path_counts
                .add_encoded(row, is_bot)
                .ok_or(CORRUPT_DAY_METRICS)?;
        }
        Ok(AsOf {
            value: (
                self.to_session_paths(path_counts.most_frequent(limit))
                    .await?,
                path_counts.sessions,
            ),
            as_of: rollups.as_of.min(reader.as_of),
        })
    }

    /// Which pages visitors come from before a page, and which they go to after it.
    pub async fn adjacent_pages(
        &self,
        query: &ReportQuery,
        is_bot: Option<bool>,
        pattern: &WildcardPattern,
        limit: usize,
    ) -> Result<AsOf<AdjacentPagesReport>, StoreError> {
        let rollups = self.load_path_rollups(query, 0).await?;
        let mut scanned = AdjacentPages::default();
        let mut matcher = PatternMatcher::new(std::slice::from_ref(pattern));
        let reader = self
            .scan_days(query, &rollups.plan, |day, dictionary| {
                let blocks = (&day.blocks[..], day.is_multi_day);
                let is_match = matcher.match_values(dictionary);
                scanned.add_blocks(blocks, &day_seconds(&day.day), is_bot, |page| {
                    is_match[page as usize] != 0
                });
            })
            .await?;
        let pages = scanned.before.keys().chain(scanned.after.keys());
        let text_ids = self.page_text_ids(&reader.dictionary, pages.copied().collect());
        let mut adjacent = AdjacentPages::default();
        adjacent.add_translated(&scanned, &text_ids.await?);
        let pages = self.matching_pages(pattern, &rollups.rows).await?;
        for row in &rollups.rows {
            let added = adjacent.add_encoded(row, is_bot, |page| pages.contains(&page));
            added.ok_or(CORRUPT_DAY_METRICS)?;
        }
        Ok(AsOf {
            value: AdjacentPagesReport {
                visits: adjacent.visits,
                before: self.resolve_adjacent_pages(adjacent.before, limit).await?,
                after: self.resolve_adjacent_pages(adjacent.after, limit).await?,
            },
            as_of: rollups.as_of.min(reader.as_of),
        })
    }

    async fn load_path_rollups(
        &self,
        query: &ReportQuery,
        depth: usize,
    ) -> Result<RollupPaths, StoreError> {
        let mut rollups = RollupPaths {
            rows: vec![],
            plan: self.plan_report(&query.in_site_time_zone()).await?,
            as_of: query.now,
        };
        if let Some(period) = rollups.plan.folded {
            let site_depth = (query.site.id, depth);
            let rows = self
                .store
                .rollups
                .paths(site_depth, period, &rollups.plan.dirty);
            rollups.rows = rows.await?;
        }
        for date in &rollups.plan.dirty {
            let day = (*date, rollups.plan.dirty_versions[date]);
            let day = self.dirty_day(query, day, DayDetail::Metrics).await?;
            rollups.as_of = rollups.as_of.min(day.as_of);
            rollups.rows.push(day.paths(depth).to_vec());
        }
        Ok(rollups)
    }

    async fn scan_days(
        &self,
        query: &ReportQuery,
        plan: &ReportPlan,
        count: impl FnMut(&DayBlocks, &ValueDictionary),
    ) -> Result<ColumnReader, StoreError> {
        let mut reader = ColumnReader::new(self, query, &plan.dirty_versions, &[PAGE_COLUMN]);
        reader
            .for_each_day(&plan.scanned, &GROUP_BY_PAGE, count)
            .await?;
        Ok(reader)
    }

    /// The ids of the pages' texts in `rollup_value`.
    async fn page_text_ids(
        &self,
        dictionary: &ValueDictionary,
        pages: BTreeSet<ValueId>,
    ) -> Result<HashMap<ValueId, ValueId>, StoreError> {
        let texts = pages.into_iter();
        let texts = texts.filter_map(|page| Some((page, dictionary.text(page)?)));
        let texts: Vec<(ValueId, Arc<str>)> = texts.collect();
        let ids = self
            .store
            .rollups
            .value_ids(texts.iter().map(|(_, text)| text))
            .await?;
        let text_ids = texts.into_iter();
        let text_ids = text_ids.map(|(page, text)| (page, ids[&text].cast_unsigned()));
        Ok(text_ids.collect())
    }

    async fn to_session_paths(
        &self,
        path_counts: Vec<(PathKey, i64)>,
    ) -> Result<Vec<SessionPath>, StoreError> {
        let ids = path_counts
            .iter()
            .flat_map(|((pages, _), _)| pages.iter().copied());
        let ids: BTreeSet<ValueId> = ids.collect();
        let texts = self.store.rollups.value_texts(ids.into_iter()).await?;
        let paths = path_counts
            .into_iter()
            .map(|((pages, has_more_pages), sessions)| SessionPath {
                pages: pages
                    .iter()
                    .filter_map(|page| texts.get(page).cloned())
                    .collect(),
                has_more_pages,
                sessions,
            });
        let mut paths: Vec<SessionPath> = paths.collect();
        paths.sort_by(|a, b| {
            let by_sessions = b.sessions.cmp(&a.sessions);
            by_sessions
                .then_with(|| (&a.pages, a.has_more_pages).cmp(&(&b.pages, b.has_more_pages)))
        });
        Ok(paths)
    }

    /// The pages in these rows that match the pattern.
    async fn matching_pages(
        &self,
        pattern: &WildcardPattern,
        rows: &[Vec<u8>],
    ) -> Result<BTreeSet<ValueId>, StoreError> {
        if let Some(text) = pattern.as_literal() {
            let page = self.store.rollups.find_value_id(text).await?;
            return Ok(page.into_iter().collect());
        }
        let mut pages = BTreeSet::new();
        for row in rows {
            adjacent_pages::for_each_page(row, |page| _ = pages.insert(page))
                .ok_or(CORRUPT_DAY_METRICS)?;
        }
        let texts = self.store.rollups.value_texts(pages.into_iter()).await?;
        let matching = texts.into_iter().filter(|(_, text)| pattern.matches(text));
        Ok(matching.map(|(page, _)| page).collect())
    }

    async fn resolve_adjacent_pages(
        &self,
        counts: HashMap<ValueId, i64>,
        limit: usize,
    ) -> Result<AdjacentPageCounts, StoreError> {
        let mut counts: Vec<(ValueId, i64)> = counts.into_iter().collect();
        counts.sort_unstable_by_key(|(page, visits)| (std::cmp::Reverse(*visits), *page));
        counts.truncate(limit);
        let texts = self
            .store
            .rollups
            .value_texts(counts.iter().map(|(page, _)| *page))
            .await?;
        let resolved = counts
            .into_iter()
            .map(|(page, visits)| (texts.get(&page).cloned(), visits));
        let mut resolved: AdjacentPageCounts = resolved.collect();
        resolved.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Ok(resolved)
    }
}
