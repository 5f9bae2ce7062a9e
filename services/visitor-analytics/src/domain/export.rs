//! Visits as files: what an export writes and an import reads.

pub mod columns;
pub mod csv;
mod parquet;

use std::io::Write as _;

use common::visitor_analytics::Visit;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::parquet::Parquet;

/// A visit with what an import needs beside.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exported {
    /// The visit.
    #[serde(flatten)]
    pub visit: Visit,
    /// The user agent as it was; empty where the visitor sent none.
    #[serde(default)]
    pub user_agent: String,
}

/// A file's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, with a line of names.
    Csv,
    /// A JSON object a line.
    Ndjson,
    /// Apache Parquet, Snappy-compressed.
    Parquet,
}

impl Format {
    /// The format with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "csv" => Self::Csv,
            "ndjson" => Self::Ndjson,
            "parquet" => Self::Parquet,
            _ => return None,
        })
    }

    /// The media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// How the file's name ends.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Parquet => "parquet",
        }
    }

    /// Visits that are written together: a Parquet file's row groups are larger.
    #[must_use]
    pub fn page(self) -> i64 {
        match self {
            Self::Csv | Self::Ndjson => 1_000,
            Self::Parquet => 10_000,
        }
    }
}

/// A file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Parquet refuses it.
    #[error("parquet: {0}")]
    Parquet(#[from] ::parquet::errors::ParquetError),
    /// A visit is no JSON.
    #[error("json: {0}")]
    Json(#[from] serde_json::Error),
    /// It could not be compressed.
    #[error("gzip: {0}")]
    Gzip(#[from] std::io::Error),
}

/// Writes a file piece by piece; what is written is taken out each time.
pub struct Writer {
    format: Formatter,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

enum Formatter {
    Csv { is_begun: bool },
    Ndjson,
    Parquet(Box<Parquet>),
}

impl Writer {
    /// A file of this format, compressed as a whole or not.
    pub fn new(format: Format, is_gzip: bool) -> Result<Self, WriteError> {
        Ok(Self {
            format: match format {
                Format::Csv => Formatter::Csv { is_begun: false },
                Format::Ndjson => Formatter::Ndjson,
                Format::Parquet => Formatter::Parquet(Box::new(Parquet::new()?)),
            },
            gzip: is_gzip.then(|| GzEncoder::new(vec![], Compression::fast())),
        })
    }

    /// The next piece of the file; it may be empty.
    pub fn write(&mut self, visits: &[Exported]) -> Result<Vec<u8>, WriteError> {
        let piece = match &mut self.format {
            Formatter::Csv { is_begun } => {
                let mut text = String::new();
                if !std::mem::replace(is_begun, true) {
                    csv::header(&mut text);
                }
                for visit in visits {
                    csv::line(&mut text, &fields(visit)?);
                }
                text.into_bytes()
            }
            Formatter::Ndjson => {
                let mut lines = vec![];
                for visit in visits {
                    serde_json::to_writer(&mut lines, visit)?;
                    lines.push(b'\n');
                }
                lines
            }
            Formatter::Parquet(_) if visits.is_empty() => vec![],
            Formatter::Parquet(file) => {
                let rows: Result<Vec<_>, _> = visits.iter().map(fields).collect();
                file.write(&rows?)?
            }
        };
        let Some(gzip) = &mut self.gzip else {
            return Ok(piece);
        };
        gzip.write_all(&piece)?;
        Ok(std::mem::take(gzip.get_mut()))
    }

    /// The end of the file.
    pub fn finish(mut self) -> Result<Vec<u8>, WriteError> {
        // The names stand there also where nothing else does.
        let mut last = self.write(&[])?;
        if let Formatter::Parquet(file) = self.format {
            last.extend(file.finish()?);
        }
        if let Some(gzip) = self.gzip {
            last.extend(gzip.finish()?);
        }
        Ok(last)
    }
}

fn fields(visit: &Exported) -> Result<Map<String, Value>, serde_json::Error> {
    match serde_json::to_value(visit)? {
        Value::Object(fields) => Ok(fields),
        _ => Ok(Map::new()),
    }
}

#[cfg(test)]
mod tests;
