//! Reads the lines of an uploaded file.

use std::time::Duration;

use chassis::body::{BodyError, BodyReader};

use super::error::ImportError;
use crate::domain::import::{DecodedLine, LineDecoder};

/// An upload that sends no data for this long is aborted.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The lines of a file, each with whether its line end was read.
pub(super) struct LineSource {
    body: BodyReader,
    /// `None` after the end of the file.
    decoder: Option<LineDecoder>,
}

impl LineSource {
    pub(super) fn new(body: BodyReader) -> Self {
        Self {
            body,
            decoder: Some(LineDecoder::default()),
        }
    }

    pub(super) async fn next_line(&mut self) -> Result<Option<(DecodedLine, bool)>, ImportError> {
        loop {
            let Some(decoder) = &mut self.decoder else {
                return Ok(None);
            };
            if let Some(line) = decoder.next_line() {
                return Ok(Some((line, true)));
            }
            match tokio::time::timeout(READ_TIMEOUT, self.body.next_chunk()).await {
                Ok(Ok(Some(chunk))) => decoder.push(&chunk),
                Ok(Ok(None)) => {
                    let last = self.decoder.take().and_then(LineDecoder::finish);
                    return Ok(last.map(|line| (line, false)));
                }
                Ok(Err(BodyError::Incomplete)) | Err(_) => {
                    return Err(ImportError::IncompleteUpload);
                }
                Ok(Err(error)) => return Err(ImportError::Body(error)),
            }
        }
    }
}
