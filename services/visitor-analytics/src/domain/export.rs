//! The formats of exported files, which imports read again.

pub mod columns;
pub mod csv;
mod parquet;

use std::io::Write as _;

use common::visitor_analytics::Visit;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::parquet::ParquetWriter;

/// A visit with the fields that only exports contain.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExportedVisit {
    #[serde(flatten)]
    pub visit: Visit,
    /// The user agent as received; empty if the visitor sent none.
    #[serde(default)]
    pub user_agent: String,
}

/// The format of an exported file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// CSV (RFC 4180) with a header.
    Csv,
    /// A JSON object per line.
    Ndjson,
    /// Apache Parquet with Snappy compression.
    Parquet,
}

impl ExportFormat {
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "csv" => Self::Csv,
            "ndjson" => Self::Ndjson,
            "parquet" => Self::Parquet,
            _ => return None,
        })
    }

    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    #[must_use]
    pub fn file_extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Parquet => "parquet",
        }
    }

    /// The number of visits to write at once: the row groups of Parquet files are larger.
    #[must_use]
    pub fn page_size(self) -> i64 {
        match self {
            Self::Csv | Self::Ndjson => 1_000,
            Self::Parquet => 10_000,
        }
    }
}

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportWriteError {
    #[error("parquet: {0}")]
    Parquet(#[from] ::parquet::errors::ParquetError),
    #[error("json: {0}")]
    Json(#[from] serde_json::Error),
    #[error("gzip: {0}")]
    Gzip(#[from] std::io::Error),
}

/// Writes a file incrementally; each call returns the bytes that were produced.
pub struct ExportWriter {
    format: RowWriter,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

enum RowWriter {
    Csv { is_begun: bool },
    Ndjson,
    Parquet(Box<ParquetWriter>),
}

impl ExportWriter {
    /// Starts a file, optionally compressed with gzip.
    pub fn new(format: ExportFormat, is_gzip: bool) -> Result<Self, ExportWriteError> {
        Ok(Self {
            format: match format {
                ExportFormat::Csv => RowWriter::Csv { is_begun: false },
                ExportFormat::Ndjson => RowWriter::Ndjson,
                ExportFormat::Parquet => RowWriter::Parquet(Box::new(ParquetWriter::new()?)),
            },
            gzip: is_gzip.then(|| GzEncoder::new(vec![], Compression::fast())),
        })
    }

    /// Writes visits and returns the next bytes of the file, which may be empty.
    pub fn write(&mut self, visits: &[ExportedVisit]) -> Result<Vec<u8>, ExportWriteError> {
        let piece = match &mut self.format {
            RowWriter::Csv { is_begun } => {
                let mut text = String::new();
                if !std::mem::replace(is_begun, true) {
                    csv::write_header(&mut text);
                }
                for visit in visits {
                    csv::write_record(&mut text, &to_fields(visit)?);
                }
                text.into_bytes()
            }
            RowWriter::Ndjson => {
                let mut lines = vec![];
                for visit in visits {
                    serde_json::to_writer(&mut lines, visit)?;
                    lines.push(b'\n');
                }
                lines
            }
            RowWriter::Parquet(_) if visits.is_empty() => vec![],
            RowWriter::Parquet(file) => {
                let rows: Result<Vec<_>, _> = visits.iter().map(to_fields).collect();
                file.write_row_group(&rows?)?
            }
        };
        let Some(gzip) = &mut self.gzip else {
            return Ok(piece);
        };
        gzip.write_all(&piece)?;
        Ok(std::mem::take(gzip.get_mut()))
    }

    /// Returns the last bytes of the file.
    pub fn finish(mut self) -> Result<Vec<u8>, ExportWriteError> {
        // Writes the header even if there are no visits.
        let mut last = self.write(&[])?;
        if let RowWriter::Parquet(file) = self.format {
            last.extend(file.finish()?);
        }
        if let Some(gzip) = self.gzip {
            last.extend(gzip.finish()?);
        }
        Ok(last)
    }
}

fn to_fields(visit: &ExportedVisit) -> Result<Map<String, Value>, serde_json::Error> {
    match serde_json::to_value(visit)? {
        Value::Object(fields) => Ok(fields),
        _ => Ok(Map::new()),
    }
}

#[cfg(test)]
mod tests;
