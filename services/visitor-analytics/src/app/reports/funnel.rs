//! Funnels, which depend on the order of visits across sessions and days.

use std::collections::HashMap;
use std::sync::Arc;

use chassis::database::StoreError;
use rollups::aggregate::ValueId;
use rollups::column_block::{ColumnBlock, ColumnKind};
use rollups::day::LocalDay;
use rollups::dimension::Dimension;
use rollups::funnel::{FunnelEvent, FunnelEvents, FunnelRules};
use rollups::pattern::WildcardPattern;
use rollups::query::{Attribute, day_seconds};
use rollups::scan::{GroupBy, ScanBlock};

use super::column_reader::{ColumnReader, Grouping};
use super::plan::DirtyDayVersions;
use super::query::{AsOf, BoundedResult, ReportQuery};
use super::report_engine::ReportEngine;
use super::result_cache::{ReportResult, ResultKind};
use crate::store::ValueDictionary;

/// Events of a funnel, or visitors of a cohort report, that one report holds in memory.
pub(super) const MAX_FUNNEL_EVENTS: usize = 4_000_000;
pub(super) const GROUP_BY_PAGE: Grouping<'static> =
    Grouping::Values(Attribute::Dimension(Dimension::Page));
pub(super) const PAGE_COLUMN: ColumnKind = ColumnKind::Page;

#[derive(Clone, Debug)]
pub enum FunnelStep {
    /// A visit of a page that matches the pattern.
    Page(WildcardPattern),
    /// An event of this type.
    Event(String),
}

impl ReportEngine {
    /// Counts the visitors that reach each step.
    pub async fn funnel(
        &self,
        query: &ReportQuery,
        is_bot: Option<bool>,
        steps: &[FunnelStep],
        rules: FunnelRules,
    ) -> Result<AsOf<BoundedResult<Vec<i64>>>, StoreError> {
        let none = WildcardPattern::match_nothing();
        let patterns: Vec<WildcardPattern> = steps
            .iter()
            .map(|step| match step {
                FunnelStep::Page(pattern) => pattern.clone(),
                FunnelStep::Event(_) => none.clone(),
            })
            .collect();
        // With the days of the site, no visitor occurs in two blocks of one day.
        let (dirty_versions, days) = self.load_period_days(&query.in_site_time_zone()).await?;
        let is_of_pages = steps.iter().all(|step| matches!(step, FunnelStep::Page(_)));
        let kind = ResultKind::Funnel(is_bot, patterns.clone(), rules);
        let key = if is_of_pages {
            self.folded_result_key(query, kind, &dirty_versions, &days)
                .await?
        } else {
            None
        };
        if let Some(ReportResult::Funnel(steps)) = self.results.get(key.as_ref()).as_deref() {
            return Ok(AsOf {
                value: BoundedResult::Complete(steps.clone()),
                as_of: query.now,
            });
        }
        let mut events = FunnelEvents::default();
        let mut matcher = PatternMatcher::new(&patterns);
        let mut reader = ColumnReader::new(self, query, &dirty_versions, &[PAGE_COLUMN]);
        reader
            .for_each_day(&days, &GROUP_BY_PAGE, |day, dictionary| {
                let steps = matcher.match_values(dictionary);
                let period = day_seconds(&day.day);
                for block in &day.blocks {
                    let column = block.column(PAGE_COLUMN);
                    let steps = steps_of_column(block, steps);
                    for session_rows in block.block.session_rows() {
                        let is_wanted =
                            is_bot.is_none_or(|is_bot| session_rows.session.is_bot == is_bot);
                        if !is_wanted
                            || !block.passes_session(&session_rows)
                            || events.len() > MAX_FUNNEL_EVENTS
                        {
                            continue;
                        }
                        for row in session_rows.visits {
                            let steps = steps[column.code(row)];
                            let at = block.block.start + i64::from(block.block.times[row]);
                            let may_count = (steps != 0 || rules.is_strict) && period.contains(&at);
                            if may_count && block.passes_visit(row) {
                                events.push(FunnelEvent {
                                    visitor: session_rows.visitor_key,
                                    timestamp: at,
                                    sequence: u32::try_from(row).unwrap_or(u32::MAX),
                                    matching_steps: steps,
                                });
                            }
                        }
                    }
                }
            })
            .await?;
        if events.len() <= MAX_FUNNEL_EVENTS {
            let limit = MAX_FUNNEL_EVENTS - events.len();
            events.extend(self.load_step_events(query, steps, limit).await?);
        }
        let value = if events.len() > MAX_FUNNEL_EVENTS {
            BoundedResult::LimitExceeded
        } else {
            let steps = rules.count_visitors(events);
            let result = Arc::new(ReportResult::Funnel(steps.clone()));
            self.results.insert(key, &result);
            BoundedResult::Complete(steps)
        };
        Ok(AsOf {
            value,
            as_of: reader.as_of,
        })
    }

