//! Ways, funnels and retention: what needs the order of visits.

use std::collections::HashMap;
use std::sync::Arc;

use super::packed::{By, Reader};
use super::{Answered, Asked};
use crate::domain::day::Day;
use crate::domain::dimension::Dimension;
use crate::domain::fold::Value;
use crate::domain::funnel::{Deed, Rules};
use crate::domain::journey::{Around, Ways, page};
use crate::domain::pattern::Pattern;
use crate::domain::question::{Interval, Subject, seconds};
use crate::domain::retention::Comings;
use crate::domain::scan::each_session;
use crate::store::rollup::{Lexicon, visitor_key};
use crate::store::{Store, StoreError};

/// Deeds, or visitors, that are held in memory for one question.
const MOST: usize = 4_000_000;
const BY_PAGE: By<'static> = By::Subject(Subject::Of(Dimension::Page));
const PAGE: crate::domain::pack::Field = crate::domain::pack::Field::Page;

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

/// A step of a funnel.
#[derive(Clone, Debug)]
pub enum Step {
    /// A visit of such a page.
    Page(Pattern),
    /// Such an event.
    Event(String),
}

/// What a question with an order came to.
#[derive(Clone, Debug)]
pub enum Counted<T> {
    /// Its answer.
    Fits(T),
    /// There is too much to be held in memory.
    TooMuch,
}

