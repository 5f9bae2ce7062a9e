//! Numbers value by value.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::kept::{What, split};
use super::packed::{By, DayOfPacks, Reader};
use super::unfolded::Want;
use super::{Answered, Asked, Plan};
use crate::domain::day::Day;
use crate::domain::dimension::Dimension;
use crate::domain::fold::{NONE, Numbers};
use crate::domain::question::{Interval, Subject, seconds, value_of};
use crate::domain::scan::Counts;
use crate::domain::sums::Sums;
use crate::store::rollup::{Lexicon, sums, values};
use crate::store::{Store, StoreError};

/// Which values come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the numbers' names say what they are")]
pub enum Order {
    Visitors,
    Sessions,
    Visits,
    BounceRate,
    AverageSeconds,
    /// The values themselves, from A to Z; a missing one first.
    Value,
}

/// What is wanted of the values.
#[derive(Clone, Debug)]
pub struct Breakdown {
    /// What visits are grouped by.
    pub subject: Subject,
    /// Of properties, which one; without it all of them.
    pub property: Option<String>,
    /// Which sessions count: bots', people's, or both.
    pub is_bot: Option<bool>,
    /// What comes first; otherwise the largest number.
    pub order: Order,
    /// How many values are left out.
    pub offset: i64,
    /// How many there are at most.
    pub limit: i64,
}

/// A value and its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// `None` where visits have none.
    pub value: Option<Arc<str>>,
    /// The numbers.
    pub numbers: Numbers,
}

/// Numbers by the values' texts.
type Texts = HashMap<Option<Arc<str>>, Numbers>;

impl Store {
    /// The values of a subject, in order; one more than the limit where there are more.
    pub async fn breakdown(
        &self,
        asked: &Asked,
        wanted: &Breakdown,
    ) -> Result<Answered<Vec<Value>>, StoreError> {
        let dimension = match wanted.subject {
            Subject::Weekday => return self.by_clock(asked, wanted, Interval::Day, "%u").await,
            Subject::Of(Dimension::Hour) => {
                return self.by_clock(asked, wanted, Interval::Hour, "%H").await;
            }
            Subject::Of(dimension) => dimension,
        };
        // On whatever clock the period is told, visitors are counted by the days of the site's.
        let plan = self.plan(&asked.by_days_of_site()).await?;
        let (mut all, mut as_of) = self.sums(asked, &plan, wanted, dimension).await?;
        as_of = as_of.min(
            self.add_scanned_values(asked, &plan, wanted, &mut all)
                .await?,
        );
        let answer = self.with_texts(wanted, all).await?;
        Ok(Answered { answer, as_of })
    }

    /// The sums of whole days.
    async fn sums(
        &self,
        asked: &Asked,
        plan: &Plan,
        wanted: &Breakdown,
        dimension: Dimension,
    ) -> Result<(Sums, DateTime<Utc>), StoreError> {
        let (mut both, mut as_of) = (<[Sums; 2]>::default(), asked.now);
        if let Some(period) = plan.folded {
            let which = (asked.site.id, dimension);
            both = sums(&self.pool, which, period, &plan.open, wanted.is_bot).await?;
        }
        for date in &plan.open {
            let day = (*date, plan.unfolded[date]);
            let day = self
                .unfolded(&asked.site, day, asked.now, Want::Numbers)
                .await?;
            as_of = as_of.min(day.as_of);
            day.add_to(&mut both, dimension, wanted.is_bot)?;
        }
        let [mut sum, of_bots] = both;
        sum.add(of_bots.into_lines());
        Ok((sum, as_of))
    }

    /// The values that are wanted.
    async fn with_texts(&self, wanted: &Breakdown, sums: Sums) -> Result<Vec<Value>, StoreError> {
        if wanted.order == Order::Value || wanted.property.is_some() {
            let texts = self.texts(sums.lines().iter().map(|line| line.0)).await?;
            let lines = sums.into_lines().into_iter();
            let named = lines.map(|(id, numbers)| (texts.get(&id).cloned(), numbers));
            return Ok(wanted.first(named));
        }
        let first = wanted.in_order(sums.into_lines());
        let texts = self.texts(first.iter().map(|line| line.0)).await?;
        let values = first.into_iter().map(|(id, numbers)| Value {
            value: texts.get(&id).cloned(),
            numbers,
        });
        Ok(values.collect())
    }

    async fn add_scanned_values(
        &self,
        asked: &Asked,
        plan: &Plan,
        wanted: &Breakdown,
        sums: &mut Sums,
    ) -> Result<DateTime<Utc>, StoreError> {
        let subject = wanted.subject;
        let (folded, open) = split(asked, &plan.unfolded, &plan.scanned);
        let question = self.question(asked, What::Values(subject), &folded).await?;
        let scanned = self.scan_values(asked, plan, subject, &folded);
        let found = self.answers.parts(question, scanned).await?;
        let (values, as_of) = self.scan_values(asked, plan, subject, &open).await?;
        let may_miss = subject != Subject::Of(Dimension::Property);
        for values in [found.parts(), &values] {
            let lines = values
                .iter()
                .map(|(value, both)| (*value, wanted.of_class(*both)));
            let lines =
                lines.filter(|(value, numbers)| numbers.visits > 0 && (may_miss || *value != NONE));
            sums.add(lines.collect::<Sums>().into_lines());
        }
        Ok(as_of)
    }

