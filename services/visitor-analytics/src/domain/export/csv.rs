//! CSV (RFC 4180) that spreadsheet programs do not interpret as formulas (OWASP, CSV injection).
//!
//! A text that begins like a formula is prefixed with the guard `'`. A guard is also inserted after
//! each `;`, `,` or tab that is followed by such a beginning: a program that expects another
//! separator than the comma ignores quotes inside a cell and splits the cell there. A text that
//! begins with `'` gets a guard as well, so that [`parse_record`] can remove guards without loss. JSON is
//! escaped instead and stays valid JSON. Values contain no line breaks, so that each line is a
//! record.

mod guard;

use serde_json::{Map, Value};

use super::columns::{ColumnType, EXPORT_COLUMNS};

/// Appends the header.
pub fn write_header(text: &mut String) {
    let names: Vec<&str> = EXPORT_COLUMNS.iter().map(|(name, _)| *name).collect();
    text.push_str(&names.join(","));
    text.push_str("\r\n");
}

/// Appends the record of a visit.
pub fn write_record(text: &mut String, visit: &Map<String, Value>) {
    for (index, (name, kind)) in EXPORT_COLUMNS.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        match (kind, visit.get(name)) {
            (_, None | Some(Value::Null)) => {}
            (_, Some(Value::String(value))) => write_cell(text, value),
            (_, Some(Value::Array(values))) => {
                let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
                write_cell(text, &values.join(" "));
            }
            (ColumnType::Json, Some(Value::Object(object))) if object.is_empty() => {}
            (ColumnType::Json, Some(object)) => write_quoted(text, &guard::to_guarded_json(object)),
            // A number cannot be a formula.
            (_, Some(value)) => text.push_str(&value.to_string()),
        }
    }
    text.push_str("\r\n");
}

fn write_cell(text: &mut String, value: &str) {
    let value = guard::add_guards(&value.replace(['\r', '\n'], " "));
    if value.contains([',', '"', ';', '\t']) {
        write_quoted(text, &value);
    } else {
        text.push_str(&value);
    }
}

fn write_quoted(text: &mut String, value: &str) {
    text.push('"');
    text.push_str(&value.replace('"', "\"\""));
    text.push('"');
}

/// Parses a record and removes the guards that [`write_record`] adds; `None` if the quotes are
/// unbalanced.
#[must_use]
pub fn parse_record(line: &str) -> Option<Vec<String>> {
    let mut values = vec![];
    let mut rest = line.trim_end_matches(['\r', '\n']);
    loop {
        let value;
        (value, rest) = if let Some(quoted) = rest.strip_prefix('"') {
            parse_quoted(quoted)?
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            (rest[..end].to_owned(), &rest[end..])
        };
        values.push(guard::remove_guards(&value));
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None if rest.is_empty() => return Some(values),
            None => return None,
        }
    }
}

/// Splits a quoted value after its closing quote.
fn parse_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        value.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                value.push('"');
                rest = more;
            }
            None => return Some((value, after)),
        }
    }
}
