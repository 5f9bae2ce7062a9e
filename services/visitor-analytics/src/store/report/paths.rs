//! Funnels, which depend on the order of visits across sessions and days.

use std::collections::HashMap;
use std::sync::Arc;

use rollups::day::LocalDay;
use rollups::dimension::Dimension;
use rollups::fold::ValueId;
use rollups::funnel::{FunnelEvent, FunnelEvents, FunnelRules};
use rollups::pack::{ColumnBlock, ColumnKind};
use rollups::pattern::WildcardPattern;
use rollups::question::{Attribute, seconds};
use rollups::scan::{GroupBy, ScanBlock};

use super::kept::{ReportResult, ResultKind, split};
use super::packed::{ColumnReader, Grouping};
use super::{AsOf, DirtyDayVersions, ReportQuery};
use crate::store::rollup::{ValueDictionary, visitor_key};
use crate::store::{Store, StoreError};

/// Events of a funnel, or visitors of a cohort report, that one report holds in memory.
pub(super) const MAX_FUNNEL_EVENTS: usize = 4_000_000;
pub(super) const GROUP_BY_PAGE: Grouping<'static> =
    Grouping::Subject(Attribute::Of(Dimension::Page));
pub(super) const PAGE_COLUMN: ColumnKind = ColumnKind::Page;

#[derive(Clone, Debug)]
pub enum FunnelStep {
    /// A visit of a page that matches the pattern.
    Page(WildcardPattern),
    /// An event of this type.
    Event(String),
}

/// The result of a report with bounded memory.
#[derive(Clone, Debug)]
pub enum BoundedResult<T> {
    Fits(T),
    /// The report would exceed the bound.
    TooMuch,
}

impl Store {
    /// Counts the visitors that reach each step.
    pub async fn funnel(
        &self,
        asked: &ReportQuery,
        is_bot: Option<bool>,
        steps: &[FunnelStep],
        rules: FunnelRules,
    ) -> Result<AsOf<BoundedResult<Vec<i64>>>, StoreError> {
        let none = WildcardPattern::nothing();
        let patterns: Vec<WildcardPattern> = steps
            .iter()
            .map(|step| match step {
                FunnelStep::Page(pattern) => pattern.clone(),
                FunnelStep::Event(_) => none.clone(),
            })
            .collect();
        // With the days of the site, no visitor occurs in two blocks of one day.
        let (unfolded, days) = self.days_of(&asked.by_days_of_site()).await?;
        let is_of_pages = steps.iter().all(|step| matches!(step, FunnelStep::Page(_)));
        let what = ResultKind::Funnel(is_bot, patterns.clone(), rules);
        let question = if is_of_pages && split(asked, &unfolded, &days).1.is_empty() {
            self.question(asked, what, &days).await?
        } else {
            None
        };
        if let Some(ReportResult::Funnel(steps)) = self.answers.get(question.as_ref()).as_deref() {
            return Ok(AsOf {
                answer: BoundedResult::Fits(steps.clone()),
                as_of: asked.now,
            });
        }
        let mut deeds = FunnelEvents::default();
        let mut matching = PatternMatcher::new(&patterns);
        let mut reader = ColumnReader::new(self, asked, &unfolded, &[PAGE_COLUMN]);
        reader
            .each(&days, &GROUP_BY_PAGE, |day, lexicon| {
                let steps = matching.of(lexicon);
                let period = seconds(&day.day);
                for one in &day.packs {
                    let column = one.column(PAGE_COLUMN);
                    let steps = of_places(one, steps);
                    for run in one.pack.runs() {
                        let is_wanted = is_bot.is_none_or(|is_bot| run.session.is_bot == is_bot);
                        if !is_wanted
                            || !one.passes_session(&run)
                            || deeds.len() > MAX_FUNNEL_EVENTS
                        {
                            continue;
                        }
                        for row in run.visits {
                            let steps = steps[column.place(row)];
                            let at = one.pack.start + i64::from(one.pack.at[row]);
                            let may_count = (steps != 0 || rules.is_strict) && period.contains(&at);
                            if may_count && one.passes_visit(row) {
                                deeds.push(FunnelEvent {
                                    visitor: run.visitor,
                                    at,
                                    order: u32::try_from(row).unwrap_or(u32::MAX),
                                    steps,
                                });
                            }
                        }
                    }
                }
            })
            .await?;
        if deeds.len() <= MAX_FUNNEL_EVENTS {
            let room = MAX_FUNNEL_EVENTS - deeds.len();
            deeds.extend(self.events_as_steps(asked, steps, room).await?);
        }
        let answer = if deeds.len() > MAX_FUNNEL_EVENTS {
            BoundedResult::TooMuch
        } else {
            let steps = rules.count(deeds);
            let found = Arc::new(ReportResult::Funnel(steps.clone()));
            self.answers.keep(question, &found);
            BoundedResult::Fits(steps)
        };
        Ok(AsOf {
            answer,
            as_of: reader.as_of,
        })
    }

    /// Returns one more than `room` if there are more.
    async fn events_as_steps(
        &self,
        asked: &ReportQuery,
        steps: &[FunnelStep],
        room: usize,
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
        let rows = sqlx::query!(
            "select timestamp, visitor_id, event_type from visitor_analytics.event
             where site_id = $1 and timestamp >= $2 and timestamp < $3 and event_type = any($4)
             limit $5",
            asked.site.id,
            asked.period.from,
            asked.period.to,
            &names as _,
            i64::try_from(room).unwrap_or(i64::MAX).saturating_add(1),
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        let deeds = rows.map(|row| FunnelEvent {
            visitor: visitor_key(&row.visitor_id),
            at: row.timestamp.timestamp(),
            // Within the same second, an event comes after its page.
            order: u32::MAX,
            steps: wanted[&*row.event_type],
        });
        Ok(deeds.collect())
    }

    pub(super) async fn days_of(
        &self,
        asked: &ReportQuery,
    ) -> Result<(DirtyDayVersions, Vec<LocalDay>), StoreError> {
        let unfolded = self.unfolded_days(&asked.site, &asked.period).await?;
        Ok((unfolded, asked.period.days().collect()))
    }
}

/// The steps that each value of a block's page column matches, as a bit set.
fn of_places(one: &ScanBlock<Arc<ColumnBlock>>, steps: &[u16]) -> Vec<u16> {
    let GroupBy::Of(_, values) = &one.groups else {
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
    pub(super) fn of(&mut self, lexicon: &ValueDictionary) -> &[u16] {
        let known = ValueId::try_from(self.bits.len()).unwrap_or(ValueId::MAX);
        for value in known..=lexicon.last() {
            let text = lexicon.text(value);
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
