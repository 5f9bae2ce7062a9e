//! Why an import stops.

use chassis::body::BodyError;
use chassis::database::StoreError;

use crate::app::admission::AdmissionError;
use crate::app::recorder::RecordError;

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
