//! Why an import stops.

use chassis::body::BodyError;
use chassis::database::StoreError;

use crate::app::admission::AdmissionError;
use crate::app::recorder::RecordError;
use crate::domain::import::{FORMAT_NAMES, ImportFormat};

/// Why an import stopped. Recorded visits stay, and the file can be sent again.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Another request imports the same file.
    #[error("another request is importing this file; wait until it completes")]
    AlreadyRunning,
    /// The lines that were imported before differ from those of this file.
    #[error("the file differs from the one that was imported with this id or these first lines")]
    FileMismatch,
    /// The upload ended before the end of the file.
    #[error("the upload ended before the end of the file; send the file again to resume")]
    IncompleteUpload,
    /// The first lines do not show the format.
    #[error("the first lines have no known format; name it with `format`, one of {FORMAT_NAMES}")]
    FormatUnknown,
    /// The file contains totals per day.
    #[error(
        "the file contains totals per day, as exports of Plausible do. Only files with single \
         visits can be imported; import the access logs of the server instead"
    )]
    DailyTotals,
    /// The lines of this format do not name the site.
    #[error("`site` is required for the format `{}`", .0.name())]
    SiteRequired(ImportFormat),
    /// The request body is invalid.
    #[error(transparent)]
    Body(BodyError),
    /// The file names a site that may not be added.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    #[error("the service is stopping")]
    ShuttingDown,
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Store(#[from] StoreError),
}
