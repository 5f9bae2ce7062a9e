//! CSV (RFC 4180) that no spreadsheet takes for formulas: a text that begins with one of
//! `= + - @`, a tab or a carriage return has a `'` before it, and so does one that begins with a
//! `'`, so that the first one can be taken away again (OWASP, CSV injection). No value holds the
//! end of a line, so that a line is a record.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::columns::{COLUMNS, Kind};

const DANGEROUS: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\''];

/// The line of names.
pub fn header(text: &mut String) {
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    text.push_str(&names.join(","));
    text.push_str("\r\n");
}

/// A visit's line.
pub fn line(text: &mut String, visit: &Map<String, Value>) {
    for (index, (name, kind)) in COLUMNS.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        match (kind, visit.get(name)) {
            (_, None | Some(Value::Null)) => {}
            (_, Some(Value::String(value))) => cell(text, value),
            (_, Some(Value::Array(values))) => {
                let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
                cell(text, &values.join(" "));
            }
            (Kind::Json, Some(Value::Object(object))) if object.is_empty() => {}
            (Kind::Json, Some(object)) => cell(text, &object.to_string()),
            // A number cannot be a formula. Writing to a string does not fail.
            (_, Some(value)) => _ = write!(text, "{value}"),
        }
    }
    text.push_str("\r\n");
}

fn cell(text: &mut String, value: &str) {
    let guard = if value.starts_with(DANGEROUS) {
        "'"
    } else {
        ""
    };
    if value.contains([',', '"', '\r', '\n']) {
        let value = value.replace('"', "\"\"").replace(['\r', '\n'], " ");
        // Writing to a string does not fail.
        let _ = write!(text, "\"{guard}{value}\"");
    } else {
        let _ = write!(text, "{guard}{value}");
    }
}

/// The values of a line, without the guards of [`line()`]; `None` where a quoted one does not end.
#[must_use]
pub fn read(line: &str) -> Option<Vec<String>> {
    let mut values = vec![];
    let mut rest = line.trim_end_matches(['\r', '\n']);
    loop {
        let value;
        (value, rest) = if let Some(quoted) = rest.strip_prefix('"') {
            read_quoted(quoted)?
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            (rest[..end].to_owned(), &rest[end..])
        };
        let bare = value.strip_prefix('\'').map(str::to_owned);
        values.push(bare.unwrap_or(value));
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None if rest.is_empty() => return Some(values),
            None => return None,
        }
    }
}

/// A value up to its closing quote, and what follows.
fn read_quoted(text: &str) -> Option<(String, &str)> {
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
