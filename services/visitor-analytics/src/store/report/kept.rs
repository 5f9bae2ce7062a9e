//! What packed visits of folded days came to, kept in memory until one of the days is folded again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use uuid::Uuid;

use super::recent::Recent;
use super::{Asked, Unfolded};
use crate::domain::day::Day;
use crate::domain::fold::{Numbers, Value};
use crate::domain::funnel::Rules;
use crate::domain::goal::Reach;
use crate::domain::pattern::Pattern;
use crate::domain::question::{Filter, Interval, Period, Subject};
use crate::store::rollup::pack_marks;
use crate::store::{Store, StoreError};

/// What is kept, in bytes.
const ROOM: usize = 4 << 20;
/// The largest answer that is kept.
const LARGEST: usize = ROOM / 4;

const NOT_POISONED: &str = "no code panics while it holds this lock";

/// What is to be counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum What {
    Values(Subject),
    Parts(Interval),
    Funnel(Option<bool>, Vec<Pattern>, Rules),
    Retention(Option<bool>, Interval),
}

/// All that an answer depends on, and the state of each of its days.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    what: What,
    site: (i32, Tz),
    period: Period,
    filters: Arc<[Filter]>,
    reach: Option<Pattern>,
    /// The days that have visits, and the mark that each was folded with.
    days: Vec<(NaiveDate, Option<Uuid>)>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// By the number of a value's text, or by the place of a series' part.
    Parts(Parts),
    /// Visitors by step.
    Funnel(Vec<i64>),
    /// Visitors by cohort.
    Retention(Vec<Vec<i64>>),
}

/// Numbers of people and of bots by the place of a series' part, or by the number of a value's text.
pub(super) type Parts = Vec<(Value, [Numbers; 2])>;

impl Found {
    /// Its parts, where it consists of them.
    pub(super) fn parts(&self) -> &[(Value, [Numbers; 2])] {
        match self {
            Self::Parts(parts) => parts,
            _ => &[],
        }
    }

    /// About how many bytes it takes.
    fn size(&self) -> usize {
        match self {
            Self::Parts(parts) => parts.len() * 88,
            Self::Funnel(steps) => steps.len() * 8,
            Self::Retention(cohorts) => cohorts.iter().map(|cohort| 24 + cohort.len() * 8).sum(),
        }
    }
}

/// The answers that were told lately.
#[derive(Clone, Debug)]
pub(in crate::store) struct Answers(Arc<Mutex<Recent<Arc<Question>, Arc<Found>>>>);

impl Answers {
    pub(in crate::store) fn new() -> Self {
        Self(Arc::new(Mutex::new(Recent::new(ROOM))))
    }

    pub(super) fn get(&self, question: Option<&Arc<Question>>) -> Option<Arc<Found>> {
        let mut known = self.0.lock().expect(NOT_POISONED);
        known.get(question?)
    }

    /// Parts that are known, or what `scanned` finds, which is kept then.
    pub(super) async fn parts(
        &self,
        question: Option<Arc<Question>>,
        scanned: impl Future<Output = Result<(Parts, DateTime<Utc>), StoreError>>,
    ) -> Result<Arc<Found>, StoreError> {
        if let Some(found) = self.get(question.as_ref()) {
            return Ok(found);
        }
        let (parts, _) = scanned.await?;
        let found = Arc::new(Found::Parts(parts));
        self.keep(question, &found);
        Ok(found)
    }

    pub(super) fn keep(&self, question: Option<Arc<Question>>, found: &Arc<Found>) {
        let Some(question) = question else {
            return;
        };
        let texts = question
            .filters
            .iter()
            .flat_map(|f| f.any.iter().chain(&f.none));
        let asked: usize = texts.map(Pattern::size).sum();
        let size = found.size() + asked + question.days.len() * 24 + 300;
        if size <= LARGEST {
            let mut known = self.0.lock().expect(NOT_POISONED);
            known.insert(question, found.clone(), size);
        }
    }
}

/// Those of these days that are folded, and those that are not.
pub(super) fn split(asked: &Asked, unfolded: &Unfolded, days: &[Day]) -> (Vec<Day>, Vec<Day>) {
    let dates = |day: &Day| dates(asked, day);
    let days = days.iter().copied();
    days.partition(|day| dates(day).all(|date| !unfolded.contains_key(&date)))
}

/// The site's days in which a day lies.
fn dates(asked: &Asked, day: &Day) -> impl Iterator<Item = NaiveDate> + use<> {
    let last = day.to - TimeDelta::microseconds(1);
    Day::between(asked.site.zone, day.from, last).map(|day| day.date)
}

impl Store {
    /// What is asked about these days, all of them folded; `None` where it depends on more than
    /// their visits.
    pub(super) async fn question(
        &self,
        asked: &Asked,
        what: What,
        days: &[Day],
    ) -> Result<Option<Arc<Question>>, StoreError> {
        let reach = match &asked.reach {
            None => None,
            Some(Reach::Page(pattern)) => Some(pattern.clone()),
            Some(Reach::Event(_)) => return Ok(None),
        };
        let dates: BTreeSet<NaiveDate> = days.iter().flat_map(|day| dates(asked, day)).collect();
        let (Some(first), Some(last)) = (dates.first(), dates.last()) else {
            return Ok(None);
        };
        let mut marks = pack_marks(&self.pool, asked.site.id, (*first, *last)).await?;
        marks.retain(|(date, _)| dates.contains(date));
        Ok(Some(Arc::new(Question {
            what,
            site: (asked.site.id, asked.site.zone),
            period: asked.period,
            filters: asked.filters.clone(),
            reach,
            days: marks,
        })))
    }
}
