//! What a line of a file contains, or why it is invalid.

use super::page_filter::SkipReason;
use crate::domain::export::ExportedVisit;
use crate::domain::visit::SubmittedVisit;

/// The content of a line.
#[derive(Clone, Debug)]
pub enum ParsedLine {
    Visit(Box<SubmittedVisit>),
    /// A visit with its enrichment. The id is nil if the file has none.
    Exported(Box<ExportedVisit>),
    /// Not a page view, such as a style sheet, an image or a form submission; or an empty line.
    Skipped(SkipReason),
}

/// Why a line is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineParseError {
    /// Contains the name of the format.
    #[error("the line is not in the {0} log format")]
    InvalidLogLine(&'static str),
    #[error("the line is not valid CSV, or has another number of values than the header")]
    InvalidCsv,
    /// The line is not the JSON of a visit.
    #[error("{0}")]
    InvalidJson(String),
    /// Contains the name of the field.
    #[error("the field {0} is missing")]
    MissingField(String),
    /// Contains the name of the field.
    #[error("the field {0} has an invalid value")]
    InvalidField(&'static str),
    /// Contains the name of the format that the line has.
    #[error("the line is in the format {0}; import the file with format={0} or format=auto")]
    OtherFormat(&'static str),
    #[error("no line `#Fields:` names the fields of this line")]
    FieldsUnknown,
    #[error(
        "timestamp: the time must be like 20/Nov/2026:10:13:55 +0000 or 2026-11-20T10:13:55Z, \
         with its time zone"
    )]
    InvalidTime,
    #[error(
        "ip: the log contains host names instead of addresses. Set `HostnameLookups Off` in Apache \
         (or log %a instead of %h), or resolve the names before the import"
    )]
    HostNames,
    #[error("ip: the line contains no IPv4 or IPv6 address")]
    NoAddress,
}

impl LineParseError {
    /// The stable code in the API.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::HostNames | Self::NoAddress => "IP_INVALID",
            _ => "LINE_INVALID",
        }
    }

    /// The name of the invalid field, if a single field is invalid.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::MissingField(field) => Some(field),
            Self::InvalidField(field) => Some(field),
            Self::InvalidTime => Some("timestamp"),
            Self::HostNames | Self::NoAddress => Some("ip"),
            Self::InvalidLogLine(_)
            | Self::InvalidCsv
            | Self::InvalidJson(_)
            | Self::OtherFormat(_)
            | Self::FieldsUnknown => None,
        }
    }
}
