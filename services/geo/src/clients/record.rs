//! What MaxMind says about an address; its databases and its web service say it alike.

use common::geo::Location;
use serde::Deserialize;

/// The parts of MaxMind's records that are used; City, Country, Enterprise, ASN, ISP and
/// Anonymous-IP databases and the web service each carry some of them.
///
/// Texts are borrowed from a database (`&str`) or kept (`String`).
/// Source: <https://dev.maxmind.com/geoip/docs/web-services/responses/>.
#[derive(Deserialize)]
pub(super) struct Record<T> {
    continent: Option<Named<T>>,
    country: Option<Named<T>>,
    #[serde(default = "Vec::new")]
    subdivisions: Vec<Named<T>>,
    city: Option<Named<T>>,
    postal: Option<Postal<T>>,
    location: Option<Point<T>>,
    traits: Option<Traits<T>>,
    anonymizer: Option<Anonymizer>,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<T>,
    is_anonymous: Option<bool>,
    is_hosting_provider: Option<bool>,
}

#[derive(Deserialize)]
struct Named<T> {
    code: Option<T>,
    iso_code: Option<T>,
    is_in_european_union: Option<bool>,
    names: Option<Names<T>>,
}

#[derive(Deserialize)]
struct Names<T> {
    en: Option<T>,
}

#[derive(Deserialize)]
struct Postal<T> {
    code: Option<T>,
}

#[derive(Deserialize)]
struct Point<T> {
    latitude: Option<f64>,
    longitude: Option<f64>,
    accuracy_radius: Option<u16>,
    time_zone: Option<T>,
}

#[derive(Deserialize)]
struct Traits<T> {
    network: Option<T>,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<T>,
    isp: Option<T>,
    is_anonymous: Option<bool>,
    is_hosting_provider: Option<bool>,
}

/// The newer home of the marks about anonymity; where it is there, a missing mark means no.
#[derive(Deserialize)]
struct Anonymizer {
    #[serde(default)]
    is_anonymous: bool,
    #[serde(default)]
    is_hosting_provider: bool,
}

impl<T: AsRef<str>> Named<T> {
    fn name(&self) -> Option<String> {
        owned(self.names.as_ref()?.en.as_ref())
    }
}

impl<T: AsRef<str>> Record<T> {
    /// Fills what `to` leaves open.
    pub(super) fn fill(&self, to: &mut Location) {
        if let Some(continent) = &self.continent {
            fill(&mut to.continent_code, || owned(continent.code.as_ref()));
        }
        if let Some(country) = &self.country {
            fill(&mut to.country_code, || owned(country.iso_code.as_ref()));
            fill(&mut to.country, || country.name());
            // MaxMind leaves the mark out where it is false.
            let member = country.is_in_european_union.unwrap_or(false);
            fill(&mut to.is_in_european_union, || Some(member));
        }
        if let Some(region) = self.subdivisions.first() {
            fill(&mut to.region_code, || owned(region.iso_code.as_ref()));
            fill(&mut to.region, || region.name());
        }
        fill(&mut to.city, || self.city.as_ref()?.name());
        fill(&mut to.postal_code, || {
            owned(self.postal.as_ref()?.code.as_ref())
        });
        if let Some(point) = &self.location {
            fill(&mut to.latitude, || point.latitude);
            fill(&mut to.longitude, || point.longitude);
            fill(&mut to.accuracy_radius_km, || point.accuracy_radius);
            fill(&mut to.time_zone, || owned(point.time_zone.as_ref()));
        }
        self.fill_network(to);
    }

    fn fill_network(&self, to: &mut Location) {
        fill(&mut to.asn, || self.autonomous_system_number);
        fill(&mut to.as_organization, || {
            owned(self.autonomous_system_organization.as_ref())
        });
        fill(&mut to.is_anonymous, || self.is_anonymous);
        fill(&mut to.is_hosting_provider, || self.is_hosting_provider);
        if let Some(marks) = &self.anonymizer {
            fill(&mut to.is_anonymous, || Some(marks.is_anonymous));
            fill(&mut to.is_hosting_provider, || {
                Some(marks.is_hosting_provider)
            });
        }
        let Some(traits) = &self.traits else { return };
        if let Some(network) = &traits.network {
            narrow(&mut to.network, network.as_ref().to_owned());
        }
        fill(&mut to.asn, || traits.autonomous_system_number);
        fill(&mut to.as_organization, || {
            let organization = &traits.autonomous_system_organization;
            owned(organization.as_ref().or(traits.isp.as_ref()))
        });
        fill(&mut to.is_anonymous, || traits.is_anonymous);
        fill(&mut to.is_hosting_provider, || traits.is_hosting_provider);
    }
}

/// An answer holds for the narrowest network (CIDR) among its sources.
pub(super) fn narrow(known: &mut Option<String>, network: String) {
    let prefix = |text: &str| text.rsplit_once('/')?.1.parse::<u8>().ok();
    if known.as_deref().and_then(prefix) < prefix(&network) {
        *known = Some(network);
    }
}

/// Gives `field` a value where it has none.
pub(super) fn fill<T>(field: &mut Option<T>, value: impl FnOnce() -> Option<T>) {
    if field.is_none() {
        *field = value();
    }
}

fn owned(text: Option<&impl AsRef<str>>) -> Option<String> {
    text.map(|text| text.as_ref().to_owned())
}
