//! Retention: from the lists of who came on each day where days are whole and all visits count,
//! else from packed visits.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};

use super::kept::{Found, What, split};
use super::packed::{By, Reader};
use super::paths::{Counted, MOST};
use super::unfolded::Want;
use super::{Answered, Asked, UNREADABLE};
use crate::domain::day::Day;
use crate::domain::question::{Interval, seconds};
use crate::domain::retention::{Comings, Lists, visitors};
use crate::domain::scan::each_session;
use crate::store::rollup::visitors as visitors_of_days;
use crate::store::{Store, StoreError};

/// The longest lists that are held for one question, in bytes.
const LONGEST: usize = 24 << 20;

type Cohorts = Answered<Counted<Vec<Vec<i64>>>>;

impl Store {
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
        let (unfolded, days) = self.days_of(asked).await?;
        let question = if split(asked, &unfolded, &days).1.is_empty() {
            let what = What::Retention(is_bot, interval);
            self.question(asked, what, &days).await?
        } else {
            None
        };
        if let Some(Found::Retention(cohorts)) = self.answers.get(question.as_ref()).as_deref() {
            return Ok(Answered {
                answer: Counted::Fits(cohorts.clone()),
                as_of: asked.now,
            });
        }
        if let Some(told) = self
            .cohorts_of_days(asked, is_bot, interval, &starts)
            .await?
        {
            if let Counted::Fits(cohorts) = &told.answer {
                let found = Arc::new(Found::Retention(cohorts.clone()));
                self.answers.keep(question, &found);
            }
            return Ok(told);
        }
        let mut comings = Comings::default();
        let mut reader = Reader::new(self, asked, &unfolded, &[]);
        reader
            .each(&days, &By::Nothing, |day, _| {
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
            let cohorts = comings.cohorts(starts.len());
            let found = Arc::new(Found::Retention(cohorts.clone()));
            self.answers.keep(question, &found);
            Counted::Fits(cohorts)
        };
        Ok(Answered {
            answer,
            as_of: reader.as_of,
        })
    }

    /// `None` where visits have to be looked at, or the lists are too long.
    async fn cohorts_of_days(
        &self,
        asked: &Asked,
        is_bot: Option<bool>,
        interval: Interval,
        starts: &[DateTime<Utc>],
    ) -> Result<Option<Cohorts>, StoreError> {
        let plan = self.plan(asked).await?;
        if !plan.scanned.is_empty() {
            return Ok(None);
        }
        let (mut lists, mut as_of) = (vec![], asked.now);
        if let Some(period) = plan.folded {
            let found = visitors_of_days(&self.pool, asked.site.id, period, LONGEST).await?;
            let Some(mut found) = found else {
                return Ok(None);
            };
            found.retain(|(date, _)| !plan.unfolded.contains_key(date));
            lists = found;
        }
        for date in &plan.open {
            let day = (*date, plan.unfolded[date]);
            let found = self
                .unfolded(&asked.site, day, asked.now, Want::Packs)
                .await?;
            as_of = as_of.min(found.as_of);
            let day = seconds(&Day::new(asked.site.zone, *date));
            let packs = found.packs().iter();
            lists.extend(packs.map(|pack| (*date, visitors(pack, &day))));
        }
        let zone = asked.period.zone;
        let place = |date: NaiveDate| {
            let start = interval.start(zone, Day::new(zone, date).from);
            starts.iter().position(|known| *known == start)
        };
        let mut came = Lists::default();
        for (date, bytes) in &lists {
            if let Some(place) = place(*date) {
                came.add(bytes, place, is_bot).ok_or(UNREADABLE)?;
            }
        }
        let answer = Counted::Fits(came.cohorts(starts.len()));
        Ok(Some(Answered { answer, as_of }))
    }
}
