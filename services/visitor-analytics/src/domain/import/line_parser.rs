//! Parses the lines of a file in one of the formats.

use serde_json::{Map, Value};

use super::access_log;
use super::detection::{DetectedFormat, detect_format};
use super::format::ImportFormat;
use super::json_log;
use super::page_filter::SkipReason;
use super::parsed_line::{LineParseError, ParsedLine};
use super::umami;
use super::unknown_fields::UnknownFields;
use super::w3c::W3cDirectives;
use crate::domain::export::columns::{ColumnType, EXPORT_COLUMNS};
use crate::domain::export::csv;

/// Parses the lines of a file.
#[derive(Clone, Debug)]
pub struct LineParser {
    format: ImportFormat,
    site: Option<String>,
    /// The column names of a CSV file, from its first line.
    column_names: Vec<String>,
    directives: W3cDirectives,
    unknown_fields: UnknownFields,
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
            directives: W3cDirectives::default(),
            unknown_fields: UnknownFields::default(),
        }
    }

    /// Reads a line that describes the lines that follow: column names or a directive. Returns
    /// whether the line is one.
    pub fn read_header(&mut self, line: &str) -> Result<bool, LineParseError> {
        if line.trim().is_empty() {
            return Ok(false);
        }
        match self.format {
            ImportFormat::W3c => Ok(self.directives.read(line)),
            ImportFormat::Csv | ImportFormat::Umami if self.column_names.is_empty() => {
                self.column_names = csv::parse_record(line).ok_or(LineParseError::InvalidCsv)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Parses the next line.
    pub fn parse(&mut self, line: &str) -> Result<ParsedLine, LineParseError> {
        self.try_parse(line).map_err(|error| match error {
            LineParseError::InvalidLogLine(_) | LineParseError::FieldsUnknown => {
                match detect_format(line) {
                    Some(DetectedFormat::Format(other)) if other != self.format => {
                        LineParseError::OtherFormat(other.name())
                    }
                    _ => error,
                }
            }
            error => error,
        })
    }

    /// The fields of visits that are unknown, and that were not returned before.
    pub fn take_unknown_fields(&mut self) -> Vec<String> {
        self.unknown_fields.take()
    }

    fn try_parse(&mut self, line: &str) -> Result<ParsedLine, LineParseError> {
        if line.trim().is_empty() {
            return Ok(ParsedLine::Skipped(SkipReason::Blank));
        }
        if self.read_header(line)? {
            return Ok(ParsedLine::Skipped(SkipReason::Header));
        }
        let name = self.format.name();
        let site = self.site.as_deref().unwrap_or_default();
        match self.format {
            ImportFormat::Combined | ImportFormat::Common => {
                Ok(access_log::parse_line(line, name)?.into_parsed_line(site))
            }
            ImportFormat::NginxJson | ImportFormat::Caddy | ImportFormat::Traefik => {
                // Traefik and nginx write the combined format unless JSON is configured.
                if !line.trim_start().starts_with('{') && self.format != ImportFormat::Caddy {
                    return Ok(access_log::parse_line(line, name)?.into_parsed_line(site));
                }
                let fields = serde_json::from_str(line).map_err(|e| json_error(&e))?;
                let request = json_log::parse_line(&fields, self.format)
                    .map_err(|error| other_format(&fields, self.format).unwrap_or(error))?;
                Ok(
                    request.map_or(ParsedLine::Skipped(SkipReason::Message), |request| {
                        request.into_parsed_line(site)
                    }),
                )
            }
            ImportFormat::W3c => Ok(self.directives.parse_line(line)?.into_parsed_line(site)),
            ImportFormat::Ndjson => {
                let fields = serde_json::from_str(line).map_err(|e| json_error(&e))?;
                let other = other_format(&fields, self.format);
                parse_visit(fields, self.site.clone(), &mut self.unknown_fields)
                    .map_err(|error| other.unwrap_or(error))
            }
            ImportFormat::Csv => parse_visit(
                typed_values(self.named_values(line)?.into_iter()),
                self.site.clone(),
                &mut self.unknown_fields,
            ),
            ImportFormat::Umami => {
                let values = self.named_values(line)?.into_iter();
                let values = values.map(|(name, text)| (name, Value::String(text)));
                umami::parse_record(&values.collect(), site)
            }
        }
    }

    /// The values of a CSV line with the names of their columns.
    fn named_values(&self, line: &str) -> Result<Vec<(String, String)>, LineParseError> {
        let values = csv::parse_record(line).filter(|v| v.len() == self.column_names.len());
        let values = values.ok_or(LineParseError::InvalidCsv)?;
        Ok(self.column_names.iter().cloned().zip(values).collect())
    }
}

/// The error for a line of another JSON format.
fn other_format(fields: &Map<String, Value>, format: ImportFormat) -> Option<LineParseError> {
    let detected = json_log::detect_format(fields)?;
    (detected != format).then(|| LineParseError::OtherFormat(detected.name()))
}

fn parse_visit(
    mut fields: Map<String, Value>,
    site: Option<String>,
    unknown_fields: &mut UnknownFields,
) -> Result<ParsedLine, LineParseError> {
    if let Some(site) = site {
        fields.insert("site".to_owned(), site.into());
    }
    // Only exported visits have this field.
    let is_exported = fields.contains_key("received_at");
    if is_exported {
        unknown_fields.check_exported(&fields);
        let fields = Value::Object(fields);
        let exported = serde_json::from_value(fields).map_err(|e| json_error(&e))?;
        return Ok(ParsedLine::Exported(Box::new(exported)));
    }
    let note = |name: serde_ignored::Path<'_>| unknown_fields.note(&name.to_string());
    let submitted = serde_ignored::deserialize(Value::Object(fields), note);
    let submitted = submitted.map_err(|e| json_error(&e))?;
    Ok(ParsedLine::Visit(Box::new(submitted)))
}

fn json_error(error: &serde_json::Error) -> LineParseError {
    // The error's text may contain values, which may be confidential.
    match error.classify() {
        serde_json::error::Category::Data => {
            let text = error.to_string();
            let field = text
                .split('`')
                .nth(1)
                .filter(|_| text.starts_with("missing"));
            field.map_or_else(
                || LineParseError::InvalidJson("a field has an invalid value".to_owned()),
                |field| LineParseError::MissingField(field.to_owned()),
            )
        }
        _ => LineParseError::InvalidJson("the line is not a JSON object".to_owned()),
    }
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
