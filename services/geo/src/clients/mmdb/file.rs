//! Reads the file of a database into memory.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use maxminddb::Reader;

use super::error::DatabaseError;

/// Three times the size of MaxMind's largest database.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// The metadata is at the end of a file, within this many bytes.
const METADATA_SEARCH_BYTES: usize = 128 * 1024;

/// The key `description` in the metadata, followed by an empty map.
const EMPTY_DESCRIPTION: &[u8] = b"\x4bdescription\xe0";
/// The same key, followed by the map `{"en": "-"}`.
const PLACEHOLDER_DESCRIPTION: &[u8] = b"\x4bdescription\xe1\x42en\x41-";

pub(super) fn read_file(path: &Path) -> Result<Reader<Vec<u8>>, DatabaseError> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    if size > MAX_FILE_BYTES {
        return Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge).into());
    }
    let room = usize::try_from(size).unwrap_or_default();
    let mut bytes = Vec::new();
    // Reserves the file and the description at once, because growing would double the memory.
    bytes
        .try_reserve_exact(room + PLACEHOLDER_DESCRIPTION.len())
        .map_err(std::io::Error::from)?;
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    add_description(&mut bytes);
    Ok(Reader::from_source(bytes)?)
}

/// Adds a description if it is empty: the reader requires one, the format does not, and the free
/// databases of ip-location-db have none.
fn add_description(bytes: &mut Vec<u8>) {
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
