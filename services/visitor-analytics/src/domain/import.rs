//! Parses the lines of files with visits.

mod access_log;
mod line_decoder;
mod parsed_line;
mod reimported;

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

pub use line_decoder::{DecodedLine, LineDecoder, MAX_LINE_BYTES};
pub use parsed_line::{LineParseError, ParsedLine};
pub use reimported::ReimportedVisit;

use super::export::columns::{ColumnType, EXPORT_COLUMNS};
use super::export::csv;

/// The format of an imported file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportFormat {
    /// An access log in the combined format of Apache and nginx.
    Combined,
    /// CSV as exported.
    Csv,
    /// A JSON object per line, as exported or as in `POST /visits`.
    Ndjson,
}

impl ImportFormat {
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Combined, Self::Csv, Self::Ndjson];
        all.into_iter().find(|format| format.name() == name)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Combined => "combined",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }
}

/// Parses the lines of a file.
#[derive(Clone, Debug)]
pub struct LineParser {
    format: ImportFormat,
    site: Option<String>,
    /// The column names of a CSV file, from its first line.
    column_names: Vec<String>,
}

impl LineParser {
    /// Creates a parser; `site` replaces the site of all lines. Access logs do not name a site and
    /// need it.
    #[must_use]
    pub fn new(format: ImportFormat, site: Option<String>) -> Self {
        Self {
            format,
            site,
            column_names: vec![],
        }
    }

    /// Parses the next line.
    pub fn parse(&mut self, line: &str) -> Result<ParsedLine, LineParseError> {
        let site = self.site.clone();
        match self.format {
            _ if line.trim().is_empty() => Ok(ParsedLine::Skipped),
            ImportFormat::Combined => {
                access_log::parse_line(line, site.as_deref().unwrap_or_default())
            }
            ImportFormat::Ndjson => {
                let fields = serde_json::from_str(line).map_err(|e| json_error(&e))?;
                parse_visit(fields, site)
            }
            ImportFormat::Csv if self.column_names.is_empty() => {
                self.column_names = csv::parse_record(line).ok_or(LineParseError::InvalidCsv)?;
                Ok(ParsedLine::Skipped)
            }
            ImportFormat::Csv => {
                let values = csv::parse_record(line)
                    .filter(|values| values.len() == self.column_names.len());
                let values = values.ok_or(LineParseError::InvalidCsv)?;
                let names = self.column_names.iter().cloned();
                parse_visit(typed_values(names.zip(values)), site)
            }
        }
    }
}

fn parse_visit(
    mut fields: Map<String, Value>,
    site: Option<String>,
) -> Result<ParsedLine, LineParseError> {
    if let Some(site) = site {
        fields.insert("site".to_owned(), site.into());
    }
    // Only exported visits have this field.
    let is_exported = fields.contains_key("received_at");
    let fields = Value::Object(fields);
    if is_exported {
        let exported = serde_json::from_value(fields).map_err(|e| json_error(&e))?;
        return Ok(ParsedLine::Exported(Box::new(exported)));
    }
    let submitted = serde_json::from_value(fields).map_err(|e| json_error(&e))?;
    Ok(ParsedLine::Visit(Box::new(submitted)))
}

fn json_error(error: &serde_json::Error) -> LineParseError {
    // The error's text may contain values, which may be confidential.
    LineParseError::InvalidJson(match error.classify() {
        serde_json::error::Category::Data => {
            let text = error.to_string();
            let field = text
                .split('`')
                .nth(1)
                .filter(|_| text.starts_with("missing"));
            field.map_or_else(
                || "a field has an invalid value".to_owned(),
                |field| format!("the field {field} is missing"),
            )
        }
        _ => "the line is not a JSON object".to_owned(),
    })
}

/// Converts texts to JSON values by the types of their columns; empty ones are omitted.
fn typed_values(values: impl Iterator<Item = (String, String)>) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, text) in values {
        let kind = EXPORT_COLUMNS
            .into_iter()
            .find(|(column, _)| *column == name);
        let value = match kind.map(|(_, kind)| kind) {
            Some(ColumnType::TextList) => text.split_whitespace().collect(),
            Some(ColumnType::Json) if text.is_empty() => Value::Object(Map::new()),
            _ if text.is_empty() => continue,
            Some(
                ColumnType::Integer | ColumnType::Float | ColumnType::Boolean | ColumnType::Json,
            ) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            Some(ColumnType::Text | ColumnType::Timestamp) | None => Value::String(text),
        };
        fields.insert(name, value);
    }
    fields
}

/// Derives the id of an import from the format, the site and the first lines, so that the same file
/// has the same id, even after it has grown.
#[must_use]
pub fn derive_import_id(format: ImportFormat, site: Option<&str>, beginning: &[String]) -> Uuid {
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

/// Derives the id of a visit without one: a `UUIDv7` with the visit's time that is the same
/// whenever the same line of the same import is read.
#[must_use]
pub fn derive_visit_id(import: Uuid, number: u64, line: &str, moment: DateTime<Utc>) -> Uuid {
    let text = format!("{import}\n{number}\n{line}");
    let hash = digest(&SHA256, text.as_bytes());
    let mut bytes = [0; 10];
    bytes.copy_from_slice(&hash.as_ref()[..10]);
    let millis = u64::try_from(moment.timestamp_millis()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}

#[cfg(test)]
mod tests;
