//! Whether a place meets a criterion of a service area: a country, region or postal code.

use super::codes::{CountryCode, RegionCode, ScopedPostalCode};
use super::place::Place;
use super::verdict::Verdict;

impl CountryCode {
    pub(super) fn verdict_for(self, place: &Place) -> Verdict {
        match place.country {
            Some(known) => (known == self).into(),
            None => place.may_be_in(self),
        }
    }
}

impl RegionCode {
    pub(super) fn verdict_for(&self, place: &Place) -> Verdict {
        match (&place.country, &place.region) {
            (Some(country), _) if *country != self.country => Verdict::Outside,
            (Some(_), Some(region)) if place.has_reliable_region() => {
                Verdict::from(region.code == self.code)
            }
            _ => place.may_be_in(self.country),
        }
    }
}

impl ScopedPostalCode {
    pub(super) fn verdict_for(&self, place: &Place) -> Verdict {
        let in_country = match (self.country, place.country) {
            (Some(own), Some(known)) if own != known => return Verdict::Outside,
            (Some(own), None) => place.may_be_in(own),
            _ => Verdict::Inside,
        };
        match &place.postal_code {
            Some(known) if place.has_reliable_postal_code() => {
                self.code.contains(known).min(in_country)
            }
            _ => in_country.min(Verdict::Uncertain),
        }
    }
}
