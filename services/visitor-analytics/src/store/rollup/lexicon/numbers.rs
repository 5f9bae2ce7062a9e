//! What the numbers in packs stand for.

use chrono::{DateTime, Datelike as _};
use sqlx::PgPool;

use super::{Known, Lexicon};
use crate::domain::dimension::Dimension;
use crate::domain::fold::{NONE, Value};
use crate::domain::pack::{Field, OF_BOT};
use crate::domain::quarters::QUARTER;
use crate::domain::question::Subject;
use crate::store::StoreError;

impl Lexicon {
    /// The highest number of a text so far.
    pub(in crate::store) fn last(&self) -> Value {
        Value::try_from(self.texts.texts.len()).expect("memory ends before")
    }

    /// Looks up numbers of a column that were not met before.
    pub(in crate::store) async fn learn_numbers(
        &mut self,
        pool: &PgPool,
        field: Field,
        numbers: &[u32],
    ) -> Result<(), StoreError> {
        let ids = |known: &Known| -> Vec<i32> {
            let ids = numbers.iter().map(|number| id(*number));
            ids.filter(|id| *id != 0 && !known.contains_key(id))
                .collect()
        };
        match field {
            Field::Page | Field::Entry | Field::Exit => {
                self.learn_pages(pool, &ids(&self.pages)).await
            }
            Field::Origin => self.learn_origins(pool, &ids(&self.origins)).await,
            Field::Agent => self.learn_agents(pool, &ids(&self.agents)).await,
            Field::Verdict => self.learn_verdicts(pool, &ids(&self.verdicts)).await,
            Field::Place => self.learn_places(pool, &ids(&self.places)).await,
            Field::Network => self.learn_networks(pool, &ids(&self.networks)).await,
            Field::Language => self.learn_languages(pool, numbers).await,
            Field::Properties => self.learn_properties(pool, numbers).await,
            Field::Status | Field::Quarter | Field::Minute => Ok(()),
        }
    }

    async fn learn_properties(&mut self, pool: &PgPool, numbers: &[u32]) -> Result<(), StoreError> {
        let known = &self.properties;
        for (number, text) in texts(pool, numbers, |n| known.contains_key(&n)).await? {
            let all: Vec<String> = serde_json::from_str(&text)
                .map_err(|_| StoreError::Unreadable("a set of properties"))?;
            let values = all.iter().map(|text| self.texts.number(text)).collect();
            self.properties.insert(number, values);
        }
        Ok(())
    }

    async fn learn_languages(&mut self, pool: &PgPool, numbers: &[u32]) -> Result<(), StoreError> {
        let known = &self.languages;
        for (number, text) in texts(pool, numbers, |n| known.contains_key(&n)).await? {
            let value = self.texts.number(&text);
            self.languages.insert(number, value);
        }
        Ok(())
    }

    /// The values that a subject has where its column has this number, which was learned.
    pub(in crate::store) fn values(&mut self, subject: Subject, number: u32) -> Vec<Value> {
        let Subject::Of(dimension) = subject else {
            let weekday = self.local(number).weekday().number_from_monday();
            return vec![self.texts.number(&weekday.to_string())];
        };
        let (field, id) = (subject.field(), id(number));
        let known = match field {
            Field::Page | Field::Entry | Field::Exit => &self.pages,
            Field::Origin => &self.origins,
            Field::Agent => &self.agents,
            Field::Verdict => &self.verdicts,
            Field::Place => &self.places,
            Field::Network => &self.networks,
            Field::Language => {
                return vec![self.languages.get(&number).copied().unwrap_or(NONE)];
            }
            Field::Properties => {
                let values = self.properties.get(&number);
                return values.map_or_else(|| vec![NONE], Clone::clone);
            }
            Field::Status if number == 0 => return vec![NONE],
            Field::Status => return vec![self.texts.number(&number.to_string())],
            Field::Quarter | Field::Minute => {
                let hour = self.local(number).format("%H").to_string();
                return vec![self.texts.number(&hour)];
            }
        };
        if dimension == Dimension::DeviceType && number & OF_BOT != 0 {
            // Whatever the user agent says.
            return vec![self.texts.number("bot")];
        }
        let wanted = match dimension {
            Dimension::EntryPage | Dimension::ExitPage => Dimension::Page,
            other => other,
        };
        let keys = known.get(&id).map_or(&[][..], |keys| &keys[..]);
        let values = keys.iter().filter(|key| key.dimension == wanted);
        let values: Vec<Value> = values.map(|key| key.value).collect();
        if values.is_empty() {
            vec![NONE]
        } else {
            values
        }
    }

    /// The clock in a quarter of an hour.
    fn local(&self, quarter: u32) -> DateTime<chrono_tz::Tz> {
        let moment = DateTime::from_timestamp(i64::from(quarter) * QUARTER, 0);
        moment.unwrap_or_default().with_timezone(&self.zone)
    }
}

fn id(number: u32) -> i32 {
    (number & !OF_BOT).cast_signed()
}

/// The texts of numbers that were not met before.
async fn texts(
    pool: &PgPool,
    numbers: &[u32],
    is_known: impl Fn(u32) -> bool,
) -> Result<Vec<(u32, String)>, StoreError> {
    let new = numbers.iter().filter(|n| **n != 0 && !is_known(**n));
    let new: Vec<i32> = new.map(|number| number.cast_signed()).collect();
    if new.is_empty() {
        return Ok(vec![]);
    }
    let rows = sqlx::query!(
        "select id, text from visitor_analytics.rollup_value where id = any($1)",
        &new
    );
    let rows = rows.fetch_all(pool).await?.into_iter();
    Ok(rows.map(|row| (row.id.cast_unsigned(), row.text)).collect())
}
