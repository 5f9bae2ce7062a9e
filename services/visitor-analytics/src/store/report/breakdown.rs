//! Numbers value by value.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::packed::{By, Reader};
use super::{Answered, Asked, Plan};
use crate::domain::dimension::Dimension;
use crate::domain::fold::Numbers;
use crate::domain::question::{Interval, Subject, seconds};
use crate::domain::scan::Counts;
use crate::store::rollup::values;
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
#[derive(Clone, Copy, Debug)]
pub struct Breakdown {
    /// What visits are grouped by.
    pub subject: Subject,
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

/// Numbers by value.
type Sums = HashMap<Option<Arc<str>>, Numbers>;

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
        let plan = self.plan(asked).await?;
        let mut sums = Sums::new();
        let mut as_of = self
            .add_scanned_values(asked, &plan, wanted, &mut sums)
            .await?;
        for date in &plan.open {
            let day = self
                .unfolded(&asked.site, *date, plan.unfolded[date], asked.now)
                .await?;
            as_of = as_of.min(day.as_of);
            let rows = day.rows(dimension).iter();
            for row in rows.filter(|row| wanted.is_bot.is_none_or(|is_bot| row.is_bot == is_bot)) {
                *sums.entry(row.value.clone()).or_default() += row.numbers;
            }
        }
        let answer = match plan.folded {
            None => wanted.cut(sums),
            Some(_) => {
                self.with_folded(asked, &plan, wanted, dimension, &sums)
                    .await?
            }
        };
        Ok(Answered { answer, as_of })
    }

    async fn add_scanned_values(
        &self,
        asked: &Asked,
        plan: &Plan,
        wanted: &Breakdown,
        sums: &mut Sums,
    ) -> Result<DateTime<Utc>, StoreError> {
        let subject = wanted.subject;
        let mut reader = Reader::new(self, asked, &plan.unfolded, &[subject.field()]);
        let mut counts = Counts::default();
        let count = |day: &super::packed::DayOfPacks, lexicon: &crate::store::rollup::Lexicon| {
            counts.grow(lexicon.last());
            counts.add(&day.packs, &seconds(&day.day), day.is_mixed);
        };
        reader
            .each(&plan.scanned, &By::Subject(subject), count)
            .await?;
        for (value, numbers) in counts.values() {
            let numbers = wanted.of_class(numbers);
            if numbers.visits > 0 {
                *sums.entry(reader.lexicon.text(value)).or_default() += numbers;
            }
        }
        Ok(reader.as_of)
    }

    /// Adds what was folded, in the database, which gives back only what is wanted.
    async fn with_folded(
        &self,
        asked: &Asked,
        plan: &Plan,
        wanted: &Breakdown,
        dimension: Dimension,
        sums: &Sums,
    ) -> Result<Vec<Value>, StoreError> {
        let Some((first, last)) = plan.folded else {
            return Ok(vec![]);
        };
        let ids = self.value_ids(sums.keys().flatten()).await?;
        let (mut added, mut numbers) = (vec![], vec![]);
        for (text, of) in sums {
            added.push(text.as_ref().map_or(0, |text| ids[text]));
            numbers.push(*of);
        }
        let column = |of: fn(&Numbers) -> i64| numbers.iter().map(of).collect::<Vec<i64>>();
        let rows = sqlx::query!(
            r#"with sums as (
                   select value_id, sum(visits)::bigint as visits,
                          sum(visitors)::bigint as visitors, sum(sessions)::bigint as sessions,
                          sum(bounces)::bigint as bounces, sum(seconds)::bigint as seconds
                   from (select value_id, visits, visitors, sessions, bounces, seconds
                         from visitor_analytics.rollup_day
                         where site_id = $1 and dimension = $2 and day between $3 and $4
                           and day <> all($5) and ($6::bool is null or is_bot = $6)
                         union all
                         select * from unnest($7::int[], $8::bigint[], $9::bigint[],
                             $10::bigint[], $11::bigint[], $12::bigint[])) parts
                   group by value_id),
               first as (
                   select * from sums
                   order by case $13::int
                       when 0 then visitors when 1 then sessions when 2 then visits
                       when 3 then bounces::double precision / nullif(sessions, 0)
                       when 4 then seconds::double precision / nullif(visits, 0) end
                       desc nulls last, value_id
                   offset case when $13 < 5 then $14::bigint else 0 end
                   limit case when $13 < 5 then $15::bigint end)
               select v.text as "text?", f.visits as "visits!", f.visitors as "visitors!",
                      f.sessions as "sessions!", f.bounces as "bounces!", f.seconds as "seconds!"
               from first f left join visitor_analytics.rollup_value v on v.id = f.value_id
               order by case $13::int
                       when 0 then visitors when 1 then sessions when 2 then visits
                       when 3 then bounces::double precision / nullif(sessions, 0)
                       when 4 then seconds::double precision / nullif(visits, 0) end
                       desc nulls last,
                   case when $13 = 5 then v.text end collate "C" nulls first, value_id
               offset case when $13 < 5 then 0 else $14::bigint end
               limit case when $13 < 5 then null else $15::bigint end"#,
            asked.site.id,
            dimension.code(),
            first,
            last,
            &plan.open,
            wanted.is_bot,
            &added,
            &column(|n| n.visits),
            &column(|n| n.visitors),
            &column(|n| n.sessions),
            &column(|n| n.bounces),
            &column(|n| n.seconds),
            wanted.order as i32,
            wanted.offset,
            wanted.limit + 1,
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        Ok(rows
            .map(|row| Value {
                value: row.text.map(Arc::from),
                numbers: Numbers {
                    visits: row.visits,
                    visitors: row.visitors,
                    sessions: row.sessions,
                    bounces: row.bounces,
                    seconds: row.seconds,
                },
            })
            .collect())
    }

    /// The numbers of texts, which never change: most are remembered.
    async fn value_ids<'a>(
        &self,
        texts: impl Iterator<Item = &'a Arc<str>>,
    ) -> Result<HashMap<Arc<str>, i32>, StoreError> {
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

    /// Hours of the day and days of the week: sums over a series.
    async fn by_clock(
        &self,
        asked: &Asked,
        wanted: &Breakdown,
        interval: Interval,
        format: &str,
    ) -> Result<Answered<Vec<Value>>, StoreError> {
        let series = self.series(asked, interval).await?;
        let mut sums = Sums::new();
        for bucket in &series.answer {
            let numbers = wanted.of_class(bucket.numbers);
            if numbers.visits > 0 {
                let local = bucket.start.with_timezone(&asked.period.zone);
                let text: Arc<str> = local.format(format).to_string().into();
                *sums.entry(Some(text)).or_default() += numbers;
            }
        }
        Ok(Answered {
            answer: wanted.cut(sums),
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

    /// The values that are wanted, in order.
    fn cut(&self, sums: Sums) -> Vec<Value> {
        let values = sums
            .into_iter()
            .map(|(value, numbers)| Value { value, numbers });
        let mut values: Vec<Value> = values.collect();
        values.sort_by(|a, b| {
            let by_number = self.rank(&b.numbers).total_cmp(&self.rank(&a.numbers));
            by_number.then_with(|| a.value.cmp(&b.value))
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
