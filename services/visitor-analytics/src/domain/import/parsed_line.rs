//! What a line of a file contains, or why it is invalid.

use crate::domain::export::ExportedVisit;
use crate::domain::visit::SubmittedVisit;

/// The content of a line.
#[derive(Clone, Debug)]
pub enum ParsedLine {
    Visit(Box<SubmittedVisit>),
    Exported(Box<ExportedVisit>),
    /// Not a page view, such as a style sheet, an image or a form submission; or an empty line.
    Skipped,
}

/// Why a line is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineParseError {
    #[error("the line is not in the combined log format")]
    InvalidLogLine,
    #[error("the line is not valid CSV, or has another number of values than the header")]
    InvalidCsv,
    /// The line is not the JSON of a visit.
    #[error("{0}")]
    InvalidJson(String),
}
