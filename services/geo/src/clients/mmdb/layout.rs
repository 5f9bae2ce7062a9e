//! Detects the layout of the records of a database.

use common::geo::Location;
use maxminddb::{LookupResult, Reader};
use serde_json::Value;

use super::super::record::{EnglishNames, FlatRecord, NetworkRecord, PlaceRecord};
use crate::domain::Language;

/// A database whose first networks have no usable record is refused.
const MAX_PROBED_NETWORKS: usize = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordLayout {
    /// MaxMind's City, Country and Enterprise databases.
    Places,
    /// MaxMind's ASN, ISP and similar databases.
    Network,
    /// A single level of fields.
    Flat,
}

type MmdbLookup<'a> = LookupResult<'a, Vec<u8>>;

impl RecordLayout {
    /// Finds the layout with the most fields in the first usable record. The type in the metadata
    /// is not used: publishers choose it freely.
    pub(super) fn detect(reader: &Reader<Vec<u8>>) -> Option<Self> {
        let networks = reader.networks(maxminddb::WithinOptions::default()).ok()?;
        let mut networks = networks.take(MAX_PROBED_NETWORKS).filter_map(Result::ok);
        networks.find_map(|found| {
            let layouts = [Self::Flat, Self::Network, Self::Places];
            let fields = layouts.map(|layout| (layout.count_fields(&found), layout));
            // Of equals, `max_by_key` returns the last.
            let best = fields.into_iter().max_by_key(|(fields, _)| *fields);
            best.filter(|(fields, _)| *fields > 0)
                .map(|(_, layout)| layout)
        })
    }

    /// The number of fields of a record when it is read in this layout.
    fn count_fields(self, found: &MmdbLookup) -> usize {
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
