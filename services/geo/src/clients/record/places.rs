//! MaxMind's nested layout of places, which the databases of DB-IP share.

use common::geo::Location;
use serde::Deserialize;

use super::names::PlaceNames;
use super::network::{NetworkRecord, deny_anonymity_flags};
use super::{is_same_country, non_empty, set_if_none, set_point_if_none};
use crate::domain::Language;

/// A record of the City, Country and Enterprise databases and of the web service.
///
/// `T` is `&str` for texts borrowed from a database, and `String` for the web service. `N` is
/// [`EnglishNames`](super::EnglishNames) or [`LocalizedNames`](super::LocalizedNames).
/// Source: <https://dev.maxmind.com/geoip/docs/web-services/responses/>.
#[derive(Deserialize)]
pub(crate) struct PlaceRecord<T, N> {
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
        non_empty(self.names.as_ref()?.in_language(language))
    }
}

impl<T: AsRef<str>, N: PlaceNames<T>> PlaceRecord<T, N> {
    /// Fills the empty fields of `to`.
    pub(crate) fn fill(&self, to: &mut Location, language: Language) {
        let code = self.country.as_ref().and_then(|c| c.iso_code.as_ref());
        if is_same_country(to.country_code.as_ref(), code.map(T::as_ref)) {
            self.fill_place(to, language);
        }
        if let Some(traits) = &self.traits {
            traits.fill(to);
        }
        // Newer responses have the anonymity flags here, and an absent flag means false.
        if let Some(anonymizer) = &self.anonymizer {
            anonymizer.fill(to);
            deny_anonymity_flags(to);
        }
    }

    /// The network (CIDR) of the record, only in the web service.
    pub(crate) fn network(&self) -> Option<&str> {
        self.traits.as_ref()?.cidr.as_ref().map(T::as_ref)
    }

    fn fill_place(&self, to: &mut Location, language: Language) {
        if let Some(continent) = &self.continent {
            set_if_none(&mut to.continent_code, || {
                non_empty(continent.code.as_ref())
            });
        }
        if let Some(country) = &self.country {
            set_if_none(&mut to.country_code, || {
                non_empty(country.iso_code.as_ref())
            });
            set_if_none(&mut to.country, || country.name(language));
            // MaxMind omits the flag if it is false.
            let member = country.is_in_european_union.unwrap_or(false);
            set_if_none(&mut to.is_in_european_union, || Some(member));
        }
        if let Some(region) = self.subdivisions.first() {
            set_if_none(&mut to.region_code, || non_empty(region.iso_code.as_ref()));
            set_if_none(&mut to.region, || region.name(language));
        }
        set_if_none(&mut to.city, || self.city.as_ref()?.name(language));
        set_if_none(&mut to.postal_code, || {
            non_empty(self.postal.as_ref()?.code.as_ref())
        });
        if let Some(point) = &self.location {
            set_point_if_none(to, point.latitude, point.longitude);
            set_if_none(&mut to.accuracy_radius_km, || point.accuracy_radius);
            set_if_none(&mut to.time_zone, || non_empty(point.time_zone.as_ref()));
        }
    }
}
