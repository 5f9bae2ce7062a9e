//! Files of visits that are taken in: what a line says.

mod exported;
mod lines;
mod log;

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

pub use exported::Restored;
pub use lines::{LONGEST, Line, Lines};

use super::export::columns::{COLUMNS, Kind};
use super::export::{Exported, csv};
use super::visit::Submitted;

/// A file's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An access log in the combined format of Apache and nginx.
    Combined,
    /// As exported.
    Csv,
    /// As exported, or as `POST /visits` takes it: an object a line.
    Ndjson,
}

impl Format {
    /// The format with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::Combined, Self::Csv, Self::Ndjson];
        all.into_iter().find(|format| format.name() == name)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Combined => "combined",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }
}

/// What a line says.
#[derive(Clone, Debug)]
pub enum Said {
    /// A visit as a client sends it.
    Visit(Box<Submitted>),
    /// A visit as it was exported.
    Exported(Box<Exported>),
    /// No page view: a style sheet, a picture, a form that was sent.
    Skipped,
}

/// Why a line is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// It is no line of an access log.
    #[error("this is no line of the combined format")]
    Log,
    /// It is no line of CSV with as many values as the first has names.
    #[error("this line has not as many values as there are names")]
    Csv,
    /// It is no JSON, or not that of a visit.
    #[error("{0}")]
    Json(String),
}

/// Reads the lines of a file.
#[derive(Clone, Debug)]
pub struct Reader {
    format: Format,
    site: Option<String>,
    /// The names of the columns, where the first line tells them.
    names: Vec<String>,
}

impl Reader {
    /// What is read is a visit of `site`; a log's lines do not say whose they are.
    #[must_use]
    pub fn new(format: Format, site: Option<String>) -> Self {
        Self {
            format,
            site,
            names: vec![],
        }
    }

    /// What a line says.
    pub fn read(&mut self, line: &str) -> Result<Said, BadLine> {
        let site = self.site.clone();
        match self.format {
            _ if line.trim().is_empty() => Ok(Said::Skipped),
            Format::Combined => log::read(line, site.as_deref().unwrap_or_default()),
            Format::Ndjson => {
                let fields = serde_json::from_str(line).map_err(|e| json(&e))?;
                visit(fields, site)
            }
            Format::Csv if self.names.is_empty() => {
                self.names = csv::read(line).ok_or(BadLine::Csv)?;
                Ok(Said::Skipped)
            }
            Format::Csv => {
                let values = csv::read(line).filter(|values| values.len() == self.names.len());
                let values = values.ok_or(BadLine::Csv)?;
                let names = self.names.iter().cloned();
                visit(typed(names.zip(values)), site)
            }
        }
    }
}

fn visit(mut fields: Map<String, Value>, site: Option<String>) -> Result<Said, BadLine> {
    if let Some(site) = site {
        fields.insert("site".to_owned(), site.into());
    }
    // Only a recorded visit was received.
    let is_exported = fields.contains_key("received_at");
    let fields = Value::Object(fields);
    if is_exported {
        let exported = serde_json::from_value(fields).map_err(|e| json(&e))?;
        return Ok(Said::Exported(Box::new(exported)));
    }
    let submitted = serde_json::from_value(fields).map_err(|e| json(&e))?;
    Ok(Said::Visit(Box::new(submitted)))
}

fn json(error: &serde_json::Error) -> BadLine {
    // Values would be told, which may be anything.
    BadLine::Json(match error.classify() {
        serde_json::error::Category::Data => {
            let text = error.to_string();
            let field = text
                .split('`')
                .nth(1)
                .filter(|_| text.starts_with("missing"));
            field.map_or_else(
                || "a field is not what it should be".to_owned(),
                |field| format!("the field {field} is missing"),
            )
        }
        _ => "this is no JSON object".to_owned(),
    })
}

/// Values as JSON has them, by their columns; the empty ones are left out.
fn typed(values: impl Iterator<Item = (String, String)>) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, text) in values {
        let kind = COLUMNS.into_iter().find(|(column, _)| *column == name);
        let value = match kind.map(|(_, kind)| kind) {
            Some(Kind::Texts) => text.split_whitespace().collect(),
            Some(Kind::Json) if text.is_empty() => Value::Object(Map::new()),
            _ if text.is_empty() => continue,
            Some(Kind::Whole | Kind::Number | Kind::Truth | Kind::Json) => {
                serde_json::from_str(&text).unwrap_or(Value::String(text))
            }
            Some(Kind::Text | Kind::Time) | None => Value::String(text),
        };
        fields.insert(name, value);
    }
    fields
}

/// The id of an import that was given none: the same for the same file, also when it has grown.
#[must_use]
pub fn id_of(format: Format, site: Option<&str>, beginning: &[String]) -> Uuid {
    let beginning = beginning.join("\n");
    let text = format!(
        "{}\n{}\n{beginning}",
        format.name(),
        site.unwrap_or_default()
    );
    let hash = digest(&SHA256, text.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    let builder = uuid::Builder::from_bytes(bytes).with_version(uuid::Version::Custom);
    builder.with_variant(uuid::Variant::RFC4122).into_uuid()
}

/// The id of a visit that came without one: a `UUIDv7` of its moment that is the same whenever the
/// same line of the same import is read.
#[must_use]
pub fn visit_id(import: Uuid, number: u64, line: &str, moment: DateTime<Utc>) -> Uuid {
    let text = format!("{import}\n{number}\n{line}");
    let hash = digest(&SHA256, text.as_bytes());
    let mut bytes = [0; 10];
    bytes.copy_from_slice(&hash.as_ref()[..10]);
    let millis = u64::try_from(moment.timestamp_millis()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}

#[cfg(test)]
mod tests;
