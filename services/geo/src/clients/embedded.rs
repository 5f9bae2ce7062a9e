//! The country database inside the binary: IPFire's, through the crate `tor-geoip`.

use std::net::IpAddr;
use std::sync::Arc;

use common::geo::{Location, Source};
use tor_geoip::GeoipDb;

use crate::domain::countries;

const NAME: &str = "IPFire";
/// The day of the export in `tor-geoip-db` 0.1.1.
const BUILD_DATE: &str = "2026-09-23";

pub(super) struct Embedded(Arc<GeoipDb>);

impl Embedded {
    pub(super) fn new() -> Self {
        Self(GeoipDb::new_embedded())
    }

    /// Fills the country and what follows from it.
    pub(super) fn fill(&self, ip: IpAddr, location: &mut Location) {
        let Some(code) = self
            .0
            .lookup_country_code(ip)
            .map(tor_geoip::CountryCode::get)
        else {
            return;
        };
        let country = countries::find(code);
        location.country_code = Some(code.to_owned());
        location.country = country.map(|c| c.name.to_owned());
        location.continent_code = country.map(|c| c.continent_code.to_owned());
        location.is_in_european_union = country.map(|c| c.is_in_european_union);
        location.sources.push(Source {
            provider: "embedded".into(),
            database: NAME.into(),
            build_date: Some(BUILD_DATE.into()),
        });
    }

    pub(super) fn description() -> String {
        format!("{NAME} (embedded, countries only, {BUILD_DATE}, CC BY-SA 4.0)")
    }
}
