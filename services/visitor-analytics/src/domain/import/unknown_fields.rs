//! Fields of visits in files that are unknown and ignored.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::domain::export::columns::EXPORT_COLUMNS;

/// Names that are kept.
const MAX_NAMES: usize = 20;
const MAX_NAME_CHARS: usize = 64;

/// The names of unknown fields, each reported once.
#[derive(Clone, Debug, Default)]
pub(super) struct UnknownFields {
    seen: BTreeSet<String>,
    new: Vec<String>,
    /// Whether an exported visit was checked: all visits of an export have the same fields.
    has_checked_export: bool,
}

impl UnknownFields {
    pub(super) fn note(&mut self, name: &str) {
        let name: String = name.chars().take(MAX_NAME_CHARS).collect();
        if self.seen.len() < MAX_NAMES && self.seen.insert(name.clone()) {
            self.new.push(name);
        }
    }

    pub(super) fn check_exported(&mut self, fields: &Map<String, Value>) {
        if std::mem::replace(&mut self.has_checked_export, true) {
            return;
        }
        let is_known = |name: &str| EXPORT_COLUMNS.iter().any(|(column, _)| *column == name);
        for name in fields.keys().filter(|name| !is_known(name)) {
            self.note(name);
        }
    }

    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.new)
    }
}
