//! Records of databases and of MaxMind's web service, in their layouts.

mod flat;
mod merge;
mod names;
mod network;
mod places;

pub(super) use flat::FlatRecord;
pub(super) use names::{EnglishNames, LocalizedNames};
pub(super) use network::{NetworkRecord, deny_anonymity_flags};
pub(super) use places::PlaceRecord;

pub(crate) type WebServiceRecord = PlaceRecord<String, LocalizedNames<String>>;