impl Store {
    /// The ways that sessions take most often.
    pub async fn ways(
        &self,
        asked: &Asked,
        is_bot: Option<bool>,
        depth: usize,
        limit: usize,
    ) -> Result<Answered<(Vec<WayTaken>, i64)>, StoreError> {
        let mut ways = Ways::default();
        let reader = self
            .each_day(asked, &BY_PAGE, |day, _| {
                let packs = (&day.packs[..], day.is_mixed);
                ways.add(packs, &seconds(&day.day), is_bot, depth);
            })
            .await?;
        let all: i64 = ways.counts.values().sum::<i64>() + ways.others;
        let text = |page: &Value| reader.lexicon.text(*page).unwrap_or_default();
        let mut taken: Vec<WayTaken> = ways
            .counts
            .iter()
            .map(|((pages, goes_on), sessions)| WayTaken {
                pages: pages.iter().map(text).collect(),
                goes_on: *goes_on,
                sessions: *sessions,
            })
            .collect();
        taken.sort_by(|a, b| {
            let by_number = b.sessions.cmp(&a.sessions);
            by_number.then_with(|| (&a.pages, a.goes_on).cmp(&(&b.pages, b.goes_on)))
        });
        taken.truncate(limit);
        Ok(Answered {
            answer: (taken, all),
            as_of: reader.as_of,
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
        let mut around = Around::default();
        let reader = self
            .each_day(asked, &BY_PAGE, |day, lexicon| {
                let packs = (&day.packs[..], day.is_mixed);
                let is_it = matching(lexicon, std::slice::from_ref(wanted));
                around.add(packs, &seconds(&day.day), is_bot, |page| {
                    is_it[page as usize] != 0
                });
            })
            .await?;
        let list = |counts: &HashMap<Option<Value>, i64>| {
            let named = |(page, visits): (&Option<Value>, &i64)| {
                (page.and_then(|page| reader.lexicon.text(page)), *visits)
            };
            let mut list: Neighbours = counts.iter().map(named).collect();
            list.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            list.truncate(limit);
            list
        };
        Ok(Answered {
            answer: AroundPage {
                visits: around.visits,
                before: list(&around.before),
                after: list(&around.after),
            },
            as_of: reader.as_of,
        })
    }

    /// How many visitors take each step.
    pub async fn funnel(
        &self,
        asked: &Asked,
        is_bot: Option<bool>,
        steps: &[Step],
        rules: Rules,
    ) -> Result<Answered<Counted<Vec<i64>>>, StoreError> {
        let none = Pattern::nothing();
        let patterns: Vec<Pattern> = steps
            .iter()
            .map(|step| match step {
                Step::Page(pattern) => pattern.clone(),
                Step::Event(_) => none.clone(),
            })
            .collect();
        let mut deeds: Vec<Deed> = vec![];
        let reader = self
            .each_day(asked, &BY_PAGE, |day, lexicon| {
                let steps = matching(lexicon, &patterns);
                let period = seconds(&day.day);
                each_session(&day.packs, day.is_mixed, |one, run| {
                    let is_wanted = is_bot.is_none_or(|is_bot| run.session.is_bot == is_bot);
                    if !is_wanted || !one.passes_session(&run) || deeds.len() > MOST {
                        return;
                    }
                    for row in run.visits.filter(|row| one.passes_visit(*row)) {
                        let at = one.pack.start + i64::from(one.pack.at[row]);
                        let steps = steps[page(one, row) as usize];
                        if period.contains(&at) && (steps != 0 || rules.is_strict) {
                            deeds.push(Deed {
                                visitor: run.visitor,
                                at,
                                order: u32::try_from(row).unwrap_or(u32::MAX),
                                steps,
                            });
                        }
                    }
                });
            })
            .await?;
        if deeds.len() <= MOST {
            let room = MOST - deeds.len();
            deeds.extend(self.events_as_steps(asked, steps, room).await?);
        }
        let answer = if deeds.len() > MOST {
            Counted::TooMuch
        } else {
            Counted::Fits(rules.count(deeds))
        };
        Ok(Answered {
            answer,
            as_of: reader.as_of,
        })
    }

    /// One more than there is room for where there are too many.
    async fn events_as_steps(
        &self,
        asked: &Asked,
        steps: &[Step],
        room: usize,
    ) -> Result<Vec<Deed>, StoreError> {
        let mut wanted: HashMap<&str, u16> = HashMap::new();
        for (number, step) in steps.iter().enumerate() {
            if let Step::Event(name) = step {
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
        let deeds = rows.map(|row| Deed {
            visitor: visitor_key(&row.visitor_id),
            at: row.timestamp.timestamp(),
            // What happened on a page comes after the page within the same second.
            order: u32::MAX,
            steps: wanted[&*row.event_type],
        });
        Ok(deeds.collect())
    }

    /// How many visitors of each part of the period come again in later ones.
    pub async fn retention(
        &self,
        asked: &Asked,
        is_bot: Option<bool>,
        interval: Interval,
    ) -> Result<Answered<Counted<Vec<Vec<i64>>>>, StoreError> {
        let zone = asked.period.zone;
        let starts: Vec<_> = interval
            .buckets(&asked.period)
            .iter()
            .map(|bucket| bucket.start)
            .collect();
        let mut comings = Comings::default();
        let reader = self
            .each_day(asked, &By::Nothing, |day, _| {
                let start = interval.start(zone, Day::of(zone, day.day.from).from);
                let Some(place) = starts.iter().position(|known| *known == start) else {
                    return;
                };
                let period = seconds(&day.day);
                each_session(&day.packs, day.is_mixed, |one, run| {
                    let is_wanted = is_bot.is_none_or(|is_bot| run.session.is_bot == is_bot);
                    if !is_wanted || !one.passes_session(&run) || comings.len() > MOST {
                        return;
                    }
                    let came = run.visits.clone().any(|row| {
                        let at = one.pack.start + i64::from(one.pack.at[row]);
                        period.contains(&at) && one.passes_visit(row)
                    });
                    if came {
                        comings.add(run.visitor, place);
                    }
                });
            })
            .await?;
        let answer = if comings.len() > MOST {
            Counted::TooMuch
        } else {
            Counted::Fits(comings.cohorts(starts.len()))
        };
        Ok(Answered {
            answer,
            as_of: reader.as_of,
        })
    }

    async fn each_day(
        &self,
        asked: &Asked,
        by: &By<'_>,
        count: impl FnMut(&super::packed::DayOfPacks, &Lexicon),
    ) -> Result<Reader, StoreError> {
        let unfolded = self.unfolded_days(&asked.site, &asked.period).await?;
        let fields: &[_] = if matches!(by, By::Nothing) {
            &[]
        } else {
            &[PAGE]
        };
        let mut reader = Reader::new(self, asked, &unfolded, fields);
        let days: Vec<Day> = asked.period.days().collect();
        reader.each(&days, by, count).await?;
        Ok(reader)
    }
}

/// For each value so far the patterns that it matches, a bit each.
fn matching(lexicon: &Lexicon, patterns: &[Pattern]) -> Vec<u16> {
    let of = |value: Value| {
        let text = lexicon.text(value)?;
        let matches = patterns
            .iter()
            .enumerate()
            .filter(|(_, p)| p.matches(&text));
        Some(matches.fold(0, |bits, (place, _)| bits | 1 << place))
    };
    (0..=lexicon.last())
        .map(|value| of(value).unwrap_or_default())
        .collect()
}
