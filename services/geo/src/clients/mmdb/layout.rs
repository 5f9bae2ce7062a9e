//! Which of the layouts a database's records have.

use common::geo::Location;
use maxminddb::{LookupResult, Reader};
use serde_json::Value;

use super::super::record::{EnglishNames, FlatRecord, NetworkRecord, PlaceRecord};
use crate::domain::Language;

/// A database that says nothing about so many of its networks never will.
const MAX_PROBED_NETWORKS: usize = 10_000;

/// How records are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordLayout {
    /// MaxMind's places.
    Places,
    /// MaxMind's networks.
    Network,
    /// One level of fields.
    Flat,
}

type MmdbLookup<'a> = LookupResult<'a, Vec<u8>>;

impl RecordLayout {
    /// The layout in which the first record that says anything says the most. The database's name
    /// would not tell: everybody calls theirs as they like.
    pub(super) fn of(reader: &Reader<Vec<u8>>) -> Option<Self> {
        let networks = reader.networks(maxminddb::WithinOptions::default()).ok()?;
        let mut networks = networks.take(MAX_PROBED_NETWORKS).filter_map(Result::ok);
        networks.find_map(|found| {
            let layouts = [Self::Flat, Self::Network, Self::Places];
            let fields = layouts.map(|layout| (layout.fields(&found), layout));
            // The last of equals.
            let best = fields.into_iter().max_by_key(|(fields, _)| *fields);
            best.filter(|(fields, _)| *fields > 0)
                .map(|(_, layout)| layout)
        })
    }

    /// How many fields a record has, read in this layout.
    fn fields(self, found: &MmdbLookup) -> usize {
        let mut location = Location::default();
        let _ = match self {
            Self::Places => {
                let record = found.decode::<PlaceRecord<&str, EnglishNames<&str>>>();
                let record = record.ok().flatten();
                record.map(|record| record.fill(&mut location, Language::English))
            }
            Self::Network => {
                let record = found.decode::<NetworkRecord<&str>>().ok().flatten();
                record.map(|record| record.fill(&mut location))
            }
            Self::Flat => {
                let record = found.decode::<FlatRecord>().ok().flatten();
                record.map(|record| record.fill(&mut location))
            }
        };
        let Ok(Value::Object(fields)) = serde_json::to_value(location) else {
            return 0;
        };
        let known = |value: &&Value| !value.is_null() && !value.is_array() && **value != "";
        fields.values().filter(known).count()
    }
}
