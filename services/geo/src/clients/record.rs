//! Records of databases and of MaxMind's web service, in their layouts.

mod flat;
mod names;
mod network;
mod places;

use common::geo::Location;

pub(super) use flat::FlatRecord;
pub(super) use names::{EnglishNames, LocalizedNames};
pub(super) use network::{NetworkRecord, deny_anonymity_flags};
pub(super) use places::PlaceRecord;

pub(crate) type WebServiceRecord = PlaceRecord<String, LocalizedNames<String>>;

/// Sets `field` if it is empty.
fn set_if_none<T>(field: &mut Option<T>, value: impl FnOnce() -> Option<T>) {
    if field.is_none() {
        *field = value();
    }
}

/// Sets both coordinates, if both are empty and the new ones are in range.
fn set_point_if_none(to: &mut Location, latitude: Option<f64>, longitude: Option<f64>) {
    let latitude = latitude.filter(|degrees| degrees.abs() <= 90.0);
    let longitude = longitude.filter(|degrees| degrees.abs() <= 180.0);
    let is_open = to.latitude.is_none() && to.longitude.is_none();
    if is_open && latitude.is_some() && longitude.is_some() {
        to.latitude = latitude;
        to.longitude = longitude;
    }
}

/// Flat databases use an empty text for a missing value.
fn non_empty(text: Option<&impl AsRef<str>>) -> Option<String> {
    let text = text?.as_ref();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Whether two sources have the same country, or at least one of them has none. Combining a country
/// with the city or coordinates of another country would describe a place that does not exist.
fn is_same_country(known: Option<&String>, code: Option<&str>) -> bool {
    match (known, code) {
        (Some(known), Some(code)) => known == code,
        _ => true,
    }
}
