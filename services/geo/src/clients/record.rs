//! What databases and MaxMind's web service say about an address, in their several layouts.

mod flat;
mod names;
mod network;
mod places;

use common::geo::Location;

pub(super) use flat::FlatRecord;
pub(super) use names::{EnglishNames, LocalizedNames};
pub(super) use network::{NetworkRecord, deny_marks};
pub(super) use places::PlaceRecord;

/// What MaxMind's web service answers.
pub(super) type WebServiceRecord = PlaceRecord<String, LocalizedNames<String>>;

/// Gives `field` a value where it has none.
fn fill<T>(field: &mut Option<T>, value: impl FnOnce() -> Option<T>) {
    if field.is_none() {
        *field = value();
    }
}

/// Coordinates go together, and lie on the globe.
fn fill_point(to: &mut Location, latitude: Option<f64>, longitude: Option<f64>) {
    let latitude = latitude.filter(|degrees| degrees.abs() <= 90.0);
    let longitude = longitude.filter(|degrees| degrees.abs() <= 180.0);
    let is_open = to.latitude.is_none() && to.longitude.is_none();
    if is_open && latitude.is_some() && longitude.is_some() {
        to.latitude = latitude;
        to.longitude = longitude;
    }
}

/// A text to keep. Flat databases say "unknown" with an empty one.
fn owned(text: Option<&impl AsRef<str>>) -> Option<String> {
    let text = text?.as_ref();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Whether two sources mean the same country, as far as they name one. Cities and coordinates of
/// another country would make a place that does not exist.
fn agree(known: Option<&String>, code: Option<&str>) -> bool {
    match (known, code) {
        (Some(known), Some(code)) => known == code,
        _ => true,
    }
}
