//! Parses the lines of files with visits.

mod access_log;
mod address_fields;
mod detection;
mod format;
mod import_id;
mod json_log;
mod line_decoder;
mod line_parser;
mod log_time;
mod logged_request;
mod page_filter;
mod parsed_line;
mod quoted_text;
mod reimported;
mod umami;
mod unknown_fields;
mod w3c;

pub use detection::{DetectedFormat, detect_format};
pub use format::{FORMAT_NAMES, ImportFormat};
pub use import_id::{derive_import_id, derive_visit_id};
pub use line_decoder::{DecodedLine, LineDecoder, MAX_LINE_BYTES};
pub use line_parser::LineParser;
pub use page_filter::SkipReason;
pub use parsed_line::{LineParseError, ParsedLine};
pub use reimported::ReimportedVisit;

#[cfg(test)]
mod tests;
