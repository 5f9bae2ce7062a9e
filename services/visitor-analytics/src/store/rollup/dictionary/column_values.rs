//! Resolves the values in column blocks.

use chassis::database::StoreError;
use chrono::{DateTime, Datelike as _};
use rollups::aggregate::{NO_VALUE, ValueId};
use rollups::column_block::{BOT_FLAG, ColumnKind};
use rollups::dimension::Dimension;
use rollups::quarter_hours::QUARTER_HOUR_SECONDS;
use rollups::query::Attribute;
use sqlx::PgPool;

use super::{ValueDictionary, ValuesById};
use crate::store::rollup::rollup_store::RollupStore;

impl RollupStore {
    /// Loads the values of a column that are not loaded yet.
    pub async fn load_column(
        &self,
        dictionary: &mut ValueDictionary,
        column: ColumnKind,
        codes: &[u32],
    ) -> Result<(), StoreError> {
        dictionary.load_column(&self.pool, column, codes).await
    }
}

impl ValueDictionary {
    /// The highest id of a text so far.
    #[must_use]
    pub fn max_id(&self) -> ValueId {
        ValueId::try_from(self.texts.texts.len()).expect("fewer than 2^32 texts fit in memory")
    }

    /// Loads the values of a column that are not loaded yet.
    async fn load_column(
        &mut self,
        pool: &PgPool,
        column: ColumnKind,
        codes: &[u32],
    ) -> Result<(), StoreError> {
        let ids = |loaded: &ValuesById| -> Vec<i32> {
            let ids = codes.iter().map(|code| dictionary_id(*code));
            ids.filter(|id| *id != 0 && !loaded.contains_key(id))
                .collect()
        };
        match column {
            ColumnKind::Page | ColumnKind::EntryPage | ColumnKind::ExitPage => {
                self.load_pages(pool, &ids(&self.pages)).await
            }
            ColumnKind::Origin => self.load_origins(pool, &ids(&self.origins)).await,
            ColumnKind::UserAgent => self.load_agents(pool, &ids(&self.agents)).await,
            ColumnKind::Verdict => self.load_verdicts(pool, &ids(&self.verdicts)).await,
            ColumnKind::Place => self.load_places(pool, &ids(&self.places)).await,
            ColumnKind::Network => self.load_networks(pool, &ids(&self.networks)).await,
            ColumnKind::Language => self.load_languages(pool, codes).await,
            ColumnKind::Properties => self.load_properties(pool, codes).await,
            ColumnKind::Status | ColumnKind::QuarterHour | ColumnKind::Minute => Ok(()),
        }
    }

    async fn load_properties(&mut self, pool: &PgPool, codes: &[u32]) -> Result<(), StoreError> {
        let loaded = &self.properties;
        for (code, text) in load_texts(pool, codes, |code| loaded.contains_key(&code)).await? {
            let all: Vec<String> =
                serde_json::from_str(&text).map_err(|_| StoreError::Corrupt("a property set"))?;
            let values = all.iter().map(|text| self.texts.intern(text)).collect();
            self.properties.insert(code, values);
        }
        Ok(())
    }

    async fn load_languages(&mut self, pool: &PgPool, codes: &[u32]) -> Result<(), StoreError> {
        let loaded = &self.languages;
        for (code, text) in load_texts(pool, codes, |code| loaded.contains_key(&code)).await? {
            let value = self.texts.intern(&text);
            self.languages.insert(code, value);
        }
        Ok(())
    }

    /// The values of a dimension for an entry of its column, which must be loaded.
    pub fn values(&mut self, subject: Attribute, code: u32) -> Vec<ValueId> {
        let Attribute::Dimension(dimension) = subject else {
            let weekday = self.local_time(code).weekday().number_from_monday();
            return vec![self.texts.intern(&weekday.to_string())];
        };
        let (column, id) = (subject.column(), dictionary_id(code));
        let loaded = match column {
            ColumnKind::Page | ColumnKind::EntryPage | ColumnKind::ExitPage => &self.pages,
            ColumnKind::Origin => &self.origins,
            ColumnKind::UserAgent => &self.agents,
            ColumnKind::Verdict => &self.verdicts,
            ColumnKind::Place => &self.places,
            ColumnKind::Network => &self.networks,
            ColumnKind::Language => {
                return vec![self.languages.get(&code).copied().unwrap_or(NO_VALUE)];
            }
            ColumnKind::Properties => {
                let values = self.properties.get(&code);
                return values.map_or_else(|| vec![NO_VALUE], Clone::clone);
            }
            ColumnKind::Status if code == 0 => return vec![NO_VALUE],
            ColumnKind::Status => return vec![self.texts.intern(&code.to_string())],
            ColumnKind::QuarterHour | ColumnKind::Minute => {
                let hour = self.local_time(code).format("%H").to_string();
                return vec![self.texts.intern(&hour)];
            }
        };
        if dimension == Dimension::DeviceType && code & BOT_FLAG != 0 {
            // The device type of a bot is `bot`, whatever its user agent says.
            return vec![self.texts.intern("bot")];
        }
        let dimension = match dimension {
            Dimension::EntryPage | Dimension::ExitPage => Dimension::Page,
            other => other,
        };
        let keys = loaded.get(&id).map_or(&[][..], |keys| &keys[..]);
        let values = keys.iter().filter(|key| key.dimension == dimension);
        let values: Vec<ValueId> = values.map(|key| key.value).collect();
        if values.is_empty() {
            vec![NO_VALUE]
        } else {
            values
        }
    }

    /// The local time of a quarter hour.
    fn local_time(&self, quarter: u32) -> DateTime<chrono_tz::Tz> {
        let moment = DateTime::from_timestamp(i64::from(quarter) * QUARTER_HOUR_SECONDS, 0);
        moment.unwrap_or_default().with_timezone(&self.zone)
    }
}

fn dictionary_id(code: u32) -> i32 {
    (code & !BOT_FLAG).cast_signed()
}

/// The texts of ids that are not loaded yet.
async fn load_texts(
    pool: &PgPool,
    codes: &[u32],
    is_known: impl Fn(u32) -> bool,
) -> Result<Vec<(u32, String)>, StoreError> {
    let new = codes.iter().filter(|code| **code != 0 && !is_known(**code));
    let new: Vec<i32> = new.map(|code| code.cast_signed()).collect();
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
