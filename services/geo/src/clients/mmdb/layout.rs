//! Which of the layouts a database's records have.

use common::geo::Location;
use maxminddb::{LookupResult, Reader};
use serde_json::Value;

use super::super::record::{English, Flat, Network, Places};
use crate::domain::Language;

/// A database that says nothing about so many of its networks never will.
const PATIENCE: usize = 10_000;

/// How records are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// MaxMind's places.
    Places,
    /// MaxMind's networks.
    Network,
    /// One level of fields.
    Flat,
}

type Found<'a> = LookupResult<'a, Vec<u8>>;

impl Layout {
    /// The layout in which the first record that says anything says the most. The database's name
    /// would not tell: everybody calls theirs as they like.
    pub(super) fn of(reader: &Reader<Vec<u8>>) -> Option<Self> {
        let networks = reader.networks(maxminddb::WithinOptions::default()).ok()?;
        let mut networks = networks.take(PATIENCE).filter_map(Result::ok);
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
    fn fields(self, found: &Found) -> usize {
        let mut location = Location::default();
        let _ = match self {
            Self::Places => {
                let record = found.decode::<Places<&str, English<&str>>>();
                let record = record.ok().flatten();
                record.map(|record| record.fill(&mut location, Language::English))
            }
            Self::Network => {
                let record = found.decode::<Network<&str>>().ok().flatten();
                record.map(|record| record.fill(&mut location))
            }
            Self::Flat => {
                let record = found.decode::<Flat>().ok().flatten();
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
