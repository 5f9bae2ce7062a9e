//! Dictionary of the values in the visits of a report or rollup, each text stored once.

mod column_values;
mod tables;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use rollups::aggregate::{AggregateVisit, DimensionValue, NO_VALUE, ValueId};
use rollups::day::LocalHour;
use rollups::dimension::Dimension;
use rollups::quarter_hours::QUARTER_HOUR_SECONDS;
use sqlx::PgPool;

use super::visit_ids::VisitIds;

/// Maps the ids in visits to the ids of texts. Values are loaded when they first occur.
pub struct ValueDictionary {
    zone: Tz,
    texts: TextInterner,
    pages: ValuesById,
    origins: ValuesById,
    agents: ValuesById,
    verdicts: ValuesById,
    places: ValuesById,
    networks: ValuesById,
    hours: HashMap<i64, ValueId>,
    languages: HashMap<u32, ValueId>,
    properties: HashMap<u32, Vec<ValueId>>,
    /// For a visit without a place.
    no_place: Arc<[DimensionValue]>,
    no_network: Arc<[DimensionValue]>,
}

/// The dimension values by id in one dictionary table.
type ValuesById = HashMap<i32, Arc<[DimensionValue]>>;

/// Assigns ids to texts, starting at 1.
#[derive(Default)]
struct TextInterner {
    ids: HashMap<Arc<str>, ValueId>,
    texts: Vec<Arc<str>>,
}

impl TextInterner {
    fn intern(&mut self, text: &str) -> ValueId {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let text: Arc<str> = text.into();
        self.texts.push(text.clone());
        let id = ValueId::try_from(self.texts.len()).expect("fewer than 2^32 texts fit in memory");
        self.ids.insert(text, id);
        id
    }

    fn dimension_value(&mut self, dimension: Dimension, text: Option<&str>) -> DimensionValue {
        DimensionValue::new(dimension, text.map_or(NO_VALUE, |text| self.intern(text)))
    }

    fn dimension_values<const N: usize>(
        &mut self,
        values: [(Dimension, Option<&str>); N],
    ) -> Arc<[DimensionValue]> {
        values
            .map(|(dimension, text)| self.dimension_value(dimension, text))
            .into()
    }
}

impl ValueDictionary {
    #[must_use]
    pub fn new(zone: Tz) -> Self {
        use Dimension::{AsOrganization, City, Country, Region};
        let nothing = |dimension| DimensionValue::new(dimension, NO_VALUE);
        Self {
            zone,
            texts: TextInterner::default(),
            pages: ValuesById::new(),
            origins: ValuesById::new(),
            agents: ValuesById::new(),
            verdicts: ValuesById::new(),
            places: ValuesById::new(),
            networks: ValuesById::new(),
            hours: HashMap::new(),
            languages: HashMap::new(),
            properties: HashMap::new(),
            no_place: [Country, Region, City].map(nothing).into(),
            no_network: [AsOrganization].map(nothing).into(),
        }
    }

    #[must_use]
    pub fn text(&self, value: ValueId) -> Option<Arc<str>> {
        let index = value.checked_sub(1)? as usize;
        self.texts.texts.get(index).cloned()
    }

    /// Loads the values of these visits that are not loaded yet.
    pub(super) async fn load(
        &mut self,
        pool: &PgPool,
        visits: &[VisitIds],
    ) -> Result<(), StoreError> {
        let pages = missing_ids(&self.pages, visits, |v| Some(v.page_id));
        self.load_pages(pool, &pages).await?;
        let origins = missing_ids(&self.origins, visits, |v| Some(v.origin_id));
        self.load_origins(pool, &origins).await?;
        let agents = missing_ids(&self.agents, visits, |v| Some(v.agent_id));
        self.load_agents(pool, &agents).await?;
        let verdicts = missing_ids(&self.verdicts, visits, |v| Some(v.verdict_id));
        self.load_verdicts(pool, &verdicts).await?;
        let places = missing_ids(&self.places, visits, |v| v.place_id);
        self.load_places(pool, &places).await?;
        let networks = missing_ids(&self.networks, visits, |v| v.network_id);
        self.load_networks(pool, &networks).await
    }

    /// Resolves a visit whose values are loaded.
    pub(super) fn resolve_visit(&mut self, row: &VisitIds) -> AggregateVisit {
        let page = &self.pages[&row.page_id];
        let place = row.place_id.map_or(&self.no_place, |id| &self.places[&id]);
        let network = row.network_id;
        let network = network.map_or(&self.no_network, |id| &self.networks[&id]);
        let shared = [
            page,
            &self.agents[&row.agent_id],
            &self.verdicts[&row.verdict_id],
            place,
            network,
        ];
        let mut own = Vec::with_capacity(24);
        own.extend(shared.into_iter().flat_map(|keys| keys.iter()).copied());
        let (visited, origin) = (page[0].value, self.origins[&row.origin_id].clone());
        if row.is_bot {
            // The device type of a bot is `bot`, whatever its user agent says.
            let bot = self
                .texts
                .dimension_value(Dimension::DeviceType, Some("bot"));
            let device = own.iter_mut().find(|key| key.dimension == bot.dimension);
            if let Some(device) = device {
                *device = bot;
            }
        }
        let status = row.status_code.map(|status| status.to_string());
        let texts = &mut self.texts;
        own.push(texts.dimension_value(Dimension::StatusCode, status.as_deref()));
        own.push(texts.dimension_value(Dimension::Language, row.language.as_deref()));
        let properties = row.properties.iter().flatten();
        own.extend(properties.map(|text| texts.dimension_value(Dimension::Property, Some(text))));
        own.push(self.hour_value(row.timestamp));
        AggregateVisit {
            timestamp: row.timestamp.timestamp(),
            is_bot: row.is_bot,
            page: visited,
            values: own,
            origin_values: origin,
        }
    }

    fn hour_value(&mut self, moment: DateTime<Utc>) -> DimensionValue {
        let quarter = moment.timestamp().div_euclid(QUARTER_HOUR_SECONDS);
        let (zone, texts) = (self.zone, &mut self.texts);
        let hour = self.hours.entry(quarter);
        let value =
            hour.or_insert_with(|| texts.intern(&LocalHour::containing(zone, moment).to_string()));
        DimensionValue::new(Dimension::Hour, *value)
    }
}

/// The distinct ids in visits that are not loaded yet.
fn missing_ids(
    loaded: &ValuesById,
    visits: &[VisitIds],
    id: impl Fn(&VisitIds) -> Option<i32>,
) -> Vec<i32> {
    let ids = visits.iter().filter_map(id);
    let new: BTreeSet<i32> = ids.filter(|id| !loaded.contains_key(id)).collect();
    new.into_iter().collect()
}
