//! MaxMind's nested layout of places, which the databases of DB-IP share.

use common::geo::Location;
use serde::Deserialize;

use super::names::PlaceNames;
use super::network::{NetworkRecord, deny_marks};
use super::{agree, fill, fill_point, owned};
use crate::domain::Language;

/// A record of the City, Country and Enterprise databases and of the web service.
///
/// `T` is `&str` for texts borrowed from a database, and `String` for the web service. `N` is
/// [`EnglishNames`](super::EnglishNames) or [`LocalizedNames`](super::LocalizedNames).
/// Source: <https://dev.maxmind.com/geoip/docs/web-services/responses/>.
#[derive(Deserialize)]
pub(in crate::clients) struct PlaceRecord<T, N> {
    continent: Option<NamedPlace<T, N>>,
    country: Option<NamedPlace<T, N>>,
    #[serde(default = "Vec::new")]
    subdivisions: Vec<NamedPlace<T, N>>,
    city: Option<NamedPlace<T, N>>,
    postal: Option<PostalRecord<T>>,
    location: Option<LocationRecord<T>>,
    traits: Option<NetworkRecord<T>>,
    anonymizer: Option<NetworkRecord<T>>,
}

#[derive(Deserialize)]
struct NamedPlace<T, N> {
    code: Option<T>,
    iso_code: Option<T>,
    is_in_european_union: Option<bool>,
    names: Option<N>,
}

#[derive(Deserialize)]
struct PostalRecord<T> {
    code: Option<T>,
}

#[derive(Deserialize)]
struct LocationRecord<T> {
    latitude: Option<f64>,
    longitude: Option<f64>,
    accuracy_radius: Option<u16>,
    time_zone: Option<T>,
}

impl<T: AsRef<str>, N: PlaceNames<T>> NamedPlace<T, N> {
    fn name(&self, language: Language) -> Option<String> {
        owned(self.names.as_ref()?.pick(language))
    }
}

impl<T: AsRef<str>, N: PlaceNames<T>> PlaceRecord<T, N> {
    /// Fills the empty fields of `to`.
    pub(in crate::clients) fn fill(&self, to: &mut Location, language: Language) {
        let code = self.country.as_ref().and_then(|c| c.iso_code.as_ref());
        if agree(to.country_code.as_ref(), code.map(T::as_ref)) {
            self.fill_place(to, language);
        }
        if let Some(traits) = &self.traits {
            traits.fill(to);
        }
        // Newer responses have the anonymity flags here, and an absent flag means false.
        if let Some(anonymizer) = &self.anonymizer {
            anonymizer.fill(to);
            deny_marks(to);
        }
    }

    /// The network (CIDR) of the record, only in the web service.
    pub(in crate::clients) fn network(&self) -> Option<&str> {
        self.traits.as_ref()?.cidr.as_ref().map(T::as_ref)
    }

    fn fill_place(&self, to: &mut Location, language: Language) {
        if let Some(continent) = &self.continent {
            fill(&mut to.continent_code, || owned(continent.code.as_ref()));
        }
        if let Some(country) = &self.country {
            fill(&mut to.country_code, || owned(country.iso_code.as_ref()));
            fill(&mut to.country, || country.name(language));
            // MaxMind omits the flag if it is false.
            let member = country.is_in_european_union.unwrap_or(false);
            fill(&mut to.is_in_european_union, || Some(member));
        }
        if let Some(region) = self.subdivisions.first() {
            fill(&mut to.region_code, || owned(region.iso_code.as_ref()));
            fill(&mut to.region, || region.name(language));
        }
        fill(&mut to.city, || self.city.as_ref()?.name(language));
        fill(&mut to.postal_code, || {
            owned(self.postal.as_ref()?.code.as_ref())
        });
        if let Some(point) = &self.location {
            fill_point(to, point.latitude, point.longitude);
            fill(&mut to.accuracy_radius_km, || point.accuracy_radius);
            fill(&mut to.time_zone, || owned(point.time_zone.as_ref()));
        }
    }
}
