//! The embedded country database: IPFire's, from the crate `tor-geoip`.

use std::net::IpAddr;
use std::sync::Arc;

use common::geo::{Location, LocationSource};
use tor_geoip::{CountryCode, GeoipDb};

use super::count_lookup;
use crate::domain::countries;

const PROVIDER: &str = "embedded";
const DATABASE_NAME: &str = "IPFire";
/// The date of the export in `tor-geoip-db` 0.1.1.
const BUILD_DATE: &str = "2026-09-23";

pub(crate) struct EmbeddedDatabase(Arc<GeoipDb>);

impl EmbeddedDatabase {
    pub(crate) fn new() -> Self {
        Self(GeoipDb::new_embedded())
    }

    /// Fills the country and the fields that depend on it. Pseudo-countries, such as `EU` for
    /// networks in several European countries, are ignored.
    pub(crate) fn fill(&self, ip: IpAddr, location: &mut Location) {
        let code = self.0.lookup_country_code(ip).map(CountryCode::get);
        let known = code.and_then(|code| Some((code, countries::find(code)?)));
        let Some((code, country)) = known else {
            count_lookup(PROVIDER, "not_found");
            return;
        };
        count_lookup(PROVIDER, "found");
        location.country_code = Some(code.to_owned());
        location.country = Some(country.name.to_owned());
        location.continent_code = Some(country.continent_code.to_owned());
        location.is_in_european_union = Some(country.is_in_european_union);
        location.sources.push(LocationSource {
            provider: PROVIDER.into(),
            database: DATABASE_NAME.into(),
            build_date: Some(BUILD_DATE.into()),
        });
    }

    pub(crate) fn description() -> String {
        format!("{DATABASE_NAME} (embedded, countries only, {BUILD_DATE}, CC BY-SA 4.0)")
    }
}