    /// Returns one more than `limit` if there are more.
    async fn load_step_events(
        &self,
        query: &ReportQuery,
        steps: &[FunnelStep],
        limit: usize,
    ) -> Result<Vec<FunnelEvent>, StoreError> {
        let mut wanted: HashMap<&str, u16> = HashMap::new();
        for (number, step) in steps.iter().enumerate() {
            if let FunnelStep::Event(name) = step {
                *wanted.entry(name).or_default() |= 1 << number;
            }
        }
        if wanted.is_empty() {
            return Ok(vec![]);
        }
        let names: Vec<&str> = wanted.keys().copied().collect();
        let events = self
            .store
            .events
            .step_events(query.site.id, &query.period, &names, limit);
        let events = events.await?.into_iter().map(|event| FunnelEvent {
            visitor: event.visitor,
            timestamp: event.timestamp,
            // Within the same second, an event comes after its page.
            sequence: u32::MAX,
            matching_steps: wanted[&*event.event_type],
        });
        Ok(events.collect())
    }

    pub(super) async fn load_period_days(
        &self,
        query: &ReportQuery,
    ) -> Result<(DirtyDayVersions, Vec<LocalDay>), StoreError> {
        let dirty_versions = self.load_dirty_versions(query).await?;
        Ok((dirty_versions, query.period.days().collect()))
    }
}

/// The steps that each value of a block's page column matches, as a bit set.
fn steps_of_column(block: &ScanBlock<Arc<ColumnBlock>>, steps: &[u16]) -> Vec<u16> {
    let GroupBy::Column(_, values) = &block.group_by else {
        return vec![];
    };
    let first = values.iter().map(|values| values.first().copied());
    let steps = first.map(|page| steps[page.unwrap_or_default() as usize]);
    steps.collect()
}

/// Computes which patterns each value matches, one bit per pattern.
pub(super) struct PatternMatcher<'a> {
    patterns: &'a [WildcardPattern],
    bits: Vec<u16>,
}

impl<'a> PatternMatcher<'a> {
    pub(super) fn new(patterns: &'a [WildcardPattern]) -> Self {
        Self {
            patterns,
            bits: vec![0],
        }
    }

    /// The bit sets of all values in the dictionary. Values of previous days are not matched again.
    pub(super) fn match_values(&mut self, dictionary: &ValueDictionary) -> &[u16] {
        let first_new = ValueId::try_from(self.bits.len()).unwrap_or(ValueId::MAX);
        for value in first_new..=dictionary.max_id() {
            let text = dictionary.text(value);
            let matches = |(place, pattern): (usize, &WildcardPattern)| {
                let matches = text.as_ref().is_some_and(|text| pattern.matches(text));
                u16::from(matches) << place
            };
            let bits = self.patterns.iter().enumerate().map(matches);
            self.bits.push(bits.fold(0, std::ops::BitOr::bitor));
        }
        &self.bits
    }
}