    /// The numbers of people and of bots by the numbers of their values' texts.
    async fn scan_values(
        &self,
        asked: &Asked,
        plan: &Plan,
        subject: Subject,
        days: &[Day],
    ) -> Result<(Vec<(u32, [Numbers; 2])>, DateTime<Utc>), StoreError> {
        let mut reader = Reader::new(self, asked, &plan.unfolded, &[subject.field()]);
        let mut counts = Counts::default();
        let count = |day: &DayOfPacks, lexicon: &Lexicon| {
            counts.grow(lexicon.last());
            counts.add(&day.packs, &seconds(&day.day), day.is_mixed);
        };
        reader.each(days, &By::Subject(subject), count).await?;
        let values = counts.values();
        let values = values.map(|(value, numbers)| (reader.lexicon.text(value), numbers));
        let values: Vec<_> = values.collect();
        let texts = values.iter().filter_map(|(text, _)| text.as_ref());
        let ids = self.value_ids(texts).await?;
        let id = |text: Option<Arc<str>>| text.map_or(NONE, |text| ids[&text].cast_unsigned());
        let values = values
            .into_iter()
            .map(|(text, numbers)| (id(text), numbers));
        Ok((values.collect(), reader.as_of))
    }

    /// The numbers of texts, which do not change as long as anything refers to them: most are
    /// remembered.
    pub(super) async fn value_ids<'a>(
        &self,
        texts: impl Iterator<Item = &'a Arc<str>>,
    ) -> Result<HashMap<Arc<str>, i32>, StoreError> {
        self.values.forget_old();
        let mut ids = HashMap::new();
        let mut missing = vec![];
        for text in texts {
            match self.values.get(text) {
                Some(id) => _ = ids.insert(text.clone(), id),
                None => missing.push(text),
            }
        }
        for (text, id) in values(&self.pool, missing.into_iter()).await? {
            self.values.insert(text.clone(), id);
            ids.insert(text, id);
        }
        Ok(ids)
    }

    /// The texts with these numbers; there is none with the number 0.
    pub(super) async fn texts(
        &self,
        ids: impl Iterator<Item = u32>,
    ) -> Result<HashMap<u32, Arc<str>>, StoreError> {
        let ids: Vec<i32> = ids.filter(|id| *id != 0).map(u32::cast_signed).collect();
        let rows = sqlx::query!(
            "select id, text from visitor_analytics.rollup_value where id = any($1)",
            &ids
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        let texts = rows.map(|row| (row.id.cast_unsigned(), Arc::from(row.text)));
        Ok(texts.collect())
    }

    /// Hours of the day and days of the week: sums over a series.
    async fn by_clock(
        &self,
        asked: &Asked,
        wanted: &Breakdown,
        interval: Interval,
        format: &str,
    ) -> Result<Answered<Vec<Value>>, StoreError> {
        let series = self.series(asked, interval).await?;
        let mut sums = Texts::new();
        for bucket in &series.answer {
            let numbers = wanted.of_class(bucket.numbers);
            if numbers.visits > 0 {
                let local = bucket.start.with_timezone(&asked.period.zone);
                let text: Arc<str> = local.format(format).to_string().into();
                *sums.entry(Some(text)).or_default() += numbers;
            }
        }
        Ok(Answered {
            answer: wanted.first(sums),
            as_of: series.as_of,
        })
    }
}

impl Breakdown {
    fn of_class(&self, [people, bots]: [Numbers; 2]) -> Numbers {
        match self.is_bot {
            Some(false) => people,
            Some(true) => bots,
            None => people + bots,
        }
    }

    /// The values that are wanted.
    fn first(&self, values: impl IntoIterator<Item = (Option<Arc<str>>, Numbers)>) -> Vec<Value> {
        let values = values
            .into_iter()
            .filter_map(|(value, numbers)| match &self.property {
                None => Some((value, numbers)),
                Some(property) => Some((Some(value_of(property, &value?)?.into()), numbers)),
            });
        let first = self.in_order(values.collect()).into_iter();
        let values = first.map(|(value, numbers)| Value { value, numbers });
        values.collect()
    }

    /// What is wanted of these, in order; where they are equal the first value comes first.
    fn in_order<V: Ord>(&self, mut values: Vec<(V, Numbers)>) -> Vec<(V, Numbers)> {
        values.sort_by(|a, b| {
            let by_number = self.rank(&b.1).total_cmp(&self.rank(&a.1));
            by_number.then_with(|| a.0.cmp(&b.0))
        });
        let length = |number: i64| usize::try_from(number).unwrap_or_default();
        let rest = values.into_iter().skip(length(self.offset));
        rest.take(length(self.limit) + 1).collect()
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers are only put in order")]
    fn rank(&self, of: &Numbers) -> f64 {
        let rate = |part: i64, whole: i64| {
            if whole > 0 {
                part as f64 / whole as f64
            } else {
                -1.0
            }
        };
        match self.order {
            Order::Visitors => of.visitors as f64,
            Order::Sessions => of.sessions as f64,
            Order::Visits => of.visits as f64,
            Order::BounceRate => rate(of.bounces, of.sessions),
            Order::AverageSeconds => rate(of.seconds, of.visits),
            Order::Value => 0.0,
        }
    }
}
