//! A database's file, read into memory.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use maxminddb::Reader;

use super::DatabaseError;

/// The largest file that is read, in bytes; MaxMind's largest has a third of it.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// Metadata is in the last so many bytes of a file.
const METADATA_SEARCH_BYTES: usize = 128 * 1024;

/// The key of the description in the metadata, and an empty map behind it.
const EMPTY_DESCRIPTION: &[u8] = b"\x4bdescription\xe0";
/// The same with a map of one text.
const PLACEHOLDER_DESCRIPTION: &[u8] = b"\x4bdescription\xe1\x42en\x41-";

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Reader<Vec<u8>>, DatabaseError> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    if size > MAX_FILE_BYTES {
        return Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge).into());
    }
    let room = usize::try_from(size).unwrap_or_default();
    let mut bytes = Vec::new();
    // Room for the whole file and its description at once: growing would double it.
    bytes
        .try_reserve_exact(room + PLACEHOLDER_DESCRIPTION.len())
        .map_err(std::io::Error::from)?;
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    describe(&mut bytes);
    Ok(Reader::from_source(bytes)?)
}

/// The reader's check wants a description. The format does not, and the free databases of
/// ip-location-db have none.
fn describe(bytes: &mut Vec<u8>) {
    let tail = bytes.len().saturating_sub(METADATA_SEARCH_BYTES);
    let mut windows = bytes[tail..].windows(EMPTY_DESCRIPTION.len());
    if let Some(found) = windows.rposition(|window| window == EMPTY_DESCRIPTION) {
        let start = tail + found;
        bytes.splice(
            start..start + EMPTY_DESCRIPTION.len(),
            PLACEHOLDER_DESCRIPTION.iter().copied(),
        );
    }
}
