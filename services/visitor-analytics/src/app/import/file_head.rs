//! Reads the first lines of a file, which identify the import and show the format.

use super::error::ImportError;
use super::line_source::LineSource;
use crate::domain::import::{DecodedLine, DetectedFormat, ImportFormat, detect_format};

/// Lines at the start of a file from which the import's id is derived.
const FINGERPRINT_LINES: usize = 2;
/// Lines that are read to find the format, or the first lines with values.
const MAX_HEAD_LINES: usize = 32;

/// The first lines of a file.
pub(super) struct FileHead {
    pub(super) format: ImportFormat,
    /// The lines, each with whether its line end was read.
    pub(super) lines: Vec<(DecodedLine, bool)>,
    /// The lines from which the import's id is derived.
    pub(super) fingerprint: Vec<String>,
}

impl FileHead {
    /// Reads the first lines. Without a `format`, the lines show it.
    pub(super) async fn read(
        source: &mut LineSource,
        format: Option<ImportFormat>,
    ) -> Result<Self, ImportError> {
        let mut lines: Vec<(DecodedLine, bool)> = vec![];
        let mut found = None;
        // Directives are the same in many files, so they do not identify one.
        let mut values = 0;
        loop {
            let is_w3c = format == Some(ImportFormat::W3c)
                || found == Some(DetectedFormat::Format(ImportFormat::W3c));
            let has_format = format.is_some() || found.is_some();
            let count = if is_w3c { values } else { lines.len() };
            if lines.len() >= MAX_HEAD_LINES || (has_format && count >= FINGERPRINT_LINES) {
                break;
            }
            let Some(line) = source.next_line().await? else {
                break;
            };
            let text = line_text(&line.0);
            found = found.or_else(|| detect_format(text));
            values += usize::from(!text.starts_with('#'));
            lines.push(line);
        }
        if found == Some(DetectedFormat::DailyTotals) {
            return Err(ImportError::DailyTotals);
        }
        let detected = match found {
            Some(DetectedFormat::Format(format)) => Some(format),
            _ => None,
        };
        let format = format.or(detected).ok_or(ImportError::FormatUnknown)?;
        let fingerprint = lines.iter().map(|(line, _)| line_text(line).to_owned());
        let fingerprint = match format {
            ImportFormat::W3c => fingerprint.collect(),
            _ => fingerprint.take(FINGERPRINT_LINES).collect(),
        };
        Ok(Self {
            format,
            lines,
            fingerprint,
        })
    }
}

pub(super) fn line_text(line: &DecodedLine) -> &str {
    match line {
        DecodedLine::Text(text) => text,
        DecodedLine::Unreadable => "",
    }
}
